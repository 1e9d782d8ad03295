package backendtest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/backendtest"
	"github.com/shelflife-db/shelflife/backend/memory"
)

// scopeOf takes keys to be group/item/rest.
func scopeOf(key []byte) (backend.Scope, bool) {
	parts := bytes.SplitN(key, []byte("/"), 3)
	if len(parts) < 3 {
		return backend.Scope{}, false
	}
	return backend.Scope{Group: string(parts[0]), Item: string(parts[1])}, true
}

// reports collects what Checked reports.
type reports struct {
	mu   sync.Mutex
	errs []error
}

func (r *reports) add(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, err)
}

func (r *reports) take() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	errs := r.errs
	r.errs = nil
	return errs
}

// open returns a checked store that holds g/a/, g/b/ and h/a/, each with its
// own key as its value, and "plain", which belongs to no scope.
func open(t *testing.T) (backend.Backend, *reports) {
	t.Helper()
	store := memory.New(nil)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	require.NoError(t, store.Update(t.Context(), nil, backend.UpdateOptions{}, func(_ context.Context, txn backend.Txn) error {
		for _, k := range []string{"g/a/", "g/b/", "h/a/", "plain"} {
			require.NoError(t, txn.Put([]byte(k), []byte(k)))
		}
		return nil
	}))
	r := &reports{}
	return backendtest.Checked(store, scopeOf, r.add), r
}

func ignore([]byte) error { return nil }

func drain(ctx context.Context, r backend.Reader, rng backend.Range) error {
	for _, err := range r.Scan(ctx, rng, backend.ScanOptions{}) {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestCheckedScopes(t *testing.T) {
	item := func(g, i string) backend.Scope { return backend.Scope{Group: g, Item: i} }
	whole := func(g string) backend.Scope { return backend.Scope{Group: g} }
	get := func(k string) func(context.Context, backend.Txn) error {
		return func(ctx context.Context, txn backend.Txn) error {
			_, err := txn.Get(ctx, []byte(k), ignore)
			return err
		}
	}
	scan := func(from, to string) func(context.Context, backend.Txn) error {
		return func(ctx context.Context, txn backend.Txn) error {
			return drain(ctx, txn, backend.Range{Start: []byte(from), End: []byte(to)})
		}
	}
	put := func(k string) func(context.Context, backend.Txn) error {
		return func(_ context.Context, txn backend.Txn) error { return txn.Put([]byte(k), nil) }
	}
	remove := func(from, to string) func(context.Context, backend.Txn) error {
		return func(_ context.Context, txn backend.Txn) error {
			return txn.DeleteRange(backend.Range{Start: []byte(from), End: []byte(to)})
		}
	}
	for name, c := range map[string]struct {
		scopes  []backend.Scope
		do      func(context.Context, backend.Txn) error
		culprit string // key of the violation, "" = none
	}{
		"get of a declared item":        {[]backend.Scope{item("h", "a"), item("g", "a")}, get("g/a/x"), ""},
		"get under the group":           {[]backend.Scope{whole("g")}, get("g/a/x"), ""},
		"get of another item":           {[]backend.Scope{item("g", "a")}, get("g/b/"), "g/b/"},
		"get of another group":          {[]backend.Scope{whole("g")}, get("h/a/"), "h/a/"},
		"get with no scopes":            {nil, get("g/a/"), "g/a/"},
		"get of a missing key":          {[]backend.Scope{item("g", "a")}, get("g/zz/"), "g/zz/"},
		"get outside the rule":          {[]backend.Scope{whole("g")}, get("plain"), "plain"},
		"get of a key of the group":     {[]backend.Scope{item("g", "a")}, get("g//"), "g//"},
		"put of a declared item":        {[]backend.Scope{item("g", "a")}, put("g/a/"), ""},
		"put of another item":           {[]backend.Scope{item("g", "a")}, put("g/b/"), "g/b/"},
		"scan of the item":              {[]backend.Scope{item("g", "a")}, scan("g/a/", "g/a0"), ""},
		"scan of the group":             {[]backend.Scope{whole("g")}, scan("g/", "g0"), ""},
		"scan beyond the item":          {[]backend.Scope{item("g", "a")}, scan("g/", "g0"), "g/b/"},
		"scan beyond the group":         {[]backend.Scope{whole("g")}, scan("g/", "i"), "h/a/"},
		"range delete in the group":     {[]backend.Scope{whole("g")}, remove("g/", "g0"), ""},
		"range delete of nothing":       {[]backend.Scope{whole("g")}, remove("x", "y"), ""},
		"range delete beyond the group": {[]backend.Scope{whole("g")}, remove("g/", "i"), "h/a/"},
		"range delete of mere items":    {[]backend.Scope{whole("g"), item("h", "a")}, remove("h/", "h0"), "h/a/"},
		"range delete outside the rule": {[]backend.Scope{whole("g")}, remove("p", "q"), "plain"},
		"delete of another item": {[]backend.Scope{item("g", "a")}, func(_ context.Context, txn backend.Txn) error {
			return txn.Delete([]byte("g/b/"), 0)
		}, "g/b/"},
		"one of many keys": {[]backend.Scope{item("g", "a")}, func(ctx context.Context, txn backend.Txn) error {
			return txn.GetMany(ctx, [][]byte{[]byte("g/a/"), []byte("h/a/")}, func(int, []byte) error { return nil })
		}, "h/a/"},
	} {
		t.Run(name, func(t *testing.T) {
			b, reported := open(t)
			err := b.Update(t.Context(), c.scopes, backend.UpdateOptions{}, c.do)
			if c.culprit == "" {
				require.NoError(t, err)
				require.Empty(t, reported.take())
				return
			}
			require.ErrorIs(t, err, backend.ErrScope)
			require.ErrorContains(t, err, fmt.Sprintf("%x", c.culprit))
			require.Equal(t, []error{err}, reported.take())
			// Nothing of it reached the store.
			found, err := b.Get(t.Context(), []byte("g/b/"), func(v []byte) error {
				require.Equal(t, "g/b/", string(v))
				return nil
			})
			require.NoError(t, err)
			require.True(t, found)
		})
	}
}

func TestCheckedWithoutReport(t *testing.T) {
	store := memory.New(nil)
	defer store.Close()
	b := backendtest.Checked(store, scopeOf, nil)
	err := b.Update(t.Context(), nil, backend.UpdateOptions{}, func(_ context.Context, txn backend.Txn) error {
		return txn.Put([]byte("g/a/"), nil)
	})
	require.ErrorIs(t, err, backend.ErrScope)
}

// TestCheckedKeptBytes keeps what is lent, everywhere that something is.
func TestCheckedKeptBytes(t *testing.T) {
	b, reported := open(t)
	var kept [][]byte
	keep := func(v []byte) error {
		require.Contains(t, string(v), "/a/")
		kept = append(kept, v)
		return nil
	}
	read := func(ctx context.Context, r backend.Reader) {
		_, err := r.Get(ctx, []byte("g/a/"), keep)
		require.NoError(t, err)
		require.NoError(t, r.GetMany(ctx, [][]byte{[]byte("g/a/")}, func(_ int, v []byte) error { return keep(v) }))
		for e, err := range r.Scan(ctx, backend.Range{Start: []byte("g/a/"), End: []byte("g/b")}, backend.ScanOptions{}) {
			require.NoError(t, err)
			require.NoError(t, keep(e.Key))
			require.NoError(t, keep(e.Value))
		}
	}
	read(t.Context(), b)
	snap, err := b.Snapshot(t.Context())
	require.NoError(t, err)
	read(t.Context(), snap)
	require.NoError(t, snap.Close())
	require.NoError(t, b.Update(t.Context(), []backend.Scope{{Group: "g"}}, backend.UpdateOptions{}, func(ctx context.Context, txn backend.Txn) error {
		read(ctx, txn)
		return nil
	}))
	require.Len(t, kept, 12)
	for i, v := range kept {
		require.Equal(t, bytes.Repeat([]byte{0xDB}, len("g/a/")), v, "kept bytes %d", i)
	}
	require.Empty(t, reported.take())

	// The store's own bytes are as they were.
	_, err = b.Get(t.Context(), []byte("g/a/"), keep)
	require.NoError(t, err)
}

func TestCheckedChangedBytes(t *testing.T) {
	b, reported := open(t)
	change := func(v []byte) error {
		v[0]++
		return nil
	}
	_, err := b.Get(t.Context(), []byte("g/a/"), change)
	require.ErrorIs(t, err, backendtest.ErrMisuse)
	require.Len(t, reported.take(), 1)

	err = b.GetMany(t.Context(), [][]byte{[]byte("g/a/")}, func(_ int, v []byte) error { return change(v) })
	require.ErrorIs(t, err, backendtest.ErrMisuse)
	require.Len(t, reported.take(), 1)

	// The caller's own error is not hidden.
	own := errors.New("own")
	_, err = b.Get(t.Context(), []byte("g/a/"), func(v []byte) error { return errors.Join(change(v), own) })
	require.ErrorIs(t, err, own)
	require.Len(t, reported.take(), 1)

	for _, part := range []func(backend.Entry) []byte{
		func(e backend.Entry) []byte { return e.Key },
		func(e backend.Entry) []byte { return e.Value },
	} {
		var last error
		for e, err := range b.Scan(t.Context(), backend.Range{}, backend.ScanOptions{}) {
			if last = err; err == nil {
				require.NoError(t, change(part(e)))
			}
		}
		require.ErrorIs(t, last, backendtest.ErrMisuse)
		require.Len(t, reported.take(), 1)

		for e := range b.Scan(t.Context(), backend.Range{}, backend.ScanOptions{}) {
			require.NoError(t, change(part(e)))
			break
		}
		require.Len(t, reported.take(), 1)
	}
}

// TestCheckedMisuse breaks the rules for callbacks, one at a time.
func TestCheckedMisuse(t *testing.T) {
	key := []byte("g/a/")
	for name, do := range map[string]func(outer, ctx context.Context, b backend.Backend, txn backend.Txn) error{
		"put during a scan": func(_, ctx context.Context, _ backend.Backend, txn backend.Txn) error {
			for range txn.Scan(ctx, backend.Range{}, backend.ScanOptions{}) {
				return txn.Put(key, nil)
			}
			return nil
		},
		"range delete during a scan": func(_, ctx context.Context, _ backend.Backend, txn backend.Txn) error {
			for range txn.Scan(ctx, backend.Range{}, backend.ScanOptions{}) {
				return txn.DeleteRange(backend.Range{Start: key, End: key})
			}
			return nil
		},
		"range delete without a bound": func(_, _ context.Context, _ backend.Backend, txn backend.Txn) error {
			return txn.DeleteRange(backend.Range{Start: key})
		},
		"call in the fn of a Get": func(_, ctx context.Context, _ backend.Backend, txn backend.Txn) error {
			_, err := txn.Get(ctx, key, func([]byte) error { return txn.Delete(key, 0) })
			return err
		},
		"outer context": func(outer, _ context.Context, _ backend.Backend, txn backend.Txn) error {
			_, err := txn.Get(outer, key, ignore)
			return err
		},
		"outer context for a scan": func(outer, _ context.Context, _ backend.Backend, txn backend.Txn) error {
			return drain(outer, txn, backend.Range{})
		},
		"get beside the transaction": func(_, ctx context.Context, b backend.Backend, _ backend.Txn) error {
			_, err := b.Get(ctx, key, ignore)
			return err
		},
		"scan beside the transaction": func(_, ctx context.Context, b backend.Backend, _ backend.Txn) error {
			return drain(ctx, b, backend.Range{})
		},
		"snapshot beside the transaction": func(_, ctx context.Context, b backend.Backend, _ backend.Txn) error {
			_, err := b.Snapshot(ctx)
			return err
		},
		"waiting for durability": func(_, ctx context.Context, b backend.Backend, _ backend.Txn) error {
			return b.Durable(ctx, nil)
		},
		"size beside the transaction": func(_, ctx context.Context, b backend.Backend, _ backend.Txn) error {
			_, err := b.Size(ctx, backend.Range{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, reported := open(t)
			outer := t.Context()
			err := b.Update(outer, []backend.Scope{{Group: "g"}}, backend.UpdateOptions{}, func(ctx context.Context, txn backend.Txn) error {
				return do(outer, ctx, b, txn)
			})
			require.ErrorIs(t, err, backendtest.ErrMisuse)
			require.Equal(t, []error{err}, reported.take())
		})
	}
}

func TestCheckedTxnAfterCallback(t *testing.T) {
	b, reported := open(t)
	var ctx context.Context
	var txn backend.Txn
	require.NoError(t, b.Update(t.Context(), []backend.Scope{{Group: "g"}}, backend.UpdateOptions{}, func(c context.Context, x backend.Txn) error {
		ctx, txn = c, x
		return nil
	}))
	_, err := txn.Get(ctx, []byte("g/a/"), ignore)
	require.ErrorIs(t, err, backendtest.ErrMisuse)
	require.ErrorIs(t, txn.Put([]byte("g/a/"), nil), backendtest.ErrMisuse)
	require.ErrorIs(t, drain(ctx, txn, backend.Range{}), backendtest.ErrMisuse)
	txn.OnVisible(func() { t.Error("called") })
	require.Len(t, reported.take(), 4)
}

func TestCheckedPassesNestedUpdateOn(t *testing.T) {
	b, reported := open(t)
	require.NoError(t, b.Update(t.Context(), nil, backend.UpdateOptions{}, func(ctx context.Context, _ backend.Txn) error {
		err := b.Update(ctx, nil, backend.UpdateOptions{}, func(context.Context, backend.Txn) error { return nil })
		require.ErrorIs(t, err, backend.ErrNested)
		return nil
	}))
	require.Empty(t, reported.take())
}
