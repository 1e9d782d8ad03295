package httpadapter

import (
	"crypto/rand"
	"net/http"
	"strings"
)

// RequestIDHeader names a request: in the request if the client gives it a name,
// in the answer always, and as request_id in the log.
const RequestIDHeader = "X-Request-ID"

// maxRequestID is how long an ID of a client may be, in bytes.
const maxRequestID = 128

// RequestID returns the ID of the request that w answers, and sets it on the
// answer: what is set there already, else the client's if it is 1 to 128
// printable ASCII characters without a space, else a new one. The first call
// must come before the header of the answer is written. Handlers make it by
// themselves; call it before them, in a middleware, to know the ID.
func RequestID(w http.ResponseWriter, r *http.Request) string {
	if id := w.Header().Get(requestIDHeader); id != "" {
		return id
	}
	id := r.Header.Get(requestIDHeader)
	if id == "" || len(id) > maxRequestID || strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		id = rand.Text()
	}
	w.Header().Set(requestIDHeader, id)
	return id
}
