package httpadapter

import (
	"net/http"
	"net/url"
	"strings"
)

// request is a request whose sender and target are known.
type request struct {
	*http.Request
	account string
	usage   *usage
	id      string // external ID in the path, unescaped
	order   string // image position in the path, unescaped
}

// endpoint is what the handler offers at one path.
type endpoint struct {
	allow string
	get   func(h *Handler, w http.ResponseWriter, r *request) error // HEAD too
	post  func(h *Handler, w http.ResponseWriter, r *request) error
	del   func(h *Handler, w http.ResponseWriter, r *request) error
}

var (
	productsEndpoint = &endpoint{allow: "GET, HEAD, POST", get: (*Handler).listProducts, post: (*Handler).upsertProduct}
	productEndpoint  = &endpoint{allow: "DELETE, GET, HEAD", get: (*Handler).getProduct, del: (*Handler).deleteProduct}
	useEndpoint      = &endpoint{allow: "POST", post: (*Handler).useProduct}
	imageEndpoint    = &endpoint{allow: "GET, HEAD", get: (*Handler).getImage}
	bulkEndpoint     = &endpoint{allow: "GET, HEAD, POST", get: (*Handler).sendLines, post: (*Handler).upsertLines}
	usesEndpoint     = &endpoint{allow: "POST", post: (*Handler).resolveUse}
	openAPIEndpoint  = &endpoint{allow: "GET, HEAD"} // which need no key, and do not come here
)

func (h *Handler) route(w http.ResponseWriter, r *http.Request, account string, u *usage) error {
	req := &request{Request: r, account: account, usage: u}
	e := req.find(strings.TrimPrefix(sentPath(r.URL), "/"))
	if e == nil {
		return errNoSuchPath
	}
	serve := e.post
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		serve = e.get
	case http.MethodDelete:
		serve = e.del
	case http.MethodPost:
	default:
		serve = nil
	}
	if serve == nil {
		w.Header().Set("Allow", e.allow)
		return errMethod
	}
	if err := h.options.Budget.spend(account); err != nil {
		return err
	}
	return serve(h, w, req)
}

// find matches an escaped path without its leading slash; nil if nothing is
// there. Cutting it up before unescaping is what lets an ID hold slashes.
func (r *request) find(path string) *endpoint {
	var parts [4]string
	n := 0
	for segment := range strings.SplitSeq(path, "/") {
		text, err := url.PathUnescape(segment)
		if err != nil || text == "" || n == len(parts) {
			return nil
		}
		parts[n] = text
		n++
	}
	switch {
	case n == 1 && parts[0] == "uses":
		return usesEndpoint
	case n == 1 && parts[0] == "bulk":
		return bulkEndpoint
	case n == 1 && parts[0] == openAPIPath:
		return openAPIEndpoint
	case n == 0 || parts[0] != "products":
		return nil
	case n == 1:
		return productsEndpoint
	}
	r.id = parts[1]
	switch {
	case n == 2:
		return productEndpoint
	case n == 3 && parts[2] == "use":
		return useEndpoint
	case n == 4 && parts[2] == "images":
		r.order = parts[3]
		return imageEndpoint
	}
	return nil
}

// sentPath returns the escaped path as the client sent it. EscapedPath gives that
// up, and with it the slashes that are escaped, where something beside them is
// not escaped that should be.
func sentPath(u *url.URL) string {
	if path, err := url.PathUnescape(u.RawPath); u.RawPath != "" && err == nil && path == u.Path {
		return u.RawPath
	}
	return u.EscapedPath()
}
