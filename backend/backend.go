// Package backend is the contract between Shelflife's catalog and the engine
// that keeps its bytes: an ordered, transactional key-value store.
//
// The contract is written for engines that live in this process (package
// memory, package pebble) and for databases that several processes share.
// What an engine owes is stated on the interfaces; package backendtest checks
// it. A new engine costs an implementation of [Backend], a factory and one
// call of backendtest.Run.
//
// # Isolation
//
// An Update (see [Backend]) names what it will touch as [Scope] values. Updates
// whose scopes overlap behave as if they ran one after the other; others may
// run at the same time. An engine that locks the scopes and one that detects
// conflicts and runs the callback again both fulfil this. An engine need not
// notice access outside the declared scopes: that is a race, which Checked of
// package backendtest finds.
//
// An engine that detects conflicts may read optimistically: from the store as
// it goes along, from a cache of the process, or from what earlier Updates are
// still committing. A run that turns out to have read what no longer holds is
// doomed: it may have seen a mix of several states, and it does not count. The
// engine validates everything that a run read (keys, their absence and ranges)
// before it lets the run count, whether that wrote, wrote nothing or returned
// an error: Update never returns the nil or the error of a doomed run. The
// callback therefore ends on any input, however inconsistent, and keeps what it
// concludes (a log line, a counter, a skipped entry) to itself until Update has
// returned.
//
// A run may also be repeated because the engine lost its connection to the
// store, as long as nothing was sent that could have committed.
//
// # Durability
//
// Durability is a prefix: after a crash the store holds the effect of the
// first n commits in their order, whole, for some n that is not smaller than
// what was promised. Update promises durability before it returns, of what it
// wrote and of everything that its callback could have read; see
// [UpdateOptions] for the exception. An engine that makes a commit durable before
// any read can see it ignores UpdateOptions.Buffered; [Backend.Durable] then has
// nothing to wait for and costs no access to the store. Where reads can see a commit
// that is still being synced, Durable waits for it, even if Update never returns
// before.
//
// An engine may take back, while it is open, what a crash could have taken: see
// [Healer].
//
// # Time
//
// A call that waits for a store which does not answer ends in a time that the
// engine's package documentation states, unless it is an Update with UpdateOptions.Patient: with
// [ErrUnavailable] while nothing was sent that could have taken effect, with
// [ErrUnknownOutcome] when a commit was.
//
// Where several processes share the store their clocks may disagree. An engine
// that has a clock of its own stamps reads with it; see [ReadTime].
//
// # Byte ownership
//
// Keys and values that the engine hands out belong to the engine: they are
// valid only as long as documented and must not be changed. Keys and values
// handed to the engine belong to the caller, which may reuse them as soon as the
// call returns.
//
// # Lifecycle
//
// Close refuses new calls with [ErrClosed], ends running scans and open
// snapshots with the same error, waits for running Updates and for the calls
// that read, and only then releases the engine's resources. It does not wait
// for a [Snapshot] to be closed. It may wait until a loop over a [Reader.Scan]
// takes its next step, which is then its last, so the body of a loop must not
// wait for Close. An Update whose run turned out to be doomed after Close had
// begun may end with ErrClosed, and so may one whose callback has yet to start. A
// Scan of a [Txn] is part of its Update and goes on.
//
// A callback, or the body of a loop, may panic or end its goroutine. Nothing of its
// Update is written then, and the engine holds nothing of the call any longer: no
// lock, no transaction, no count of calls. The panic goes on.
//
// # Stores with one writer
//
// An engine may run one Update at a time, whatever the scopes. The others wait for
// their turn no longer than their ctx lasts, and the turn ends when the OnVisible
// functions have run. Durable waits for what is being synced, never for the turn.
// Snapshots and loops must not hold up the writer: it matters what the store does
// when its file grows.
//
// # Resources
//
// A running Scan and an open Snapshot may hold something of which the engine has
// few, such as a connection. No other call ever waits for what they hold: loops
// and snapshots, however many are open and however long they take, never stop
// reads and Updates, also those that the loops themselves make. Where the engine
// has no more of it, a further Scan or Snapshot waits, and fails with
// [ErrUnavailable] in a time that the engine's package documentation states.
package backend

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

var (
	// ErrClosed is returned by every call on a closed Backend or Snapshot.
	ErrClosed = errors.New("backend: closed")
	// ErrUnavailable says that the engine can't serve the call now: it was
	// stopped by a failed write, or has yet to heal from one (see Healer), it is
	// out of disk, or it does not answer. The call changed nothing.
	ErrUnavailable = errors.New("backend: unavailable")
	// ErrStopped is the ErrUnavailable of an engine that was stopped for good by a
	// failed write: nothing is written any more before it is opened again, not even
	// what is on its way, and what is visible stays so until then. One that is
	// unavailable without it may resume: a commit that was on its way may turn out
	// to be there, and one that is visible may be taken back, see [Healer].
	ErrStopped = fmt.Errorf("%w: stopped until it is opened again", ErrUnavailable)
	// ErrReadOnly is the ErrUnavailable of an engine that was opened for reading,
	// by choice or because it can't write where it is: see Properties.ReadOnly.
	ErrReadOnly = fmt.Errorf("%w: opened for reading", ErrUnavailable)
	// ErrUnknownOutcome says that the call may or may not have taken effect,
	// and that there is no way to know which. It is never followed by a retry
	// inside the engine. It may take effect later, though reads do not show it yet, unless
	// an Update that is answered has changed meanwhile what it had read.
	ErrUnknownOutcome = errors.New("backend: outcome unknown")
	// ErrNested is returned by Update when its context comes from the callback
	// of another Update.
	ErrNested = errors.New("backend: Update called inside an Update")
	// ErrScope is returned by every engine for a DeleteRange without a whole-group
	// scope, and in tests, by what Checked of package backendtest returns, for all
	// access outside the declared scopes.
	ErrScope = errors.New("backend: access outside the declared scopes")
	// ErrTooLarge is returned for a key or value beyond the limits that
	// [Properties] states. The transaction goes on without it.
	ErrTooLarge = errors.New("backend: key or value too large")
)

// A Scope names a part of the keyspace for isolation. Two scopes overlap when
// their groups are equal and their items are equal or one of them is empty: an
// empty Item stands for the whole group. How keys map to scopes is the
// caller's rule; the engine compares the strings and nothing else.
type Scope struct {
	Group string
	Item  string
}

// Overlaps reports whether Updates that declare s and t must be serialized.
func (s Scope) Overlaps(t Scope) bool {
	return s.Group == t.Group && (s.Item == t.Item || s.Item == "" || t.Item == "")
}

// A Range is the half-open interval of keys from Start (inclusive) to End
// (exclusive) in byte order. A nil Start means the first key, a nil End the
// end of the keyspace. A Range with Start >= End is empty.
type Range struct {
	Start, End []byte
}

// ScanOptions narrow a Scan. The zero value scans forward with values.
type ScanOptions struct {
	// Reverse yields the keys in descending order. Default: ascending.
	Reverse bool
	// KeysOnly leaves Entry.Value nil, and lets the engine skip reading the
	// values. Default: values are read.
	KeysOnly bool
	// Limit, if it is positive, is a hint that the loop will stop after so many
	// entries: the engine may fetch exactly those, in one request. A loop that
	// goes on gets the entries that follow all the same, but those after the
	// first Limit may come from a later state of the store. It does not change
	// which keys are in the range. Default: 0, no hint; negative is the same.
	Limit int
	// PastDamage makes the Scan continue past keys that can't be read. Each range of
	// them is yielded as a [*DamageError], with a zero Entry, at its place among
	// the entries, and is not the last step. It does nothing for a Scan in
	// Reverse, and an engine that can't do it ends at the first error, as
	// without it. A decorator passes it on with the other options, and yields
	// such an error without ending. Default: an error ends the Scan.
	PastDamage bool
	// Versions has an engine that knows them fill in Entry.Version. It does nothing
	// for the Scan of a Txn. Default: it is 0.
	Versions bool
}

// An Entry is one key with its value.
//
// Both slices belong to the engine, must not be changed, and are valid until
// the loop that received them takes its next step.
type Entry struct {
	Key   []byte
	Value []byte
	// Version stands for the value: where the key has the same one later, nothing has
	// written it. It is opaque, 0 where it is not known, and good for [ExpectSeen].
	Version int64
}

// Reader reads keys. It is safe for concurrent use, except that of a [Txn].
type Reader interface {
	// Get calls fn with the value of key if there is one, and reports whether
	// it did. The value belongs to the engine: it is valid only during fn and
	// must not be changed. fn runs at most once and must not call the engine, which
	// may hold what the call would wait for; and it is quick, since an engine may keep
	// what it lends from being moved or removed. A caller that hands the value on, to
	// code that takes its time, copies it: a kilobyte costs less than looking at it.
	// An error from fn is returned as it is.
	Get(ctx context.Context, key []byte, fn func(value []byte) error) (found bool, err error)

	// GetMany calls fn for each of the keys that exist, with its index in
	// keys, in no particular order, never concurrently, once per index. It
	// reads all keys from one state of the store. fn is bound as in Get; its
	// first error ends the call and is returned.
	GetMany(ctx context.Context, keys [][]byte, fn func(i int, value []byte) error) error

	// Scan yields the entries of r in byte order of their keys, all from one
	// state of the store, which the engine chooses between the beginning of the loop
	// and its first entry. An error is yielded once, as the last step, with
	// a zero Entry; see ScanOptions.PastDamage for the one exception. The loop may
	// stop at any step and may call the engine, except that inside an Update it must
	// not write through the Txn that it is scanning, and that it must not call
	// Backend.Close. The bounds may be reused once the loop has begun.
	Scan(ctx context.Context, r Range, o ScanOptions) iter.Seq2[Entry, error]
}

// Txn is what the callback of an Update reads and writes through. It sees its
// own writes. It is valid until the callback returns and is used by one
// goroutine.
type Txn interface {
	Reader

	// Put sets key to value. Both are copied.
	Put(key, value []byte) error
	// Delete removes key; a missing key is no error. valueSize is a hint for
	// engines that schedule their space by it: the size of the removed value
	// in bytes, 0 if unknown. It never changes the result.
	Delete(key []byte, valueSize int) error
	// DeleteRange removes every key of r, which must have both bounds: an error of the
	// engine's own says that it has not. It is allowed only in an Update with a
	// whole-group scope (see [ErrScope]); the keys must all belong to such groups.
	// After either error the transaction goes on without it. What the transaction itself wrote
	// into r before is removed too, what it writes afterwards stays.
	DeleteRange(r Range) error
	// OnVisible has fn called once when the transaction has committed, which one that
	// wrote nothing does too, and every later read sees it: never when it did not commit, and only for the
	// run of the callback that did. Where Properties.Exclusive, fn runs before
	// any overlapping Update starts its callback. fn must be quick and must
	// not call the engine. The functions run in the order in which they were
	// registered, and all have run when Update returns. Durability may still be
	// outstanding. When Update returns ErrUnknownOutcome they have run only if the
	// engine knows that the commit is visible and is in doubt about its
	// durability alone; that they did not run says nothing.
	OnVisible(fn func())
}

// UpdateOptions choose how an Update commits. The zero value commits durably.
type UpdateOptions struct {
	// Buffered lets Update return when the commit is visible, before it is
	// durable. A crash may then take it, with all commits that came after it;
	// never an older one while this one survives. A later Update that is not
	// Buffered, or Durable, makes it durable too where their scopes overlap.
	// An engine may ignore this and commit durably. Default: false.
	Buffered bool
	// Reclaim marks an Update that frees space, or that makes durable what was
	// acknowledged before: an engine short of disk still admits it when it
	// refuses others. Default: false.
	Reclaim bool
	// Patient has Update wait for as long as it takes where the engine does not
	// answer, rather than fail with ErrUnavailable or ErrUnknownOutcome for that.
	// It is for work in the background. Default: false.
	Patient bool
	// Bulk says that the Update writes much that is new, megabytes of it: an engine
	// may commit it by a way that costs less for much, and more for little. It is a hint
	// and changes nothing that this package promises: such an Update is as atomic, as
	// isolated and in its place among the commits as any other, and its OnVisible
	// functions run when it is visible. An engine may ignore it.
	//
	// The caller sees to it that the other way pays: it puts the keys of a region in
	// ascending order, where regions are told apart by the first byte of a key, deletes
	// nothing, replaces little, and brings no values that are large by themselves. It
	// can have others wait: the scopes are held for longer than an ordinary commit takes.
	//
	// The engine commits in the ordinary way what its other way can't take, and is not
	// stopped by a failure of that way: where there is no room for it, the Update fails
	// with ErrUnavailable and has changed nothing. Even if it is Buffered it may be durable
	// when it returns, and then so is every commit before it. Default: false.
	Bulk bool
}

// Snapshot reads one state of the store for as long as it is open.
type Snapshot interface {
	Reader
	// Close releases the snapshot; calling it again does nothing. Calls after
	// Close fail with ErrClosed. It may be called while a Scan of the snapshot runs,
	// also by the body of that loop, and does not wait for it: the Scan ends with
	// ErrClosed at its next step.
	Close() error
}

// Properties describe the engine of a Backend. They never change while it
// is open.
type Properties struct {
	// Name says which engine this is, for logs and reports: "pebble".
	Name string
	// Exclusive promises that no other process writes to the store while it is
	// open, so that what was read may be kept in memory as long as the Updates
	// of this process are watched. Without it the catalog keeps no record in
	// memory, writes every use before it is acknowledged, and looks in an
	// Update before it calls a product expired.
	Exclusive bool
	// Checksums promises that the engine notices what its storage changes: whenever it
	// reads from there it compares what it gets with checksums of its own, and fails
	// where they differ. With it the catalog verifies a stored value that is never
	// rewritten once while it is open, without it whenever it reads one.
	Checksums bool
	// ReadOnly says that no Update will be admitted while the engine is open: each
	// fails with ErrReadOnly, as Ready does. Reads are as ever.
	ReadOnly bool
	// Shards is the number of parts into which a new store should spread keys
	// that grow with time, so that no part of a distributed engine becomes the
	// only busy one. 0 means 1. It is read when a store is created; at most
	// 256.
	Shards int
	// Partition is the name of the Partitioner by which the engine places keys,
	// and Parts the number of its parts. Both are fixed when a store is created;
	// "" and 0 where keys are not placed.
	Partition string
	Parts     int
	// Clock says that the engine stamps reads with the store's own clock; see
	// [ReadTime].
	Clock bool
	// MaxKeySize and MaxValueSize are the largest key and value in bytes.
	// 0 means no limit of its own. Shelflife needs keys of 2 KiB and values of
	// 2 MiB, and uses no empty key. Package backendtest writes a key and a value of
	// the sizes stated.
	MaxKeySize, MaxValueSize int
}

// Backend is an ordered, transactional key-value store. Implementations are
// safe for concurrent use.
//
// Each call of the embedded Reader stands alone: it is current, and consistent
// in itself, without a snapshot. Reads and snapshots include every Update that
// returned before they began, in whichever process (freshness).
//
// Errors match [ErrClosed], [ErrUnavailable], [ErrUnknownOutcome] or the
// context's error where these apply, and any of them where several do. An engine that
// can't go on after a commit that failed half-way answers that one with
// ErrUnknownOutcome and each later Update with [ErrStopped]; reads go on. Any other error is the engine's own and
// says that the call changed nothing.
type Backend interface {
	Reader

	// Update runs fn in a transaction and commits what it wrote, all or
	// nothing.
	//
	// fn may run more than once, never concurrently with itself; every run
	// starts from nothing written. It ends whatever it reads, as a run that will
	// not count may see a mixed state (see Isolation in the package
	// documentation). It does nothing but read and write through
	// its Txn and set variables that a rerun sets again, and it passes its own
	// ctx on, never the outer one. It must not call Update (ErrNested) nor
	// wait for something that does.
	//
	// When fn returns an error, nothing is written and Update returns that
	// error as it is.
	//
	// Update returns, with nil or with fn's error, only when every write that
	// fn could have read is durable, even if fn wrote nothing: what the
	// caller concludes from the state it saw holds after a crash. With
	// UpdateOptions.Buffered it returns before that.
	//
	// Cancelling ctx before the commit is applied ends the call with the
	// context's error and nothing written. From the moment of applying, ctx is
	// ignored and the true result returned. Where an error leaves open whether
	// the commit took effect it is ErrUnknownOutcome.
	//
	// scopes may be in any order and may repeat. None at all is allowed for a
	// fn that touches nothing.
	Update(ctx context.Context, scopes []Scope, o UpdateOptions, fn func(context.Context, Txn) error) error

	// Durable returns when every commit under the scopes that a read begun
	// before the call can have seen is durable, and then costs next to nothing
	// if nothing is pending. It takes no lock that an Update holds while its
	// callback runs. After an error durability is not known.
	Durable(ctx context.Context, scopes []Scope) error

	// Snapshot returns a view of the store as it is now.
	Snapshot(ctx context.Context) (Snapshot, error)

	// Size estimates how many bytes the keys of r and their values occupy where
	// the engine keeps them, compressed as they are. It is asked for whole spaces and
	// for figures alone: nothing is decided by it. It is cheap and may be off by what
	// was written lately; an engine that would have to read the range returns 0.
	Size(ctx context.Context, r Range) (bytes int64, err error)

	// Properties describe the engine. They are available after Close too.
	Properties() Properties

	// Ready returns nil when an Update would be tried, ErrClosed after Close,
	// and otherwise an error that matches ErrUnavailable and says why not. It
	// does not touch the disk and may be called often.
	Ready() error

	// Close ends the engine; see the package documentation for what becomes of
	// running calls. Everything committed is durable when it returns nil.
	// Calling it again returns the result of the first call.
	Close() error
}
