package catalog

// pieces is memory for copies that are let go of at about the same time: they share
// allocations of size bytes.
type pieces struct {
	size int
	last []byte // the end of what is taken of the last one
}

// copy returns a copy of b, which nothing writes to later. It is not nil.
func (p *pieces) copy(b []byte) []byte {
	if len(b) > cap(p.last)-len(p.last) || p.last == nil {
		p.last = make([]byte, 0, max(p.size, len(b)))
	}
	begin := len(p.last)
	p.last = append(p.last, b...)
	return p.last[begin:len(p.last):len(p.last)]
}
