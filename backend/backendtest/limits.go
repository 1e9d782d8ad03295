package backendtest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/shelflife-db/shelflife/backend"
)

var limitTests = []test{
	{"LargeValues", nil, testLargeValues},
	{"LargeKeys", nil, testLargeKeys},
	{"TooLarge", nil, testTooLarge},
	{"LargeTransaction", nil, testLargeTransaction},
}

var propertyTests = []test{
	{"Properties", nil, testProperties},
	{"Ready", nil, testReady},
	{"Size", nil, testSize},
	{"SizeGrows", []Exception{NoSize, LaggingSize}, testSizeGrows},
}

// What every engine must take.
const (
	largeKey   = 2 << 10
	largeValue = 2 << 20
)

// noise can't be compressed.
func noise(seed uint64, size int) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, 0, size+8)
	for len(b) < size {
		b = binary.LittleEndian.AppendUint64(b, r.Uint64())
	}
	return b[:size]
}

func testLargeValues(s *store) {
	var want []kv
	for i := range 3 {
		want = append(want, kv{string(key("g", fmt.Sprint(i))), string(noise(uint64(i), largeValue))})
	}
	s.put(durable, want...)
	for _, e := range want {
		s.check(s, []byte(e.key), e.value)
	}
	s.checkScan(s, under("g"), reverse, reversed(want))
	s.put(durable, kv{want[1].key, "small now"})
	s.check(s, []byte(want[1].key), "small now")
	if s.h.Reopen == nil {
		return
	}
	s.reopen()
	want[1].value = "small now"
	s.checkScan(s, under("g"), forward, want)
}

func testLargeKeys(s *store) {
	prefix := key("g", "i")
	var want []kv
	for i := range 20 {
		k := append(bytes.Clone(prefix), bytes.Repeat([]byte{0xFF}, largeKey-len(prefix)-1)...)
		want = append(want, kv{string(append(k, byte(i))), fmt.Sprint(i)})
	}
	s.put(durable, want...)
	s.checkScan(s, under("g"), forward, want)
	for _, e := range want {
		s.check(s, []byte(e.key), e.value)
	}
	s.checkScan(s, backend.Range{Start: []byte(want[5].key), End: []byte(want[9].key)}, forward, want[5:9])
}

func testTooLarge(s *store) {
	p := s.Properties()
	k := key("g", "i")
	s.update([]backend.Scope{whole("g")}, durable, func(ctx context.Context, t backend.Txn) error {
		if err := t.Put(key("g", "before"), []byte("v")); err != nil {
			return err
		}
		if n := p.MaxKeySize; n > 0 {
			long := append(bytes.Clone(k), make([]byte, n+1-len(k))...)
			s.is("Put of a long key", t.Put(long, nil), backend.ErrTooLarge)
			if err := t.Put(long[:n], []byte("v")); err != nil {
				s.Errorf("Put of a key of %d bytes: %v", n, err)
			}
			if err := t.Delete(long[:n], 1); err != nil {
				return err
			}
		}
		if n := p.MaxValueSize; n > 0 {
			s.is("Put of a long value", t.Put(k, make([]byte, n+1)), backend.ErrTooLarge)
			if err := t.Put(k, make([]byte, n)); err != nil {
				s.Errorf("Put of a value of %d bytes: %v", n, err)
			}
		}
		return t.Put(k, []byte("v"))
	})
	s.checkScan(s, backend.Range{}, forward, []kv{{"g/before/", "v"}, {"g/i/", "v"}})
	// Reading what can't exist is no error.
	s.check(s, append(k, make([]byte, 1<<16)...), "")
}

// testLargeTransaction commits at once what a bulk import would.
func testLargeTransaction(s *store) {
	const n, size = 1000, 16 << 10
	s.update([]backend.Scope{whole("g")}, durable, func(_ context.Context, t backend.Txn) error {
		for i := range n {
			if err := t.Put(key("g", fmt.Sprintf("%06d", i)), noise(uint64(i), size)); err != nil {
				return err
			}
		}
		return nil
	})
	i := 0
	for e, err := range s.Scan(s.ctx, under("g"), forward) {
		if err != nil {
			s.Fatal(err)
		}
		if !bytes.Equal(e.Value, noise(uint64(i), size)) {
			s.Fatalf("the value of %q is wrong", e.Key)
		}
		i++
	}
	if i != n {
		s.Errorf("%d entries, want %d", i, n)
	}
}

func testProperties(s *store) {
	p := s.Properties()
	if p.Name == "" {
		s.Error("no name")
	}
	if (p.Partition == "") != (p.Parts == 0) || p.Parts < 0 {
		s.Errorf("%d parts by %q", p.Parts, p.Partition)
	}
	if p.Shards < 0 || p.Shards > 256 {
		s.Errorf("%d shards", p.Shards)
	}
	if n := p.MaxKeySize; n != 0 && n < largeKey {
		s.Errorf("MaxKeySize is %d, Shelflife needs %d", n, largeKey)
	}
	if n := p.MaxValueSize; n != 0 && n < largeValue {
		s.Errorf("MaxValueSize is %d, Shelflife needs %d", n, largeValue)
	}
	if err := s.Close(); err != nil {
		s.Errorf("Close: %v", err)
	}
	if after := s.Properties(); after != p {
		s.Errorf("after Close the properties are %+v, before %+v", after, p)
	}
}

func testReady(s *store) {
	if err := s.Ready(); err != nil {
		s.Errorf("Ready: %v", err)
	}
	s.put(durable, kv{"g/i/", "v"})
	if err := s.Ready(); err != nil {
		s.Errorf("Ready after an Update: %v", err)
	}
	if err := s.Close(); err != nil {
		s.Errorf("Close: %v", err)
	}
	s.is("Ready after Close", s.Ready(), backend.ErrClosed)
}

func testSize(s *store) {
	_, none := s.h.excepts([]Exception{NoSize})
	check := func() {
		for _, r := range []backend.Range{
			{},
			under("g"),
			{Start: []byte("g")},
			{End: []byte("g")},
			{Start: []byte("h"), End: []byte("g")},
			{Start: []byte("g"), End: []byte("g")},
			{Start: []byte{}, End: []byte{}},
		} {
			size, err := s.Size(s.ctx, r)
			if err != nil || size < 0 {
				s.Errorf("Size of %x: %d, %v", r, size, err)
			}
			if r.End != nil && bytes.Compare(r.Start, r.End) >= 0 && size != 0 {
				s.Errorf("Size of the empty range %x: %d", r, size)
			}
			if none && size != 0 {
				s.Errorf("Size of %x: %d, but %q is declared", r, size, NoSize)
			}
		}
	}
	check()
	s.put(durable, kv{"g/i/", string(noise(1, 10_000))})
	check()
	s.put(durable, kv{"g/i/", "v"})
	check()
}

// testSizeGrows compares figures that differ much: Size is an estimate. What
// was written lately may count after Reopen only.
func testSizeGrows(s *store) {
	const n, size = 256, 16 << 10
	for _, group := range []string{"g", "x"} {
		s.update([]backend.Scope{whole(group)}, durable, func(_ context.Context, t backend.Txn) error {
			for i := range n {
				if err := t.Put(key(group, fmt.Sprintf("%06d", i)), noise(uint64(i), size)); err != nil {
					return err
				}
			}
			return nil
		})
		if group == "g" && s.h.Reopen != nil {
			s.reopen() // the groups are apart where the engine keeps them
		}
	}
	if s.h.Reopen != nil {
		s.reopen()
	}
	const want = n * size
	for _, c := range []struct {
		r        backend.Range
		min, max int64
	}{
		{under("g"), want / 2, want * 3 / 2},
		{under("x"), want / 2, want * 3 / 2},
		{under("none"), 0, want / 4},
		{backend.Range{}, want, want * 3},
	} {
		if got, err := s.Size(s.ctx, c.r); err != nil || got < c.min || got > c.max {
			s.Errorf("Size of %x: %d, %v; want %d to %d", c.r, got, err, c.min, c.max)
		}
	}
}
