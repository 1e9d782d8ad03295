package main

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/ttl"
)

const healthPath = "/healthz"

// Bounds on clients. No time bounds a whole request: an upload may take as
// long as the pace allows.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 2 * time.Minute // see connlimit.Limiter.CloseIdle
	maxHeaderBytes    = 16 << 10        // tiny headers take ten times that in memory
	stallTimeout      = 30 * time.Second
	slowestClient     = 4 << 10 // bytes per second
)

// newServer returns a server of root. Its idle connections are for the caller to
// close.
func newServer(root http.Handler, clock ttl.Clock, log *slog.Logger, proxies trustedProxies) *http.Server {
	return &http.Server{
		Handler:           watched(root, clock, log, proxies),
		ReadHeaderTimeout: readHeaderTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		// OPTIONS * is answered like any other request.
		DisableGeneralOptionsHandler: true,
	}
}

// watched returns root with its requests logged and its clients kept to the pace.
func watched(root http.Handler, clock ttl.Clock, log *slog.Logger, proxies trustedProxies) http.Handler {
	p := pace{clock: clock, stall: stallTimeout, slowest: slowestClient}
	return logRequests(log, clock, proxies, p.wrap(root))
}

// takeHTTP2 makes a server take HTTP/2 beside HTTP/1. What a connection may hold
// that no handler has asked for is kept small, since no budget counts it; requests
// are counted where connections are.
func takeHTTP2(server *http.Server) {
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	server.HTTP2 = &http.HTTP2Config{
		MaxConcurrentStreams: 100,
		MaxReadFrameSize:     16 << 10, // the least
		// Each handler that does not read holds what came for it, no more than for a
		// stream, so handlers bound the memory and not connections; and the bodies of
		// some that wait, such as bulk upserts at their rate, don't keep those of the
		// others from being read that a proxy sends on the same connection.
		MaxReceiveBufferPerConnection: 16 * 64 << 10,
		MaxReceiveBufferPerStream:     64 << 10,
		MaxEncoderHeaderTableSize:     4 << 10,
		MaxDecoderHeaderTableSize:     4 << 10,
		SendPingTimeout:               stallTimeout,
		PingTimeout:                   stallTimeout,
		WriteByteTimeout:              stallTimeout,
	}
}

// mount returns a handler that serves health at exactly healthPath, and under
// prefix, which cleanPrefix returned, the dashboard, if it is not nil, and api.
func mount(prefix string, api, dashboard, health http.Handler) http.Handler {
	under := http.StripPrefix(prefix, api)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.EscapedPath()
		switch {
		case path == healthPath:
			httpadapter.RequestID(w, r)
			health.ServeHTTP(w, r)
		case dashboard != nil && path == prefix+strings.TrimSuffix(dashboardPath, "/"):
			httpadapter.RequestID(w, r)
			// Relative: behind a proxy the path is another one.
			w.Header().Set("Location", "."+dashboardPath)
			w.WriteHeader(http.StatusMovedPermanently)
		case dashboard != nil && strings.HasPrefix(path, prefix+dashboardPath):
			dashboard.ServeHTTP(w, r)
		case strings.HasPrefix(path, prefix+"/"):
			under.ServeHTTP(w, r)
		default:
			httpadapter.RequestID(w, r)
			answerJSON(w, r, http.StatusNotFound, `{"code":"NOT_FOUND","message":"no such path","status":404}`)
		}
	})
}

// cleanPrefix returns the path that a flag gives, without a slash at its end: ""
// for the root.
func cleanPrefix(flag, path string) (string, error) {
	if path == "" || path == "/" {
		return "", nil
	}
	wrong := fmt.Errorf("%s %q must be a path like /shop, of letters, digits, -, . and _", flag, path)
	rest, ok := strings.CutPrefix(strings.TrimSuffix(path, "/"), "/")
	if !ok {
		return "", wrong
	}
	for segment := range strings.SplitSeq(rest, "/") {
		if segment == "" || segment == "." || segment == ".." || strings.ContainsFunc(segment, notPlain) {
			return "", wrong
		}
	}
	return "/" + rest, nil
}

// notPlain reports whether r might be escaped in a URL by some clients and not
// by others.
func notPlain(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.', r == '_':
		return false
	}
	return true
}

// healthHandler answers 200 when ready returns nil, else 503. A store that is
// damaged in part is served, and said to be.
func healthHandler(ready, damage func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			answerJSON(w, r, http.StatusMethodNotAllowed, `{"code":"METHOD_NOT_ALLOWED","message":"this path does not take the method","status":405}`)
		case ready() != nil:
			answerJSON(w, r, http.StatusServiceUnavailable, `{"status":"unavailable"}`)
		case damage() != nil:
			answerJSON(w, r, http.StatusOK, `{"status":"damaged","message":"a part of the store can't be read: the log says which, and shelflife check finds the rest of it"}`)
		default:
			answerJSON(w, r, http.StatusOK, `{"status":"ok"}`)
		}
	})
}

func answerJSON(w http.ResponseWriter, r *http.Request, status int, body string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		// An error means that the client left.
		_, _ = io.WriteString(w, body)
	}
}
