package backendtest

import (
	"context"
	"slices"
	"strings"

	"github.com/shelflife-db/shelflife/backend"
)

var rangeTests = []test{
	{"ByteOrder", nil, testByteOrder},
	{"Bounds", nil, testBounds},
	{"BoundsMayBeReused", nil, testBoundsReused},
	{"DeleteRange", nil, testDeleteRange},
	{"DeleteRangeAfterReopen", []Exception{NotPersistent}, testDeleteRangeAfterReopen},
}

// orderedKeys differ in bytes that a comparison may stumble over, in order.
var orderedKeys = []string{
	"",
	"\x00", "\x00\x00", "\x00\x00\x01", "\x00\x01", "\x00\xff", "\x01",
	"/", "0", "A", "a", "a\x00", "a\x00\x00", "a\x00\xff", "a\x01", "aa", "a\xff", "a\xff\x00", "b",
	"\x7f", "\x80", "é", "\xfe\xff", "\xff", "\xff\x00", "\xff\xff", "\xff\xff\xff",
}

// putOrdered writes orderedKeys below g/i/ and returns the entries in order.
func putOrdered(s *store) []kv {
	var want []kv
	for _, k := range orderedKeys {
		want = append(want, kv{"g/i/" + k, "value of " + k})
	}
	shuffled := slices.Clone(want)
	s.rand(0).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	s.put(durable, shuffled...)
	return want
}

func reversed(entries []kv) []kv {
	r := slices.Clone(entries)
	slices.Reverse(r)
	return r
}

func withoutValues(entries []kv) []kv {
	r := slices.Clone(entries)
	for i := range r {
		r[i].value = ""
	}
	return r
}

func testByteOrder(s *store) {
	want := putOrdered(s)
	for _, r := range []backend.Range{{}, under("g"), under("g", "i")} {
		s.checkScan(s, r, forward, want)
		s.checkScan(s, r, reverse, reversed(want))
		s.checkScan(s, r, keysOnly, withoutValues(want))
	}
	for _, e := range want {
		s.check(s, []byte(e.key), e.value)
	}
}

// testBounds scans between all pairs of keys, also inside an Update that has
// written some of them.
func testBounds(s *store) {
	want := putOrdered(s)
	bounds := [][]byte{nil, {}, []byte("g"), []byte("g/i/\x00\x00\x00"), []byte("h"), []byte("\xff\xff\xff\xff")}
	for _, e := range want {
		bounds = append(bounds, []byte(e.key))
	}
	check := func(s *store, r backend.Reader) {
		for _, from := range bounds {
			for _, to := range bounds {
				var in []kv
				for _, e := range want {
					if e.key >= string(from) && (to == nil || e.key < string(to)) {
						in = append(in, e)
					}
				}
				rng := backend.Range{Start: from, End: to}
				s.checkScan(r, rng, forward, in)
				s.checkScan(r, rng, backend.ScanOptions{Reverse: true, KeysOnly: true}, reversed(withoutValues(in)))
			}
		}
	}
	check(s, s)
	s.update([]backend.Scope{item("g", "i")}, durable, func(ctx context.Context, t backend.Txn) error {
		for i, e := range want {
			if i%2 == 0 {
				if err := t.Put([]byte(e.key), []byte(e.value)); err != nil {
					return err
				}
			}
		}
		check(&store{T: s.T, h: s.h, ctx: ctx}, t)
		return nil
	})
}

func testBoundsReused(s *store) {
	want := putOrdered(s)
	from, to := []byte("g/i/a"), []byte("g/i/b")
	var in []kv
	for _, e := range want {
		if e.key >= string(from) && e.key < string(to) {
			in = append(in, e)
		}
	}
	for _, o := range []backend.ScanOptions{forward, reverse} {
		r := backend.Range{Start: slices.Clone(from), End: slices.Clone(to)}
		var got []kv
		// Not through Checked, which passes on copies.
		for e, err := range s.raw.Scan(s.ctx, r, o) {
			if err != nil {
				s.Fatal(err)
			}
			copy(r.Start, "x/x/x")
			copy(r.End, "\x00\x00\x00\x00\x00")
			got = append(got, kv{string(e.Key), string(e.Value)})
		}
		if o.Reverse {
			slices.Reverse(got)
		}
		if err := same(got, in); err != nil {
			s.Errorf("with %+v: %v", o, err)
		}
	}
}

func testDeleteRange(s *store) {
	want := putOrdered(s)
	outside := []kv{{"a/x/", "1"}, {"g/h/x", "2"}, {"g/j/x", "3"}, {"h/x/", "4"}}
	s.put(durable, outside...)
	for _, c := range []struct {
		name     string
		from, to string
	}{
		{"Empty", "g/i/a", "g/i/a"},
		{"Inverted", "g/i/b", "g/i/a"},
		{"NothingThere", "g/i/c", "g/i/d"},
		{"One", "g/i/a", "g/i/a\x00"},
		{"Some", "g/i/a\x00", "g/i/b"},
		{"FirstByEmptySuffix", "g/i/", "g/i/\x00"},
		{"HighBytes", "g/i/\xff", "g/i/\xff\xff\xff"},
		{"Rest", "g/i/", "g/i0"},
		{"Again", "g/i/", "g/i0"},
	} {
		s.update([]backend.Scope{whole("g")}, durable, func(_ context.Context, t backend.Txn) error {
			return t.DeleteRange(backend.Range{Start: []byte(c.from), End: []byte(c.to)})
		})
		want = slices.DeleteFunc(want, func(e kv) bool { return e.key >= c.from && e.key < c.to })
		all := slices.Concat(want, outside)
		slices.SortFunc(all, func(a, b kv) int { return strings.Compare(a.key, b.key) })
		s.Logf("%s: %d keys are left", c.name, len(all))
		s.checkScan(s, backend.Range{}, forward, all)
		s.checkScan(s, backend.Range{}, reverse, reversed(all))
	}
	// What was removed can be written again.
	s.put(durable, kv{"g/i/a", "back"})
	s.check(s, key("g", "i", "a"), "back")
	s.checkScan(s, under("g", "i"), forward, []kv{{"g/i/a", "back"}})
}

func testDeleteRangeAfterReopen(s *store) {
	putOrdered(s)
	s.update([]backend.Scope{whole("g")}, durable, func(_ context.Context, t backend.Txn) error {
		if err := t.DeleteRange(under("g")); err != nil {
			return err
		}
		return t.Put(key("g", "i", "kept"), []byte("v"))
	})
	s.reopen()
	s.checkScan(s, backend.Range{}, forward, []kv{{"g/i/kept", "v"}})
}
