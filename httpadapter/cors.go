package httpadapter

import (
	"net/http"
	"slices"
)

// What pages of allowed origins may do and see. Every header that they ask for is
// allowed: which ones matter is the authenticator's business.
const (
	corsMethods = "GET, HEAD, POST, DELETE"
	corsExposed = "ETag, Location, Link, Retry-After, Deprecation, X-Request-ID"
	corsMaxAge  = "600" // seconds
)

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
// the question, and the answer tells nothing but that a page may ask.
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
