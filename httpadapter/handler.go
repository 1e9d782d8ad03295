// Package httpadapter serves a product catalog over HTTP.
//
//	h := httpadapter.New(cat, &httpadapter.Options{Authenticate: keys.Authenticate})
//	mux.Handle("/shop/", http.StripPrefix("/shop", h))
//
// # Endpoints
//
//	POST   /products                          explicit upsert: 201 or 200, the product
//	GET    /products                          list: limit, cursor, prefix, unlisted=true
//	GET    /products/{externalId}             read
//	DELETE /products/{externalId}             delete: 204
//	POST   /products/{externalId}/use         record a use; the body is ignored
//	GET    /products/{externalId}/images/{n}  uploaded bytes
//	POST   /uses                              use, inline upsert and use, or one-shot
//
// Every GET answers HEAD. An external ID is one escaped path segment. A host's
// own endpoint reads a product with [Handler.ReadProduct].
//
// # Mounting
//
// The handler routes by the escaped path, so that IDs may hold escaped
// slashes; it works at the root, under http.StripPrefix, and behind patterns
// with methods. Location and Link are built from the path that the client
// asked for. (http.StripPrefix itself does not find a prefix that needs
// escaping, like "/my shop", in front of an ID with an escaped slash.)
//
// # Conditions
//
// If-Match (a list, or *) on upserts and deletes, If-None-Match: * on upserts.
// A use never makes an If-Match fail, an edit always does. On a plain use, and
// as any other form of If-None-Match on a write, they are refused. On the GET
// of a product or image, If-Match and If-None-Match are both honoured. Wherever
// a condition has a meaning, a header that can't be read is refused; on the
// list it has none, and both headers are ignored.
//
// # Errors
//
// Every error has the body {"code","message","status"} and, on a 400,
// "details" with every fault. Checks come in this order: authentication, path,
// method, content type, size, JSON, fields, condition, existence.
// Unsatisfiable ranges of an image are answered 416 with the code
// RANGE_NOT_SATISFIABLE.
//
// # Choices
//
// An empty cursor means the first page. An image position that is not a plain
// decimal number is one where no image is: IMAGE_NOT_FOUND, if there is such a
// product. A body with a Content-Encoding is refused with 415. An account that
// the authenticator returns but the catalog can't have is the host's fault:
// 500.
//
// The headers of a part of a multipart body, with what stands before them,
// have 16 KiB: 413 beyond. The name, file name and content type of a part have
// 1 KiB each: VALIDATION_FAILED beyond, at the part's name, or at "" where that
// is what is too long. A part without a name, or one that is not form-data, is
// a file that no fileKey can name: it counts against the limits and is
// otherwise ignored.
//
// # What net/http answers
//
// A request that net/http can't parse, its request line or its headers, is
// answered by net/http in a form of its own. So is OPTIONS *, unless
// http.Server.DisableGeneralOptionsHandler is set.
package httpadapter

import (
	"log/slog"
	"net/http"
	"os"

	"github.com/shelflife-db/shelflife/catalog"
)

// The defaults of [Options].
const (
	DefaultMaxJSONBytes      = 1 << 20
	DefaultMaxMultipartBytes = 64 << 20
	DefaultMaxParts          = 64
	DefaultChallenge         = `APIKey realm="shelflife"`
)

// Options of New. The zero value, and nil, mean the defaults. Limits that are
// zero or negative mean their default too. The limit of one uploaded file is
// the catalog's Limits.ImageBytes.
type Options struct {
	// Authenticate tells on whose behalf a request is made. It may be called
	// concurrently, must not read the body, and is the first thing that a
	// request meets. Its error is matched with errors.Is: [ErrMissingKey],
	// [ErrInvalidKey], [ErrForbidden], [ErrAuthUnavailable]; any other is
	// answered 500 and logged. See [APIKeys]. Default: every request is
	// refused.
	Authenticate func(*http.Request) (account string, err error)
	// Challenge is the WWW-Authenticate header of a 401. Default:
	// DefaultChallenge.
	Challenge string
	// MaxJSONBytes limits a JSON body, and the data part of a multipart one.
	// Default: 1 MiB.
	MaxJSONBytes int64
	// MaxMultipartBytes limits a multipart body. Default: 64 MiB.
	MaxMultipartBytes int64
	// MaxParts limits the number of parts of a multipart body, data included.
	// Default: 64.
	MaxParts int
	// SpoolDir is where files that are being uploaded wait; what is there
	// vanishes by itself when the request ends, on most systems even if the
	// process dies. Small files stay in memory. Default: os.TempDir().
	SpoolDir string
	// Logger gets the cause of every 500 and 503, and at the debug level what
	// a client's leaving cut off. It is given no key and no body. Default:
	// none.
	Logger *slog.Logger
}

// Handler serves a catalog. It is safe for concurrent use.
type Handler struct {
	catalog *catalog.Catalog
	options Options
	limits  catalog.Limits
}

var _ http.Handler = (*Handler)(nil)

// New returns a handler that serves c. It does not own c: close c after the
// server has shut down.
func New(c *catalog.Catalog, o *Options) *Handler {
	h := &Handler{catalog: c, limits: c.Limits()}
	if o != nil {
		h.options = *o
	}
	set(&h.options.MaxJSONBytes, DefaultMaxJSONBytes)
	set(&h.options.MaxMultipartBytes, DefaultMaxMultipartBytes)
	set(&h.options.MaxParts, DefaultMaxParts)
	if h.options.Challenge == "" {
		h.options.Challenge = DefaultChallenge
	}
	if h.options.SpoolDir == "" {
		h.options.SpoolDir = os.TempDir()
	}
	if h.options.Logger == nil {
		h.options.Logger = slog.New(slog.DiscardHandler)
	}
	if h.options.Authenticate == nil {
		h.options.Logger.Warn("no authenticator is configured: every request will be refused")
		h.options.Authenticate = func(*http.Request) (string, error) { return "", ErrInvalidKey }
	}
	return h
}

func set[T int | int64](limit *T, value T) {
	if *limit <= 0 {
		*limit = value
	}
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	account, err := h.authenticate(r)
	if err != nil {
		h.WriteError(w, r, err)
		return
	}
	if err := h.route(w, r, account); err != nil {
		h.WriteError(w, r, err)
	}
}
