package pebble

import (
	"sync"

	"github.com/shelflife-db/shelflife/backend/pebble/internal/reclaim"
)

// maxKeptWrites bounds the memory of many writes that is kept.
const maxKeptWrites = 4096

// txnMemories has memory of earlier transactions of many writes.
var txnMemories = sync.Pool{New: func() any { return new(txnMemory) }}

// txnMemory is what a transaction notes of many writes: what is new each time costs as
// much as the batch, and the garbage collector has to follow it.
type txnMemory struct {
	writes  []write
	deleted []reclaim.Key
	keys    []byte // of deleted
}

// release leaves the memory to a later transaction.
func (m *txnMemory) release(writes []write) {
	m.writes = writes
	if cap(writes) > maxKeptWrites || cap(m.deleted) > maxKeptWrites || cap(m.keys) > maxKeptWrites*64 {
		return
	}
	clear(writes) // they refer to the batch
	m.writes = writes[:0]
	txnMemories.Put(m)
}
