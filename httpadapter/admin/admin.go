package admin

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/dump"
)

// The trailers behind a backup: how many products and stored images it holds.
const (
	ProductsTrailer = "Shelflife-Products"
	BlobsTrailer    = "Shelflife-Stored-Images"
)

// Options of New. The zero value is for a listener of the machine itself.
type Options struct {
	// Hosts are the names, beside those of the machine itself, under which requests
	// are taken, without a port. Requests on a Unix socket are taken under any. An
	// entry "*" lets every name pass: then any page that is open in an operator's
	// browser may ask too. Default: localhost and loopback addresses alone.
	Hosts []string
	// Ready returns nil if the service takes writes, or why not. Default:
	// Catalog.Ready.
	Ready func() error
	// Routes are further handlers by their pattern, as http.ServeMux has them.
	// Default: none.
	Routes map[string]http.Handler
	// Logger gets backups and dumps that began and ended, and those that failed.
	// Default: silence.
	Logger *slog.Logger
}

// Handler serves a catalog to operators. It is safe for concurrent use.
type Handler struct {
	catalog *catalog.Catalog
	options Options
	mux     *http.ServeMux
	// copying holds a value for each backup or dump that is written.
	copying chan struct{}
}

// maxCopies is how many backups and dumps are written at once: each takes tens of
// megabytes. Further ones are refused.
const maxCopies = 2

var _ http.Handler = (*Handler)(nil)

// New returns a handler for c. It fails for patterns of Options.Routes that
// http.ServeMux does not take, or that stand for what the handler has itself.
func New(c *catalog.Catalog, o *Options) (*Handler, error) {
	if c == nil {
		return nil, errors.New("httpadapter/admin: there is no catalog")
	}
	h := &Handler{catalog: c, mux: http.NewServeMux(), copying: make(chan struct{}, maxCopies)}
	if o != nil {
		h.options = *o
	}
	if h.options.Ready == nil {
		h.options.Ready = c.Ready
	}
	if h.options.Logger == nil {
		h.options.Logger = slog.New(slog.DiscardHandler)
	}
	routes := map[string]http.Handler{
		"GET /livez":               http.HandlerFunc(live),
		"GET /readyz":              http.HandlerFunc(h.ready),
		"GET /stats":               http.HandlerFunc(h.stats),
		"POST /backup":             http.HandlerFunc(h.backup),
		"POST /dump":               http.HandlerFunc(h.dump),
		"GET /debug/pprof/{name}":  http.HandlerFunc(profile),
		"GET /debug/pprof/profile": cpuProfile,
		"GET /debug/pprof/trace":   executionTrace,
	}
	for pattern, handler := range routes {
		h.mux.Handle(pattern, handler)
	}
	for pattern, handler := range h.options.Routes {
		if err := h.add(pattern, handler); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// add adds a route of the host's.
func (h *Handler) add(pattern string, handler http.Handler) (err error) {
	defer func() {
		if p := recover(); p != nil { // all that http.ServeMux has to say
			err = errors.New("httpadapter/admin: the route " + pattern + " can't be had")
		}
	}()
	h.mux.Handle(pattern, handler)
	return nil
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case !h.knows(r):
		refuse(w, http.StatusMisdirectedRequest, "this name is not one of the server's: ask under localhost, or name it to the server")
	case isForeign(r):
		refuse(w, http.StatusForbidden, "the request comes from a page of another site")
	default:
		h.mux.ServeHTTP(w, r)
	}
}

// knows reports whether the name under which r asks is one of the server's.
func (h *Handler) knows(r *http.Request) bool {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && local.Network() == "unix" {
		return true
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return true
	}
	return slices.ContainsFunc(h.options.Hosts, func(known string) bool {
		return known == "*" || strings.EqualFold(known, host)
	})
}

// isForeign reports whether a browser says that r was not made by the person
// alone: an address that was typed in says "none".
func isForeign(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "":
		return r.Header.Get("Origin") != ""
	case "none", "same-origin":
		return false
	}
	return true
}

func live(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, statusBody{Status: "ok"}) }

// statusBody says how things stand.
type statusBody struct {
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
}

func (h *Handler) ready(w http.ResponseWriter, _ *http.Request) {
	if err := h.options.Ready(); err != nil {
		answer(w, http.StatusServiceUnavailable, statusBody{"unavailable", err.Error()})
		return
	}
	if err := h.catalog.Damage(); err != nil {
		answer(w, http.StatusOK, statusBody{"damaged", err.Error()})
		return
	}
	answer(w, http.StatusOK, statusBody{Status: "ok"})
}

func (h *Handler) stats(w http.ResponseWriter, r *http.Request) {
	s, err := h.catalog.StoreStats(r.Context())
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	var sweepError string
	if s.Sweeper.LastError != nil {
		sweepError = s.Sweeper.LastError.Error()
	}
	var sweptTo time.Time // zero where another process sweeps
	if s.Sweeper.SweptTo != 0 {
		sweptTo = time.UnixMilli(s.Sweeper.SweptTo).UTC()
	}
	answer(w, http.StatusOK, statsBody{
		ProductBytes: s.ProductBytes, ImageBytes: s.ImageBytes, PendingUses: s.PendingUses,
		CacheBytes: s.CacheBytes, IndexEntries: s.IndexEntries,
		Sweeper: sweeperBody{
			Expired: s.Sweeper.Expired, SweptTo: sweptTo,
			Paused: s.Sweeper.Paused, Errors: s.Sweeper.Errors, LastError: sweepError,
		},
	})
}

// statsBody is a catalog.StoreStats as JSON.
type statsBody struct {
	ProductBytes int64       `json:"productBytes"`
	ImageBytes   int64       `json:"imageBytes"`
	PendingUses  int         `json:"pendingUses"`
	CacheBytes   int64       `json:"cacheBytes"`
	IndexEntries int         `json:"indexEntries"`
	Sweeper      sweeperBody `json:"sweeper"`
}

type sweeperBody struct {
	Expired   uint64    `json:"expired"` // since the start
	SweptTo   time.Time `json:"sweptTo,omitzero"`
	Paused    bool      `json:"paused"`
	Errors    uint64    `json:"errors"`
	LastError string    `json:"lastError,omitempty"`
}

// backup streams a backup.
func (h *Handler) backup(w http.ResponseWriter, r *http.Request) {
	h.stream(w, "backup", func(out io.Writer) (products int, bytes int64, err error) {
		info, err := h.catalog.Backup(r.Context(), out)
		if err == nil {
			w.Header().Set(http.TrailerPrefix+ProductsTrailer, strconv.Itoa(info.Products))
			w.Header().Set(http.TrailerPrefix+BlobsTrailer, strconv.Itoa(info.Blobs))
		}
		return info.Products, info.Bytes, err
	})
}

// dump streams a dump.
func (h *Handler) dump(w http.ResponseWriter, r *http.Request) {
	h.stream(w, "dump", func(out io.Writer) (products int, bytes int64, err error) {
		info, err := dump.Write(r.Context(), out, h.catalog, nil)
		return info.Products, info.Bytes, err
	})
}

// stream answers with what write writes. Once the first byte is out its failure can
// be told by cutting the connection alone; what has come by then is refused by
// whatever reads it.
func (h *Handler) stream(w http.ResponseWriter, what string, write func(io.Writer) (products int, bytes int64, err error)) {
	select {
	case h.copying <- struct{}{}:
		defer func() { <-h.copying }()
	default:
		w.Header().Set("Retry-After", "60")
		refuse(w, http.StatusServiceUnavailable, "as many backups and dumps are written as may be at once")
		return
	}
	// It takes as long as it takes: the server may have bounds for other requests.
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{}) // without one there is nothing to be lifted
	out := &startedWriter{ResponseWriter: w}
	h.options.Logger.Info("httpadapter/admin: " + what + " begun")
	products, bytes, err := write(out)
	switch {
	case err == nil:
		h.options.Logger.Info("httpadapter/admin: "+what+" written", "products", products, "bytes", bytes)
	case out.started:
		h.options.Logger.Error("httpadapter/admin: "+what+" cut off", "error", err)
		panic(http.ErrAbortHandler) // net/http takes this as the wish to cut the connection
	case errors.Is(err, errors.ErrUnsupported):
		refuse(w, http.StatusNotImplemented, "this store is not backed up here: its database has tools for that")
	default:
		h.options.Logger.Error("httpadapter/admin: "+what+" failed", "error", err)
		refuse(w, http.StatusServiceUnavailable, err.Error())
	}
}

// startedWriter is a ResponseWriter that knows whether anything was written.
type startedWriter struct {
	http.ResponseWriter
	started bool
}

// Write implements io.Writer.
func (w *startedWriter) Write(p []byte) (int, error) {
	if !w.started {
		w.started = true
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Cache-Control", "no-store")
	}
	return w.ResponseWriter.Write(p)
}

func refuse(w http.ResponseWriter, status int, message string) {
	answer(w, status, struct {
		Message string `json:"message"`
		Status  int    `json:"status"`
	}{message, status})
}

// answer writes a value as JSON.
func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // an error means that the client left
}
