// Package postgres is a [backend.Backend] on PostgreSQL, for catalogs that
// several processes share. It speaks to the server through jackc/pgx.
//
//	store, err := postgres.Open(ctx, "postgres://shelflife@db/shop", &postgres.Options{
//		Partition: catalog.AccountPartition{},
//	})
//
// # What it needs
//
// PostgreSQL 15 or later, and a role that may create tables and functions in
// the schema that its search_path names first; afterwards one that may use them.
// fsync must be on, and synchronous_commit not off: Open refuses the latter.
// A server that speaks the protocol but has no PL/pgSQL or advisory locks works
// with [Options.Portable]: CockroachDB and YugabyteDB are compatible by design,
// not tested. Behind PgBouncer in transaction mode put
// default_query_exec_mode=cache_describe into the connection string. That is
// anything that pgx takes, with several hosts too.
//
// # The table
//
// A row is (part, k, ver, v): the key with its part (see [Options.Partition]),
// a version and its value. The version is a number drawn at random for each commit, so
// that it never repeats for a key, deleted and created anew or not.
//
// # How an Update works
//
// Reads are plain statements outside of any transaction, or come from a cache of
// this process, or from Updates of this process that are still on their way.
// A commit is one call: on the server it locks what the scopes say, compares the
// versions of everything that was read, keys, missing keys and ranges, and
// writes. If one differs nothing is written and the callback runs again, after
// a few times under locks that it holds on the server meanwhile. So an Update
// whose reads are cached costs one round trip, another one two. Keys that an Update expects
// to be missing (see [backend.ExpectMissing]) are not read at all: where all that was read is
// missing, and written, the commit is one INSERT, which says by itself whether it still is.
// Nor are those read of which the caller has the versions from a Scan (see [backend.ExpectSeen]).
//
// Inside the process Updates of overlapping scopes run one after the other, but
// a callback does not wait for the commit of the one before it: it sees what
// that wrote, joins it, and those that gathered while a commit was under way are
// committed together by the next. A result is returned only when the commit of
// all it was based on is durable.
//
// Updates that have nothing to do with each other share calls, and with them
// transactions and syncs: while two calls are on their way further ones wait, for half
// a millisecond at most, and go together. Each of them still succeeds, runs again or
// waits for another process's locks by itself. But a call whose answer is lost leaves
// the outcome of all of them unknown. Large Updates, and those that read or remove
// ranges, go alone, and so do all where the store is Portable.
//
// Every commit is durable, so UpdateOptions.Buffered changes nothing and Durable
// has nothing to do. With synchronous_commit off for the Buffered ones a server that
// restarts, or a standby that takes over, would have lost what processes that live on have
// seen, and nothing would tell them.
//
// # When the server does not answer
//
// Reads are repeated on a new connection until [Options.CallTimeout], then fail
// with [backend.ErrUnavailable]. A commit is sent once: when its answer is lost,
// or does not come in [Options.CommitTimeout], the Update fails with
// [backend.ErrUnknownOutcome]. The server goes on with such a commit, and may end
// it long after: a read that shows the old state is not final. But it holds the
// locks of its scopes until then, and compares the versions of what was read, so
// that it has no effect after an Update that has changed any of that. The outcome
// is not known either when the server was told to stop waiting for its synchronous
// standby, where the commit may be lost with the primary. A patient Update waits for as long as the connection holds; if that
// breaks its outcome is unknown too.
//
// [Store.Ready] is about writes, though reads may go on: once a commit was not
// answered it returns an error until one is. Meanwhile the store writes a row of its
// own, again and again, a fifth of a second after the last attempt has ended. It does
// that too after a commit that the server refused for a reason that may be none of the
// commit's. When all is well and nobody writes, the clock's high-water mark is written
// every 15 seconds by one of the processes, and whether that is answered counts.
//
// # Time
//
// Reads are stamped with the server's clock (see [backend.ReadTime]). A high-water mark
// in the store, which is at most 20 seconds behind (35 through a pooler, whose connections
// outlive a server), keeps the time from going
// back when a standby with a slower clock takes over: it stands still until that
// clock has caught up. A high-water mark that is more than an hour ahead was left by
// a clock that was wrong, and counts for nothing. An Update whose commit was not
// sent within half a minute of its beginning, in a process that stood still, runs
// again.
package postgres
