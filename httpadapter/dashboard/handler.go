package dashboard

import (
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/httpadapter/internal/budget"
	"github.com/shelflife-db/shelflife/ttl"
)

// The defaults of [Options].
const (
	DefaultRecheck         = time.Minute
	DefaultMaxRequestBytes = 64 << 20
)

// RemoteImages says what is shown of images that are given by URL, which are
// fetched from elsewhere by the browser of the person who looks at them.
type RemoteImages uint8

const (
	// RemoteImagesAsk shows them once the person has asked for them, until they
	// sign out or the browser ends: a cookie remembers it. The default.
	RemoteImagesAsk RemoteImages = iota
	// RemoteImagesShow shows them at once.
	RemoteImagesShow
	// RemoteImagesOff shows their URL alone.
	RemoteImagesOff
)

// Options of New. Exactly one of Authenticate and Account is required; the zero
// value of every other field means its default.
type Options struct {
	// Authenticate returns the account of a request that carries an API key in the
	// header KeyHeader: an httpadapter.Options.Authenticate. It is called when a
	// person signs in, and again as Recheck says, with a copy of the request that
	// has the key and no body. Its error is matched with errors.Is, as
	// httpadapter does: httpadapter.ErrMissingKey, ErrInvalidKey and ErrForbidden
	// end the session, any other is answered 503 and leaves it alone.
	Authenticate func(*http.Request) (account string, err error)
	// KeyHeader is the header in which Authenticate looks for the key. It has no
	// effect without Authenticate. Default: httpadapter.APIKeyHeader.
	KeyHeader string
	// Account returns whose dashboard a request is for, in a host with a sign-in of
	// its own; it is called for every request but those for the stylesheet and the
	// script, may be called concurrently and must not read the body. Its errors are
	// matched as those of Authenticate; httpadapter.ErrMissingKey and ErrInvalidKey
	// are answered 401.
	Account func(*http.Request) (account string, err error)
	// SessionKey seals the session cookies: at least 32 random bytes, the same for
	// all servers between which a person may be moved. It has no effect with
	// Account. Default, as of a nil slice: random, so that sessions end when the
	// process does.
	SessionKey []byte
	// Recheck is how long a key that was found valid is believed before
	// Authenticate is asked again. Default: DefaultRecheck. Negative: it is asked
	// for every request.
	Recheck time.Duration
	// RemoteImages says what is shown of images that are given by URL: of those by
	// https alone, and without telling their server where they are shown. Default:
	// RemoteImagesAsk.
	RemoteImages RemoteImages
	// TrustedOrigins are origins (https://shop.example) from which forms are taken
	// besides the one that the Host header names: for a proxy that changes that
	// header. Default: none.
	TrustedOrigins []string
	// Store has the account's page show figures about the store of all accounts
	// too. Default: it does not.
	Store bool
	// MaxRequestBytes limits a form with the images that are uploaded by it. The
	// limit of one image is the catalog's Limits.ImageBytes. Default, also for a
	// negative number: DefaultMaxRequestBytes.
	MaxRequestBytes int64
	// Budget bounds what requests hold at once, forms and the files of imports
	// above all: give it that of the host's httpadapter.Handler, so that both share
	// it. Pages of products are bounded apart: eight are made at once. Default: one
	// of its own with the default httpadapter.BudgetOptions.
	Budget *httpadapter.Budget
	// SpoolDir is the folder where the files of imports wait, which must exist.
	// Default: os.TempDir().
	SpoolDir string
	// Imports bound what is kept of imports.
	Imports ImportOptions
	// Clock is the clock by which the rest of a lifetime is counted: give it where
	// the catalog has one of its own. It does not affect what has expired, which the
	// catalog decides. Default: ttl.SystemClock().
	Clock ttl.Clock
	// Logger gets the cause of every answer that is a 500 or a 503. It is given no
	// key. Default: none.
	Logger *slog.Logger
}

// Handler is a dashboard. It is safe for concurrent use.
type Handler struct {
	catalog *catalog.Catalog
	options Options
	limits  catalog.Limits
	clock   ttl.Clock
	log     *slog.Logger
	seal    *sealer // nil with Options.Account
	origins *http.CrossOriginProtection
	pages   *template.Template
	assets  map[string]*asset
	routes  map[string]route
	imports *imports
	// building has room for the pages that are made at once: each holds its
	// products until they are in the page. No client is waited for meanwhile.
	building *budget.Pool
}

var _ http.Handler = (*Handler)(nil)

// pagesAtOnce bounds the memory for pages: a page holds 8 MiB of products at
// most, and some ten times less as a rule. An account has no more than its share of
// them: some take long, where an account is large.
const (
	pagesAtOnce        = 8
	accountPagesAtOnce = pagesAtOnce / 2
)

// New returns a dashboard of c. It does not own c: when the server has shut down,
// close first the dashboard and then c. An error names the option that is wrong.
func New(c *catalog.Catalog, o *Options) (*Handler, error) {
	h := &Handler{catalog: c, limits: c.Limits(), building: budget.NewPool(pagesAtOnce, accountPagesAtOnce)}
	if o != nil {
		h.options = *o
	}
	if (h.options.Authenticate == nil) == (h.options.Account == nil) {
		return nil, errors.New("dashboard: exactly one of Options.Authenticate and Options.Account is required")
	}
	if h.options.RemoteImages > RemoteImagesOff {
		return nil, fmt.Errorf("dashboard: Options.RemoteImages %d is none of its values", h.options.RemoteImages)
	}
	if h.options.KeyHeader == "" {
		h.options.KeyHeader = httpadapter.APIKeyHeader
	}
	if h.options.Recheck == 0 {
		h.options.Recheck = DefaultRecheck
	}
	if h.options.MaxRequestBytes <= 0 {
		h.options.MaxRequestBytes = DefaultMaxRequestBytes
	}
	if h.clock = h.options.Clock; h.clock == nil {
		h.clock = ttl.SystemClock()
	}
	if h.log = h.options.Logger; h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if h.options.Imports, err = h.options.Imports.withDefaults(); err != nil {
		return nil, err
	}
	if h.options.Budget == nil {
		h.options.Budget, _ = httpadapter.NewBudget(nil) // the defaults are in range
	}
	if h.options.SpoolDir == "" {
		h.options.SpoolDir = os.TempDir()
	}
	h.origins = http.NewCrossOriginProtection()
	for _, origin := range h.options.TrustedOrigins {
		if err := h.origins.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("dashboard: Options.TrustedOrigins: %w", err)
		}
	}
	if h.options.Authenticate != nil {
		if h.seal, err = newSealer(h.options.SessionKey); err != nil {
			return nil, err
		}
	}
	if h.assets, err = readAssets(); err != nil {
		return nil, err
	}
	if h.pages, err = parsePages(); err != nil {
		return nil, err
	}
	h.routes, h.imports = h.table(), newImports()
	return h, nil
}
