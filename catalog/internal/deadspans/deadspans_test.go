package deadspans

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/encoding"
)

func key(id string) string { return string(encoding.AppendProductKey(nil, "a", id)) }

// kept makes a span of some IDs, the last one not included.
func kept(s *Spans, from, to string) {
	w := s.Watch("a")
	defer w.End()
	w.Keep(key(from), key(to), 1000)
}

func written(s *Spans, ids ...string) {
	for _, id := range ids {
		var m Mark
		s.Mark(&m, "a", id)
		s.Unmark(&m)
	}
}

// in reports which IDs lie in spans.
func in(s *Spans, ids ...string) (found []string) {
	for _, id := range ids {
		if s.Behind("a", []byte(key(id))) != "" {
			found = append(found, id)
		}
	}
	return found
}

func TestBehind(t *testing.T) {
	s := New()
	require.Empty(t, in(s, "a", "b"))
	kept(s, "b", "f")
	require.Equal(t, key("f"), s.Behind("a", []byte(key("b"))))
	require.Equal(t, []string{"b", "c", "eee"}, in(s, "a", "b", "c", "eee", "f", "g"))
	require.Empty(t, s.Behind("b", []byte(key("c"))), "another account")

	// What touches or overlaps is one.
	kept(s, "f", "h")
	kept(s, "a", "c")
	require.Equal(t, key("h"), s.Behind("a", []byte(key("a"))))
	kept(s, "m", "n")
	require.Equal(t, []string{"g", "m"}, in(s, "g", "h", "m", "n"))
	kept(s, "0", "z")
	require.Equal(t, key("z"), s.Behind("a", []byte(key("a"))))
	require.EqualValues(t, 1, s.count.Load())
	s.Reset()
	require.Empty(t, in(s, "a", "g", "m"))
	require.Zero(t, s.count.Load())
}

// What is written leaves the span alone.
func TestMarkCuts(t *testing.T) {
	s := New()
	kept(s, "b", "f")
	written(s, "d")
	require.Equal(t, []string{"b", "c", "d0", "e"}, in(s, "b", "c", "d", "d0", "e", "f"))
	require.Equal(t, key("d"), s.Behind("a", []byte(key("b"))))
	written(s, "b", "a", "f", "d")
	require.Equal(t, []string{"b0", "d0"}, in(s, "b", "b0", "d", "d0"))
	// From the front a span only shrinks.
	s.Reset()
	kept(s, "0000", "1000")
	for i := range 500 {
		written(s, fmt.Sprintf("%04d", i))
	}
	require.Empty(t, in(s, "0499"))
	require.Equal(t, []string{"0500", "0999"}, in(s, "0500", "0999"))
}

// What is written while a walk reads is in none of its spans, whenever the writer
// came.
func TestKeepAmongWriters(t *testing.T) {
	for name, write := range map[string]func(s *Spans, keep func()){
		"marked before the watch": func(s *Spans, keep func()) {
			var m Mark
			s.Mark(&m, "a", "d")
			keep()
			s.Unmark(&m)
		},
		"ended during the watch": func(s *Spans, keep func()) {
			var m Mark
			s.Mark(&m, "a", "d")
			w := s.Watch("a")
			s.Unmark(&m)
			w.Keep(key("b"), key("f"), 1000)
			w.End()
		},
		"written during the watch": func(s *Spans, keep func()) {
			w := s.Watch("a")
			written(s, "d")
			w.Keep(key("b"), key("f"), 1000)
			w.End()
		},
		"written ahead of what was kept first": func(s *Spans, keep func()) {
			w := s.Watch("a")
			written(s, "d")
			w.Keep(key("b"), key("c"), 1000)
			w.Keep(key("c"), key("f"), 1000)
			w.End()
		},
		"marked behind what was kept": func(s *Spans, keep func()) {
			keep()
			written(s, "d")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := New()
			write(s, func() { kept(s, "b", "f") })
			require.Equal(t, []string{"b", "c", "e"}, in(s, "a", "b", "c", "d", "e", "f"))
		})
	}
	s := New()
	w := s.Watch("a")
	s.Reset()
	w.Keep(key("b"), key("f"), 1000)
	require.Empty(t, in(s, "c"), "what was read may have been taken back")
	w.End()
	w = s.Watch("a")
	for i := range maxWritten + 1 {
		written(s, fmt.Sprintf("z%05d", i))
	}
	w.Keep(key("b"), key("f"), 1000)
	require.Empty(t, in(s, "c"), "it is not known any more what was written")
	w.End()
	require.Empty(t, w.shard.watches)
	require.Nil(t, w.shard.marks)
}

// A snapshot is made between Known and Holds: nothing may have been written to a
// span meanwhile, also not to one that was forgotten.
func TestKnown(t *testing.T) {
	s := New()
	none := s.Known("a")
	require.True(t, none.Holds())
	require.Empty(t, none.Behind([]byte(key("c"))))

	kept(s, "b", "f")
	k := s.Known("a")
	written(s, "x")
	kept(s, "m", "n")
	require.True(t, k.Holds())
	require.Equal(t, key("f"), k.Behind([]byte(key("c"))))
	require.Empty(t, k.Behind([]byte(key("m"))), "what is known later says nothing of the snapshot")

	for name, change := range map[string]func(){
		"cut":          func() { written(s, "c") },
		"cut and made": func() { written(s, "c"); kept(s, "c", "c1") },
		"reset":        s.Reset,
		"forgotten": func() {
			for i := 0; len(in(s, "c")) > 0; i++ {
				w := s.Watch("a")
				w.Keep(key(fmt.Sprintf("z%08d", i)), key(fmt.Sprintf("z%08d0", i)), 2000)
				w.End()
			}
		},
	} {
		s.Reset()
		kept(s, "b", "f")
		k := s.Known("a")
		require.NotEmpty(t, k.Behind([]byte(key("c"))))
		change()
		require.False(t, k.Holds(), name)
		require.Empty(t, k.Behind([]byte(key("c"))), name)
	}
}

// A walk that keeps late leaves a span alone that another has made since: a loop
// that knows of it must hear of every key that is cut out of it.
func TestKnownAndLateKeep(t *testing.T) {
	s := New()
	slow := s.Watch("a")
	written(s, "c") // and removed: nothing lives there
	kept(s, "b", "f")
	k := s.Known("a")
	slow.Keep(key("a"), key("g"), 1000)
	slow.End()
	require.Equal(t, []string{"a", "c", "f"}, in(s, "a", "c", "f"))
	written(s, "c") // and acknowledged: it is in the snapshot
	require.False(t, k.Holds())
}

// The spans are bounded, and forgotten from everywhere.
func TestBounds(t *testing.T) {
	s := New()
	name := func(i int) string { return fmt.Sprintf("z%04d", i) }
	for i := range 2 * maxSpans {
		w := s.Watch("a")
		w.Keep(key(name(i)), key(name(i)+"0"), 10)
		w.End()
	}
	require.EqualValues(t, maxSpans, s.count.Load())
	front := 0
	for i := range maxSpans {
		front += len(in(s, name(i)))
	}
	require.Greater(t, front, maxSpans/8)
	for i := range 100_000 {
		account := fmt.Sprint(i)
		w := s.Watch(account)
		start := string(encoding.AppendProductKey(nil, account, "p"))
		w.Keep(start, successor(start), 10)
		w.End()
		require.NotEmpty(t, s.Behind(account, []byte(start)), "what was kept last")
	}
	n := 0
	for i := range s.shards {
		sh := &s.shards[i]
		spans := 0
		for _, of := range sh.accounts {
			spans += len(of)
		}
		require.Equal(t, spans, sh.spans)
		require.LessOrEqual(t, spans, maxSpans)
		n += spans
	}
	require.EqualValues(t, n, s.count.Load())
}

// Under any interleaving a span holds no product that lived when it was asked:
// writers make products live and removers end them for good, walks read and keep.
func TestNeverALivingOne(t *testing.T) {
	const products, steps = 40, 4000
	s := New()
	var scopes [products]sync.Mutex
	var live [products]atomic.Bool // what a read of the store finds
	id := func(i int) string { return fmt.Sprintf("%02d", i) }
	stop := make(chan struct{})
	var writers, walks sync.WaitGroup
	for w := range 3 {
		writers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 1))
			var m Mark
			for range steps {
				i := random.IntN(products)
				scopes[i].Lock()
				if random.IntN(3) > 0 {
					live[i].Store(false)
				} else {
					s.Mark(&m, "a", id(i))
					live[i].Store(true)
					s.Unmark(&m)
					// Acknowledged: from now on it is in no span, while it lives.
					if s.Behind("a", []byte(key(id(i)))) != "" {
						t.Errorf("%s lives in a span", id(i))
					}
				}
				scopes[i].Unlock()
			}
		})
	}
	for w := range 2 {
		walks.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 2))
			for {
				select {
				case <-stop:
					return
				default:
				}
				watch := s.Watch("a")
				first := random.IntN(products)
				i := first
				for ; i < products && !live[i].Load(); i++ {
					if random.IntN(8) == 0 && i > first {
						watch.Keep(key(id(first)), key(id(i)), i-first)
						first = i
					}
				}
				if i > first {
					watch.Keep(key(id(first)), successor(key(id(i-1))), i-first)
				}
				watch.End()
			}
		})
	}
	writers.Wait()
	close(stop)
	walks.Wait()
	for i := range products {
		if live[i].Load() {
			require.Empty(t, in(s, id(i)))
		}
	}
}
