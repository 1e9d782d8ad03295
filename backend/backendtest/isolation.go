package backendtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/shelflife-db/shelflife/backend"
)

var isolationTests = []test{
	{"CountersOfItems", nil, testCountersOfItems},
	{"ItemsAgainstGroup", nil, testItemsAgainstGroup},
	{"Phantoms", nil, testPhantoms},
	{"WriteSkew", nil, testWriteSkew},
	{"Transfers", nil, testTransfers},
	{"ManyScopes", nil, testManyScopes},
	{"RepeatedScopes", nil, testRepeatedScopes},
	{"NoScopes", nil, testNoScopes},
	{"StrangeScopes", nil, testStrangeScopes},
}

// sharedIsolationTests are the isolationTests with every other worker on a second
// handle: an engine whose locks hold in one process only passes the former.
var sharedIsolationTests = func() []test {
	shared := make([]test, len(isolationTests))
	for i, t := range isolationTests {
		shared[i] = test{t.name, []Exception{SingleHandle}, func(s *store) {
			s.other = s.second()
			t.run(s)
		}}
	}
	return shared
}()

const workers = 8

func testCountersOfItems(s *store) {
	n := rounds(80)
	s.parallel(workers, func(w int) error {
		for i := range n {
			// An item of all workers, one of two, one of this worker alone.
			name := []string{"all", fmt.Sprint("pair", w/2), fmt.Sprint("own", w)}[i%3]
			err := s.of(w).Update(s.ctx, []backend.Scope{item("g", name)}, backend.UpdateOptions{Buffered: i%8 != 0}, func(ctx context.Context, t backend.Txn) error {
				_, err := add(ctx, t, key("g", name), 1)
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	sum := uint64(0)
	for e, err := range s.Scan(s.ctx, under("g"), keysOnly) {
		if err != nil {
			s.Fatal(err)
		}
		v, err := number(s.ctx, s, e.Key)
		if err != nil {
			s.Fatal(err)
		}
		sum += v
	}
	if want := uint64(workers * n); sum != want {
		s.Errorf("%d increments left %d", want, sum)
	}
}

// testItemsAgainstGroup has some change single items, others all of them: what
// an Update of the group reads twice must be the same both times.
func testItemsAgainstGroup(s *store) {
	const items = 4
	n := rounds(40)
	s.parallel(workers, func(w int) error {
		for i := range n {
			if w%4 != 0 {
				name := fmt.Sprint((w + i) % items)
				if err := s.of(w).Update(s.ctx, []backend.Scope{item("g", name)}, buffered, func(ctx context.Context, t backend.Txn) error {
					_, err := add(ctx, t, key("g", name), 1)
					return err
				}); err != nil {
					return err
				}
				continue
			}
			if err := s.of(w).Update(s.ctx, []backend.Scope{whole("g")}, buffered, func(ctx context.Context, t backend.Txn) error {
				before, err := scan(ctx, t, under("g"), forward)
				if err != nil {
					return err
				}
				for i := range items {
					if _, err := add(ctx, t, key("g", fmt.Sprint(i)), 1); err != nil {
						return err
					}
				}
				for i := range items {
					if _, err := add(ctx, t, key("g", fmt.Sprint(i)), -1); err != nil {
						return err
					}
				}
				after, err := scan(ctx, t, under("g"), forward)
				if err != nil {
					return err
				}
				// Items that did not exist are 0 now.
				after = slices.DeleteFunc(after, func(e kv) bool { return e.value == strings.Repeat("\x00", 8) })
				before = slices.DeleteFunc(before, func(e kv) bool { return e.value == strings.Repeat("\x00", 8) })
				if err := same(after, before); err != nil {
					return fmt.Errorf("the group changed under an Update that holds it: %w", err)
				}
				_, err = add(ctx, t, key("g", "0"), items)
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	})
	sum := uint64(0)
	for i := range items {
		v, err := number(s.ctx, s, key("g", fmt.Sprint(i)))
		if err != nil {
			s.Fatal(err)
		}
		sum += v
	}
	groups := workers / 4
	if want := uint64(n * (workers - groups + groups*items)); sum != want {
		s.Errorf("the items hold %d, want %d", sum, want)
	}
}

// testPhantoms names each new key by the number of keys: two Updates that
// count the same number lose one.
func testPhantoms(s *store) {
	n := rounds(24)
	s.parallel(workers, func(w int) error {
		for range n {
			err := s.of(w).Update(s.ctx, []backend.Scope{whole("g")}, buffered, func(ctx context.Context, t backend.Txn) error {
				all, err := scan(ctx, t, under("g"), keysOnly)
				if err != nil {
					return err
				}
				return t.Put(key("g", fmt.Sprintf("%06d", len(all))), nil)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	all, err := scan(s.ctx, s, under("g"), keysOnly)
	if err != nil || len(all) != workers*n {
		s.Errorf("%d keys, %v; want %d", len(all), err, workers*n)
	}
}

// testWriteSkew lets two Updates read both items and change different ones:
// neither overwrites the other, yet they must not run side by side.
func testWriteSkew(s *store) {
	n := rounds(100)
	both := []backend.Scope{item("g", "0"), item("h", "1")}
	keys := [][]byte{key("g", "0"), key("h", "1")}
	for round := range n {
		s.update(both, buffered, func(_ context.Context, t backend.Txn) error {
			return errors.Join(putNumber(t, keys[0], 1), putNumber(t, keys[1], 1))
		})
		s.parallel(2, func(w int) error {
			return s.of(w).Update(s.ctx, both, buffered, func(ctx context.Context, t backend.Txn) error {
				a, err := number(ctx, t, keys[0])
				if err != nil {
					return err
				}
				b, err := number(ctx, t, keys[1])
				if err != nil {
					return err
				}
				if a+b < 2 {
					return nil
				}
				return putNumber(t, keys[w], 0)
			})
		})
		values, err := getMany(s.ctx, s, keys)
		if err != nil {
			s.Fatal(err)
		}
		if values[0] == values[1] {
			s.Fatalf("round %d: both Updates took the last but one", round)
		}
	}
}

// testTransfers moves amounts between many accounts, with scopes in every
// order, while readers sum up what must never change.
func testTransfers(s *store) {
	const groups, items, start, total = 3, 4, 100, 3 * 4 * 100
	var keys [][]byte
	var scopes []backend.Scope
	for g := range groups {
		for i := range items {
			keys = append(keys, key(fmt.Sprint("g", g), fmt.Sprint(i)))
			scopes = append(scopes, item(fmt.Sprint("g", g), fmt.Sprint(i)))
		}
	}
	s.update(scopes, durable, func(_ context.Context, t backend.Txn) error {
		for _, k := range keys {
			if err := putNumber(t, k, start); err != nil {
				return err
			}
		}
		return nil
	})

	rands := make([]*rand.Rand, workers)
	for w := range rands {
		rands[w] = s.rand(uint64(w))
	}
	n := rounds(60)
	s.parallel(workers, func(w int) error {
		r := rands[w]
		for i := range n {
			if w == 0 {
				if err := sums(s.of(i), total, keys); err != nil {
					return err
				}
				continue
			}
			from, to := r.IntN(len(keys)), r.IntN(len(keys))
			declared := []backend.Scope{scopes[from], scopes[to]}
			for range r.IntN(4) {
				declared = append(declared, scopes[r.IntN(len(scopes))])
			}
			if r.IntN(4) == 0 {
				declared = append(declared, whole(scopes[from].Group))
			}
			r.Shuffle(len(declared), func(i, j int) { declared[i], declared[j] = declared[j], declared[i] })
			fail := r.IntN(5) == 0
			err := s.of(w).Update(s.ctx, declared, backend.UpdateOptions{Buffered: r.IntN(8) != 0}, func(ctx context.Context, t backend.Txn) error {
				if _, err := add(ctx, t, keys[from], -1); err != nil {
					return err
				}
				if fail {
					return errTest
				}
				_, err := add(ctx, t, keys[to], 1)
				return err
			})
			if err != nil && (!fail || !errors.Is(err, errTest)) {
				return err
			}
		}
		return nil
	})
	if err := sums(s, total, keys); err != nil {
		s.Error(err)
	}
}

// sums checks the sum of the counters at keys, which are all there are, in all
// ways that read one state.
func sums(s *store, total uint64, keys [][]byte) error {
	snap, err := s.Snapshot(s.ctx)
	if err != nil {
		return err
	}
	defer snap.Close()
	decode := func(v string) (n uint64) {
		for _, b := range []byte(v) {
			n = n<<8 | uint64(b)
		}
		return n
	}
	for name, r := range map[string]backend.Reader{"the store": s, "a snapshot": snap} {
		values, err := getMany(s.ctx, r, keys)
		if err != nil {
			return err
		}
		sum := uint64(0)
		for _, v := range values {
			sum += decode(v)
		}
		if sum != total {
			return fmt.Errorf("getMany from %s sums up to %d, want %d", name, int64(sum), total)
		}
		all, err := scan(s.ctx, r, backend.Range{}, forward)
		if err != nil {
			return err
		}
		sum = 0
		for _, e := range all {
			sum += decode(e.value)
		}
		if sum != total {
			return fmt.Errorf("scan of %s sums up to %d, want %d", name, int64(sum), total)
		}
	}
	sum := uint64(0)
	for _, k := range keys {
		n, err := number(s.ctx, snap, k)
		if err != nil {
			return err
		}
		sum += n
	}
	if sum != total {
		return fmt.Errorf("gets from a snapshot sum up to %d, want %d", int64(sum), total)
	}
	return nil
}

// testManyScopes has Updates with very many overlapping scopes in different
// orders wait for each other.
func testManyScopes(s *store) {
	const scopes = 300
	n := rounds(8)
	rands := make([]*rand.Rand, workers)
	for w := range rands {
		rands[w] = s.rand(uint64(w))
	}
	s.parallel(workers, func(w int) error {
		for i := range n {
			declared := []backend.Scope{item("all", "i")}
			for j := range scopes {
				g := fmt.Sprint("g", j%5)
				declared = append(declared, item(g, fmt.Sprint(i, j)))
				if j%50 == w {
					declared = append(declared, whole(g))
				}
			}
			rands[w].Shuffle(len(declared), func(i, j int) { declared[i], declared[j] = declared[j], declared[i] })
			if err := s.of(w).Update(s.ctx, declared, buffered, func(ctx context.Context, t backend.Txn) error {
				_, err := add(ctx, t, key("all", "i"), 1)
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if got, err := number(s.ctx, s, key("all", "i")); err != nil || got != uint64(workers*n) {
		s.Errorf("%d increments left %d, %v", workers*n, got, err)
	}
}

// testRepeatedScopes has an Update overlap with itself in every way.
func testRepeatedScopes(s *store) {
	for i, scopes := range [][]backend.Scope{
		{item("g", "i"), item("g", "i")},
		{whole("g"), whole("g")},
		{item("g", "i"), whole("g")},
		{whole("g"), item("g", "i"), whole("h"), item("g", "j"), item("g", "i"), item("h", "i")},
	} {
		declared := slices.Clone(scopes)
		s.update(declared, buffered, func(ctx context.Context, t backend.Txn) error {
			_, err := add(ctx, t, key("g", "i"), 1)
			return err
		})
		if !slices.Equal(declared, scopes) {
			s.Errorf("the caller's scopes were changed from %v to %v", scopes, declared)
		}
		if got, err := number(s.ctx, s, key("g", "i")); err != nil || got != uint64(i+1) {
			s.Errorf("after %v: %d, %v; want %d", scopes, got, err, i+1)
		}
	}
}

func testNoScopes(s *store) {
	for _, scopes := range [][]backend.Scope{nil, {}} {
		ran := false
		s.update(scopes, durable, func(context.Context, backend.Txn) error {
			ran = true
			return nil
		})
		if !ran {
			s.Errorf("with scopes %#v the callback did not run", scopes)
		}
	}
	if err := s.Durable(s.ctx, nil); err != nil {
		s.Errorf("Durable without scopes: %v", err)
	}
}

// testStrangeScopes uses names that an engine might take for something else.
func testStrangeScopes(s *store) {
	names := []string{"", "\x00", "\x00\x00", "a", "a\x00b", "a:b", "\xff\xfe", "ü", strings.Repeat("x", 1000)}
	for _, group := range names {
		for _, name := range names {
			scopes := []backend.Scope{item(group, name)}
			for range 2 {
				s.update(scopes, buffered, func(ctx context.Context, t backend.Txn) error {
					_, err := add(ctx, t, key(group, name), 1)
					return err
				})
			}
			if got, err := number(s.ctx, s, key(group, name)); err != nil || got != 2 {
				s.Errorf("scope %+q: counted to %d, %v", scopes, got, err)
			}
		}
	}
}
