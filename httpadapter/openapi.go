package httpadapter

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed" // of openAPI
	"encoding/hex"
	"net/http"
	"strconv"

	"github.com/shelflife-db/shelflife/catalog"
)

// openAPIPath is where the description of the endpoints is; it needs no key.
const openAPIPath = "openapi.yaml"

// openAPI describes the endpoints as if the handler were mounted at the root.
// prooftest/openapi holds every exchange of the tests against it.
//
//go:embed openapi.yaml
var openAPI []byte

// openAPIServer is what the mount path takes the place of.
var openAPIServer = []byte("- url: /\n")

var openAPITag = func() string {
	sum := sha256.Sum256(openAPI)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}()

// isOpenAPI reports whether r reads the description, for which it needs no key.
func isOpenAPI(r *http.Request) bool {
	path := r.URL.Path
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && (path == "/"+openAPIPath || path == openAPIPath)
}

// getOpenAPI is GET /openapi.yaml.
func (h *Handler) getOpenAPI(w http.ResponseWriter, r *http.Request) error {
	c := readConditions(r.Header)
	if faults := append(h.readQuery(r.URL.RawQuery, true).faults, c.faults...); len(faults) > 0 {
		return &catalog.ValidationError{Fields: faults}
	}
	etag := h.mountedETag(r, openAPITag)
	header := w.Header()
	header.Set("ETag", etag)
	header.Set("Cache-Control", "no-cache") // kept, and asked for again
	if c.noneMatch.matchesWeakly(etag) || c.noneMatch.matchesEncoded(etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	body := h.appendOpenAPI(nil, r)
	header.Set("Content-Type", "application/yaml")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // an error says that the client left
	}
	return nil
}

// appendOpenAPI appends the description with the server as the client of r sees
// it.
func (h *Handler) appendOpenAPI(dst []byte, r *http.Request) []byte {
	before, after, _ := bytes.Cut(openAPI, openAPIServer)
	dst = append(dst, before...)
	dst = append(dst, "- url: "...)
	dst = appendString(dst, cmp.Or(h.mountPath(r), "/")) // YAML reads what JSON quotes
	dst = append(dst, '\n')
	return append(dst, after...)
}
