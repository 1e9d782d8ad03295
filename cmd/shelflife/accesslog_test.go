package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/ttl"
)

func TestRequestLog(t *testing.T) {
	clock := ttl.NewManualClock(time.Unix(0, 0))
	for name, tc := range map[string]struct {
		target  string
		handler http.HandlerFunc
		want    map[string]any
	}{
		"answer": {"/a%2Fb?key=secret", func(w http.ResponseWriter, r *http.Request) {
			clock.Advance(time.Second)
			w.WriteHeader(http.StatusCreated)
			io.WriteString(w, "hello")
		}, map[string]any{"method": "PUT", "path": "/a%2Fb", "status": 201.0, "bytes": 5.0, "duration_ms": 1000.0}},
		"all that is known": {"/a", func(w http.ResponseWriter, r *http.Request) {
			_, _ = noteAccount(func(*http.Request) (string, error) { return "acme", nil })(r.WithContext(r.Context()))
			w.(httpadapter.CodeRecorder).RecordCode("NOT_FOUND")
			w.Header().Set("X-Request-ID", "id-1")
			w.WriteHeader(http.StatusNotFound)
		}, map[string]any{"method": "PUT", "path": "/a", "status": 404.0, "code": "NOT_FOUND", "account": "acme", "request_id": "id-1", "bytes": 0.0, "duration_ms": 0.0}},
		"no account": {"/a", func(w http.ResponseWriter, r *http.Request) {
			_, err := noteAccount(func(*http.Request) (string, error) { return "secret", httpadapter.ErrInvalidKey })(r)
			require.Error(t, err)
		}, map[string]any{"method": "PUT", "path": "/a", "status": 200.0, "bytes": 0.0, "duration_ms": 0.0}},
		"nothing said": {"/", func(http.ResponseWriter, *http.Request) {},
			map[string]any{"method": "PUT", "path": "/", "status": 200.0, "bytes": 0.0, "duration_ms": 0.0}},
		"no status": {"/", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "x") },
			map[string]any{"method": "PUT", "path": "/", "status": 200.0, "bytes": 1.0, "duration_ms": 0.0}},
		"cut off": {"/", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			map[string]any{"method": "PUT", "path": "/", "status": 0.0, "bytes": 0.0, "duration_ms": 0.0, "cut_off": true}},
		"long path": {"/" + strings.Repeat("x", 2000), func(http.ResponseWriter, *http.Request) {},
			map[string]any{"method": "PUT", "path": "/" + strings.Repeat("x", 1023) + "...", "status": 200.0, "bytes": 0.0, "duration_ms": 0.0}},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			h := logRequests(newLogger(&log, "json", "info"), clock, nil, tc.handler)
			r := httptest.NewRequest("PUT", tc.target, nil)
			r.Header.Set("X-API-Key", "secret")
			func() {
				defer func() { require.Equal(t, name == "cut off", recover() != nil) }()
				h.ServeHTTP(httptest.NewRecorder(), r)
			}()
			require.NotContains(t, log.String(), "secret")
			var got map[string]any
			require.NoError(t, json.Unmarshal(log.Bytes(), &got), "one line")
			delete(got, "time")
			tc.want["msg"], tc.want["level"], tc.want["client"] = "request", "INFO", "192.0.2.1:1234"
			require.Equal(t, tc.want, got)
		})
	}
}

func TestLogOfLongMethod(t *testing.T) {
	var log bytes.Buffer
	h := logRequests(newLogger(&log, "text", "info"), ttl.NewManualClock(time.Unix(0, 0)), nil,
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(strings.Repeat("M", 60_000), "/", nil))
	require.Contains(t, log.String(), " method="+strings.Repeat("M", 32)+"... ")
	require.Less(t, log.Len(), 300)
}
