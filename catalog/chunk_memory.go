package catalog

import (
	"sync"

	"github.com/shelflife-db/shelflife/encoding"
)

// chunkMemory holds memory for the stored form of a chunk, of which no reader and no
// upload makes use.
var chunkMemory = sync.Pool{New: func() any {
	b := make([]byte, chunkSize+encoding.ChunkTrailer)
	return &b
}}

// smallChunk is the length, in bytes, below which a chunk is not worth memory that
// is given back.
const smallChunk = 16 << 10

// memoryFor returns memory for a chunk, and what is to be given back, if it is.
func memoryFor(size int) (chunk []byte, pooled *[]byte) {
	if size < smallChunk || size > chunkSize {
		return make([]byte, size), nil
	}
	pooled = chunkMemory.Get().(*[]byte)
	return (*pooled)[:size], pooled
}

// giveBack gives back memory of memoryFor, if it is to be.
func giveBack(pooled *[]byte) {
	if pooled != nil {
		chunkMemory.Put(pooled)
	}
}
