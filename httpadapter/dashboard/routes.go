package dashboard

import (
	"mime"
	"net/http"
	"strings"

	"github.com/shelflife-db/shelflife/httpadapter"
)

// request is a request whose account is known.
type request struct {
	*http.Request
	account string
	claim   *httpadapter.Claim // what it holds of the budget
	built   func()             // gives back its place among the pages that are made
}

// place returns the page of the list to which a page leads back.
func (r *request) place() listQuery { return readListQuery(r.URL.Query()) }

// route is what is offered under one name. A nil function is a method that is
// not allowed.
type route struct {
	get, post func(w http.ResponseWriter, r *request) error
	// part says that it is fetched by a page and is none itself: the session is
	// not prolonged by it.
	part bool
	// memory is what a part is charged for.
	memory int64
}

// table returns the routes by the last segment of their paths.
func (h *Handler) table() map[string]route {
	return map[string]route{
		"":        {get: h.showList},
		"product": {get: h.showProduct},
		"image":   {get: h.sendImage, part: true, memory: imageMemory},
		"use":     {post: h.useProduct},
		"edit":    {get: h.showEdit, post: h.saveEdit},
		"new":     {get: h.showNew, post: h.saveNew},
		"delete":  {get: h.confirmDelete, post: h.deleteProducts},
		"remote":  {post: h.answerRemote},
		"account": {get: h.showAccount},
		"figures": {get: h.showFigures},
		"ahead":   {get: h.showAhead},
		"store":   {get: h.showStore},
		"export":  {get: h.sendExport, part: true, memory: exportMemory},

		"import":   {get: h.showImport, post: h.startImport},
		"job":      {get: h.showJob, post: h.answerJob},
		"refusals": {get: h.sendRefusals, part: true, memory: refusalsMemory},
	}
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	httpadapter.RequestID(w, r)
	setSecurityHeaders(w.Header())
	if asked := lastSegment(strings.TrimSuffix(r.RequestURI, "?"+r.URL.RawQuery)); r.URL.Path == "" && asked != "" {
		// Under http.StripPrefix, without the slash on which relative links depend.
		redirect(w, "./"+asked+"/")
		return
	}
	name := lastSegment(r.URL.Path)
	if a, ok := h.assets[name]; ok {
		a.serve(w, r)
		return
	}
	if err := h.origins.Check(r); err != nil {
		h.fail(w, r, errForeignOrigin)
		return
	}
	if h.seal != nil && (name == "signin" || name == "signout") {
		h.serveSession(w, r, name)
		return
	}
	route, ok := h.routes[name]
	if !ok {
		h.fail(w, r, errNoSuchPage)
		return
	}
	serve := route.get
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost:
		serve = route.post
	default:
		serve = nil
	}
	if serve == nil {
		w.Header().Set("Allow", route.allow())
		h.fail(w, r, errMethod)
		return
	}
	account, ok := h.authorize(w, r, route.part)
	if !ok {
		return
	}
	claim, err := h.options.Budget.Claim(account)
	if err != nil {
		h.failFor(w, r, account, err)
		return
	}
	defer claim.Close()
	asked := &request{Request: r, account: account, claim: claim, built: func() {}}
	if err := h.admit(w, asked, route); err != nil {
		h.failFor(w, r, account, err)
		return
	}
	if err := serve(w, asked); err != nil {
		h.failFor(w, r, account, err)
	}
}

// What requests are charged for before anything of them is read or made.
const (
	// pageMemory is for a page, in every charge but those of parts; a larger page is
	// charged for what it takes beyond it.
	pageMemory = 256 << 10
	// imageMemory is for the chunks of an image that are being read, refusalsMemory
	// for the lines of an import's results.
	imageMemory    = 512 << 10
	refusalsMemory = 128 << 10
	// maxPlainBytes limits a form without files, which is held whole.
	maxPlainBytes = 256 << 10
	// plainMemory is for such a form, as text and as what is made of it, and for
	// the page that answers it.
	plainMemory = 1 << 20
	// multipartMemory is for taking a form with files apart, and for the chunks of
	// an image on their way to the store. Its texts are charged for as they come.
	multipartMemory = 1 << 20
)

// admit limits the body of a form, and takes what the request needs of the budget
// before any of it is read.
func (h *Handler) admit(w http.ResponseWriter, r *request, to route) error {
	if r.Method != http.MethodPost {
		if to.part {
			return r.claim.Await(r.Context(), false, to.memory)
		}
		return r.claim.Await(r.Context(), false, pageMemory)
	}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // the form's reader says what is wrong with it
	if media == "multipart/form-data" {
		r.Body = http.MaxBytesReader(w, r.Body, h.options.MaxRequestBytes)
		return r.claim.Await(r.Context(), true, multipartMemory)
	}
	r.Body = http.MaxBytesReader(w, r.Body, min(maxPlainBytes, h.options.MaxRequestBytes))
	return r.claim.Await(r.Context(), false, plainMemory)
}

func (r route) allow() string {
	switch {
	case r.post == nil:
		return "GET, HEAD"
	case r.get == nil:
		return "POST"
	}
	return "GET, HEAD, POST"
}

func lastSegment(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// redirect sends the browser to another page of the dashboard. The reference
// stays relative: http.Redirect would resolve it against a path that may have
// lost its prefix.
func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusSeeOther)
}

// The policy of every page: nothing from anywhere but its own files and forms.
const (
	policyBegin = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; img-src 'self'"
	// policyRemote is added on a page that shows images of other servers.
	policyRemote = " https:"
)

func setSecurityHeaders(header http.Header) {
	header.Set("Content-Security-Policy", policyBegin)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	// Not no-referrer: browsers would then send forms with "Origin: null".
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
}
