package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTrustedProxies(t *testing.T) {
	for _, text := range []string{"", "10.0.0.0/33", "host", "10.0.0.1:80", "fe80::1%eth0"} {
		_, err := parseProxies([]string{text})
		require.ErrorContains(t, err, "--trusted-proxy", text)
	}
	proxies, err := parseProxies([]string{"10.1.2.3/8", "2001:db8::1", "192.0.2.9"})
	require.NoError(t, err)
	for _, c := range []struct {
		remote    string
		forwarded []string
		client    string
	}{
		{"203.0.113.5:1234", nil, "203.0.113.5:1234"},
		{"203.0.113.5:1234", []string{"198.51.100.1"}, "203.0.113.5:1234"}, // any client can write that
		{"10.9.9.9:1", nil, "10.9.9.9:1"},
		{"10.9.9.9:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"[::ffff:10.9.9.9]:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"[2001:db8::1]:1", []string{"2001:db8::2"}, "2001:db8::2"},
		{"10.9.9.9:1", []string{"1.1.1.1, 198.51.100.1, 10.3.3.3"}, "198.51.100.1"},
		{"10.9.9.9:1", []string{"1.1.1.1", "198.51.100.1"}, "198.51.100.1"},
		{"10.9.9.9:1", []string{"1.1.1.1, nonsense"}, "10.9.9.9:1"},
		{"10.9.9.9:1", []string{"nonsense, 192.0.2.9"}, "192.0.2.9"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.remote
		for _, f := range c.forwarded {
			r.Header.Add("X-Forwarded-For", f)
		}
		require.Equal(t, c.client, proxies.client(r), "%+v", c)
	}
	require.Equal(t, "10.9.9.9:1", trustedProxies(nil).client(&http.Request{RemoteAddr: "10.9.9.9:1"}))
}
