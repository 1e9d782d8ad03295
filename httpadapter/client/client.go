package client

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// The defaults of [Options].
const (
	DefaultAttempts   = 5
	DefaultBackoff    = 100 * time.Millisecond
	DefaultMaxBackoff = 10 * time.Second
)

// Options of New. The zero value, and nil, mean the defaults. A negative number is
// an error of New.
type Options struct {
	// APIKey is sent in the header X-API-Key. Default: none.
	APIKey string
	// Header is sent with every request, for a host that authenticates in another
	// way. New takes a copy. Default: none.
	Header http.Header
	// HTTPClient sends the requests. Its Timeout, if it has one, bounds bulk requests
	// and the reading of images too: a context is the better bound. Redirects are
	// never followed, whatever it says of them: they would take the key elsewhere.
	// Default: one without a timeout, on http.DefaultTransport.
	HTTPClient *http.Client
	// Attempts is how often a request is sent at most; with 1 none is sent again.
	// Default: 5.
	Attempts int
	// Backoff is the first pause before a request is sent again. Each further one is
	// twice as long, up to MaxBackoff; each is cut to a random part, at least half.
	// Default: 100 ms.
	Backoff time.Duration
	// MaxBackoff bounds the pauses. Where a server asks for a longer one its answer
	// is the error. Default: 10 s.
	MaxBackoff time.Duration
}

// Client asks one server for one account. It is safe for concurrent use.
type Client struct {
	base    string // without a slash at its end
	options Options
	http    *http.Client
}

// New returns a client of the API that is mounted at base, as
// https://shop.example/v1. Nothing is asked yet.
func New(base string, o *Options) (*Client, error) {
	u, err := url.Parse(base)
	switch {
	case err != nil:
		return nil, errors.New("client: the base is no URL") // which may hold a password
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, errors.New("client: the base is no http or https URL with a host")
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return nil, errors.New("client: the base has more than a scheme, a host and a path")
	}
	c := &Client{base: strings.TrimRight(base, "/"), http: new(http.Client)}
	if o != nil {
		c.options = *o
		c.options.Header = o.Header.Clone()
		if o.HTTPClient != nil {
			*c.http = *o.HTTPClient
		}
	}
	for _, option := range []struct {
		name  string
		value int64
	}{
		{"Attempts", int64(c.options.Attempts)},
		{"Backoff", int64(c.options.Backoff)},
		{"MaxBackoff", int64(c.options.MaxBackoff)},
	} {
		if option.value < 0 {
			return nil, fmt.Errorf("client: Options.%s is negative", option.name)
		}
	}
	setDefault(&c.options.Attempts, DefaultAttempts)
	setDefault(&c.options.Backoff, DefaultBackoff)
	setDefault(&c.options.MaxBackoff, DefaultMaxBackoff)
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

func setDefault[T int | time.Duration](option *T, value T) {
	if *option == 0 {
		*option = value
	}
}

// productPath returns the path of a product, below base. An ID that a path can't
// have is an error: the server would never see it.
func productPath(externalID string, more ...string) (string, error) {
	switch {
	case externalID == "" || externalID == "." || externalID == "..":
		return "", fmt.Errorf("client: %q is no external ID", externalID)
	case !utf8.ValidString(externalID):
		return "", errNoUTF8
	}
	return strings.Join(append([]string{"/products", url.PathEscape(externalID)}, more...), "/"), nil
}

// errNoUTF8 says what JSON would hide: it has U+FFFD for what is not UTF-8, which is
// another ID.
var errNoUTF8 = errors.New("client: an external ID is not valid UTF-8")
