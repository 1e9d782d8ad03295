package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/shelflife-db/shelflife/backend"
)

var (
	errTxnEnded  = errors.New("memory: the transaction has ended")
	errTxnScan   = errors.New("memory: write through a transaction that is being scanned")
	errOpenRange = errors.New("memory: DeleteRange needs both bounds")
)

// txn is a private version, which becomes the committed one or is forgotten.
type txn struct {
	version
	data    *data
	ranges  bool // a scope is a whole group
	changed bool
	ended   bool
	scans   int // running ones: the tree must not change under them
	visible []func()
}

var _ backend.Txn = (*txn)(nil)

// newTxn needs the writer: cloning a tree writes to it.
func newTxn(d *data, ranges bool) *txn {
	v := d.committed.Load()
	return &txn{version: version{tree: v.tree.Clone(), bytes: v.bytes}, data: d, ranges: ranges}
}

func (t *txn) end() { t.ended = true }

func (t *txn) Get(ctx context.Context, key []byte, fn func(value []byte) error) (bool, error) {
	if err := t.readable(ctx); err != nil {
		return false, err
	}
	return t.get(key, fn)
}

func (t *txn) GetMany(ctx context.Context, keys [][]byte, fn func(i int, value []byte) error) error {
	if err := t.readable(ctx); err != nil {
		return err
	}
	return t.getMany(ctx, keys, fn)
}

func (t *txn) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	return func(yield func(backend.Entry, error) bool) {
		t.scans++
		defer func() { t.scans-- }()
		t.scan(ctx, r, o, func() error { return t.readable(ctx) }, yield)
	}
}

func (t *txn) Put(key, value []byte) error {
	if err := t.writable(); err != nil {
		return err
	}
	if limit := t.data.options.MaxKeySize; limit > 0 && len(key) > limit {
		return fmt.Errorf("memory: key of %d bytes, limit %d: %w", len(key), limit, backend.ErrTooLarge)
	}
	if limit := t.data.options.MaxValueSize; limit > 0 && len(value) > limit {
		return fmt.Errorf("memory: value of %d bytes, limit %d: %w", len(value), limit, backend.ErrTooLarge)
	}
	i := item{key: bytes.Clone(key), value: bytes.Clone(value)}
	if old, ok := t.tree.ReplaceOrInsert(i); ok {
		t.bytes -= old.size()
	}
	t.bytes += i.size()
	t.changed = true
	return nil
}

func (t *txn) Delete(key []byte, _ int) error {
	if err := t.writable(); err != nil {
		return err
	}
	t.remove(key)
	return nil
}

func (t *txn) DeleteRange(r backend.Range) error {
	if err := t.writable(); err != nil {
		return err
	}
	if !t.ranges {
		return fmt.Errorf("memory: DeleteRange without a whole-group scope: %w", backend.ErrScope)
	}
	if r.Start == nil || r.End == nil {
		return errOpenRange
	}
	var keys [][]byte
	t.ascend(r, func(i item) bool {
		keys = append(keys, i.key)
		return true
	})
	for _, key := range keys {
		t.remove(key)
	}
	return nil
}

func (t *txn) OnVisible(fn func()) { t.visible = append(t.visible, fn) }

func (t *txn) remove(key []byte) {
	if old, ok := t.tree.Delete(item{key: key}); ok {
		t.bytes -= old.size()
		t.changed = true
	}
}

func (t *txn) readable(ctx context.Context) error {
	if t.ended {
		return errTxnEnded
	}
	return ctx.Err()
}

func (t *txn) writable() error {
	switch {
	case t.ended:
		return errTxnEnded
	case t.scans > 0:
		return errTxnScan
	}
	return nil
}
