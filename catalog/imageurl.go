package catalog

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// urlFault returns what is wrong with the URL of an image, "" if nothing is.
//
// The rule is what clients can fetch, not RFC 3986: feeds hold spaces, "|",
// quotes and letters beyond ASCII, and browsers, net/url and other clients
// escape these on the way. So behind the host all is accepted that they agree
// about. Refused is what no client could fetch (another scheme, a host that
// can't be resolved, a port that there isn't, a "%" in the path that is no
// escape, which servers answer with 400), what clients silently drop (control
// characters, spaces at the ends), and credentials, which have no place in a
// catalog. What urlFault accepts, url.Parse takes too, with the same host.
//
// A fault names the character and its position in bytes from 0. It never holds
// more of the URL than that one character: the rest may be a secret.
func urlFault(raw string) string {
	if isPlainURL(raw) {
		return ""
	}
	if fault := urlCharacterFault(raw); fault != "" {
		return fault
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return `must begin with "http://" or "https://"`
	}
	start := len(raw) - len(rest)
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority = rest[:i]
	}
	if fault := authorityFault(authority, start); fault != "" {
		return fault
	}
	return escapeFault(raw, start+len(authority))
}

// urlCharacterFault finds what may stand nowhere in a URL.
func urlCharacterFault(raw string) string {
	if !utf8.ValidString(raw) {
		return "must be valid UTF-8"
	}
	for i, r := range raw {
		switch {
		case unicode.IsControl(r):
			return fmt.Sprintf("must not contain the control character %q at byte %d", r, i)
		case unicode.IsSpace(r) && (i == 0 || i+utf8.RuneLen(r) == len(raw)):
			return fmt.Sprintf("must not begin or end with the space %q at byte %d", r, i)
		}
	}
	return ""
}

// authorityFault checks the host and port of a URL, which begin at start.
func authorityFault(authority string, start int) string {
	if i := strings.IndexByte(authority, '@'); i >= 0 {
		return fmt.Sprintf("must not carry credentials: the '@' at byte %d ends a user name or password", start+i)
	}
	host, port := authority, ""
	// A colon inside the brackets of an IPv6 address is none before a port.
	if i := strings.LastIndexByte(authority, ':'); i > strings.LastIndexByte(authority, ']') {
		host, port = authority[:i], authority[i+1:]
		if fault := portFault(port, start+i+1); fault != "" {
			return fault
		}
	}
	if host == "" {
		return fmt.Sprintf("must have a host at byte %d", start)
	}
	if host[0] == '[' {
		addr, ok := strings.CutSuffix(host[1:], "]")
		if ip, err := netip.ParseAddr(addr); !ok || err != nil || !ip.Is6() || ip.Zone() != "" {
			return fmt.Sprintf("must have an IPv6 address without a zone between the brackets at byte %d", start)
		}
		return ""
	}
	return hostFault(host, start)
}

// portFault checks what follows the colon behind a host. Nothing means the
// scheme's own port.
func portFault(port string, at int) string {
	for i, r := range port {
		if r < '0' || r > '9' {
			return fmt.Sprintf("must not have %q at byte %d of the port", r, at+i)
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); port != "" && (err != nil || n == 0) {
		return fmt.Sprintf("must have a port from 1 to 65535 at byte %d", at)
	}
	return ""
}

// internationalHost maps a host of letters beyond ASCII as browsers do. It is
// never changed.
var internationalHost = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false),
	idna.CheckHyphens(false), idna.CheckJoiners(true), idna.BidiRule())

// hostFault checks a name or an IPv4 address.
func hostFault(host string, start int) string {
	for i, r := range host {
		if r < utf8.RuneSelf && r != '_' && !isPlainHost(byte(r)) {
			return fmt.Sprintf("must not have %q at byte %d of the host", r, start+i)
		}
	}
	name := host
	if strings.ContainsFunc(host, func(r rune) bool { return r >= utf8.RuneSelf }) {
		ascii, err := internationalHost.ToASCII(host)
		// A letter may be mapped to what a host can't have: "℀" to "a/c".
		if err != nil || strings.ContainsFunc(ascii, func(r rune) bool { return r >= utf8.RuneSelf || r != '_' && !isPlainHost(byte(r)) }) {
			return fmt.Sprintf("must have a host at byte %d that is a valid international name", start)
		}
		name = ascii
	}
	name = strings.TrimSuffix(name, ".") // of the root
	labels := strings.Split(name, ".")
	for _, label := range labels {
		switch {
		case label == "":
			return fmt.Sprintf("must not have an empty label in the host at byte %d", start)
		case len(label) > 63:
			return fmt.Sprintf("must not have a label of %d bytes, which is over 63, in the host at byte %d", len(label), start)
		}
	}
	if len(name) > 253 {
		return fmt.Sprintf("must not have a host of %d bytes, which is over 253, at byte %d", len(name), start)
	}
	if isNumeric(labels[len(labels)-1]) {
		if _, err := netip.ParseAddr(name); err != nil {
			return fmt.Sprintf("must have an IPv4 address in four decimals at byte %d, as its last part is a number", start)
		}
	}
	return ""
}

// isNumeric reports whether clients take a host with this last label for an
// IPv4 address.
func isNumeric(label string) bool {
	digits := "0123456789"
	if len(label) >= 2 && label[0] == '0' && (label[1] == 'x' || label[1] == 'X') {
		label, digits = label[2:], "0123456789abcdefABCDEF"
	}
	return strings.Trim(label, digits) == ""
}

// escapeFault checks every "%" from start on, where the host has ended. In the
// query it needs no digits behind it: clients and servers take it as it stands.
func escapeFault(raw string, start int) string {
	query, fragment := false, false
	for i := start; i < len(raw); i++ {
		switch raw[i] {
		case '#':
			query, fragment = false, true
		case '?':
			query = !fragment
		case '%':
			if !query && !isEscape(raw[i:]) {
				return fmt.Sprintf("must not have '%%' at byte %d without two hexadecimal digits behind it; write %%25", i)
			}
		}
	}
	return ""
}

// isEscape reports whether s begins with "%" and two hexadecimal digits.
func isEscape(s string) bool {
	isHex := func(c byte) bool {
		return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
	}
	return len(s) >= 3 && isHex(s[1]) && isHex(s[2])
}

// isPlainURL reports whether raw is a valid URL at first sight, as most are: a
// short name of a host, and behind it nothing that could be malformed.
func isPlainURL(raw string) bool {
	scheme, rest, _ := strings.Cut(raw, "://")
	host, path, _ := strings.Cut(rest, "/")
	if scheme != "http" && scheme != "https" || len(host) > 63 {
		return false
	}
	last := byte('.') // before the character that is looked at
	label := 0        // where its label begins
	for i := range len(host) {
		c := host[i]
		if !isPlainHost(c) || c == '.' && last == '.' {
			return false
		}
		if c == '.' {
			label = i + 1
		}
		last = c
	}
	// A last label that begins with a digit may be the end of an address.
	if last == '.' || '0' <= host[label] && host[label] <= '9' {
		return false
	}
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c > '~' || c == '%' || c == '#' {
			return false
		}
	}
	return true
}

// isPlainHost reports whether c may be anywhere in the host of a URL.
func isPlainHost(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '-'
}
