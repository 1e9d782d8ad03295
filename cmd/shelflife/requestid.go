package main

import (
	"crypto/rand"
	"net/http"
	"strings"
)

// requestIDHeader names a request in its answer and in the log. The adapter sets
// it on its answers, and identify on those that are given beside it.
const requestIDHeader = "X-Request-ID"

// maxRequestID is how long an ID of a client may be, in bytes.
const maxRequestID = 128

// identify sets the request ID of an answer: the client's, if it is fit to be
// written into a log, else a new one.
func identify(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get(requestIDHeader)
	if id == "" || len(id) > maxRequestID || strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		id = rand.Text()
	}
	w.Header().Set(requestIDHeader, id)
}
