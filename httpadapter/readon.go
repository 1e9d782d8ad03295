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
// say, or its length. If the connection were closed then, with bytes on it that
// nobody read, TCP would reset it, and the reset destroys what the peer has
// received and not yet read: the answer. So the answer is sent first, and the
// rest of the body is read and dropped behind it (RFC 9112, section 9.6), within
// these bounds and the largest request that the handler takes.
const (
	readOnTime = 10 * time.Second
	// readOnMany is how many requests of a Handler are read on at once. Further
	// ones get their answer and what net/http does by itself.
	readOnMany = 256
)

// ReadOn returns next with the care that a Handler takes of its own answers:
// when next has answered a request without having read its body to the end, the
// answer is sent and the rest is read and dropped, up to the largest request
// that h takes, or for 10 seconds, before the connection is closed or used
// again. Otherwise the client may see a reset connection, or 502 from a proxy,
// in place of the answer. Where the client awaits 100 Continue and next has not
// begun to read, nothing is read. An HTTP/2 stream can be ended without harm and
// is never read on.
//
// Handlers take care of their own answers, and WriteError of those that it
// gives. Wrap the whole of a host's routes for the others: answers of the mux,
// of a middleware, of the host's own endpoints.
//
// What stands between the server and ReadOn should let http.ResponseController
// through, by an Unwrap method: otherwise the answer waits until the rest was
// read, as long as a client that stands still lets it.
func (h *Handler) ReadOn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !sendsBody(r) {
			next.ServeHTTP(w, r)
			return
		}
		// A request of our own, because net/http has to find its own body in its
		// own request: what it does with the rest depends on it.
		own := *r
		own.Body = &watchedBody{ReadCloser: r.Body}
		answerEarly(w)
		next.ServeHTTP(w, &own)
		h.readOn(w, &own, false)
	})
}

// sendsBody reports whether a body comes with r that is not read on in another
// way.
func sendsBody(r *http.Request) bool {
	return r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0 && r.ProtoMajor < 2
}

// answerEarly keeps net/http from reading a part of the body before it sends the
// header of the answer, which a slow client would hold up. It must come before
// that header.
func answerEarly(w http.ResponseWriter) {
	// Where it isn't supported, some answers come later.
	_ = http.NewResponseController(w).EnableFullDuplex()
}

// watchedBody knows how far the body of a request was read.
type watchedBody struct {
	io.ReadCloser
	begun, ended atomic.Bool // a host may read in a goroutine of its own
}

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	b.begun.Store(true)
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.ended.Store(true)
	}
	return n, err
}

// begunError says that reading the body had begun when the error came up, for a
// host whose request is not watched.
type begunError struct{ error }

func (e begunError) Unwrap() error { return e.error }

// readOn sends the answer that was written to w and reads what r still brings.
// begun says that reading the body had begun; of a watched body that is known.
func (h *Handler) readOn(w http.ResponseWriter, r *http.Request, begun bool) {
	if !sendsBody(r) {
		return
	}
	if watched, ok := r.Body.(*watchedBody); ok {
		if watched.ended.Load() {
			return
		}
		begun = watched.begun.Load()
	}
	// To read would be to ask for a body that nobody wants.
	if !begun && awaitsContinue(r) {
		return
	}
	select {
	case h.readingOn <- struct{}{}:
	default:
		return
	}
	defer func() { <-h.readingOn }()
	control := http.NewResponseController(w)
	if err := control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return // the client left, or the connection is no longer the server's
	}
	// A deadline that has passed ends a read at once, and all later ones of this
	// request: the server is not to wait for the rest either.
	expired := make(chan struct{})
	timer := time.AfterFunc(readOnTime, func() {
		defer close(expired)
		_ = control.SetReadDeadline(time.Unix(1, 0))
	})
	// An error means that the client left, or that time is up.
	_, _ = io.CopyN(io.Discard, r.Body, h.largestRequest())
	if !timer.Stop() {
		<-expired // it must not meet the next request of the connection
	}
}

// awaitsContinue reports whether the client holds the body back until it is told
// to continue.
func awaitsContinue(r *http.Request) bool {
	return r.ProtoAtLeast(1, 1) && strings.Contains(strings.ToLower(r.Header.Get("Expect")), "100-continue")
}

func (h *Handler) largestRequest() int64 {
	return max(h.options.MaxJSONBytes, h.options.MaxMultipartBytes)
}
