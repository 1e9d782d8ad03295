package backendtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/shelflife-db/shelflife/backend"
)

var modelTests = []test{
	{"Random", nil, func(s *store) { testModel(s, 1, false) }},
	{"RandomReopened", []Exception{NotPersistent}, func(s *store) { testModel(s, 2, true) }},
}

// model is what a store must hold.
type model map[string]string

// frozen is a snapshot and what it must show.
type frozen struct {
	backend.Snapshot
	m model
}

// testModel runs random Updates on the store and on a model, and compares them
// in all ways of reading: in the transaction, afterwards, and in snapshots.
func testModel(s *store, stream uint64, reopen bool) {
	r := s.rand(stream)
	m := model{}
	var snaps []frozen
	restartOneIn := 20
	if s.h.SlowRestarts {
		restartOneIn = 160
	}
	for i := range rounds(300) {
		var err error
		if m, err = m.update(s, r); err != nil {
			s.Fatalf("Update %d: %v", i, err)
		}
		if err := m.compare(s.ctx, r, s); err != nil {
			s.Fatalf("after Update %d: %v", i, err)
		}
		if r.IntN(10) == 0 {
			snap, err := s.Snapshot(s.ctx)
			if err != nil {
				s.Fatal(err)
			}
			snaps = append(snaps, frozen{snap, maps.Clone(m)})
		}
		if len(snaps) > 0 {
			n := r.IntN(len(snaps))
			if err := snaps[n].m.compare(s.ctx, r, snaps[n]); err != nil {
				s.Fatalf("a snapshot after Update %d: %v", i, err)
			}
			if r.IntN(4) == 0 {
				closeAll(s, snaps[n:n+1])
				snaps = slices.Delete(snaps, n, n+1)
			}
		}
		if reopen && r.IntN(restartOneIn) == 0 {
			closeAll(s, snaps)
			snaps = nil
			s.reopen()
		}
	}
	closeAll(s, snaps)
	s.checkScan(s, backend.Range{}, forward, m.in(backend.Range{}, forward))
}

// update runs one Update of random steps, which may fail, and returns what the
// store holds then.
func (m model) update(s *store, r *rand.Rand) (model, error) {
	next := maps.Clone(m)
	fail := r.IntN(5) == 0
	seed := r.Uint64()
	err := s.Update(s.ctx, []backend.Scope{whole("g"), whole("h")}, backend.UpdateOptions{Buffered: r.IntN(10) != 0}, func(ctx context.Context, t backend.Txn) error {
		next = maps.Clone(m)
		r := rand.New(rand.NewPCG(seed, 0)) // a rerun does the same
		for range r.IntN(20) {
			if err := next.step(r, t); err != nil {
				return err
			}
			if err := next.compare(ctx, r, t); err != nil {
				return fmt.Errorf("in a transaction: %w", err)
			}
		}
		if fail {
			return errTest
		}
		return nil
	})
	switch {
	case fail && errors.Is(err, errTest):
		return m, nil
	case fail && err == nil:
		return nil, errors.New("the error of its function got lost")
	case err != nil:
		return nil, err
	}
	return next, nil
}

func closeAll(s *store, snaps []frozen) {
	for _, snap := range snaps {
		if err := snap.Close(); err != nil {
			s.Fatal(err)
		}
	}
}

// randomKey is one of few, so that they meet.
func randomKey(r *rand.Rand) []byte {
	bytes := []string{"", "\x00", "a", "b", "\xff"}
	return key([]string{"g", "h"}[r.IntN(2)], []string{"i", "j", "k"}[r.IntN(3)], bytes[r.IntN(5)], bytes[r.IntN(5)])
}

// randomRange lies in one group; it may be empty or inverted.
func randomRange(r *rand.Rand) backend.Range {
	bounds := under([]string{"g", "h"}[r.IntN(2)])
	in := func() []byte {
		k := randomKey(r)
		k[0] = bounds.Start[0]
		return k
	}
	if r.IntN(3) != 0 {
		bounds.Start = in()
	}
	if r.IntN(3) != 0 {
		bounds.End = in()
	}
	return bounds
}

// step does the same to m and t.
func (m model) step(r *rand.Rand, t backend.Txn) error {
	switch n := r.IntN(10); {
	case n < 6:
		k, v := randomKey(r), fmt.Sprint(r.IntN(1000))
		m[string(k)] = v
		return t.Put(k, []byte(v))
	case n < 9:
		k := randomKey(r)
		size := 0
		if r.IntN(2) == 0 {
			size = len(m[string(k)])
		}
		delete(m, string(k))
		return t.Delete(k, size)
	default:
		rng := randomRange(r)
		maps.DeleteFunc(m, func(k, _ string) bool { return k >= string(rng.Start) && k < string(rng.End) })
		return t.DeleteRange(rng)
	}
}

// compare reads something at random.
func (m model) compare(ctx context.Context, r *rand.Rand, from backend.Reader) error {
	k := randomKey(r)
	want, exists := m[string(k)]
	if v, found, err := get(ctx, from, k); err != nil || found != exists || v != want {
		return fmt.Errorf("get of %x: %q, %t, %v; want %q", k, v, found, err, want)
	}

	keys := make([][]byte, r.IntN(5))
	values := map[int]string{}
	for i := range keys {
		keys[i] = randomKey(r)
		if v, ok := m[string(keys[i])]; ok {
			values[i] = v
		}
	}
	if got, err := getMany(ctx, from, keys); err != nil || !maps.Equal(got, values) {
		return fmt.Errorf("getMany of %x: %v, %v; want %v", keys, got, err, values)
	}

	rng := randomRange(r)
	o := backend.ScanOptions{Reverse: r.IntN(2) == 0, KeysOnly: r.IntN(4) == 0}
	got, err := scan(ctx, from, rng, o)
	if err != nil {
		return fmt.Errorf("scan of %x: %w", rng, err)
	}
	if err := same(got, m.in(rng, o)); err != nil {
		return fmt.Errorf("scan of %x with %+v: %w", rng, o, err)
	}
	return nil
}

// in returns the entries that a scan must yield.
func (m model) in(r backend.Range, o backend.ScanOptions) []kv {
	var entries []kv
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if k >= string(r.Start) && (r.End == nil || k < string(r.End)) {
			e := kv{k, m[k]}
			if o.KeysOnly {
				e.value = ""
			}
			entries = append(entries, e)
		}
	}
	if o.Reverse {
		slices.Reverse(entries)
	}
	return entries
}
