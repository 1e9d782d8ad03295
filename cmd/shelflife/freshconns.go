package main

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// freshConns knows the connections of a server whose first request has not reached the
// handler. http.Server.Shutdown drops those without an answer, also where the request
// has come. It is safe for concurrent use.
type freshConns struct {
	mu    sync.Mutex // guards the rest
	conns map[net.Conn]struct{}
	none  chan struct{} // closed when there is none; nil unless it is waited for
}

type freshKey struct{}

// freshWait bounds the wait for the first request of a connection when the server stops.
const freshWait = time.Second

// watch has f know the connections of s. It is called last, before s serves.
func (f *freshConns) watch(s *http.Server) {
	f.conns = map[net.Conn]struct{}{}
	handler, connContext := s.Handler, s.ConnContext
	s.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		f.mu.Lock()
		f.conns[c] = struct{}{}
		f.mu.Unlock()
		if connContext != nil {
			ctx = connContext(ctx, c)
		}
		return context.WithValue(ctx, freshKey{}, c)
	}
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(freshKey{}).(net.Conn); ok {
			f.forget(c)
		}
		handler.ServeHTTP(w, r)
	})
	s.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateClosed || state == http.StateHijacked {
			f.forget(c)
		}
	}
}

func (f *freshConns) forget(c net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, c)
	if len(f.conns) == 0 && f.none != nil {
		close(f.none)
		f.none = nil
	}
}

// await returns when there are none, or ctx ends, or some time has passed. No further
// connection is accepted by then, and only one call waits.
func (f *freshConns) await(ctx context.Context) {
	f.mu.Lock()
	if len(f.conns) == 0 {
		f.mu.Unlock()
		return
	}
	none := make(chan struct{})
	f.none = none
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, freshWait)
	defer cancel()
	select {
	case <-none:
	case <-ctx.Done():
	}
}
