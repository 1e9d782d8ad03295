package backendtest

import (
	"context"
	"fmt"

	"github.com/shelflife-db/shelflife/backend"
)

var durabilityTests = []test{
	{"Reopen", []Exception{NotPersistent}, testReopen},
	{"CloseMakesDurable", []Exception{NotPersistent, NoCrash}, testCloseMakesDurable},
	{"Prefix", []Exception{NoCrash}, testPrefix},
	{"PrefixOfMany", []Exception{NoCrash}, testPrefixOfMany},
	{"ReaderMakesDurable", []Exception{NoCrash}, testReaderMakesDurable},
	{"DurableMakesDurable", []Exception{NoCrash}, testDurable},
	{"LaterUpdateMakesDurable", []Exception{NoCrash}, testLaterUpdate},
	{"DeletesSurvive", []Exception{NoCrash}, testDeletesSurvive},
	{"DurableOfNothing", nil, testDurableOfNothing},
}

func testReopen(s *store) {
	s.put(durable, kv{"g/a/", "1"}, kv{"g/b/", "2"})
	s.put(buffered, kv{"g/c/", "3"})
	for range 3 {
		old := s.raw
		s.reopen()
		_, _, err := get(s.ctx, old, key("g", "a"))
		s.is("Get on the handle before Reopen", err, backend.ErrClosed)
		s.checkScan(s, backend.Range{}, forward, []kv{{"g/a/", "1"}, {"g/b/", "2"}, {"g/c/", "3"}})
	}
	s.put(durable, kv{"g/a/", "4"})
	s.check(s, key("g", "a"), "4")
}

func testCloseMakesDurable(s *store) {
	for i := range 20 {
		s.put(buffered, kv{string(key("g", fmt.Sprint(i))), "v"})
	}
	s.reopen()
	s.crash()
	all, err := scan(s.ctx, s, under("g"), forward)
	if err != nil || len(all) != 20 {
		s.Errorf("%d keys, %v; want 20", len(all), err)
	}
}

// testPrefix crashes after a series of commits, some durable, and expects the
// first n of them, whole, with the last durable one among them; then goes on
// with that.
func testPrefix(s *store) {
	r := s.rand(0)
	first := 0 // commits that have survived
	name := func(i int) string { return fmt.Sprintf("%06d", i) }
	for range s.restarts(24) {
		acknowledged := first
		last := first + 1 + r.IntN(30)
		surely := first + r.IntN(last-first) // one at least, so that each crash can show that it was lost
		for i := first; i < last; i++ {
			o := backend.UpdateOptions{Buffered: i != surely && r.IntN(6) != 0}
			// Two groups, so that half a commit shows.
			s.update([]backend.Scope{item("g", name(i)), item("h", name(i))}, o, func(_ context.Context, t backend.Txn) error {
				if err := t.Put(key("g", name(i)), []byte("v")); err != nil {
					return err
				}
				return t.Put(key("h", name(i)), make([]byte, r.IntN(3000)))
			})
			if !o.Buffered {
				acknowledged = i + 1
			}
		}
		s.crash()
		survived := 0
		for _, group := range []string{"g", "h"} {
			all, err := scan(s.ctx, s, under(group), keysOnly)
			if err != nil {
				s.Fatal(err)
			}
			for i, e := range all {
				if e.key != string(key(group, name(i))) {
					s.Fatalf("after a crash commit %d is missing while %q is there", i, e.key)
				}
			}
			if group == "h" && len(all) != survived {
				s.Fatalf("after a crash half a commit is there: %d and %d keys", survived, len(all))
			}
			survived = len(all)
		}
		if survived < acknowledged || survived > last {
			s.Fatalf("%d commits survived the crash, %d were durable, %d made", survived, acknowledged, last)
		}
		first = survived
	}
}

// testPrefixOfMany has several goroutines commit, each to an item of its own
// and all to one counter, which shows the order of their commits.
func testPrefixOfMany(s *store) {
	for round := range s.restarts(8) {
		commits := make([][]uint64, workers) // numbers, by worker
		acknowledged := make([]uint64, workers)
		group := fmt.Sprint("round", round)
		s.parallel(workers, func(w int) error {
			for i := range 25 {
				var n uint64
				o := backend.UpdateOptions{Buffered: (i+w)%7 != 0}
				err := s.Update(s.ctx, []backend.Scope{item(group, "count"), item(group, fmt.Sprint(w))}, o, func(ctx context.Context, t backend.Txn) error {
					var err error
					if n, err = add(ctx, t, key(group, "count"), 1); err != nil {
						return err
					}
					return putNumber(t, key(group, fmt.Sprint(w)), n)
				})
				if err != nil {
					return err
				}
				commits[w] = append(commits[w], n)
				if !o.Buffered {
					acknowledged[w] = n
				}
			}
			return nil
		})
		s.crash()
		count, err := number(s.ctx, s, key(group, "count"))
		if err != nil {
			s.Fatal(err)
		}
		for w, n := range acknowledged {
			if n > count {
				s.Errorf("worker %d has the durable commit %d, but %d survived", w, n, count)
			}
		}
		for w, numbers := range commits {
			last := uint64(0) // of the worker's commits, among those that survived
			for _, n := range numbers {
				if n <= count {
					last = n
				}
			}
			if got, err := number(s.ctx, s, key(group, fmt.Sprint(w))); err != nil || got != last {
				s.Errorf("%d commits survived, worker %d's last one of them is %d; its item has %d, %v", count, w, last, got, err)
			}
		}
	}
}

// testReaderMakesDurable has an Update only read what a buffered one wrote:
// what it concluded must hold after a crash.
func testReaderMakesDurable(s *store) {
	for i, c := range []struct {
		name  string
		write []backend.Scope
		read  []backend.Scope
		fail  bool
	}{
		{"Item", []backend.Scope{item("g", "i")}, []backend.Scope{item("g", "i")}, false},
		{"ItemFails", []backend.Scope{item("g", "i")}, []backend.Scope{item("g", "i")}, true},
		{"GroupOfItem", []backend.Scope{item("g", "i")}, []backend.Scope{whole("g")}, false},
		{"ItemOfGroup", []backend.Scope{whole("g")}, []backend.Scope{item("g", "i")}, false},
		{"Group", []backend.Scope{whole("g")}, []backend.Scope{whole("g")}, true},
		{"OneOfMany", []backend.Scope{item("h", "x"), item("g", "i")}, []backend.Scope{item("a", "b"), item("g", "i"), item("z", "z")}, false},
	} {
		v := fmt.Sprint(i)
		s.update(c.write, buffered, func(_ context.Context, t backend.Txn) error {
			return t.Put(key("g", "i"), []byte(v))
		})
		var read string
		err := s.Update(s.ctx, c.read, durable, func(ctx context.Context, t backend.Txn) error {
			var err error
			if read, _, err = get(ctx, t, key("g", "i")); err == nil && c.fail {
				err = errTest
			}
			return err
		})
		if c.fail {
			s.is(c.name, err, errTest)
		} else if err != nil {
			s.Fatalf("%s: %v", c.name, err)
		}
		if read != v {
			s.Fatalf("%s: read %q, written was %q", c.name, read, v)
		}
		s.crash()
		if v, _, err := get(s.ctx, s, key("g", "i")); err != nil || v != read {
			s.Errorf("%s: after a crash %q, %v; an Update had read %q", c.name, v, err, read)
		}
	}
}

func testDurable(s *store) {
	for i, scopes := range [][]backend.Scope{
		{item("g", "i")},
		{whole("g")},
		{item("x", "y"), item("g", "i"), item("g", "i")},
	} {
		v := fmt.Sprint(i)
		for _, other := range []string{"before", "i", "after"} {
			s.put(buffered, kv{string(key("g", other)), v})
		}
		if err := s.Durable(s.ctx, scopes); err != nil {
			s.Fatalf("Durable of %v: %v", scopes, err)
		}
		s.crash()
		s.check(s, key("g", "i"), v)
		// The order of commits holds for what was not asked for too.
		s.check(s, key("g", "before"), v)
	}
}

// testLaterUpdate has a durable commit carry the older, buffered ones.
func testLaterUpdate(s *store) {
	for i := range 5 {
		s.put(buffered, kv{string(key("g", fmt.Sprint(i))), "v"})
	}
	s.put(durable, kv{"h/x/", "v"})
	s.crash()
	all, err := scan(s.ctx, s, backend.Range{}, keysOnly)
	if err != nil || len(all) != 6 {
		s.Errorf("%d keys, %v; want 6", len(all), err)
	}
}

func testDeletesSurvive(s *store) {
	var entries []kv
	for i := range 20 {
		entries = append(entries, kv{string(key("g", fmt.Sprintf("%02d", i))), "v"})
	}
	s.put(durable, entries...)
	s.update([]backend.Scope{whole("g")}, durable, func(_ context.Context, t backend.Txn) error {
		if err := t.Delete(key("g", "03"), 1); err != nil {
			return err
		}
		return t.DeleteRange(backend.Range{Start: key("g", "10"), End: key("g", "15")})
	})
	s.crash()
	want := append(append(append([]kv{}, entries[:3]...), entries[4:10]...), entries[15:]...)
	s.checkScan(s, backend.Range{}, forward, want)
}

func testDurableOfNothing(s *store) {
	s.put(durable, kv{"g/i/", "v"})
	for _, scopes := range [][]backend.Scope{nil, {item("g", "i")}, {whole("g")}, {whole("never"), item("used", "before")}} {
		if err := s.Durable(s.ctx, scopes); err != nil {
			s.Errorf("Durable of %v: %v", scopes, err)
		}
	}
}
