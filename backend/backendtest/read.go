package backendtest

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/shelflife-db/shelflife/backend"
)

var readTests = []test{
	{"Empty", nil, testReadEmpty},
	{"Get", nil, testGet},
	{"GetMany", nil, testGetMany},
	{"GetManyOwnWrites", nil, testGetManyOwnWrites},
	{"EmptyValue", nil, testEmptyValue},
	{"OwnWrites", nil, testOwnWrites},
	{"ManyKeys", nil, testManyKeys},
	{"ScanAgain", nil, testScanAgain},
	{"ScanWhileWriting", nil, testScanWhileWriting},
	{"ReadsDoNotWait", nil, testReadsDoNotWait},
}

func testReadEmpty(s *store) {
	s.check(s, key("g", "i"), "")
	for _, o := range []backend.ScanOptions{forward, reverse, keysOnly} {
		s.checkScan(s, backend.Range{}, o, nil)
	}
	for _, keys := range [][][]byte{nil, {}, {key("g", "i")}} {
		if values, err := getMany(s.ctx, s, keys); err != nil || len(values) != 0 {
			s.Errorf("GetMany: %v, %v", values, err)
		}
	}
}

func testGet(s *store) {
	s.put(durable, kv{"g/a/", "1"}, kv{"g/b/", "2"})
	s.check(s, key("g", "a"), "1")
	s.check(s, key("g", "b"), "2")
	// Neighbours of keys that exist.
	for _, k := range []string{"g/a", "g/a/\x00", "g/a0", "g/b/ ", "", "\xff"} {
		if _, found, err := get(s.ctx, s, []byte(k)); err != nil || found {
			s.Errorf("Get of %q: found %t, %v", k, found, err)
		}
	}
	s.put(durable, kv{"g/a/", "longer than before"})
	s.check(s, key("g", "a"), "longer than before")
	s.update([]backend.Scope{item("g", "a"), item("g", "none")}, durable, func(_ context.Context, t backend.Txn) error {
		if err := t.Delete(key("g", "none"), 0); err != nil {
			return err
		}
		// A wrong hint changes nothing.
		return t.Delete(key("g", "a"), 1<<20)
	})
	s.check(s, key("g", "a"), "")
	s.put(durable, kv{"g/a/", "back"})
	s.check(s, key("g", "a"), "back")
}

func testGetMany(s *store) {
	var entries []kv
	for i := range 50 {
		entries = append(entries, kv{fmt.Sprintf("g/%02d/", i*2), fmt.Sprint(i * 2)})
	}
	s.put(durable, entries...)
	// Unordered, with duplicates, every other one missing.
	var keys [][]byte
	want := map[int]string{}
	for i := range 300 {
		n := i * 37 % 100
		keys = append(keys, key("g", fmt.Sprintf("%02d", n)))
		if n%2 == 0 {
			want[i] = fmt.Sprint(n)
		}
	}
	check := func(ctx context.Context, name string, r backend.Reader) {
		got, err := getMany(ctx, r, keys)
		if err != nil || !maps.Equal(got, want) {
			s.Errorf("%s: GetMany: %v, %v; want %v", name, got, err, want)
		}
	}
	check(s.ctx, "store", s)
	snap, err := s.Snapshot(s.ctx)
	if err != nil {
		s.Fatal(err)
	}
	defer snap.Close()
	check(s.ctx, "snapshot", snap)
	s.update([]backend.Scope{whole("g")}, durable, func(ctx context.Context, t backend.Txn) error {
		check(ctx, "transaction", t)
		return nil
	})
}

// A transaction that reads many keys at once finds its own writes among them,
// also where nothing or only a part of the range is stored.
func testGetManyOwnWrites(s *store) {
	s.put(durable, kv{"g/15/", "stored"}, kv{"g/16/", "stored"}, kv{"g/40/", "stored"})
	s.update([]backend.Scope{whole("g")}, durable, func(ctx context.Context, t backend.Txn) error {
		if err := errors.Join(
			t.Put(key("g", "02"), []byte("own")),
			t.Put(key("g", "16"), []byte("own")),
			t.Put(key("g", "25"), []byte("own")),
			t.Delete(key("g", "15"), 0),
			t.DeleteRange(backend.Range{Start: key("g", "24"), End: key("g", "30")}),
			t.Put(key("g", "28"), []byte("own")),
		); err != nil {
			return err
		}
		all := map[int]string{2: "own", 16: "own", 28: "own", 40: "stored"}
		for _, span := range [][2]int{{0, 10}, {0, 12}, {3, 14}, {10, 20}, {14, 17}, {17, 40}, {17, 41}, {0, 50}, {41, 60}} {
			for _, descending := range []bool{false, true} {
				var keys [][]byte
				want := map[int]string{}
				for i := range span[1] - span[0] {
					n := span[0] + i
					if descending {
						n = span[1] - 1 - i
					}
					if v, ok := all[n]; ok {
						want[i] = v
					}
					keys = append(keys, key("g", fmt.Sprintf("%02d", n)))
				}
				if got, err := getMany(ctx, t, keys); err != nil || !maps.Equal(got, want) {
					s.Errorf("GetMany of %d to %d, descending: %t: %v, %v; want %v", span[0], span[1], descending, got, err, want)
				}
			}
		}
		return nil
	})
}

func testEmptyValue(s *store) {
	k := key("g", "i")
	s.update([]backend.Scope{whole("g")}, durable, func(_ context.Context, t backend.Txn) error {
		if err := t.Put(k, nil); err != nil {
			return err
		}
		return t.Put(key("g", "j"), []byte{})
	})
	for _, k := range [][]byte{k, key("g", "j")} {
		if v, found, err := get(s.ctx, s, k); v != "" || !found || err != nil {
			s.Errorf("Get of an empty value: %q, %t, %v", v, found, err)
		}
	}
	if values, err := getMany(s.ctx, s, [][]byte{k}); err != nil || len(values) != 1 {
		s.Errorf("GetMany of an empty value: %v, %v", values, err)
	}
	s.checkScan(s, backend.Range{}, forward, []kv{{"g/i/", ""}, {"g/j/", ""}})
}

func testOwnWrites(s *store) {
	s.put(durable, kv{"g/a/", "1"}, kv{"g/b/", "2"}, kv{"g/c/", "3"}, kv{"g/d/", "4"}, kv{"g/e/", "5"})
	outer := s
	s.update([]backend.Scope{whole("g")}, durable, func(ctx context.Context, t backend.Txn) error {
		s := &store{T: outer.T, h: outer.h, ctx: ctx, Backend: outer.Backend}
		for _, err := range []error{
			t.Put(key("g", "b"), []byte("22")),
			t.Put(key("g", "bb"), []byte("new")),
			t.Delete(key("g", "c"), 1),
			t.Put(key("g", "f"), []byte("6")),
			t.Delete(key("g", "f"), 1),
			t.Put(key("g", "e"), []byte("55")),
			t.DeleteRange(backend.Range{Start: key("g", "d"), End: key("g", "f")}),
			t.Put(key("g", "d"), []byte("44")),
		} {
			if err != nil {
				return err
			}
		}
		want := []kv{{"g/a/", "1"}, {"g/b/", "22"}, {"g/bb/", "new"}, {"g/d/", "44"}}
		s.checkScan(t, under("g"), forward, want)
		s.checkScan(t, under("g"), reverse, []kv{want[3], want[2], want[1], want[0]})
		s.checkScan(t, under("g"), keysOnly, []kv{{"g/a/", ""}, {"g/b/", ""}, {"g/bb/", ""}, {"g/d/", ""}})
		s.check(t, key("g", "b"), "22")
		s.check(t, key("g", "c"), "")
		s.check(t, key("g", "d"), "44")
		s.check(t, key("g", "e"), "")
		s.check(t, key("g", "f"), "")
		values, err := getMany(ctx, t, [][]byte{key("g", "e"), key("g", "d"), key("g", "bb"), key("g", "c")})
		if err != nil || !maps.Equal(values, map[int]string{1: "44", 2: "new"}) {
			s.Errorf("GetMany: %v, %v", values, err)
		}
		// A stopped scan leaves the transaction usable.
		for _, err := range t.Scan(ctx, under("g"), forward) {
			if err != nil {
				return err
			}
			break
		}
		return t.Put(key("g", "z"), []byte("26"))
	})
	s.checkScan(s, backend.Range{}, forward, []kv{{"g/a/", "1"}, {"g/b/", "22"}, {"g/bb/", "new"}, {"g/d/", "44"}, {"g/z/", "26"}})
}

func testManyKeys(s *store) {
	const n = 20_000
	for from := 0; from < n; from += 5_000 {
		s.update([]backend.Scope{whole("g")}, buffered, func(_ context.Context, t backend.Txn) error {
			for i := from; i < from+5_000; i++ {
				if err := t.Put(key("g", fmt.Sprintf("%08d", i)), fmt.Append(nil, i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for _, o := range []backend.ScanOptions{forward, reverse, keysOnly} {
		i := 0
		for e, err := range s.Scan(s.ctx, under("g"), o) {
			if err != nil {
				s.Fatal(err)
			}
			want := i
			if o.Reverse {
				want = n - 1 - i
			}
			if string(e.Key) != fmt.Sprintf("g/%08d/", want) || !o.KeysOnly && string(e.Value) != fmt.Sprint(want) {
				s.Fatalf("entry %d with %+v: %q = %q", i, o, e.Key, e.Value)
			}
			i++
		}
		if i != n {
			s.Errorf("%d entries with %+v, want %d", i, o, n)
		}
	}
	for _, stop := range []int{1, 2, 100, n} {
		i := 0
		for _, err := range s.Scan(s.ctx, backend.Range{}, forward) {
			if err != nil {
				s.Fatal(err)
			}
			if i++; i == stop {
				break
			}
		}
		if i != stop {
			s.Errorf("stopped after %d entries, want %d", i, stop)
		}
	}
}

// testScanAgain ranges over one sequence twice, with a write between, and in
// itself.
func testScanAgain(s *store) {
	s.put(durable, kv{"g/a/", "1"}, kv{"g/b/", "2"})
	seq := s.Scan(s.ctx, under("g"), forward)
	s.put(durable, kv{"g/c/", "3"})
	for want := 3; want <= 4; want++ {
		outer, inner := 0, 0
		for _, err := range seq {
			if err != nil {
				s.Fatal(err)
			}
			outer++
			for _, err := range seq {
				if err != nil {
					s.Fatal(err)
				}
				inner++
			}
		}
		if outer != want || inner != want*want {
			s.Errorf("%d entries and %d in the inner loop, want %d", outer, inner, want)
		}
		s.put(durable, kv{"g/d/", "4"})
	}
}

// testScanWhileWriting changes what a running scan is going to reach, in the
// loop itself.
func testScanWhileWriting(s *store) {
	const n = 1000
	for _, o := range []backend.ScanOptions{forward, reverse} {
		var want []kv
		for i := range n {
			want = append(want, kv{fmt.Sprintf("g/%04d/", i), "old"})
		}
		s.put(buffered, want...)
		i := 0
		for e, err := range s.Scan(s.ctx, under("g"), o) {
			if err != nil {
				s.Fatal(err)
			}
			at := i
			if o.Reverse {
				at = n - 1 - i
			}
			if string(e.Key) != want[at].key || string(e.Value) != "old" {
				s.Fatalf("entry %d with %+v is %q = %q", i, o, e.Key, e.Value)
			}
			switch i {
			case 0:
				s.put(buffered, kv{"g/0500/", "new"}, kv{"g/0500/x", "new"}, kv{"g/0999/x", "new"})
			case 1:
				s.update([]backend.Scope{whole("g")}, buffered, func(_ context.Context, t backend.Txn) error {
					return t.DeleteRange(under("g"))
				})
			}
			if v := string(e.Value); v != "old" {
				s.Fatalf("the value of entry %d became %q during its step", i, v)
			}
			i++
		}
		if i != n {
			s.Errorf("%d entries with %+v, want %d", i, o, n)
		}
	}
}

// testReadsDoNotWait reads what an Update has written that is held in its
// callback: reads see the state before it.
func testReadsDoNotWait(s *store) {
	s.put(durable, kv{"g/a/", "1"})
	inside, leave := make(chan struct{}, 1), make(chan struct{})
	wait := start(func() error {
		return s.Update(s.ctx, []backend.Scope{whole("g")}, durable, func(_ context.Context, t backend.Txn) error {
			if err := t.Put(key("g", "a"), []byte("2")); err != nil {
				return err
			}
			select {
			case inside <- struct{}{}:
			default: // a rerun
			}
			return s.await("the reads", leave)
		})
	})
	err := s.await("the callback", inside)
	if err == nil {
		s.check(s, key("g", "a"), "1")
		s.checkScan(s, backend.Range{}, forward, []kv{{"g/a/", "1"}})
		var snap backend.Snapshot
		if snap, err = s.Snapshot(s.ctx); err == nil {
			s.check(snap, key("g", "a"), "1")
			err = snap.Close()
		}
		if err := s.Durable(s.ctx, []backend.Scope{whole("g")}); err != nil {
			s.Errorf("Durable: %v", err)
		}
		if _, err := s.Size(s.ctx, backend.Range{}); err != nil {
			s.Errorf("Size: %v", err)
		}
	}
	close(leave)
	if err := wait(); err != nil {
		s.Errorf("Update: %v", err)
	}
	if err != nil {
		s.Error(err)
	}
	s.check(s, key("g", "a"), "2")
}
