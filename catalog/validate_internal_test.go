package catalog

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIsPlainURL(t *testing.T) {
	for raw, plain := range map[string]bool{
		"https://cdn.example/front.jpg":              true,
		"http://cdn-2.example.com":                   true,
		"https://1.2.3.4/a//b/../c?w=1&h=2:3@[x]\"|": true,
		"https://cdn.example/a b":                    false,
		"https://cdn.example/a%20b":                  false, // left to url.Parse, as all below
		"https://cdn.example/a#b":                    false,
		"https://cdn.example:443/":                   false,
		"https://user@cdn.example/":                  false,
		"https://[::1]/":                             false,
		"https://cdn.example?q":                      false,
		"https://cdn.exämple/":                       false,
		"https://cdn.example/\x7f":                   false,
		"HTTPS://cdn.example/":                       false,
		"https:///x":                                 false,
		"https://":                                   false,
		"ftp://cdn.example/":                         false,
		"":                                           false,
	} {
		require.Equal(t, plain, isPlainURL(raw), "%q", raw)
	}
}

// FuzzIsPlainURL: what is plain, url.Parse takes as it is, with a host.
func FuzzIsPlainURL(f *testing.F) {
	f.Fuzz(func(t *testing.T, raw string) {
		if !isPlainURL(raw) {
			return
		}
		u, err := url.Parse(raw)
		require.NoError(t, err)
		require.Contains(t, []string{"http", "https"}, u.Scheme)
		require.NotEmpty(t, u.Hostname())
	})
}
