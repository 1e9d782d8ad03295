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
	// refused as one whose key is not valid, with 401.
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
	// readingOn has room for the requests that are read on at once: see readOn.
	readingOn chan struct{}
}

var _ http.Handler = (*Handler)(nil)

// New returns a handler that serves c. It does not own c: close c after the
// server has shut down.
func New(c *catalog.Catalog, o *Options) *Handler {
	h := &Handler{catalog: c, limits: c.Limits(), readingOn: make(chan struct{}, readOnMany)}
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
	h.reading(w, r, bodyUse{endsWithAnswer: true}, h.serve)
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	RequestID(w, r)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	account, err := h.authenticate(r)
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	if err := h.route(w, r, account); err != nil {
		h.writeError(w, r, err)
	}
}
