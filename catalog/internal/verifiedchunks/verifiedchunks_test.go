package verifiedchunks_test

import (
	"crypto/rand"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog/internal/verifiedchunks"
	"github.com/shelflife-db/shelflife/encoding"
)

func newID() (id encoding.BlobID) {
	_, _ = rand.Read(id[:])
	return id
}

func TestSet(t *testing.T) {
	s := new(verifiedchunks.Set)
	a, b := newID(), newID()
	require.False(t, s.Has(a, 1))
	s.Add(encoding.BlobID{}, 1) // in the block of what follows
	require.False(t, s.Has(encoding.BlobID{}, 0), "an empty slot is no chunk")
	s.Add(a, 1)
	require.True(t, s.Has(a, 1))
	require.False(t, s.Has(a, 2), "another chunk of the blob")
	require.False(t, s.Has(a, 1+8192), "one that has its slot")
	require.False(t, s.Has(b, 1), "another blob")
	s.Add(a, 1+8192)
	require.False(t, s.Has(a, 1), "it had to go")
	require.True(t, s.Has(a, 1+8192))
}

func TestNilSet(t *testing.T) {
	var s *verifiedchunks.Set
	id := newID()
	s.Add(id, 1)
	require.False(t, s.Has(id, 1))
}

// The set never says of a chunk that it was added when it was not.
func TestNoneTooMany(t *testing.T) {
	s := new(verifiedchunks.Set)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 20_000 {
				s.Add(newID(), 3)
			}
		})
	}
	for range 20_000 {
		if s.Has(newID(), 3) {
			t.Error("a chunk that was never added")
			break
		}
	}
	group.Wait()
}
