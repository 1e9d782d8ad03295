package pebble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	crdb "github.com/cockroachdb/pebble/v2"

	"github.com/shelflife-db/shelflife/backend"
)

var errTxnEnded = errors.New("backend/pebble: transaction used after its Update")

// indexFrom is the number of writes from which a txn finds them by a map.
const indexFrom = 16

// txn is the transaction of one Update. Most read first and write one to three
// keys, so it keeps a plain list of its writes beside the batch, and gives the
// batch an index only when it is scanned.
type txn struct {
	db      *crdb.DB
	batch   *crdb.Batch
	whole   bool // DeleteRange is allowed
	ended   bool
	indexed bool
	// plain is the batch from before it was indexed; writes points into it.
	plain *crdb.Batch
	// writes are the points written, in order. Later ones win.
	writes []write
	index  map[string]int
	ranges []rangeDelete
	// visible are the functions to call after the commit.
	visible []func()
	space   [4]write
}

// A write is one Put or Delete; value is nil for the latter. Its bytes are
// those of the batch, which moves when it grows and leaves them where they are.
type write struct {
	key, value []byte
	deleted    bool
	size       int // of the value that was deleted, as far as the caller knows
}

// A rangeDelete removes the keys of a range from the first n writes and from
// the store.
type rangeDelete struct {
	start, end []byte
	n          int
}

var _ backend.Txn = (*txn)(nil)

// Put implements backend.Txn.
func (t *txn) Put(key, value []byte) error {
	if err := t.check(key, len(value)); err != nil {
		return err
	}
	op := t.writable().SetDeferred(len(key), len(value))
	copy(op.Key, key)
	copy(op.Value, value)
	if err := op.Finish(); err != nil {
		return engineError(err)
	}
	t.wrote(write{key: op.Key, value: op.Value})
	return nil
}

// Delete implements backend.Txn.
func (t *txn) Delete(key []byte, valueSize int) error {
	if err := t.check(key, 0); err != nil {
		return err
	}
	var op *crdb.DeferredBatchOp
	if valueSize > 0 && valueSize <= math.MaxInt32 {
		op = t.writable().DeleteSizedDeferred(len(key), uint32(valueSize))
	} else {
		op = t.writable().DeleteDeferred(len(key))
	}
	copy(op.Key, key)
	if err := op.Finish(); err != nil {
		return engineError(err)
	}
	t.wrote(write{key: op.Key, deleted: true, size: valueSize})
	return nil
}

// DeleteRange implements backend.Txn.
func (t *txn) DeleteRange(r backend.Range) error {
	if err := t.check(r.Start, 0); err != nil {
		return err
	}
	if err := t.check(r.End, 0); err != nil {
		return err
	}
	if !t.whole {
		return fmt.Errorf("%w: DeleteRange needs a whole-group scope", backend.ErrScope)
	}
	if r.Start == nil || r.End == nil {
		return errors.New("backend/pebble: DeleteRange needs both bounds")
	}
	if emptyRange(r) {
		return nil
	}
	if err := t.writable().DeleteRange(r.Start, r.End, nil); err != nil {
		return engineError(err)
	}
	t.ranges = append(t.ranges, rangeDelete{bytes.Clone(r.Start), bytes.Clone(r.End), len(t.writes)})
	return nil
}

// OnVisible implements backend.Txn.
func (t *txn) OnVisible(fn func()) { t.visible = append(t.visible, fn) }

// Get implements backend.Reader.
func (t *txn) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	if err := t.alive(ctx); err != nil {
		return false, err
	}
	if w, own := t.own(key); own {
		if w.deleted {
			return false, nil
		}
		return true, fn(w.value)
	}
	return get(t.db, key, fn)
}

// GetMany implements backend.Reader. The scopes keep the keys from changing
// between its reads.
func (t *txn) GetMany(ctx context.Context, keys [][]byte, fn func(int, []byte) error) error {
	if err := t.alive(ctx); err != nil {
		return err
	}
	first, found, err := t.firstStored(ctx, keys)
	if err != nil {
		return err
	}
	for i, key := range keys {
		if w, own := t.own(key); own {
			if !w.deleted {
				err = fn(i, w.value)
			}
		} else if found && bytes.Compare(first, key) <= 0 {
			err = getNth(t.db, i, key, fn)
		}
		if err == nil && i%64 == 63 {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// probeFrom is the number of keys from which GetMany looks where stored ones
// begin: what is imported is often all new, and then one look does for all.
const probeFrom = 8

// firstStored returns a key that is not above any stored one among keys; found
// is false if none of them is stored. It looks only where keys ascend, as those
// of an import do: others lie far apart, with many between them that may be
// deleted and not forgotten yet.
func (t *txn) firstStored(ctx context.Context, keys [][]byte) (first []byte, found bool, err error) {
	if len(keys) < probeFrom || !slices.IsSortedFunc(keys, bytes.Compare) {
		return nil, true, nil
	}
	end := append(bytes.Clone(keys[len(keys)-1]), 0) // the key behind the last
	take := func(e backend.Entry, failed error) bool {
		first, found, err = bytes.Clone(e.Key), true, failed
		return false
	}
	scan(ctx, t.db, t.db, backend.Range{Start: keys[0], End: end}, backend.ScanOptions{KeysOnly: true}, ending{}, take)
	return first, found, err
}

// Scan implements backend.Reader.
func (t *txn) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return func(yield func(backend.Entry, error) bool) {
		if err := t.alive(ctx); err != nil {
			yield(backend.Entry{}, err)
			return
		}
		from, err := t.ranger()
		if err != nil {
			yield(backend.Entry{}, err)
			return
		}
		// A Store that closes waits for its Updates.
		scan(ctx, t.db, from, r, o, ending{}, yield)
	}
}

// ranger returns what a scan reads from: the store, or an indexed batch if
// something was written.
func (t *txn) ranger() (ranger, error) {
	if t.empty() {
		return t.db, nil
	}
	if !t.indexed {
		b := t.db.NewIndexedBatch()
		if err := b.Apply(t.batch, nil); err != nil {
			return nil, engineError(err)
		}
		t.plain, t.batch, t.indexed = t.batch, b, true
	}
	return t.batch, nil
}

// own returns what the transaction itself did to key.
func (t *txn) own(key []byte) (write, bool) {
	at := -1
	if t.index != nil {
		if i, ok := t.index[string(key)]; ok {
			at = i
		}
	} else {
		for i := len(t.writes) - 1; i >= 0; i-- {
			if bytes.Equal(t.writes[i].key, key) {
				at = i
				break
			}
		}
	}
	for i := len(t.ranges) - 1; i >= 0 && t.ranges[i].n > at; i-- {
		if r := t.ranges[i]; bytes.Compare(r.start, key) <= 0 && bytes.Compare(key, r.end) < 0 {
			return write{deleted: true}, true
		}
	}
	if at < 0 {
		return write{}, false
	}
	return t.writes[at], true
}

func (t *txn) wrote(w write) {
	t.writes = append(t.writes, w)
	switch {
	case t.index != nil:
		t.index[string(w.key)] = len(t.writes) - 1
	case len(t.writes) == indexFrom:
		t.index = make(map[string]int, 2*indexFrom)
		for i, w := range t.writes {
			t.index[string(w.key)] = i
		}
	}
}

func (t *txn) writable() *crdb.Batch {
	if t.batch == nil {
		t.batch = t.db.NewBatch()
		t.writes = t.space[:0]
	}
	return t.batch
}

func (t *txn) empty() bool { return t.batch == nil || t.batch.Empty() }

func (t *txn) alive(ctx context.Context) error {
	if t.ended {
		return errTxnEnded
	}
	return ctx.Err()
}

func (t *txn) check(key []byte, valueSize int) error {
	switch {
	case t.ended:
		return errTxnEnded
	case len(key) > maxKeySize:
		return fmt.Errorf("%w: key of %d bytes, at most %d", backend.ErrTooLarge, len(key), maxKeySize)
	case valueSize > maxValueSize:
		return fmt.Errorf("%w: value of %d bytes, at most %d", backend.ErrTooLarge, valueSize, maxValueSize)
	}
	return nil
}

// A deletion is what a transaction has deleted: a key, or a range if it has an
// end. size is that of the key's value, as far as it is known.
type deletion struct {
	start, end []byte
	size       int
}

// deletions returns what is deleted, in memory of its own: the batch's is reused
// as soon as it is applied.
func (t *txn) deletions() (deleted []deletion) {
	for _, w := range t.writes {
		if w.deleted {
			deleted = append(deleted, deletion{start: bytes.Clone(w.key), size: w.size})
		}
	}
	for _, r := range t.ranges {
		deleted = append(deleted, deletion{start: r.start, end: r.end})
	}
	return deleted
}

// take ends the transaction and returns its batch, which the caller owns then.
func (t *txn) take() *crdb.Batch {
	b := t.batch
	t.batch = nil
	return b
}

// end releases what the transaction holds.
func (t *txn) end() {
	t.ended = true
	for _, b := range [...]*crdb.Batch{t.batch, t.plain} {
		if b != nil {
			_ = b.Close()
		}
	}
	t.batch, t.plain, t.writes, t.index = nil, nil, nil, nil
}
