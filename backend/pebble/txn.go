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
	"github.com/shelflife-db/shelflife/backend/pebble/internal/reclaim"
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
	// writes are the points written, in order. Later ones win. index is where the
	// first so many of them are, from when many are asked for: most Updates of many
	// products read before they write.
	writes  []write
	index   map[string]int
	inIndex int
	ranges  []rangeDelete
	// visible are the functions to call after the commit.
	visible []func()
	space   [4]write
	many    *txnMemory // of more writes than space has, and of what is deleted then
	// bulk has what an Update in bulk writes, nil in others. Such a transaction has no
	// batch as long as it only puts: see loads.
	bulk *arena
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
	if t.inBulk() {
		t.writes = append(t.writes, write{key: t.bulk.copy(key), value: t.bulk.copy(value)})
		return nil
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

// wrote notes a write that is in the batch.
func (t *txn) wrote(w write) {
	if t.many == nil && len(t.writes) == len(t.space) && !t.inBulk() {
		t.many, _ = txnMemories.Get().(*txnMemory)
		t.writes = append(t.many.writes, t.writes...)
	}
	t.writes = append(t.writes, w)
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
	w := t.walk(ctx, keys)
	defer w.end()
	for i, key := range keys {
		var err error
		if own, wrote := t.own(key); !wrote {
			err = w.get(i, key, fn)
		} else if !own.deleted {
			err = fn(i, own.value)
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

// walkFrom is the number of keys from which GetMany walks from one to the next.
const walkFrom = 8

// A walk reads keys of the store one after the other, in one pass where they ascend,
// as those of an import and of a sweep do: what is imported is often all new, and
// then one look does for all; what is swept lies side by side. Others lie far apart,
// with many between them that may be deleted and not forgotten yet.
type walk struct {
	db *crdb.DB
	it *crdb.Iterator // nil where each key is read on its own
	// at says that it is at a key, and otherwise that none is left.
	at bool
	// near says that the last key was there: the next is likely to be the one behind
	// it then. limit is the memory of the key at which that is given up.
	near  bool
	limit []byte
}

// walk begins to read keys.
func (t *txn) walk(ctx context.Context, keys [][]byte) *walk {
	w := &walk{db: t.db}
	if len(keys) < walkFrom || !slices.IsSortedFunc(keys, bytes.Compare) {
		return w
	}
	bounds := &crdb.IterOptions{LowerBound: keys[0], UpperBound: append(bytes.Clone(keys[len(keys)-1]), 0)}
	if it, err := t.db.NewIterWithContext(ctx, bounds); err == nil {
		w.it, w.at = it, it.First()
	}
	return w
}

// get is getNth of keys that ascend.
func (w *walk) get(i int, key []byte, fn func(int, []byte) error) error {
	if w.it == nil {
		return getNth(w.db, i, key, fn)
	}
	order := 1
	if w.at {
		if order = bytes.Compare(w.it.Key(), key); order < 0 {
			order = w.forward(key)
		}
	}
	w.near = order == 0
	if !w.at && w.it.Error() != nil {
		// One by one the reads show which key it is.
		w.end()
		return getNth(w.db, i, key, fn)
	}
	if order != 0 {
		return nil
	}
	value, err := w.it.ValueAndErr()
	if err != nil {
		return damageError(only(key), err)
	}
	return fn(i, value)
}

// forward goes to key, or to the first that is not below it, and returns how that
// compares. A step takes a fraction of a search, but must not lead through what was
// deleted between keys that are far apart.
func (w *walk) forward(key []byte) (order int) {
	if w.near {
		w.limit = append(append(w.limit[:0], key...), 0)
		switch w.it.NextWithLimit(w.limit) {
		case crdb.IterValid:
			if order = bytes.Compare(w.it.Key(), key); order >= 0 {
				return order
			}
		case crdb.IterExhausted:
			w.at = false
			return 1
		}
	}
	if w.at = w.it.SeekGE(key); w.at {
		return bytes.Compare(w.it.Key(), key)
	}
	return 1
}

func (w *walk) end() {
	if w.it != nil {
		_ = w.it.Close()
		w.it = nil
	}
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
		if err := b.Apply(t.writable(), nil); err != nil {
			return nil, engineError(err)
		}
		t.plain, t.batch, t.indexed = t.batch, b, true
	}
	return t.batch, nil
}

// own returns what the transaction itself did to key.
func (t *txn) own(key []byte) (write, bool) {
	at := -1
	if len(t.writes) < indexFrom {
		for i := len(t.writes) - 1; i >= 0; i-- {
			if bytes.Equal(t.writes[i].key, key) {
				at = i
				break
			}
		}
	} else if i, ok := t.indexWrites()[string(key)]; ok {
		at = i
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

// indexWrites returns where each key was written last.
func (t *txn) indexWrites() map[string]int {
	if t.index == nil {
		t.index = make(map[string]int, len(t.writes))
	}
	for ; t.inIndex < len(t.writes); t.inIndex++ {
		t.index[string(t.writes[t.inIndex].key)] = t.inIndex
	}
	return t.index
}

// inBulk reports whether what the transaction writes is in its arena alone.
func (t *txn) inBulk() bool { return t.bulk != nil && t.batch == nil }

func (t *txn) writable() *crdb.Batch {
	switch {
	case t.inBulk():
		t.leaveBulk()
	case t.batch == nil:
		t.batch = t.db.NewBatch()
		t.writes = t.space[:0]
	}
	return t.batch
}

// leaveBulk has the transaction go on with a batch, as others do.
func (t *txn) leaveBulk() {
	size := 0
	for i := range t.writes {
		size += len(t.writes[i].key) + len(t.writes[i].value) + 16
	}
	t.batch = t.db.NewBatchWithSize(size)
	for i := range t.writes {
		_ = t.batch.Set(t.writes[i].key, t.writes[i].value, nil) // which fails on closed batches alone
	}
}

func (t *txn) empty() bool {
	if t.inBulk() {
		return len(t.writes) == 0
	}
	return t.batch == nil || t.batch.Empty()
}

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

// deletions returns the keys that were deleted, until end. Their memory is not the
// batch's, which is reused as soon as it is applied.
func (t *txn) deletions() []reclaim.Key {
	n, size := 0, 0
	for i := range t.writes {
		if t.writes[i].deleted {
			n, size = n+1, size+len(t.writes[i].key)
		}
	}
	if n == 0 {
		return nil
	}
	var m txnMemory
	if t.many != nil {
		m = *t.many
	}
	keys, space := slices.Grow(m.deleted[:0], n), slices.Grow(m.keys[:0], size)
	for i := range t.writes {
		if w := &t.writes[i]; w.deleted {
			begin := len(space)
			space = append(space, w.key...)
			keys = append(keys, reclaim.Key{Key: space[begin:], Size: w.size})
		}
	}
	if t.many != nil {
		t.many.deleted, t.many.keys = keys, space
	}
	return keys
}

// take ends the transaction and returns its batch, which the caller owns then.
func (t *txn) take() *crdb.Batch {
	b := t.writable()
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
	if t.bulk != nil {
		if cap(t.writes) > cap(t.bulk.writes) {
			t.bulk.writes = t.writes[:0]
		}
		t.bulk.release()
	}
	if t.many != nil {
		t.many.release(t.writes)
	}
	t.batch, t.plain, t.writes, t.index, t.bulk, t.many = nil, nil, nil, nil, nil, nil
}
