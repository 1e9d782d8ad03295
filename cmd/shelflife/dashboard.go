package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/httpadapter/dashboard"
	"github.com/shelflife-db/shelflife/ttl"
)

// dashboardPath is where the dashboard is under the prefix.
const dashboardPath = "/dashboard/"

// dashboardFlags are those of serve that are about the dashboard.
type dashboardFlags struct {
	NoDashboard    bool     `name:"no-dashboard" help:"Serve the API alone. Default: the dashboard is at dashboard/ under --prefix."`
	SessionKeyFile string   `placeholder:"FILE" help:"File of at least 32 random bytes that seal the dashboard's sessions, the same for all servers behind one address. Default: made at the start, so that sessions end with the server."`
	TrustedOrigin  []string `sep:"none" placeholder:"ORIGIN" help:"Origin (https://shop.example) under which browsers see the dashboard, where a proxy changes the Host header; may be repeated. Default: none."`
}

// dashboard returns the handler of the dashboard, nil if there is to be none, and
// what closes it before the catalog. spoolDir is where the files of imports wait.
func (c *serveCmd) dashboard(cat *catalog.Catalog, auth *httpadapter.APIKeys, budget *httpadapter.Budget, spoolDir string, clock ttl.Clock, log *slog.Logger) (h http.Handler, closed func() error, err error) {
	if c.NoDashboard {
		return nil, func() error { return nil }, nil
	}
	o := &dashboard.Options{
		Authenticate: noteAccount(auth.Authenticate),
		// Asking costs a hash here, and each request's account is for the log and
		// for the limiter of connections.
		Recheck:         -1,
		TrustedOrigins:  c.TrustedOrigin,
		MaxRequestBytes: int64(c.MaxRequestSize),
		// There is one account, whose the whole store is.
		Store:    c.Demo,
		Budget:   budget,
		SpoolDir: spoolDir,
		Clock:    clock,
		Logger:   log,
	}
	if c.SessionKeyFile != "" {
		key, warning, err := readKeyFile(c.SessionKeyFile)
		if err != nil {
			return nil, nil, fmt.Errorf("--session-key-file: %w", err)
		}
		if warning != "" {
			log.Warn("--session-key-file: " + warning)
		}
		o.SessionKey = []byte(strings.TrimSpace(key))
	}
	pages, err := dashboard.New(cat, o)
	if err != nil {
		return nil, nil, err
	}
	return pages, pages.Close, nil
}
