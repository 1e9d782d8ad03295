package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
)

//go:embed assets pages
var files embed.FS

// page is what every page is made from.
type page struct {
	Title string
	// Section is the entry of the navigation that the page belongs to.
	Section string
	Notice  string
	// Refresh has the page load itself again and again where there are no scripts.
	Refresh bool
	Body    any

	// Set by show.
	Account    string
	HasSession bool // one that the person can end here
	Now        int64
	assets     map[string]*asset
}

// Asset returns the reference of a file, which changes with what is in it.
func (p page) Asset(name string) string { return "./" + name + "?v=" + p.assets[name].version }

func parsePages() (*template.Template, error) {
	return template.New("").Funcs(template.FuncMap{"grouped": grouped, "sentence": sentence}).ParseFS(files, "pages/*.html")
}

// render makes a page.
func (h *Handler) render(name string, p page) (*bytes.Buffer, error) {
	p.assets, p.Now = h.assets, h.clock.Now().UnixMilli()
	p.HasSession = h.seal != nil && p.Account != ""
	body := new(bytes.Buffer)
	if err := h.pages.ExecuteTemplate(body, name, p); err != nil {
		return nil, fmt.Errorf("dashboard: making the page %q: %w", name, err)
	}
	return body, nil
}

// show answers with a page that is small: it needs no place among those that are
// made.
func (h *Handler) show(w http.ResponseWriter, r *http.Request, status int, name string, p page) {
	body, err := h.render(name, p)
	if err != nil {
		h.log.ErrorContext(r.Context(), "dashboard: request failed", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	send(w, r, status, body)
}

func send(w http.ResponseWriter, r *http.Request, status int, body *bytes.Buffer) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body.Bytes()) // an error means that the client left
	}
}

// showTo answers a request of an account with a page.
//
// Before it is sent, which takes as long as the client likes, its place among the
// pages that are made is given back: a client that does not read would keep all
// others from theirs. What the page takes meanwhile is charged to the account.
func (h *Handler) showTo(w http.ResponseWriter, r *request, status int, name string, p page) error {
	p.Account = r.account
	body, err := h.render(name, p)
	if err != nil {
		return err
	}
	if more := int64(body.Cap()) - pageMemory; more > 0 {
		if err := r.claim.Grow(more); err != nil {
			return err
		}
	}
	r.built()
	send(w, r.Request, status, body)
	return nil
}

// build waits for a place among the pages that are made at once. built must follow.
func (h *Handler) build(r *request) error {
	place := h.building.Open(r.account)
	if place.Await(r.Context(), 1) != nil {
		place.Close()
		return r.Context().Err()
	}
	r.built = place.Close
	return nil
}

// asset is a file that pages refer to.
type asset struct {
	data          []byte
	kind, version string
}

func readAssets() (map[string]*asset, error) {
	assets := make(map[string]*asset)
	entries, err := fs.ReadDir(files, "assets")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		data, err := fs.ReadFile(files, path.Join("assets", e.Name()))
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(data)
		assets[e.Name()] = &asset{data: data, kind: assetType(e.Name()), version: hex.EncodeToString(sum[:6])}
	}
	return assets, nil
}

// assetType returns the type of a file, which must not depend on what the system
// knows of types.
func assetType(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return mime.TypeByExtension(path.Ext(name))
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	header.Set("Content-Type", a.kind)
	header.Set("Content-Length", strconv.Itoa(len(a.data)))
	header.Set("Cache-Control", "no-cache")
	if r.URL.Query().Get("v") == a.version {
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if r.Method != http.MethodHead {
		_, _ = w.Write(a.data) // an error means that the client left
	}
}
