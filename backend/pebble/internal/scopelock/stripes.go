package scopelock

import "sync/atomic"

// blockStripes is how many stripes are made together.
const blockStripes = 8

// stripes are those of a kind, made when they are needed first: a process may
// have many stores of which few are in use.
type stripes[S any] struct {
	blocks []atomic.Pointer[[blockStripes]S]
}

func newStripes[S any](n int) stripes[S] {
	return stripes[S]{make([]atomic.Pointer[[blockStripes]S], n/blockStripes)}
}

func (s *stripes[S]) at(i uint16) *S {
	p := &s.blocks[i/blockStripes]
	b := p.Load()
	if b == nil {
		b = new([blockStripes]S)
		if !p.CompareAndSwap(nil, b) {
			b = p.Load() // another was faster
		}
	}
	return &b[i%blockStripes]
}
