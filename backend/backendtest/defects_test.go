package backendtest_test

import (
	"bytes"
	"context"
	"iter"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/backendtest"
	"github.com/shelflife-db/shelflife/backend/memory"
)

// defective is a good engine with one defect. Functions that are nil change
// nothing.
type defective struct {
	*memory.Store
	update func(d *defective, ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error
	txn    func(backend.Txn) backend.Txn
	scan   func(d *defective, ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error]
}

func (d *defective) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	if d.update != nil {
		return d.update(d, ctx, scopes, o, fn)
	}
	return d.Store.Update(ctx, scopes, o, func(ctx context.Context, t backend.Txn) error {
		if d.txn != nil {
			t = d.txn(t)
		}
		return fn(ctx, t)
	})
}

func (d *defective) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	if d.scan != nil {
		return d.scan(d, ctx, r, o)
	}
	return d.Store.Scan(ctx, r, o)
}

type keepingTxn struct {
	backend.Txn
	writes *[][2][]byte
}

func (t keepingTxn) Put(key, value []byte) error {
	*t.writes = append(*t.writes, [2][]byte{key, value})
	return t.Txn.Put(key, value)
}

type forgetfulTxn struct{ backend.Txn }

func (t forgetfulTxn) Delete([]byte, int) error { return nil }

type eagerTxn struct{ backend.Txn }

func (t eagerTxn) OnVisible(fn func()) { fn() }

type looseTxn struct{ backend.Txn }

// DeleteRange needs no scope.
func (t looseTxn) DeleteRange(r backend.Range) error {
	var keys [][]byte
	for e, err := range t.Scan(context.Background(), r, backend.ScanOptions{KeysOnly: true}) {
		if err != nil {
			return err
		}
		keys = append(keys, bytes.Clone(e.Key))
	}
	for _, k := range keys {
		if err := t.Delete(k, 0); err != nil {
			return err
		}
	}
	return nil
}

// defects are the ways to be wrong, with a test of the suite that must notice.
var defects = map[string]struct {
	noticed string
	engine  backend.Backend
}{
	"none":               {"", &defective{}},
	"reads not durable":  {"Durability/ReaderMakesDurable", &lossy{unsyncedRead: true}},
	"Durable is idle":    {"Durability/DurableMakesDurable", &lossy{idleDurable: true}},
	"writes not durable": {"Durability/Prefix", &lossy{neverDurable: true}},
	"reads of one commit and another": {"Isolation", &defective{
		update: func(d *defective, ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
			// The callback reads one state, and its writes go to a later one.
			snap, err := d.Store.Snapshot(ctx)
			if err != nil {
				return err
			}
			defer snap.Close()
			return d.Store.Update(ctx, scopes, o, func(ctx context.Context, t backend.Txn) error {
				return fn(ctx, staleTxn{t, snap})
			})
		}}},
	"errors commit": {"Atomicity/ErrorWritesNothing", &defective{
		update: func(d *defective, ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
			var own error
			err := d.Store.Update(ctx, scopes, o, func(ctx context.Context, t backend.Txn) error {
				own = fn(ctx, t)
				return nil
			})
			if err == nil {
				err = own
			}
			return err
		}}},
	"changed errors": {"Atomicity/ErrorIsReturnedAsItIs", &defective{
		update: func(d *defective, ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
			err := d.Store.Update(ctx, scopes, o, fn)
			if err != nil {
				err = &wrapped{err}
			}
			return err
		}}},
	"cancellation after the commit": {"Cancel/AfterCommit", &defective{
		update: func(d *defective, ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
			if err := d.Store.Update(ctx, scopes, o, fn); err != nil {
				return err
			}
			return ctx.Err()
		}}},
	"ignored cancellation": {"Cancel/InCallback", &defective{
		update: func(d *defective, ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return d.Store.Update(context.WithoutCancel(ctx), scopes, o, func(context.Context, backend.Txn) error { return nil })
		}}},
	"kept buffers": {"Ownership/BuffersOfCaller", &defective{
		update: func(d *defective, ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
			return d.Store.Update(ctx, scopes, o, func(ctx context.Context, t backend.Txn) error {
				var writes [][2][]byte
				if err := fn(ctx, keepingTxn{t, &writes}); err != nil {
					return err
				}
				for _, w := range writes {
					if err := t.Put(w[0], w[1]); err != nil {
						return err
					}
				}
				return nil
			})
		}}},
	"remote":               {"", &remote{}},
	"locks of one process": {"SharedIsolation/CountersOfItems", &remote{localLocks: true}},
	"no stalled answers":   {"Stall/Commits", &remote{boldCommits: true}},
	"impatient":            {"Stall/Patient", &remote{impatient: true}},
	"loops starve calls":   {"Loops/StarveNobody", &remote{sharedPool: true}},
	"lost deletes":         {"Model/Random", &defective{txn: func(t backend.Txn) backend.Txn { return forgetfulTxn{t} }}},
	"early OnVisible":      {"Visible/OnlyOnCommit", &defective{txn: func(t backend.Txn) backend.Txn { return eagerTxn{t} }}},
	"ranges unchecked":     {"Scope/RangeWithoutGroup", &defective{txn: func(t backend.Txn) backend.Txn { return looseTxn{t} }}},
	"inclusive end": {"Range/Bounds", &defective{
		scan: func(d *defective, ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
			if r.End != nil {
				r.End = append(slices.Clone(r.End), 0)
			}
			return d.Store.Scan(ctx, r, o)
		}}},
	"scan in order of time": {"Range/ByteOrder", &defective{
		scan: func(d *defective, ctx context.Context, r backend.Range, _ backend.ScanOptions) iter.Seq2[backend.Entry, error] {
			return d.Store.Scan(ctx, r, backend.ScanOptions{})
		}}},
	"values without being asked": {"Range/ByteOrder", &defective{
		scan: func(d *defective, ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
			o.KeysOnly = false
			return d.Store.Scan(ctx, r, o)
		}}},
}

// staleTxn reads an older state.
type staleTxn struct {
	backend.Txn
	snap backend.Snapshot
}

func (t staleTxn) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	return t.snap.Get(ctx, key, fn)
}

type wrapped struct{ error }

func (w *wrapped) Unwrap() error { return w.error }

// defectVariable names, in a child process, the defect to run the suite with.
const defectVariable = "BACKENDTEST_DEFECT"

// TestDefects makes sure that the suite fails where it should, in child
// processes because there is no other way to see a test fail.
func TestDefects(t *testing.T) {
	if name := os.Getenv(defectVariable); name != "" {
		switch engine := defects[name].engine.(type) {
		case *lossy:
			backendtest.Run(t, lossyHarness(engine))
		case *remote:
			backendtest.Run(t, remoteHarness(engine))
		case *defective:
			backendtest.Run(t, backendtest.Harness{
				Open: func(*testing.T) backend.Backend {
					return &defective{Store: memory.New(nil), update: engine.update, txn: engine.txn, scan: engine.scan}
				},
				Exceptions: []backendtest.Exception{backendtest.NotPersistent, backendtest.NoCrash, backendtest.SingleHandle, backendtest.NoStall, backendtest.NoHeal},
			})
		}
		return
	}
	for name, defect := range defects {
		t.Run(name, func(t *testing.T) {
			run := "^TestDefects$"
			if defect.noticed != "" {
				for _, part := range bytes.Split([]byte(defect.noticed), []byte("/")) {
					run += "/^" + string(part) + "$"
				}
			}
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run="+run, "-test.short")
			child.Env = append(os.Environ(), defectVariable+"="+name)
			out, err := child.CombinedOutput()
			if defect.noticed == "" {
				require.NoError(t, err, "%s", out)
				return
			}
			require.Error(t, err, "the suite did not notice")
			require.Contains(t, string(out), "--- FAIL: TestDefects/"+defect.noticed)
		})
	}
}
