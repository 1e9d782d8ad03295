package catalog

import (
	"strings"
	"unsafe"
)

const (
	// pageProducts and pageChunk bound what a page allocates at once, and so
	// what one product that is kept keeps with it.
	pageProducts = 16
	pageChunk    = 16 << 10
)

// pageMemory makes the products of a page out of few allocations.
type pageMemory struct {
	left     int // how many products are still to come at most
	products []productMemory
	// bytes is a chunk that is being filled. A Builder's memory, unlike that of
	// make, is not cleared first, which takes as long as filling it.
	bytes strings.Builder
}

// copy returns a copy of an encoded record.
func (m *pageMemory) copy(record []byte) []byte {
	if len(record) > m.bytes.Cap()-m.bytes.Len() {
		m.bytes.Reset()
		m.bytes.Grow(max(min(m.left*len(record), pageChunk), len(record)))
	}
	begin := m.bytes.Len()
	m.bytes.Write(record)
	// Nothing else refers to these bytes yet, so they may be changed as a slice.
	own := m.bytes.String()[begin:]
	return unsafe.Slice(unsafe.StringData(own), len(own))
}

// next returns memory for a product.
func (m *pageMemory) next() *productMemory {
	if len(m.products) == 0 {
		m.products = make([]productMemory, min(max(m.left, 1), pageProducts))
	}
	p := &m.products[0]
	m.products = m.products[1:]
	m.left--
	return p
}
