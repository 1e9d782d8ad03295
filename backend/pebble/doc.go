// Package pebble keeps a Shelflife store in a directory, with Pebble, the LSM
// engine of CockroachDB. It is the default [backend.Backend].
//
// # Isolation
//
// Pebble has no transactions. An Update locks stripes, to which its scopes are
// hashed, in a fixed order, and commits one atomic batch. The stripes are
// released as soon as the batch is visible; the wait for the disk comes after
// that, so that writers of one product do not queue behind each other's fsync.
// Two scopes that share a stripe by accident wait for each other and are
// otherwise unaffected. Waiting is first come, first served and ends when the
// context does.
//
// # Durability
//
// Every commit is a position in Pebble's write-ahead log, and a stripe
// remembers the position of its last commit. What an Update could have read is
// durable when the log is synced up to there, whichever call synced it.
//
// One sync is under way at a time, and those who wait meanwhile share the next, which
// also awaits those whom the last one has answered: for as long as a sync takes, 10 ms
// at most, and not where that was in vain lately. An Update that is alone is synced at
// once. What shares a sync needs Pebble to take one more record for it: where
// Pebble holds up writes until a memtable is written out, it is answered after that.
//
// # Bulk loads
//
// What an Update with backend.UpdateOptions.Bulk puts is written to tables in the
// directory loads, of keys with the same first byte each, by up to four goroutines,
// and Pebble ingests these in one step: that spares the log, the memtable, and most
// of what compactions do. It is durable at once, and so is all that came before:
// while the log is synced for that, and until the tables have their place, commits of
// others wait, some milliseconds on a disk that syncs in one. The tables are written
// under the Update's scopes, since what it read must not change meanwhile: that takes
// some 5 to 10 ms for each MiB, all in all.
// An Update that deletes, or scans what it has written, is committed in the ordinary
// way, and so are all on a file system without hard links. Where there is no room for
// the tables it fails with backend.ErrUnavailable, and the store goes on. What a
// crash has left of them is removed by the next Open.
//
// # Failing disks
//
// The first failed write or sync of the log, the manifest, a directory or a
// flush stops the store: no later write reaches the disk, Updates fail with
// backend.ErrUnavailable, those whose commit was on its way with
// backend.ErrUnknownOutcome. Reads go on, and show such commits. Pebble itself is
// never told of the failure, since it would end the process: from then on it
// writes to memory. A failed compaction loses nothing and is tried again.
//
// Where it failed for want of disk space or of file descriptors (ENOSPC, EDQUOT,
// EMFILE, ENFILE) the store heals by itself, once there is room: it opens its
// directory anew, the same one, while calls wait as long as for a disk that hangs.
// Everything acknowledged is there; commits that were visible and not durable may
// be gone, of which backend.Healer informs the caller. Loops and snapshots that began
// before end with backend.ErrUnavailable. It is tried at once, and then at ever
// longer intervals, up to half a minute, which begin anew when the store has been
// well for a minute. After any other error, and where Pebble panicked or left a
// damaged file alone, the store stays as it is until it is opened again.
//
// # Full disks
//
// A disk that fills up is noticed before it is full: below [Options.DiskReserve] all
// but deletions are refused. What else is on the volume may take the rest too, and
// then deletions would have no room for what gives room back: their log, a memtable
// that is written out, a compaction. So on Linux the store holds some for them, in
// the file ballast: half of the store's size, at least 4 MiB and at most a quarter of
// the reserve. It is made while the reserve and as much again are free, about a second
// after Open, and removed when a deletion finds less than half of its size free, or
// an opening no room; then deletions are admitted until half of it is used. There is
// none where files can't be given room ahead, which needs fallocate; there deletions
// are refused below half of the reserve. The file has no content, and can be removed,
// or left out of a copy.
//
// # Room and erasure
//
// Pebble deletes by writing: a deletion hides what is below it until a compaction
// brings the two together. So deletions are noted, and dealt with although nothing
// else is written, called or opened again. The memtables are flushed, the tables
// over the ranges of keys concerned are compacted to the lowest level, those that
// a snapshot kept from forgetting are written anew, and so are blob files.
//
//   - Two minutes after deletions have come to 64 MiB, or a tenth of the store if
//     that is more, their room is given back: of tables at 16 MiB a second, of blob
//     files at 64 MiB a second, until no more than a fifth of these is garbage.
//   - Where less than [Options.DiskReserve] is free it is given back at once, as
//     much as there is.
//   - Within [Options.EraseWithin] of a deletion no file holds the value any more:
//     no table, blob file or log. Work begins after three quarters of that time.
//     It is owed across openings: the file erasure.state says since when, and after
//     a crash everything counts as deleted.
//   - [Store.Reclaim] does all of it now.
//
// A deletion is what Txn.Delete and Txn.DeleteRange were told. A value that another
// replaced stays until Pebble comes by. Keys stay in the manifest.
//
// Erasing costs at most one rewriting of the tables each time (with 24 hours, every 18),
// where deletions are spread over the whole store, and as much as the ranges hold
// where they are not, and a rewriting of each blob file that holds garbage. In a
// store of 647 MiB, 100,000 products of which one of five has an image of 32 KiB,
// the erasure of 1 to 3 scattered products wrote 17 to 34 MiB, that of 10 half of
// the store, and that of 100 four fifths (BenchmarkErase). So where a few products
// a day are deleted EraseWithin of 24 hours costs up to 1.3 stores a day, and of an
// hour up to 32; where hundreds are, nearly the same.
//
// Logs are kept and written over, since a sync of a file that grows costs about
// twice as much; no more than two of them, none in a store in which nothing has
// happened for a minute, or that is closed. A log gets room in steps of 1 MiB.
//
// # Closing
//
// Close waits for running calls. A Scan holds one until the loop that ranges
// over it takes its next step, so a loop body must not wait for Close.
//
// # What linking it does
//
// Pebble imports expvar, which by itself registers /debug/vars on
// http.DefaultServeMux: the process's command line and its memory statistics. A
// host that serves that mux, as http.ListenAndServe(addr, nil) does, shows them
// to every client. Give http.Server a Handler of its own, or keep secrets out of
// the command line.
package pebble
