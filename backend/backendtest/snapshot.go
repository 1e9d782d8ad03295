package backendtest

import (
	"bytes"
	"context"
	"fmt"

	"github.com/shelflife-db/shelflife/backend"
)

var snapshotTests = []test{
	{"StaysAsItWas", nil, testSnapshotStays},
	{"Closed", nil, testSnapshotClosed},
	{"ClosedDuringScan", nil, testSnapshotClosedDuringScan},
	{"Concurrent", nil, testSnapshotConcurrent},
}

var freshnessTests = []test{
	{"OtherGoroutine", nil, func(s *store) { testFreshness(s, s, s) }},
	{"SecondHandleReads", []Exception{SingleHandle}, func(s *store) { testFreshness(s, s, s.second()) }},
	{"SecondHandleWrites", []Exception{SingleHandle}, func(s *store) { testFreshness(s, s.second(), s) }},
}

func testSnapshotStays(s *store) {
	entries := []kv{{"g/a/", "1"}, {"g/b/", "2"}, {"g/c/", "3"}}
	s.put(durable, entries...)
	snap, err := s.Snapshot(s.ctx)
	if err != nil {
		s.Fatal(err)
	}
	defer snap.Close()
	s.put(durable, kv{"g/a/", "changed"}, kv{"g/new/", "new"})
	s.update([]backend.Scope{whole("g")}, durable, func(_ context.Context, t backend.Txn) error {
		return t.DeleteRange(under("g", "b"))
	})

	s.checkScan(snap, backend.Range{}, forward, entries)
	s.check(snap, key("g", "a"), "1")
	s.check(snap, key("g", "b"), "2")
	s.check(snap, key("g", "new"), "")
	values, err := getMany(s.ctx, snap, [][]byte{key("g", "b"), key("g", "new"), key("g", "a")})
	if err != nil || len(values) != 2 || values[0] != "2" || values[2] != "1" {
		s.Errorf("GetMany of the snapshot: %v, %v", values, err)
	}
	s.checkScan(s, backend.Range{}, forward, []kv{{"g/a/", "changed"}, {"g/c/", "3"}, {"g/new/", "new"}})
}

func testSnapshotClosed(s *store) {
	s.put(durable, kv{"g/a/", "1"})
	snap, err := s.Snapshot(s.ctx)
	if err != nil {
		s.Fatal(err)
	}
	for range 2 {
		if err := snap.Close(); err != nil {
			s.Errorf("Close of a snapshot: %v", err)
		}
	}
	checkClosedReader(s, "closed snapshot", snap)
	s.check(s, key("g", "a"), "1")
}

// checkClosedReader expects ErrClosed from every call of r.
func checkClosedReader(s *store, name string, r backend.Reader) {
	s.Helper()
	_, _, err := get(s.ctx, r, key("g", "a"))
	s.is(name+": Get", err, backend.ErrClosed)
	_, err = getMany(s.ctx, r, [][]byte{key("g", "a")})
	s.is(name+": GetMany", err, backend.ErrClosed)
	_, err = scan(s.ctx, r, backend.Range{}, forward)
	s.is(name+": Scan", err, backend.ErrClosed)
}

// testSnapshotClosedDuringScan closes the snapshot in the loop over it: that
// either ends the loop or leaves it what it was going to see.
func testSnapshotClosedDuringScan(s *store) {
	entries := []kv{{"g/a/", "1"}, {"g/b/", "2"}, {"g/c/", "3"}}
	s.put(durable, entries...)
	snap, err := s.Snapshot(s.ctx)
	if err != nil {
		s.Fatal(err)
	}
	defer snap.Close()
	var seen []kv
	var last error
	for e, err := range snap.Scan(s.ctx, backend.Range{}, forward) {
		if err := snap.Close(); err != nil {
			s.Errorf("Close: %v", err)
		}
		if last = err; err == nil {
			seen = append(seen, kv{string(e.Key), string(e.Value)})
		}
	}
	if last != nil {
		s.is("Scan", last, backend.ErrClosed)
		entries = entries[:len(seen)]
	}
	if err := same(seen, entries); err != nil {
		s.Error(err)
	}
	checkClosedReader(s, "closed snapshot", snap)
}

// testSnapshotConcurrent opens, reads and closes snapshots from everywhere
// while the store changes: two keys that are always written together must
// agree in each.
func testSnapshotConcurrent(s *store) {
	n := rounds(60)
	s.parallel(workers, func(w int) error {
		for i := range n {
			if w < 2 {
				err := s.Update(s.ctx, []backend.Scope{whole("g")}, buffered, func(_ context.Context, t backend.Txn) error {
					v := fmt.Append(nil, w, i)
					if err := t.Put(key("g", "a"), v); err != nil {
						return err
					}
					return t.Put(key("g", "z"), v)
				})
				if err != nil {
					return err
				}
				continue
			}
			snap, err := s.Snapshot(s.ctx)
			if err != nil {
				return err
			}
			a, _, err := get(s.ctx, snap, key("g", "a"))
			if err != nil {
				return err
			}
			z, _, err := get(s.ctx, snap, key("g", "z"))
			if err != nil {
				return err
			}
			if a != z {
				return fmt.Errorf("a snapshot of two commits: %q and %q", a, z)
			}
			if err := snap.Close(); err != nil {
				return err
			}
		}
		return nil
	})
}

// testFreshness has one side write and signal the other, which must see the write
// in every way of reading.
func testFreshness(s, writer, reader *store) {
	k := key("g", "i")
	written, seen := make(chan []byte), make(chan error)
	n := rounds(60)
	s.parallel(2, func(w int) error {
		if w == 0 {
			defer close(written)
			for i := range n {
				v := fmt.Append(nil, i)
				err := writer.Update(s.ctx, []backend.Scope{item("g", "i")}, backend.UpdateOptions{Buffered: i%2 == 0}, func(_ context.Context, t backend.Txn) error {
					return t.Put(k, v)
				})
				if err != nil {
					return err
				}
				written <- v
				if err := <-seen; err != nil {
					return err
				}
			}
			return nil
		}
		for v := range written {
			seen <- readFresh(reader, k, v)
		}
		return nil
	})
}

// readFresh expects want at k in all ways of reading.
func readFresh(s *store, k, want []byte) error {
	check := func(ctx context.Context, name string, r backend.Reader) error {
		v, _, err := get(ctx, r, k)
		if err != nil || v != string(want) {
			return fmt.Errorf("get from %s: %q, %w; written was %q", name, v, err, want)
		}
		values, err := getMany(ctx, r, [][]byte{k})
		if err != nil || values[0] != string(want) {
			return fmt.Errorf("getMany from %s: %v, %w; written was %q", name, values, err, want)
		}
		all, err := scan(ctx, r, backend.Range{Start: k, End: append(bytes.Clone(k), 0)}, forward)
		if err != nil || len(all) != 1 || all[0].value != string(want) {
			return fmt.Errorf("scan of %s: %q, %w; written was %q", name, all, err, want)
		}
		return nil
	}
	if err := check(s.ctx, "the store", s); err != nil {
		return err
	}
	snap, err := s.Snapshot(s.ctx)
	if err != nil {
		return err
	}
	defer snap.Close()
	if err := check(s.ctx, "a new snapshot", snap); err != nil {
		return err
	}
	return s.Update(s.ctx, []backend.Scope{item("g", "i")}, buffered, func(ctx context.Context, t backend.Txn) error {
		return check(ctx, "a transaction", t)
	})
}
