package pebble

import (
	"bytes"
	"context"
	"errors"
	"io"

	crdb "github.com/cockroachdb/pebble/v2"

	"github.com/shelflife-db/shelflife/backend"
)

// getter and ranger are what Pebble's DB, snapshots and batches have in common.
type getter interface {
	Get(key []byte) ([]byte, io.Closer, error)
}

type ranger interface {
	NewIterWithContext(ctx context.Context, o *crdb.IterOptions) (*crdb.Iterator, error)
}

func get(g getter, key []byte, fn func([]byte) error) (bool, error) {
	value, closer, err := find(g, key)
	if closer == nil {
		return false, err
	}
	defer func() { _ = closer.Close() }()
	return true, fn(value)
}

func getMany(ctx context.Context, g getter, keys [][]byte, fn func(int, []byte) error) error {
	for i, key := range keys {
		if i%64 == 63 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if err := getNth(g, i, key, fn); err != nil {
			return err
		}
	}
	return nil
}

func getNth(g getter, i int, key []byte, fn func(int, []byte) error) error {
	value, closer, err := find(g, key)
	if closer == nil {
		return err
	}
	defer func() { _ = closer.Close() }()
	return fn(i, value)
}

// find returns the value of key, to be closed, or no closer if there is none.
func find(g getter, key []byte) ([]byte, io.Closer, error) {
	value, closer, err := g.Get(key)
	if it, ok := closer.(*crdb.Iterator); ok && err == nil {
		// Get forgets what came of fetching a value that is stored apart from
		// its key: without this it would be an empty one.
		//
		// Pebble v2.1.7: unnecessary when DB.Get returns the error of
		// Iterator.ValueAndErr; it does not work any more when the closer is
		// another type (TestPebbleForgetsErrorsOfSeparatedValues).
		if err = it.Error(); err != nil {
			_ = closer.Close() // the same error
		}
	}
	switch {
	case err == nil:
		return value, closer, nil
	case errors.Is(err, crdb.ErrNotFound):
		return nil, nil, nil
	}
	return nil, nil, damageError(only(key), err)
}

// ending says when a scan must end before its range does. The zero value never
// does.
type ending struct {
	// closing is closed when the opening takes no more calls, for why.
	closing <-chan struct{}
	why     func() error
	// closed is closed with the snapshot that is read.
	closed <-chan struct{}
}

// err returns why a scan must end, nil if it need not.
func (e ending) err() error {
	switch {
	case isDone(e.closing):
		return e.why()
	case isDone(e.closed):
		return backend.ErrClosed
	}
	return nil
}

// scan yields the entries of r until it must end.
func scan(ctx context.Context, db *crdb.DB, from ranger, r backend.Range, o backend.ScanOptions, end ending,
	yield func(backend.Entry, error) bool,
) {
	if emptyRange(r) {
		return
	}
	bounds := crdb.IterOptions{LowerBound: r.Start, UpperBound: r.End}
	if len(r.Start) == 0 {
		// The same to us; Pebble's checks in race builds stumble over it.
		//
		// Pebble v2.1.7: unnecessary when the conformance suite passes under
		// -race without this.
		bounds.LowerBound = nil
	}
	it, err := from.NewIterWithContext(ctx, &bounds)
	if err != nil {
		yield(backend.Entry{}, damageError(boundsOf(r), err))
		return
	}
	defer func() { _ = it.Close() }()

	done := ctx.Done()
	if o.PastDamage && !o.Reverse {
		r = boundsOf(r)
		p := pastDamage{it: it, db: db, next: r.Start, end: r.End, keysOnly: o.KeysOnly, yield: yield}
		p.ended = func() error {
			if isDone(done) {
				return ctx.Err()
			}
			return end.err()
		}
		p.run()
		return
	}
	step, ok := it.Next, false
	if o.Reverse {
		step, ok = it.Prev, it.Last()
	} else {
		ok = it.First()
	}
	for ; ok; ok = step() {
		if isDone(done) {
			yield(backend.Entry{}, ctx.Err())
			return
		}
		if err := end.err(); err != nil {
			yield(backend.Entry{}, err)
			return
		}
		e := backend.Entry{Key: it.Key()}
		if !o.KeysOnly {
			if e.Value, err = it.ValueAndErr(); err != nil {
				yield(backend.Entry{}, damageError(only(e.Key), err))
				return
			}
		}
		if !yield(e, nil) {
			return
		}
	}
	if err := it.Error(); err != nil {
		if ctxErr := ctx.Err(); ctxErr != nil {
			err = ctxErr
		} else {
			err = damageError(boundsOf(r), err)
		}
		yield(backend.Entry{}, err)
	}
}

// isDone reports whether a channel, which may be nil, is closed. A select of one
// channel takes no lock, other than one of several.
func isDone(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// boundsOf returns a copy of r, which the caller of a Scan may reuse.
func boundsOf(r backend.Range) backend.Range {
	return backend.Range{Start: bytes.Clone(r.Start), End: bytes.Clone(r.End)}
}

func emptyRange(r backend.Range) bool {
	return r.End != nil && bytes.Compare(r.Start, r.End) >= 0
}
