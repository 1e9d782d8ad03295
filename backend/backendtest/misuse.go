package backendtest

import (
	"bytes"
	"context"
	"fmt"

	"github.com/shelflife-db/shelflife/backend"
)

var nestingTests = []test{
	{"Nested", nil, testNested},
	{"NestedInSecondHandle", []Exception{SingleHandle}, testNestedInSecondHandle},
}

var scopeTests = []test{
	{"RangeWithoutGroup", nil, testRangeWithoutGroup},
	{"RangeAmongScopes", nil, testRangeAmongScopes},
	{"Violations", nil, testViolations},
}

var ownershipTests = []test{
	{"BuffersOfCaller", nil, testBuffersOfCaller},
	{"BytesOfEngine", nil, testBytesOfEngine},
}

func testNested(s *store) {
	s.update([]backend.Scope{item("g", "i")}, durable, func(ctx context.Context, t backend.Txn) error {
		for _, scopes := range [][]backend.Scope{nil, {item("g", "i")}, {whole("g")}, {item("other", "x")}} {
			inner, cancel := context.WithCancel(ctx)
			err := s.Update(inner, scopes, durable, func(context.Context, backend.Txn) error {
				s.Error("the callback of a nested Update ran")
				return nil
			})
			cancel()
			s.is(fmt.Sprint("nested Update of ", scopes), err, backend.ErrNested)
		}
		return t.Put(key("g", "i"), []byte("v"))
	})
	s.check(s, key("g", "i"), "v")
}

// testNestedInSecondHandle nests through another handle on the same data,
// which must not hang: ErrNested, or the end of the context.
func testNestedInSecondHandle(s *store) {
	other := s.second()
	s.update([]backend.Scope{item("g", "i")}, durable, func(ctx context.Context, t backend.Txn) error {
		inner, cancel := context.WithCancel(ctx)
		wait := start(func() error {
			return other.Update(inner, []backend.Scope{item("g", "i")}, durable, func(ctx context.Context, _ backend.Txn) error {
				<-ctx.Done()
				return ctx.Err()
			})
		})
		cancel()
		if err := wait(); err == nil {
			s.Error("an Update nested in one of another handle succeeded")
		}
		return t.Put(key("g", "i"), []byte("v"))
	})
	s.check(s, key("g", "i"), "v")
}

// testRangeWithoutGroup expects the engine itself to refuse a DeleteRange.
func testRangeWithoutGroup(s *store) {
	s.put(durable, kv{"g/i/", "v"})
	for _, scopes := range [][]backend.Scope{nil, {item("g", "i")}, {item("g", "i"), item("h", "j")}} {
		s.update(scopes, durable, func(_ context.Context, t backend.Txn) error {
			s.is(fmt.Sprint("DeleteRange under ", scopes), t.DeleteRange(under("g", "i")), backend.ErrScope)
			return nil
		})
		s.check(s, key("g", "i"), "v")
	}
}

// testRangeAmongScopes has the whole-group scope hidden among others.
func testRangeAmongScopes(s *store) {
	s.put(durable, kv{"g/i/", "v"}, kv{"h/i/", "v"})
	s.update([]backend.Scope{item("a", "b"), whole("g"), item("g", "i"), item("z", "z")}, durable, func(_ context.Context, t backend.Txn) error {
		return t.DeleteRange(under("g"))
	})
	s.checkScan(s, backend.Range{}, forward, []kv{{"h/i/", "v"}})
}

// testViolations makes sure that the suite, which runs through Checked, would
// notice access outside the scopes on this engine.
func testViolations(s *store) {
	s.put(durable, kv{"g/a/", "1"}, kv{"g/b/", "2"}, kv{"h/a/", "3"})
	reports := 0
	b := Checked(s.raw, scopeOf, func(error) { reports++ })
	err := b.Update(s.ctx, []backend.Scope{item("g", "a"), whole("h")}, durable, func(ctx context.Context, t backend.Txn) error {
		reports = 0
		_, _, err := get(ctx, t, key("g", "b"))
		s.is("Get", err, backend.ErrScope)
		_, err = getMany(ctx, t, [][]byte{key("g", "a"), key("g", "b")})
		s.is("GetMany", err, backend.ErrScope)
		all, err := scan(ctx, t, backend.Range{}, forward)
		s.is("Scan", err, backend.ErrScope)
		if len(all) != 1 {
			s.Errorf("%d entries before the violation, want 1", len(all))
		}
		s.is("Put", t.Put(key("i", "new"), nil), backend.ErrScope)
		s.is("Delete", t.Delete(key("g", "b"), 0), backend.ErrScope)
		s.is("DeleteRange", t.DeleteRange(under("g", "a")), backend.ErrScope)
		s.is("Put without a scope", t.Put([]byte("x"), nil), backend.ErrScope)
		// What is allowed goes on.
		return t.DeleteRange(under("h"))
	})
	if err != nil {
		s.Errorf("Update: %v", err)
	}
	if reports != 7 {
		s.Errorf("%d violations were reported, want 7", reports)
	}
	s.checkScan(s, backend.Range{}, forward, []kv{{"g/a/", "1"}, {"g/b/", "2"}})
}

// testBuffersOfCaller uses the same buffers for everything, on the engine
// itself: Checked would pass on copies.
func testBuffersOfCaller(s *store) {
	const n = 50
	k, v, scopes := key("g", "00"), []byte("value 00"), []backend.Scope{whole("g")}
	set := func(i int) {
		copy(k[2:], fmt.Sprintf("%02d", i))
		copy(v[6:], fmt.Sprintf("%02d", i))
	}
	var want []kv
	err := s.raw.Update(s.ctx, scopes, durable, func(ctx context.Context, t backend.Txn) error {
		want = nil
		for i := range n {
			set(i)
			if err := t.Put(k, v); err != nil {
				return err
			}
			want = append(want, kv{string(k), string(v)})
		}
		set(10)
		if err := t.Delete(k, len(v)); err != nil {
			return err
		}
		to := key("g", "30")
		set(20)
		if err := t.DeleteRange(backend.Range{Start: k, End: to}); err != nil {
			return err
		}
		set(99)
		copy(to, "x/xx/")
		want = append(append(want[:10:10], want[11:20]...), want[30:]...)
		got, err := scan(ctx, t, under("g"), forward)
		if err != nil {
			return err
		}
		return same(got, want)
	})
	set(77)
	scopes[0].Group = "changed"
	if err != nil {
		s.Fatalf("Update: %v", err)
	}
	s.checkScan(s, backend.Range{}, forward, want)
}

// testBytesOfEngine compares what the engine hands out at the beginning and at
// the end of the time for which it is valid, while others change the store.
func testBytesOfEngine(s *store) {
	var entries []kv
	for i := range 64 {
		entries = append(entries, kv{fmt.Sprintf("g/%02d/", i), string(bytes.Repeat([]byte{byte(i)}, 500))})
	}
	s.put(buffered, entries...)
	n := rounds(40)
	s.parallel(workers, func(w int) error {
		for i := range n {
			k := []byte(entries[(i*7+w)%len(entries)].key)
			if w < 2 {
				scope, _ := scopeOf(k)
				if err := s.Update(s.ctx, []backend.Scope{scope}, buffered, func(_ context.Context, t backend.Txn) error {
					return t.Put(k, bytes.Repeat([]byte{byte(i)}, 100+i*10))
				}); err != nil {
					return err
				}
				continue
			}
			stable := func(v []byte) error {
				if len(v) == 0 {
					return fmt.Errorf("no value at %x", k)
				}
				before := bytes.Clone(v)
				for _, b := range v {
					if b != v[0] {
						return fmt.Errorf("a value mixed of two")
					}
				}
				if !bytes.Equal(v, before) {
					return fmt.Errorf("a value changed while it was lent")
				}
				return nil
			}
			if _, err := s.raw.Get(s.ctx, k, stable); err != nil {
				return err
			}
			if err := s.raw.GetMany(s.ctx, [][]byte{k, k}, func(_ int, v []byte) error { return stable(v) }); err != nil {
				return err
			}
			for e, err := range s.raw.Scan(s.ctx, under("g"), forward) {
				if err != nil {
					return err
				}
				if err := stable(e.Value); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
