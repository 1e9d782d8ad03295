// Package verifiedchunks remembers which chunks of image bytes a process has compared
// with their checksums, so that an image that is asked for again and again is not
// summed up each time.
//
// # The invariant
//
// An ID stands for certain bytes: it is random, or made of their hash, and a load of what
// was dumped brings the same bytes under it again. What is stored under an ID and a
// number is never replaced by anything else. So a chunk that was right once stays
// right, in whichever account, but for what the storage does to it. A set may be used
// only where the engine notices that by itself: backend.Properties.Checksums.
//
// A set is a hint, of a fixed size: a chunk that it has forgotten is verified again.
package verifiedchunks

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/shelflife-db/shelflife/encoding"
)

const (
	// blocks times blockSlots is how many chunks a set holds at most: with chunks of
	// 256 KiB, those of 2 GiB, in 64 KiB of memory.
	blocks     = 64
	blockSlots = 128
)

// Set holds chunks that were verified. A nil Set holds none and takes none. It is
// safe for concurrent use.
type Set struct {
	// blocks are made when they are needed first: a process may have many catalogs
	// of which few are read.
	blocks [blocks]atomic.Pointer[[blockSlots]atomic.Uint64]
}

// Has reports whether the n-th value of a blob was added, and not forgotten since.
func (s *Set) Has(id encoding.BlobID, n uint32) bool {
	if s == nil {
		return false
	}
	print, slot := place(id, n)
	block := s.blocks[slot/blockSlots].Load()
	return block != nil && block[slot%blockSlots].Load() == print
}

// Add notes that the n-th value of a blob was compared with its checksum. The set
// forgets for it what was in its place.
func (s *Set) Add(id encoding.BlobID, n uint32) {
	if s == nil {
		return
	}
	print, slot := place(id, n)
	p := &s.blocks[slot/blockSlots]
	block := p.Load()
	if block == nil {
		block = new([blockSlots]atomic.Uint64)
		if !p.CompareAndSwap(nil, block) {
			block = p.Load() // another was faster
		}
	}
	block[slot%blockSlots].Store(print)
}

// place returns a fingerprint of a chunk, which is not 0, and the slot where it is
// kept. The ID is random, so each half of it is a hash. Another chunk has the same
// fingerprint and the same slot with a probability of 2^-76: less than that of damage
// which its checksum does not show.
func place(id encoding.BlobID, n uint32) (print uint64, slot uint32) {
	print = (binary.LittleEndian.Uint64(id[:8]) + uint64(n)<<32) | 1
	slot = (binary.LittleEndian.Uint32(id[8:]) + n) % (blocks * blockSlots)
	return print, slot
}
