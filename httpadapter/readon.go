package httpadapter

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// A request may be answered before its body was read: because its key is wrong,
// say, or its length. If the connection were closed then, with unread bytes on
// it, TCP would reset it, and the reset destroys what the peer has
// received and not yet read: the answer. So the rest of the body is read and
// dropped (RFC 9112, section 9.6), within these bounds and the largest request
// that the handler takes.
//
// Over HTTP/1 the answer is sent first, so that a client which looks for it
// learns at once that it may stop; net/http reads up to 256 KiB ahead of it, and
// announces that the connection ends where that was not all. (It would not with
// EnableFullDuplex, and would take what a slow client sends of the body later
// for its next request.) Over HTTP/2 an error is sent behind the rest: the
// handler can end the stream only by returning, and a client that stops sending
// at the sight of an error waits for that end. Without any reading the stream
// ends in RST_STREAM, at which some clients drop the answer, though they must
// not, and others hang.
const (
	readOnTime = 10 * time.Second
	// readOnMany is how many requests of a Handler are read on at once. Further
	// ones get their answer and what net/http does by itself.
	readOnMany = 256
)

// ReadOn returns next with the care that a Handler takes of its own answers:
// when next answers a request without having read its body to the end, the rest
// is read and dropped, up to the largest request that h takes, or for 10 seconds,
// before the connection is closed or used again. Otherwise the client may see a
// reset connection, or 502 from a proxy, in place of the answer, and some HTTP/2
// clients lose it or wait forever. Where the client awaits 100 Continue and next
// has not begun to read, nothing is read.
//
// Handlers take care of their own answers, and WriteError of those that it
// gives. Wrap the whole of a host's routes for the others: answers of the mux,
// of a middleware, of the host's own endpoints. An answer that is an error or a
// redirect is taken to mean that next reads no further; behind any other, reading
// on begins when next has returned.
//
// What stands between the server and ReadOn should let http.ResponseController
// through, by an Unwrap method: otherwise the answer waits until the rest was
// read, as long as a client that stands still lets it.
func (h *Handler) ReadOn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.reading(w, r, bodyUse{}, next.ServeHTTP)
	})
}

// bodyUse is what is known of how a handler uses the body of a request.
type bodyUse struct {
	// readBefore says that it was read from already.
	readBefore bool
	// endsWithAnswer says that nothing of it is read once an answer has begun.
	endsWithAnswer bool
}

// reading calls next, and reads on what it leaves of the body.
func (h *Handler) reading(w http.ResponseWriter, r *http.Request, use bodyUse, next http.HandlerFunc) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		next(w, r)
		return
	}
	body, watched := r.Body.(*watchedBody)
	if !watched {
		body = &watchedBody{ReadCloser: r.Body, awaited: awaitsContinue(r)}
		body.readBegun.Store(use.readBefore)
		// A request of our own, because net/http has to find its own body in its
		// own request: what it does with the rest depends on it.
		own := *r
		own.Body = body
		r = &own
	}
	early := &earlyWriter{
		ResponseWriter: w, handler: h, body: body,
		http2: r.ProtoMajor >= 2, endsWithAnswer: use.endsWithAnswer,
	}
	next(early, r)
	early.finish()
}

// watchedBody knows how far the body of a request was read. A host may read it
// in a goroutine of its own.
type watchedBody struct {
	io.ReadCloser
	awaited   bool        // the client holds it back until it is told to continue
	readBegun atomic.Bool // reading it has begun
	ended     atomic.Bool // there is no more to read, or to be read on
}

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	b.readBegun.Store(true)
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.ended.Store(true)
	}
	return n, err
}

// isLeft reports whether there may be more to read on. Where the client awaits
// 100 Continue, to read would be to ask for a body that is not wanted.
func (b *watchedBody) isLeft() bool {
	return !b.ended.Load() && (b.readBegun.Load() || !b.awaited)
}

func awaitsContinue(r *http.Request) bool {
	return r.ProtoAtLeast(1, 1) && strings.Contains(strings.ToLower(r.Header.Get("Expect")), "100-continue")
}

// begunError says that reading the body had begun when the error came up, for a
// host whose request is not watched.
type begunError struct{ error }

func (e begunError) Unwrap() error { return e.error }

// earlyWriter is the answer to a request that may have a body left.
type earlyWriter struct {
	http.ResponseWriter
	handler        *Handler
	body           *watchedBody
	http2          bool
	endsWithAnswer bool
	answered       bool
	timer          *readTimer // nil until reading on has begun
}

// WriteHeader implements http.ResponseWriter.
func (w *earlyWriter) WriteHeader(status int) {
	w.before(status)
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *earlyWriter) Write(b []byte) (int, error) {
	w.before(http.StatusOK)
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *earlyWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// before comes ahead of an answer.
func (w *earlyWriter) before(status int) {
	if w.answered || status < http.StatusOK {
		return
	}
	w.answered = true
	refused := status >= http.StatusMultipleChoices
	if !refused && !w.endsWithAnswer || !w.body.isLeft() {
		return
	}
	// What net/http may read ahead of the answer counts too.
	w.timer = startReadTimer(w.ResponseWriter)
	if w.http2 && refused {
		w.handler.readOn(w.body)
	}
}

// finish comes when the handler has returned.
func (w *earlyWriter) finish() {
	if w.body.isLeft() {
		if w.timer == nil {
			w.timer = startReadTimer(w.ResponseWriter)
		}
		err := http.NewResponseController(w.ResponseWriter).Flush()
		// Any other error says that the client left, or that the connection is no
		// longer the server's.
		if err == nil || errors.Is(err, http.ErrNotSupported) {
			w.handler.readOn(w.body)
		}
	}
	if w.timer != nil {
		w.timer.stop()
	}
}

// readOn reads and drops what is left of a body, once.
func (h *Handler) readOn(b *watchedBody) {
	select {
	case h.readingOn <- struct{}{}:
	default:
		return
	}
	defer func() { <-h.readingOn }()
	// An error means that the client left, or that time is up.
	_, _ = io.CopyN(io.Discard, b, max(h.options.MaxJSONBytes, h.options.MaxMultipartBytes))
	b.ended.Store(true)
}

// readTimer ends the reading of a body when its time is up: by a deadline that
// has passed, which ends the read in progress and all later ones of this request,
// the server's own included.
type readTimer struct {
	timer *time.Timer
	fired chan struct{} // closed when the deadline was set
}

func startReadTimer(w http.ResponseWriter) *readTimer {
	t := &readTimer{fired: make(chan struct{})}
	control := http.NewResponseController(w)
	t.timer = time.AfterFunc(readOnTime, func() {
		defer close(t.fired)
		// An error says that the connection takes no deadlines.
		_ = control.SetReadDeadline(time.Unix(1, 0))
	})
	return t
}

// stop returns when the deadline can't be set any more: it must not meet the next
// request of the connection.
func (t *readTimer) stop() {
	if !t.timer.Stop() {
		<-t.fired
	}
}
