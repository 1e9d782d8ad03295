package main

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/shelflife-db/shelflife/cmd/shelflife/internal/connlimit"
	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/ttl"
)

// How much of a method and of a path is logged, in bytes.
const (
	maxLoggedMethod = 32
	maxLoggedPath   = 1024
)

// notes are what is learned about a request while it is answered.
type notes struct{ account string }

type notesKey struct{}

// noteAccount returns authenticate, which then lets the log know whose request it
// was, and the limiter of connections that the key was valid.
func noteAccount(authenticate func(*http.Request) (string, error)) func(*http.Request) (string, error) {
	return func(r *http.Request) (account string, err error) {
		account, err = authenticate(r)
		if err == nil {
			connlimit.Authenticated(r.Context())
			if n, ok := r.Context().Value(notesKey{}).(*notes); ok {
				n.account = account
			}
		}
		return account, err
	}
}

// logRequests returns next with a line in the log for each of its requests:
// method, path as it was escaped, status, the code of an error, account if it is
// known, address of the client, the request ID that the answer has, duration,
// the bytes of the answer's body, and whether the answer was cut off. Other headers and the query are not logged.
func logRequests(log *slog.Logger, clock ttl.Clock, proxies trustedProxies, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := clock.Elapsed()
		method, path := shorten(r.Method, maxLoggedMethod), shorten(r.URL.EscapedPath(), maxLoggedPath)
		rec, n := &recorder{ResponseWriter: w}, new(notes)
		finished := false
		// Deferred for handlers that panic, to cut an answer off.
		defer func() {
			if rec.status == 0 && finished {
				rec.status = http.StatusOK
			}
			attrs := make([]slog.Attr, 0, 10)
			attrs = append(attrs, slog.String("method", method), slog.String("path", path), slog.Int("status", rec.status))
			for _, a := range []slog.Attr{
				slog.String("code", rec.code), slog.String("account", n.account),
				slog.String("client", proxies.client(r)), slog.String("request_id", w.Header().Get(httpadapter.RequestIDHeader)),
			} {
				if a.Value.String() != "" {
					attrs = append(attrs, a)
				}
			}
			attrs = append(attrs, slog.Duration("duration", clock.Elapsed()-start), slog.Int64("bytes", rec.bytes))
			if !finished || rec.failed {
				attrs = append(attrs, slog.Bool("cut_off", true))
			}
			log.LogAttrs(r.Context(), slog.LevelInfo, "request", attrs...)
		}()
		next.ServeHTTP(rec, r.WithContext(context.WithValue(r.Context(), notesKey{}, n)))
		finished = true
	})
}

func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return text[:limit] + "..."
}

// recorder takes note of what was answered.
type recorder struct {
	http.ResponseWriter
	status int    // 0 until there is one
	code   string // of an error
	bytes  int64
	failed bool // a part of the answer did not reach the client
}

var _ httpadapter.CodeRecorder = (*recorder)(nil)

// RecordCode implements httpadapter.CodeRecorder.
func (r *recorder) RecordCode(code string) { r.code = code }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(data []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(data)
	r.bytes += int64(n)
	r.failed = r.failed || err != nil
	return n, err
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
