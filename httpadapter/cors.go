package httpadapter

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// What pages of allowed origins may do and see. Every header that they ask for is
// allowed: which ones matter is the authenticator's business.
const (
	corsMethods = "GET, HEAD, POST, DELETE"
	corsExposed = "ETag, Location, Link, Retry-After, Deprecation, X-Request-ID"
	corsMaxAge  = "600" // seconds
)

// CheckOrigin returns what New finds wrong with an entry of
// Options.AllowedOrigins, nil if there is nothing. Browsers write an origin in
// one way (RFC 6454, section 6.2) and send no other form, which would allow no
// page. The error gives the right form where there is one.
func CheckOrigin(origin string) error {
	if origin == "*" {
		return nil
	}
	if origin == "null" {
		return errors.New(`"null" is what sandboxed pages of any site send; * allows all`)
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme == "" || u.Host == "" || u.Opaque != "" {
		return fmt.Errorf("%q is no origin like https://shop.example", origin)
	}
	if u.User != nil {
		return errors.New("an origin has no user and no password") // which an error must not show
	}
	host, err := originHost(u)
	if err != nil {
		return fmt.Errorf("%q: %w", origin, err)
	}
	if written := u.Scheme + "://" + host; written != origin {
		return fmt.Errorf("%q is not how browsers write it: %s", origin, written)
	}
	return nil
}

// originHost returns the host and port of an origin as browsers write them.
func originHost(u *url.URL) (string, error) {
	host := strings.ToLower(u.Hostname())
	switch ip, err := netip.ParseAddr(host); {
	case err == nil && ip.Zone() != "":
		return "", errors.New("an address in an origin has no zone")
	case err == nil && ip.Is6():
		host = "[" + ip.String() + "]"
	case strings.Contains(host, "*"):
		return "", errors.New("a part of a host can't be left open: list the origins, or allow all with *")
	case err != nil && (host == "" || strings.ContainsFunc(host, isNotOfHost)):
		ascii, err := idna.Lookup.ToASCII(host)
		if err != nil || ascii == "" {
			return "", errors.New("it has no proper host name")
		}
		host = ascii
	}
	port := u.Port()
	switch n, err := strconv.ParseUint(port, 10, 16); {
	case port == "", u.Scheme == "http" && n == 80, u.Scheme == "https" && n == 443:
		return host, nil
	case err != nil || n == 0:
		return "", errors.New("its port must be from 1 to 65535")
	default:
		return host + ":" + strconv.FormatUint(n, 10), nil
	}
}

func isNotOfHost(c rune) bool {
	return !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_')
}

// allowOrigin lets the page that sent r see the answer, if it is of an allowed
// origin, and reports whether it is. Credentials are never allowed: keys come in
// headers that the page sets itself.
func (h *Handler) allowOrigin(w http.ResponseWriter, r *http.Request) bool {
	if len(h.options.AllowedOrigins) == 0 {
		return false
	}
	header := w.Header()
	if !slices.Contains(header.Values("Vary"), "Origin") {
		header.Add("Vary", "Origin")
	}
	origin := r.Header.Get("Origin")
	if origin == "" || !slices.Contains(h.options.AllowedOrigins, origin) && !slices.Contains(h.options.AllowedOrigins, "*") {
		return false
	}
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Expose-Headers", corsExposed)
	return true
}

// isPreflight reports whether a browser asks whether it may send a request.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
}

// answerPreflight allows whatever the handler may do. Browsers send no key with
// the question, and the answer reveals nothing but that a page may ask.
func answerPreflight(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Add("Vary", "Access-Control-Request-Headers")
	header.Set("Access-Control-Allow-Methods", corsMethods)
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		header.Set("Access-Control-Allow-Headers", asked)
	}
	header.Set("Access-Control-Max-Age", corsMaxAge)
	w.WriteHeader(http.StatusNoContent)
}
