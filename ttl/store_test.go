package ttl

import (
	"context"
	"flag"
	"iter"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/btree"
	"github.com/stretchr/testify/require"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random tests; 0: random")

// newRand prints the seed, so that -seed can replay a failure.
func newRand(t *testing.T) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("replay with -seed=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// testStore is a Store in memory that keeps its index informed as an owner
// has to.
type testStore struct {
	index *Index

	// Hooks, set before use. onExpire replaces the removal of a batch.
	onExpire func(due []Entry) (int, error)
	onYield  func() // between two entries of a scan
	scanErr  func(e Entry) error
	onSave   func() error // what a SaveProgress returns

	mu      sync.Mutex // guards the rest
	tree    *btree.BTreeG[Entry]
	handled []Entry
	batches []int
	scans   []int64 // where each scan began
	saved   []Progress
}

var _ Store = (*testStore)(nil)

func newTestStore(x *Index) *testStore {
	return &testStore{index: x, tree: btree.NewG(treeDegree, Entry.less)}
}

// write puts entries that the index hears nothing of.
func (s *testStore) write(entries ...Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		s.tree.ReplaceOrInsert(e)
	}
}

func (s *testStore) put(e Entry) (earliest bool) {
	s.write(e)
	return s.index.Add(e)
}

func (s *testStore) remove(e Entry) {
	s.drop(e)
	s.index.Remove(e)
}

func (s *testStore) drop(e Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tree.Delete(e)
}

func (s *testStore) all() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Entry
	s.tree.Ascend(func(e Entry) bool { all = append(all, e); return true })
	return all
}

func (s *testStore) Entries(ctx context.Context, from, to int64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		s.mu.Lock()
		snapshot := s.tree.Clone()
		s.scans = append(s.scans, from)
		s.mu.Unlock()
		snapshot.AscendRange(Entry{Deadline: from}, Entry{Deadline: to}, func(e Entry) bool {
			err := ctx.Err()
			if err == nil && s.scanErr != nil {
				err = s.scanErr(e)
			}
			if err != nil {
				yield(Entry{}, err)
				return false
			}
			if s.onYield != nil {
				s.onYield()
			}
			return yield(e, nil)
		})
	}
}

func (s *testStore) Expire(ctx context.Context, due []Entry) (int, error) {
	s.mu.Lock()
	s.batches = append(s.batches, len(due))
	s.mu.Unlock()
	if s.onExpire != nil {
		return s.onExpire(due)
	}
	return s.removeAll(due), ctx.Err()
}

func (s *testStore) removeAll(due []Entry) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range due {
		s.tree.Delete(e)
		s.handled = append(s.handled, e)
	}
	return len(due)
}

// handledLast returns the last entry that was removed, or none.
func (s *testStore) handledLast() Entry {
	if len(s.handled) == 0 {
		return Entry{}
	}
	return s.handled[len(s.handled)-1]
}

func (s *testStore) SaveProgress(_ context.Context, p Progress) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.onSave != nil {
		if err := s.onSave(); err != nil {
			return err
		}
	}
	s.saved = append(s.saved, p)
	return nil
}

// sweptTo returns how far each saved progress says that the sweeper came.
func (s *testStore) sweptTo() []int64 {
	var all []int64
	for _, p := range s.saved {
		all = append(all, p.SweptTo)
	}
	return all
}

// requireComplete checks the promise of an Index at rest.
func requireComplete(t *testing.T, x *Index, s *testStore) {
	t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	require.Equal(t, x.end, x.pending)
	require.LessOrEqual(t, x.entries.Len(), x.maxEntries)
	for _, e := range s.all() {
		if !e.less(x.end) {
			break
		}
		require.True(t, x.entries.Has(e), "%v lies below the end %v and is missing", e, x.end)
	}
	var last Entry
	x.entries.Ascend(func(e Entry) bool {
		require.False(t, e.less(last))
		last = e
		return true
	})
}

func ms(d time.Duration) int64 { return d.Milliseconds() }

const endOfTime = math.MaxInt64
