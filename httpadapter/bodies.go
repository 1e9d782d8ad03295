package httpadapter

import "sync"

// bodies is memory for the bodies of answers, used again.
type bodies struct {
	pool sync.Pool
	// most is how large one may be to be kept, in bytes: what is larger is rare.
	most int
}

var (
	productBodies = &bodies{most: 16 << 10}
	pageBodies    = &bodies{most: 256 << 10}
)

// take returns an empty body, which is the caller's until put.
func (b *bodies) take() *[]byte {
	body, ok := b.pool.Get().(*[]byte)
	if !ok {
		return new([]byte)
	}
	*body = (*body)[:0]
	return body
}

// put takes a body back, with the error of writing it. One that could not be written
// is left alone: net/http may still be sending it, since over HTTP/2 a Write whose
// stream ends returns before the frame does. The next answer in that memory could
// be another account's.
func (b *bodies) put(body *[]byte, written error) {
	if written == nil && cap(*body) <= b.most {
		b.pool.Put(body)
	}
}
