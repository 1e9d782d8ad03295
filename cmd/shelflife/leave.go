package main

import (
	"errors"
	"net/http"
	"sync/atomic"
)

// leave is whether a server is about to stop, which it tells those that ask whether it
// is ready, and every client with its next answer. It is safe for concurrent use.
type leave struct{ begun atomic.Bool }

var errStopping = errors.New("the server is stopping")

// ready returns a function that says what of does, but for a server that stops.
func (l *leave) ready(of func() error) func() error {
	return func() error {
		if l.begun.Load() {
			return errStopping
		}
		return of()
	}
}

// wrap returns h with connections that end with their next answer once the server is
// about to stop: a client that has heard of it sends nothing on a connection that is
// closed meanwhile. http.Server.SetKeepAlivesEnabled is no way to do so, as it closes
// those that stand still at once. Over HTTP/2 the server says it by a frame of its own.
func (l *leave) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.begun.Load() {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}
