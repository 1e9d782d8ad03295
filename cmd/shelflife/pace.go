package main

import (
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/shelflife-db/shelflife/ttl"
)

// pace bounds how long a client may keep a request open by sending its body,
// or taking the answer, slowly. Only time spent waiting for the client counts:
// it may never stand still for longer than stall, and must on the whole not be
// slower than slowest, given one stall for free. So a large upload on a slow
// line goes through, and a byte a second does not hold a connection for long.
// A client that sends its body does not stand still: an answer that is written
// meanwhile may wait for it to begin reading.
type pace struct {
	clock   ttl.Clock
	stall   time.Duration
	slowest int64 // bytes per second
}

// wrap returns next with the pace applied to its requests.
func (p pace) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		// The server may read what is left of the body and write small answers
		// by itself, before next touches either or after it has returned. The
		// deadlines last used on the connection would hold then. An error says
		// that the connection has none: not a server's.
		reads := &readDeadline{set: control.SetReadDeadline}
		setReadDeadline := func(d time.Duration) { _ = reads.setPace(p.clock.Now().Add(d)) }
		setWriteDeadline := func(d time.Duration) { _ = control.SetWriteDeadline(p.clock.Now().Add(d)) }
		answer := &pacedWriter{w, budget{pace: p, set: setWriteDeadline}, reads}
		body := &pacedBody{done: true}
		defer func() {
			if body.done {
				setWriteDeadline(p.stall)
				return
			}
			// The server may wait for the rest of the body before it answers.
			setReadDeadline(p.stall)
			setWriteDeadline(2 * p.stall)
		}()
		if r.Body != nil && r.Body != http.NoBody {
			body = &pacedBody{
				ReadCloser: r.Body,
				budget:     budget{pace: p, set: setReadDeadline},
				answer:     &answer.budget,
			}
			// The server has to find its own body in its own request, to know what
			// of it is not worth reading, and that a client waits to be told to
			// continue.
			own := *r
			own.Body = body
			r = &own
			setReadDeadline(p.stall)
		}
		next.ServeHTTP(answer, r)
	})
}

// budget is how much more time a client may take. One goroutine transfers at a time.
type budget struct {
	pace
	set func(time.Duration) // sets the deadline of one transfer

	mu     sync.Mutex // guards the fields below, and that set is called in their order
	moved  int64      // bytes
	waited time.Duration
	going  bool          // a transfer goes on
	most   int           // bytes of it
	start  time.Duration // of it, as the clock's Elapsed
}

// transfer runs move, which moves at most n bytes more, within the budget.
func (b *budget) transfer(n int, move func() (int, error)) (int, error) {
	b.mu.Lock()
	b.going, b.most = true, n
	b.begin()
	b.mu.Unlock()
	n, err := move()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.going = false
	b.waited += b.clock.Elapsed() - b.start
	b.moved += int64(n)
	return n, err
}

// begin starts the time of a transfer. The caller holds mu.
func (b *budget) begin() {
	free := min(b.stall, b.stall+b.time(b.moved)-b.waited)
	b.set(max(free, 0) + b.time(int64(b.most)))
	b.start = b.clock.Elapsed()
}

// excuse has the time of a transfer that goes on start anew: the client did something
// else until now.
func (b *budget) excuse() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.going {
		b.begin()
	}
}

// time returns how long n bytes may take.
func (b *budget) time(n int64) time.Duration {
	return time.Duration(float64(n) / float64(b.slowest) * float64(time.Second))
}

// readDeadline is when the reads of one request end: at the pace's deadline, or
// at the handler's own if that is earlier.
type readDeadline struct {
	mu  sync.Mutex // guards own, and that set is called with the right one last
	own time.Time  // zero if the handler has set none
	set func(time.Time) error
}

func (d *readDeadline) setPace(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.own.IsZero() && d.own.Before(t) {
		t = d.own
	}
	return d.set(t)
}

func (d *readDeadline) setOwn(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.own = t
	return d.set(t)
}

// pacedBody is the body of a request.
type pacedBody struct {
	io.ReadCloser
	budget
	done   bool
	answer *budget // of the same request
}

func (b *pacedBody) Read(buf []byte) (int, error) {
	if b.done {
		return b.ReadCloser.Read(buf)
	}
	n, err := b.transfer(0, func() (int, error) { return b.ReadCloser.Read(buf) })
	if n > 0 || err == io.EOF {
		b.answer.excuse()
	}
	// From the end on the server reads ahead to notice a client that leaves,
	// without the deadline: one that passed would count as that.
	b.done = err == io.EOF
	return n, err
}

// pacedWriter is the answer to a request.
type pacedWriter struct {
	http.ResponseWriter
	budget
	reads *readDeadline
}

// SetReadDeadline is for http.ResponseController: a deadline that the handler
// sets outlives the next read of the body.
func (w *pacedWriter) SetReadDeadline(t time.Time) error { return w.reads.setOwn(t) }

// pieceSize is how much of an answer is written with one deadline: a client that
// takes nothing is cut off after one stall, however long the answer is.
const pieceSize = 16 << 10

func (w *pacedWriter) Write(data []byte) (written int, err error) {
	for first := true; first || len(data) > 0 && err == nil; first = false {
		piece := data[:min(len(data), pieceSize)]
		var n int
		n, err = w.transfer(len(piece), func() (int, error) { return w.ResponseWriter.Write(piece) })
		written += n
		data = data[len(piece):]
	}
	return written, err
}

// Unwrap is for http.ResponseController.
func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
