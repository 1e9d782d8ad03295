package pebble

import "sync"

// arenaBlock is the size in bytes of a block of an arena.
const arenaBlock = 1 << 20

var arenaBlocks = sync.Pool{New: func() any { return new([arenaBlock]byte) }}

// arenas have memory of earlier ones.
var arenas = sync.Pool{New: func() any { return new(arena) }}

// arena is the memory of an Update in bulk, used again by later ones: megabytes that
// are new each time cost more than what is written to them.
type arena struct {
	blocks []*[arenaBlock]byte
	used   int // of the last block
	// writes and entries are memory for those of the transaction.
	writes  []write
	entries []loadEntry
}

// copy returns a copy of b that lasts until release. It is not nil.
func (a *arena) copy(b []byte) []byte {
	if len(b) > arenaBlock/4 {
		return append([]byte{}, b...)
	}
	if len(a.blocks) == 0 || a.used+len(b) > arenaBlock {
		a.blocks = append(a.blocks, arenaBlocks.Get().(*[arenaBlock]byte))
		a.used = 0
	}
	block := a.blocks[len(a.blocks)-1]
	end := a.used + len(b)
	dst := block[a.used:end:end]
	copy(dst, b)
	a.used = end
	return dst
}

// release gives the memory back.
func (a *arena) release() {
	for _, block := range a.blocks {
		arenaBlocks.Put(block)
	}
	clear(a.blocks)
	clear(a.writes[:cap(a.writes)])
	clear(a.entries[:cap(a.entries)])
	a.blocks, a.used = a.blocks[:0], 0
	arenas.Put(a)
}
