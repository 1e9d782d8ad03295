package backend

import (
	"context"
	"sync/atomic"
)

// A Partitioner spreads the keys of a store over numbered parts, for an engine
// that places each part by itself: on a partition, a tablet, a node. What
// belongs together, so that one operation touches one part, is the rule of
// the owner of the keys; the engine takes a Partitioner as an option.
//
// A store is written with one Partitioner and one number of parts for ever: the
// engine keeps the name and the number in the store, and refuses to open it with
// another name. The methods are pure, quick and safe for concurrent use.
type Partitioner interface {
	// Name identifies the rule. A rule that places any key otherwise has another
	// name.
	Name() string
	// Part returns the part of key, from 0 to parts-1.
	Part(key []byte, parts int) int
	// RangePart returns the part in which every key from start (inclusive) to
	// end (exclusive, nil is the end of the keyspace) lies. It is false where
	// they may lie in several.
	RangePart(start, end []byte, parts int) (part int, ok bool)
}

// A ReadTime takes the store's own time as a read comes with it, for callers
// that must judge deadlines alike in several processes whose clocks differ.
// Hand it to reads with [WithReadTime]. The zero value holds no time.
//
// An engine whose Properties.Clock is set stamps every Get, GetMany and fetch of
// a Scan, on the Backend, a Snapshot and a Txn, with a time of the store's clock
// at which what was read was the current state or would become it: never later
// than the state that was read. It comes with the answer, at no request of its
// own. In an Update that reads optimistically a read that needs no request is
// stamped with a time that the store's clock had passed by then; two processes
// can disagree there by one round trip. The engine keeps the times that it gives
// from going back, also when a server with a slower clock takes the store over.
//
// It travels in the context so that it passes through every decorator of a
// Backend that passes the context on.
type ReadTime struct{ ms atomic.Int64 }

// Unix returns the latest time that reads were stamped with, in Unix
// milliseconds, and false if none was.
func (t *ReadTime) Unix() (ms int64, ok bool) {
	ms = t.ms.Load()
	return ms, ms != 0
}

// Observe takes a time in Unix milliseconds, unless a later one is held
// already. It is for implementers of [Backend].
func (t *ReadTime) Observe(ms int64) {
	for {
		old := t.ms.Load()
		if ms <= old || t.ms.CompareAndSwap(old, ms) {
			return
		}
	}
}

type readTimeKey struct{}

// WithReadTime returns a context whose reads are stamped into t.
func WithReadTime(ctx context.Context, t *ReadTime) context.Context {
	return context.WithValue(ctx, readTimeKey{}, t)
}

// ReadTimeOf returns what [WithReadTime] put into ctx, nil if it did not. It is
// for implementers of [Backend].
func ReadTimeOf(ctx context.Context) *ReadTime {
	t, _ := ctx.Value(readTimeKey{}).(*ReadTime)
	return t
}

type expectSeenKey struct{}

// ExpectSeen returns a context that tells the GetMany of a Txn what a Scan with
// ScanOptions.Versions has shown of its keys: seen[i] is of keys[i], with a Version of 0
// where it is of none. An engine that compares at the commit what an Update has read
// with what is there then may take that for read, at no request, and run the callback
// again, without believing it, where the key was written since. Others ignore it. It
// changes nothing that this package promises. seen must not change until the Update has
// ended. It travels in the context as [WithReadTime] does; what is not read is not
// stamped.
func ExpectSeen(ctx context.Context, seen []Entry) context.Context {
	return context.WithValue(ctx, expectSeenKey{}, seen)
}

// ExpectedSeen returns what [ExpectSeen] put into ctx, nil if it did not. It is for
// implementers of [Backend].
func ExpectedSeen(ctx context.Context) []Entry {
	seen, _ := ctx.Value(expectSeenKey{}).([]Entry)
	return seen
}

type expectMissingKey struct{}

// ExpectMissing returns a context that tells the GetMany of a Txn that the keys are
// probably missing. An engine that compares at the commit what an Update has read
// with what is there then may take for missing what it knows nothing of, at no request,
// and run the callback again, without believing it, where that was wrong. Others ignore
// it. It changes nothing that this package promises. It travels in the context as
// [WithReadTime] does; what is not read is not stamped.
func ExpectMissing(ctx context.Context) context.Context {
	return context.WithValue(ctx, expectMissingKey{}, true)
}

// ExpectsMissing reports whether ctx is from [ExpectMissing]. It is for implementers of
// [Backend].
func ExpectsMissing(ctx context.Context) bool {
	expected, _ := ctx.Value(expectMissingKey{}).(bool)
	return expected
}
