package main

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAllowedOrigins(t *testing.T) {
	s := startServer(t, "--data", filepath.Join(t.TempDir(), "store"), "--prefix", "/shop",
		"--allowed-origin", "https://a.example,https://b.example", "--allowed-origin", "http://localhost:3000")
	preflight := func(origin string) answer {
		r, err := http.NewRequest(http.MethodOptions, s.url+"/products", nil)
		require.NoError(t, err)
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "x-api-key")
		a, err := send(r)
		require.NoError(t, err)
		return a
	}
	for _, origin := range []string{"https://a.example", "https://b.example", "http://localhost:3000"} {
		a := preflight(origin)
		require.Equal(t, http.StatusNoContent, a.status)
		require.Equal(t, origin, a.header.Get("Access-Control-Allow-Origin"))
	}
	a := preflight("https://c.example")
	require.Equal(t, http.StatusUnauthorized, a.status)
	require.Empty(t, a.header.Get("Access-Control-Allow-Origin"))
	s.stop()
}
