package main

import (
	"log/slog"
	"net/http"

	"github.com/shelflife-db/shelflife/ttl"
)

// How much of a method and of a path is logged, in bytes.
const (
	maxLoggedMethod = 32
	maxLoggedPath   = 1024
)

// logRequests returns next with a line in the log for each of its requests:
// method, path as it was escaped, status, duration, and the bytes of the
// answer's body. Headers and query are not logged.
func logRequests(log *slog.Logger, clock ttl.Clock, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := clock.Elapsed()
		method, path := shorten(r.Method, maxLoggedMethod), shorten(r.URL.EscapedPath(), maxLoggedPath)
		rec := &recorder{ResponseWriter: w}
		finished := false
		// Deferred for handlers that panic, to cut an answer off.
		defer func() {
			if rec.status == 0 && finished {
				rec.status = http.StatusOK
			}
			attrs := []slog.Attr{
				slog.String("method", method), slog.String("path", path), slog.Int("status", rec.status),
				slog.Duration("duration", clock.Elapsed()-start), slog.Int64("bytes", rec.bytes),
			}
			if !finished {
				attrs = append(attrs, slog.Bool("cut_off", true))
			}
			log.LogAttrs(r.Context(), slog.LevelInfo, "request", attrs...)
		}()
		next.ServeHTTP(rec, r)
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
	status int // 0 until there is one
	bytes  int64
}

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
	return n, err
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
