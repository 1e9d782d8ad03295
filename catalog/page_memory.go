package catalog

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
	bytes    []byte
}

// copy returns a copy of an encoded record.
func (m *pageMemory) copy(record []byte) []byte {
	if len(record) > cap(m.bytes)-len(m.bytes) {
		m.bytes = make([]byte, 0, max(min(m.left*len(record), pageChunk), len(record)))
	}
	begin := len(m.bytes)
	m.bytes = append(m.bytes, record...)
	return m.bytes[begin:len(m.bytes):len(m.bytes)]
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
