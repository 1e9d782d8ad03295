package catalog

import (
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestIsPlainURL(t *testing.T) {
	for raw, plain := range map[string]bool{
		"https://cdn.example/front.jpg":                true,
		"http://cdn-2.example.com":                     true,
		"https://x.example/a//b/../c?w=1&h=2:3@[x]\"|": true,
		"https://cdn.example/a b":                      false,
		"https://cdn..example/":                        false,
		"https://.cdn.example/":                        false,
		"https://cdn.example./":                        false,
		"https://cdn.0x7f/":                            false,
		"https://cdn.example/a%20b":                    false, // left to the checks, as all below
		"https://cdn.example/a#b":                      false,
		"https://cdn.example:443/":                     false,
		"https://user@cdn.example/":                    false,
		"https://[::1]/":                               false,
		"https://cdn.example?q":                        false,
		"https://cdn.exämple/":                         false,
		"https://cdn.example/\x7f":                     false,
		"HTTPS://cdn.example/":                         false,
		"https:///x":                                   false,
		"https://":                                     false,
		"ftp://cdn.example/":                           false,
		"":                                             false,
	} {
		require.Equal(t, plain, isPlainURL(raw), "%q", raw)
	}
}

func TestURLFault(t *testing.T) {
	long := strings.Repeat("x", 63)
	for raw, want := range map[string]string{
		// What clients escape on the way, as feeds have it.
		"https://c.example/a b|c<d>\"e\"{f}^`\\":      "",
		"https://c.example/Schuhe/größe 42.jpg":       "",
		"https://c.example?q=100%&r=%zz":              "",
		"https://c.example/x?layer=a|b&src={is{c d}}": "",
		"https://c.example/100%25.jpg#?%41":           "",
		"https://c.example/a@b:c":                     "",
		"HTTP://C.EXAMPLE:65535/":                     "",
		"https://c.example:/":                         "",
		"https://c.example./":                         "",
		"https://c_1.example/":                        "",
		"https://1.2.3.4:80/":                         "",
		"https://[2001:db8::1]:443/":                  "",
		"https://bücher.example/":                     "",
		"https://bücher。example/":                     "",
		"https://i❤.example/":                         "",
		"https://" + long + ".example/":               "",
		"https://localhost/":                          "",
		// Faults.
		"":                              `must begin with "http://" or "https://"`,
		"ftp://c.example/":              `must begin with "http://" or "https://"`,
		"//c.example/":                  `must begin with "http://" or "https://"`,
		"https:c.example/":              `must begin with "http://" or "https://"`,
		"https://c.example/100%.jpg":    `must not have '%' at byte 21 without two hexadecimal digits behind it; write %25`,
		"https://c.example/%4":          `must not have '%' at byte 18 without two hexadecimal digits behind it; write %25`,
		"https://c.example/?%#%zz":      `must not have '%' at byte 21 without two hexadecimal digits behind it; write %25`,
		"https://c.example/#?%zz":       `must not have '%' at byte 20 without two hexadecimal digits behind it; write %25`,
		"https://c.example/\xff":        `must be valid UTF-8`,
		"https://c.example/\x1b[31m":    `must not contain the control character '\x1b' at byte 18`,
		"https://c.example/a\tb":        `must not contain the control character '\t' at byte 19`,
		"https://c.example/\u0085x":     `must not contain the control character '\u0085' at byte 18`,
		" https://c.example/":           `must not begin or end with the space ' ' at byte 0`,
		"https://c.example/ ":           `must not begin or end with the space ' ' at byte 18`,
		"https://c.example/\u2028":      `must not begin or end with the space '\u2028' at byte 18`,
		"https://":                      `must have a host at byte 8`,
		"https:///x":                    `must have a host at byte 8`,
		"https://:80/":                  `must have a host at byte 8`,
		"https://user:secret@x/":        `must not carry credentials: the '@' at byte 19 ends a user name or password`,
		"https://@x/":                   `must not carry credentials: the '@' at byte 8 ends a user name or password`,
		"https://x:99999/":              `must have a port from 1 to 65535 at byte 10`,
		"https://x:65536":               `must have a port from 1 to 65535 at byte 10`,
		"https://x:0/":                  `must have a port from 1 to 65535 at byte 10`,
		"https://x:8o/":                 `must not have 'o' at byte 11 of the port`,
		"https://a b/":                  `must not have ' ' at byte 9 of the host`,
		"https://a<b/":                  `must not have '<' at byte 9 of the host`,
		"https://a%41b/":                `must not have '%' at byte 9 of the host`,
		"https://good.example\\.x/":     `must not have '\\' at byte 20 of the host`,
		"https://a:b:80/":               `must not have ':' at byte 9 of the host`,
		"https://a..b/":                 `must not have an empty label in the host at byte 8`,
		"https://.a/":                   `must not have an empty label in the host at byte 8`,
		"https://./":                    `must not have an empty label in the host at byte 8`,
		"https://a../":                  `must not have an empty label in the host at byte 8`,
		"https://" + long + "x.example": `must not have a label of 64 bytes, which is over 63, in the host at byte 8`,
		"https://" + strings.Repeat("abcdefg.", 31) + "abcdef": `must not have a host of 254 bytes, which is over 253, at byte 8`,
		"https://1.2.3/":            `must have an IPv4 address in four decimals at byte 8, as its last part is a number`,
		"https://1.2.3.256/":        `must have an IPv4 address in four decimals at byte 8, as its last part is a number`,
		"https://0x7F/":             `must have an IPv4 address in four decimals at byte 8, as its last part is a number`,
		"https://[::1/":             `must have an IPv6 address without a zone between the brackets at byte 8`,
		"https://[1.2.3.4]/":        `must have an IPv6 address without a zone between the brackets at byte 8`,
		"https://[fe80::1%25eth0]/": `must have an IPv6 address without a zone between the brackets at byte 8`,
		"https://[::1]x/":           `must have an IPv6 address without a zone between the brackets at byte 8`,
		"https://a\u2100b.example/": `must have a host at byte 8 that is a valid international name`,
		"https://a\u00a0b.example/": `must have a host at byte 8 that is a valid international name`,
	} {
		require.Equal(t, want, urlFault(raw), "%q", raw)
	}
}

// FuzzIsPlainURL: what is plain, the checks take too.
func FuzzIsPlainURL(f *testing.F) {
	f.Fuzz(func(t *testing.T, raw string) {
		if isPlainURL(raw) {
			scheme, rest, _ := strings.Cut(raw, "://")
			host, _, _ := strings.Cut(rest, "/")
			require.Empty(t, authorityFault(host, len(scheme)+3))
			require.Empty(t, urlCharacterFault(raw))
			require.Empty(t, escapeFault(raw, 0))
		}
	})
}

// FuzzURLFault: what is accepted, url.Parse takes with the same host and
// without credentials; a fault is plain text that shows nothing of the URL but
// a character.
func FuzzURLFault(f *testing.F) {
	f.Fuzz(func(t *testing.T, raw string) {
		if fault := urlFault(raw); fault != "" {
			require.False(t, strings.ContainsFunc(fault, unicode.IsControl))
			require.True(t, utf8.ValidString(fault))
			require.Less(t, len(fault), 120)
			return
		}
		u, err := url.Parse(raw)
		require.NoError(t, err)
		require.Contains(t, []string{"http", "https"}, u.Scheme)
		require.Nil(t, u.User)
		_, rest, _ := strings.Cut(raw, "://")
		host := rest[:len(rest)-len(strings.TrimLeftFunc(rest, func(r rune) bool { return !strings.ContainsRune("/?#", r) }))]
		require.Equal(t, host, u.Host)
		require.NotEmpty(t, u.Hostname())
	})
}
