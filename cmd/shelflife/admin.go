package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/net/netutil"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/metrics"
	"github.com/shelflife-db/shelflife/httpadapter/admin"
)

// adminFlags say where operators reach a server.
type adminFlags struct {
	AdminAddr string   `placeholder:"ADDR" help:"Where operators reach the server, without any key: HOST:PORT, or unix:PATH for a socket that is its user's alone. Offers /livez, /readyz, /metrics, /stats, /backup, /dump and profiles. Addresses of other machines only with --admin-host. Default: none."`
	AdminHost []string `placeholder:"NAME" help:"Name, beside those of the machine itself, under which --admin-addr answers; may be repeated. Whatever reaches the address under it needs no key."`
}

// unixPrefix is what an address begins with that is a socket's path.
const unixPrefix = "unix:"

// check refuses an address that other machines reach, unless a name says that they
// are meant to.
func (f adminFlags) check() error {
	if f.AdminAddr == "" {
		if len(f.AdminHost) > 0 {
			return errors.New("--admin-host is given, but no --admin-addr")
		}
		return nil
	}
	if path, ok := strings.CutPrefix(f.AdminAddr, unixPrefix); ok {
		if path == "" {
			return errors.New("--admin-addr: behind unix: the path of the socket is missing")
		}
		return nil
	}
	host, _, err := net.SplitHostPort(f.AdminAddr)
	if err != nil {
		return fmt.Errorf("--admin-addr %q is neither HOST:PORT nor unix:PATH", f.AdminAddr)
	}
	address, err := netip.ParseAddr(host)
	if host != "localhost" && (err != nil || !address.IsLoopback()) && len(f.AdminHost) == 0 {
		return fmt.Errorf("--admin-addr %q may be reached from other machines, and asks for no key: choose an address of the machine itself, as 127.0.0.1, or name with --admin-host what operators call it", f.AdminAddr)
	}
	return nil
}

// listen opens the address. nil without an error says that there is none.
func (f adminFlags) listen(ctx context.Context) (net.Listener, error) {
	path, isSocket := strings.CutPrefix(f.AdminAddr, unixPrefix)
	switch {
	case f.AdminAddr == "":
		return nil, nil
	case !isSocket:
		l, err := listen(ctx, f.AdminAddr)
		if err != nil {
			return nil, fmt.Errorf("--admin-addr: %w", err)
		}
		return l, nil
	}
	l, err := listenUnix(path)
	if err != nil {
		return nil, fmt.Errorf("--admin-addr: %w", err)
	}
	return l, nil
}

// listenUnix opens a socket that its user alone may connect to. One that a process
// has left which is gone gives way.
func listenUnix(path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&fs.ModeSocket == 0 {
			return nil, fmt.Errorf("%s exists, and is no socket", path)
		}
		if c, err := net.Dial("unix", path); err == nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", path, syscall.EADDRINUSE), c.Close())
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// maxAdminConnections leaves the files of the process to the API. Further connections
// wait for others to end.
const maxAdminConnections = 32

// serveAdmin serves operators on l, unless it is nil, until stop is called, which
// ends what they wait for.
func (c *serveCmd) serveAdmin(l net.Listener, cat *catalog.Catalog, calls *metrics.Calls, ready func() error, log *slog.Logger) (stop func(), err error) {
	if l == nil {
		return func() {}, nil
	}
	handler, err := admin.New(cat, &admin.Options{
		Hosts: c.AdminHost, Ready: ready, Logger: log,
		Routes: map[string]http.Handler{"GET /metrics": metricsHandler(cat, calls, log)},
	})
	if err != nil {
		return nil, err
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(netutil.LimitListener(l, maxAdminConnections)); !errors.Is(err, http.ErrServerClosed) {
			log.Error("operators are not served any more", "error", err)
		}
	})
	log.Info("serving operators", "addr", l.Addr().String())
	return func() { _ = server.Close(); serving.Wait() }, nil
}
