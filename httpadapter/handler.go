package httpadapter

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"

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
	// Authenticate returns the account on whose behalf a request is made. It may be called
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
	// Strict makes names in bodies and queries that the contract does not know
	// VALIDATION_FAILED, for clients that would rather learn of a slip than have it
	// ignored. A request says it for itself with ?strict=true or ?strict=false.
	// Names that a client can only read are known; a host's own members and
	// parameters are not judged. Default: such names are ignored.
	Strict bool
	// PublicPath is the path, in its escaped form, under which clients see the
	// handler, beginning with a slash, "/" for the root, where the requests don't
	// show it: behind a proxy that takes off a prefix, and for the hosts' own
	// endpoints that answer with products. It goes into Location, Link and the href
	// of images, and into the entity tags of products that have one; the routes do
	// not depend on it. A slash at its end means nothing. Default: what was taken
	// off the path of each request.
	PublicPath string
	// Budget bounds what requests hold at once. Default: one of its own with the
	// default BudgetOptions.
	Budget *Budget
	// AllowedOrigins are the origins of pages that may use the handler from a
	// browser, each as browsers write it in the header Origin: scheme, host and, if
	// it is not the scheme's own, port (https://shop.example), in lower case, with
	// nothing behind. "*" allows all. One that no browser would send is an error of
	// New. Their preflights are answered before authentication on any path, also
	// for a host that routes OPTIONS of its own endpoints to the handler; answers,
	// errors included, may be read by the page. Cookies and other credentials of
	// the browser are never allowed. Default: none.
	AllowedOrigins []string
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
	// draining ends, with errDraining, when Drain is called.
	draining context.Context
	drain    context.CancelCauseFunc
}

var _ http.Handler = (*Handler)(nil)

// New returns a handler that serves c. It does not own c: close c after the
// server has shut down. An error names the option that can't be heeded.
func New(c *catalog.Catalog, o *Options) (*Handler, error) {
	h := &Handler{catalog: c, limits: c.Limits(), readingOn: make(chan struct{}, readOnMany)}
	h.draining, h.drain = context.WithCancelCause(context.Background())
	if o != nil {
		h.options = *o
		h.options.AllowedOrigins = slices.Clone(o.AllowedOrigins)
	}
	for _, origin := range h.options.AllowedOrigins {
		if err := CheckOrigin(origin); err != nil {
			return nil, fmt.Errorf("httpadapter: Options.AllowedOrigins: %w", err)
		}
	}
	if err := checkPublicPath(h.options.PublicPath); err != nil {
		return nil, fmt.Errorf("httpadapter: Options.PublicPath: %w", err)
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
	if h.options.Budget == nil {
		h.options.Budget, _ = NewBudget(nil) // the defaults are in range
	}
	if h.options.Logger == nil {
		h.options.Logger = slog.New(slog.DiscardHandler)
	}
	if h.options.Authenticate == nil {
		h.options.Logger.Warn("httpadapter: no authenticator is configured: every request will be refused")
		h.options.Authenticate = func(*http.Request) (string, error) { return "", ErrInvalidKey }
	}
	return h, nil
}

func set[T int | int64](limit *T, value T) {
	if *limit <= 0 {
		*limit = value
	}
}

// Drain has bulk upserts, which may go on for as long as a client likes, end between
// two lines: what a host calls when its server stops, by
// http.Server.RegisterOnShutdown. Their answers end with a summary that says so. Other
// requests are served as before. Drain returns at once, and calling it again does
// nothing.
func (h *Handler) Drain() { h.drain(errDraining) }

// untilDrained returns ctx until Drain is called, which has ended already if it was
// called before. The caller must call stop.
func (h *Handler) untilDrained(ctx context.Context) (waiting context.Context, stop func()) {
	waiting, cancel := context.WithCancelCause(ctx)
	forget := context.AfterFunc(h.draining, func() { cancel(errDraining) })
	if h.draining.Err() != nil {
		// The function above is called by a goroutine that may come late.
		cancel(errDraining)
	}
	return waiting, func() {
		forget()
		cancel(nil)
	}
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.reading(w, r, bodyUse{endsWithAnswer: true}, h.serve)
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	if h.begin(w, r) && isPreflight(r) {
		answerPreflight(w, r)
		return
	}
	if isOpenAPI(r) {
		if err := h.getOpenAPI(w, r); err != nil {
			h.writeError(w, r, err)
		}
		return
	}
	account, err := h.authenticate(r)
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	u, err := h.options.Budget.open(account)
	if err != nil {
		h.writeError(w, r, err)
		return
	}
	defer u.close()
	if err := h.route(w, r, account, u); err != nil {
		h.writeError(w, r, err)
	}
}

// begin sets what every answer has, and reports whether it goes to a page of an
// allowed origin. Calling it again does nothing.
func (h *Handler) begin(w http.ResponseWriter, r *http.Request) (allowed bool) {
	RequestID(w, r)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	return h.allowOrigin(w, r)
}
