package admin

import (
	"context"
	"io"
	"net/http"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"time"
)

// The profiles are those of package runtime/pprof, in the form that "go tool pprof"
// reads. Package net/http/pprof would put them, and the command line, on
// http.DefaultServeMux of every program that links this one.

// How long a profile takes that is recorded over a time.
const (
	defaultProfile = 30 * time.Second
	longestProfile = 5 * time.Minute
)

// profile serves a profile of what is now: heap, allocs, goroutine, block, mutex.
func profile(w http.ResponseWriter, r *http.Request) {
	p := pprof.Lookup(r.PathValue("name"))
	if p == nil {
		refuse(w, http.StatusNotFound, "there is no such profile")
		return
	}
	debug, _ := strconv.Atoi(r.URL.Query().Get("debug")) // 0 if it is none: the binary form
	kind := "application/octet-stream"
	if debug > 0 {
		kind = "text/plain; charset=utf-8"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = p.WriteTo(w, debug) // an error means that the client left
}

// recorded serves what start records over the time that a request asks for.
func recorded(start func(io.Writer) error, stop func()) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		d := defaultProfile
		if text := r.URL.Query().Get("seconds"); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 || time.Duration(n)*time.Second > longestProfile {
				refuse(w, http.StatusBadRequest, "seconds must be a number from 1 to 300")
				return
			}
			d = time.Duration(n) * time.Second
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // without one there is nothing to be lifted
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if err := start(w); err != nil {
			refuse(w, http.StatusConflict, "one is being recorded already")
			return
		}
		defer stop()
		ctx, cancel := context.WithTimeout(r.Context(), d)
		defer cancel()
		<-ctx.Done()
	}
}

var (
	cpuProfile     = recorded(pprof.StartCPUProfile, pprof.StopCPUProfile)
	executionTrace = recorded(trace.Start, trace.Stop)
)
