package httpadapter

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"strings"

	"github.com/shelflife-db/shelflife/catalog"
)

// mountPath returns the escaped path under which the client of r sees the
// handler, without a slash at its end. Where the path was rewritten by something
// else than the removal of a prefix it can't be known and is taken to be the
// root, unless Options.PublicPath says it.
func (h *Handler) mountPath(r *http.Request) string {
	if h.options.PublicPath != "" {
		return strings.TrimRight(h.options.PublicPath, "/")
	}
	asked, _, _ := strings.Cut(r.RequestURI, "?")
	if !strings.HasPrefix(asked, "/") {
		u, err := url.ParseRequestURI(asked) // the absolute form, as sent to a proxy
		if err != nil {
			return ""
		}
		asked = sentPath(u)
	}
	seen := sentPath(r.URL)
	if !strings.HasPrefix(seen, "/") {
		seen = "/" + seen
	}
	mount, ok := strings.CutSuffix(asked, seen)
	if !ok {
		return ""
	}
	return mount
}

// checkPublicPath refuses what is no path that could be put into a header and in
// front of another one.
func checkPublicPath(path string) error {
	if path == "" {
		return nil
	}
	_, err := url.PathUnescape(path)
	strange := func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune("\"#<>?[\\]^`{|}", c) }
	if err != nil || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsFunc(path, strange) {
		return fmt.Errorf("%q is no escaped path that begins with one slash, like /shop", path)
	}
	return nil
}

// productPath returns the path of a product as the client of r sees it.
func (h *Handler) productPath(r *http.Request, id string) string {
	return h.mountPath(r) + "/products/" + url.PathEscape(id)
}

// AppendProduct appends the JSON form of a product as the handler answers with
// it: that of [catalog.Product.AppendJSON], and the href of each image that was
// uploaded, the path at which the client of r can fetch it. It is for a host's own
// endpoints. Options.PublicPath must be set there unless the handler is mounted at
// the root: what r asked for says nothing of it.
func (h *Handler) AppendProduct(dst []byte, r *http.Request, p *catalog.Product) []byte {
	return p.AppendJSONWithHref(dst, func() string { return h.productPath(r, p.ExternalID) + "/images" })
}

// appendView is AppendProduct of a view, and reports whether the product has uploads.
func (h *Handler) appendView(dst []byte, r *http.Request, v catalog.ProductView) (out []byte, uploads bool) {
	out = v.AppendJSONWithHref(dst, func() string {
		uploads = true
		return h.productPath(r, string(v.ExternalID())) + "/images"
	})
	return out, uploads
}

// mountSeparator stands in an entity tag in front of what it owes to the mount
// path. Neither is in a tag of the catalog's.
const mountSeparator = "~"

// etag returns the entity tag of what AppendProduct appends. It depends on the
// mount path where the JSON does: the same store may be served under another path
// tomorrow.
func (h *Handler) etag(r *http.Request, p *catalog.Product) string {
	if !p.HasUploads() {
		return p.ETag()
	}
	return h.mountedETag(r, p.ETag())
}

// viewETag is etag of a view; uploads is what its HasUploads returns.
func (h *Handler) viewETag(r *http.Request, v catalog.ProductView, uploads bool) string {
	if !uploads {
		return v.ETag()
	}
	return h.mountedETag(r, v.ETag())
}

// mountedETag returns the entity tag of a representation with paths in it.
func (h *Handler) mountedETag(r *http.Request, tag string) string {
	mount := h.mountPath(r)
	if mount == "" {
		return tag
	}
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(mount)) // a hash takes everything
	return fmt.Sprintf(`%s%s%x"`, strings.TrimSuffix(tag, `"`), mountSeparator, sum.Sum64())
}

// versionIn returns the version that an entity tag names: the quoted version
// itself, or the tag of a product, as it is or as a proxy made it that compressed
// the product.
func versionIn(tag string) (catalog.Version, bool) {
	inner := strings.Trim(tag, `"`)
	if v, ok := catalog.ParseVersion(inner); ok {
		return v, true
	}
	whole := inner
	for {
		own, _, _ := strings.Cut(whole, mountSeparator)
		if v, ok := catalog.ETagVersion(`"` + own + `"`); ok {
			return v, true
		}
		before := withoutCoding(whole)
		if before == whole {
			return catalog.Version{}, false
		}
		whole = before
	}
}

// withoutCoding takes from the inside of an entity tag what proxies append to
// that of an answer which they compress: Caddy and Apache the name of the coding.
// The tag stays a strong one, of a representation that only they know. A tag of
// this package with such an end is none that it gives.
func withoutCoding(inner string) string {
	for _, end := range []string{"-gzip", "-br", "-zstd", "-deflate"} {
		if before, ok := strings.CutSuffix(inner, end); ok {
			return before
		}
	}
	return inner
}
