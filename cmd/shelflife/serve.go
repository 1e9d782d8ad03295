package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/netutil"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/ttl"
)

// serveCmd is shelflife serve.
type serveCmd struct {
	Demo bool   `help:"Serve a small sample catalog; needs no other flag."`
	Addr string `placeholder:"HOST:PORT" default:"127.0.0.1:8080" help:"Address to listen on; port 0 takes a free one. Default: ${default}."`
	Data string `placeholder:"DIR" help:"Folder of the store, made if it is missing. Required but for --demo, where it is ${demodir} by default."`

	Prefix     string   `placeholder:"PATH" default:"/" help:"Path under which the API is mounted. Default: ${default}."`
	APIKey     []string `name:"api-key" sep:"none" placeholder:"ACCOUNT=KEY" help:"An API key and the account it is for; may be repeated. Other users of the machine may see it."`
	APIKeyFile string   `name:"api-key-file" placeholder:"FILE" help:"File of API keys, one ACCOUNT=KEY a line; # begins a comment line."`

	LogFormat       string        `enum:"text,json" default:"text" placeholder:"FORMAT" help:"Form of the log: text or json. Default: ${default}."`
	Durability      string        `enum:"synced,buffered" default:"synced" placeholder:"WHEN" help:"When a write is acknowledged: synced, when it is on disk; buffered, before that, so that a crash may take the last ones. Default: ${default}."`
	UseWindow       time.Duration `default:"1s" placeholder:"TIME" help:"How long after its acknowledgement a use becomes durable: 0, or 1ms to 1h. Default: ${default}."`
	CacheSize       byteSize      `default:"256MiB" placeholder:"SIZE" help:"Memory of the engine's cache, at least 2MiB; the cache of products takes an eighth as much again. Default: ${default}."`
	DiskReserve     byteSize      `default:"256MiB" placeholder:"SIZE" help:"Free disk space below which writes are refused, and below half of which deletes are too; reads go on. Default: ${default}."`
	MaxImageSize    byteSize      `default:"20MiB" placeholder:"SIZE" help:"Largest uploaded image. Default: ${default}."`
	MaxRequestSize  byteSize      `default:"64MiB" placeholder:"SIZE" help:"Largest multipart request. Default: ${default}."`
	MaxConnections  int           `placeholder:"N" help:"How many clients may be connected; further ones wait. Default: 4096, or a quarter of the files that the process may have open."`
	ShutdownTimeout time.Duration `default:"30s" placeholder:"TIME" help:"How long running requests may take to end when the server stops. Default: ${default}."`
}

// Help tells the details.
func (*serveCmd) Help() string {
	return `API keys come from --api-key, --api-key-file and the environment variable ` + keysVariable + ` together. There the ACCOUNT=KEY entries have white space or commas between them. The first "=" separates. Clients send the key in the header X-API-Key. Keys are never logged.

GET ` + healthPath + ` needs no key and is not under the prefix: 200 when the store takes writes, 503 when it does not.

SIGTERM or SIGINT stops the server: it takes no more requests, ends running ones, writes everything down and exits with 0. A second signal ends it at once.

A client that stands still for 30 seconds within a request, for 2 minutes between two, or is slower than 4 KiB a second on the whole, is cut off.

--demo fills its own store, serves the account "` + demoAccount + `" with the key "` + demoKey + `", which is no secret, and prints what to try. Samples that were deleted come back with the next start.`
}

// Run serves until the process is to stop.
func (c *serveCmd) Run(p *process) error {
	prefix, err := cleanPrefix(c.Prefix)
	if err != nil {
		return err
	}
	if c.UseWindow < 0 || c.ShutdownTimeout < 0 {
		return errors.New("a time is negative")
	}
	if c.UseWindow > time.Hour {
		return errors.New("--use-window is more than 1h")
	}
	if c.UseWindow > 0 && c.UseWindow < time.Millisecond {
		return errors.New("--use-window is less than 1ms")
	}
	if c.MaxConnections < 0 {
		return errors.New("--max-connections is negative")
	}
	if c.CacheSize < 2<<20 {
		return errors.New("--cache-size is less than 2MiB")
	}
	keys, err := c.keys()
	if err != nil {
		return err
	}
	auth, err := httpadapter.NewAPIKeys(keys)
	if err != nil {
		return err
	}
	dir := c.Data
	if dir == "" && c.Demo {
		if dir, err = makeDemoDir(); err != nil {
			return err
		}
	}
	if dir == "" {
		return errors.New("--data is missing (try --help, or --demo)")
	}
	listener, err := listen(p.ctx, c.Addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	return c.serve(p, listener, dir, prefix, auth)
}

// serve opens the store and serves it on listener.
func (c *serveCmd) serve(p *process, listener net.Listener, dir, prefix string, auth *httpadapter.APIKeys) (err error) {
	log := c.logger(p.stderr)
	clock := ttl.SystemClock()
	// A signal that comes meanwhile is heeded below.
	tables, connections := fileShares(openFileLimit())
	if c.MaxConnections > 0 {
		connections = c.MaxConnections
	}
	engine := pebble.Options{CacheSize: int64(c.CacheSize), DiskReserve: int64(c.DiskReserve), MaxOpenFiles: tables, Logger: log}
	cat, err := openStore(context.WithoutCancel(p.ctx), dir, engine, c.catalogOptions(clock))
	if err != nil {
		return err
	}
	defer func() {
		if e := cat.Close(); e != nil {
			err = errors.Join(err, e)
			return
		}
		log.Info("stopped")
	}()
	if c.Demo {
		if err := fillDemo(p.ctx, cat); p.ctx.Err() != nil {
			return nil
		} else if err != nil {
			return err
		}
	}
	api := httpadapter.New(cat, &httpadapter.Options{
		Authenticate:      auth.Authenticate,
		MaxMultipartBytes: int64(c.MaxRequestSize),
		Logger:            log,
	})
	url := baseURL(listener.Addr()) + prefix
	server := newServer(mount(prefix, api, healthHandler(cat.Ready)), clock, log)
	log.Info("serving", "url", url, "data", dir)
	if c.Demo {
		printDemo(p.stdout, url)
	}
	return runServer(p.ctx, server, netutil.LimitListener(listener, connections), c.ShutdownTimeout, log)
}

// runServer serves until ctx is done, and then until the running requests have
// ended, or drain has passed.
func runServer(ctx context.Context, server *http.Server, listener net.Listener, drain time.Duration, log *slog.Logger) error {
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping")
	drained, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := server.Shutdown(drained); err != nil {
		log.Warn("requests that did not end were cut off", "error", err)
		_ = server.Close()
	}
	<-ended
	return nil
}

func (c *serveCmd) keys() (apiKeys, error) {
	if !c.Demo {
		return readAPIKeys(c.APIKey, c.APIKeyFile, os.Getenv(keysVariable))
	}
	if len(c.APIKey) > 0 || c.APIKeyFile != "" {
		return nil, errors.New("--demo has a key of its own and takes no other")
	}
	return apiKeys{demoKey: demoAccount}, nil
}

func (c *serveCmd) logger(w io.Writer) *slog.Logger {
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, nil))
	}
	return slog.New(slog.NewTextHandler(w, nil))
}

func (c *serveCmd) catalogOptions(clock ttl.Clock) catalog.Options {
	o := catalog.Options{Clock: clock, UseWindow: c.UseWindow}
	if c.UseWindow == 0 {
		o.UseWindow = catalog.NoUseWindow
	}
	if c.Durability == "buffered" {
		o.Durability = catalog.Buffered
	}
	o.Limits.ImageBytes = int64(c.MaxImageSize)
	return o
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("the address %s is in use: stop what listens there, or choose another with --addr", addr)
	}
	return listener, err
}

// baseURL returns a URL at which this machine reaches a listener.
func baseURL(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if ok && tcp.IP.IsUnspecified() {
		loopback := net.IPv4(127, 0, 0, 1)
		if tcp.IP.To4() == nil {
			loopback = net.IPv6loopback
		}
		addr = &net.TCPAddr{IP: loopback, Port: tcp.Port}
	}
	return "http://" + addr.String()
}
