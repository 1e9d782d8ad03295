package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLeave(t *testing.T) {
	var l leave
	ready := l.ready(func() error { return nil })
	h := l.wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	ask := func() *http.Response {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		require.Equal(t, http.StatusNoContent, w.Code)
		return w.Result()
	}
	require.NoError(t, ready())
	require.Empty(t, ask().Header.Get("Connection"))
	l.begun.Store(true)
	require.ErrorIs(t, ready(), errStopping)
	require.Equal(t, "close", ask().Header.Get("Connection"))
}
