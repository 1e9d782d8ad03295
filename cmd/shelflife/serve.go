package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/metrics"
	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/ttl"
)

// serveCmd is shelflife serve.
type serveCmd struct {
	Demo bool   `help:"Serve a small sample catalog; needs no other flag."`
	Addr string `placeholder:"HOST:PORT" default:"127.0.0.1:8080" help:"Address to listen on; port 0 takes a free one. Default: ${default}."`
	storeFlags

	Config string `placeholder:"FILE" help:"File of flags, one NAME = VALUE a line, as addr = 127.0.0.1:8080; # begins a comment line. The command line and the environment take precedence over it. Default: none."`

	MustExist bool `help:"Fail where there is no store, rather than make one: for a folder whose volume may not be mounted."`
	ReadOnly  bool `help:"Only read: nothing in the folder of the store is made, changed or removed, and writes are answered with 503."`

	Prefix     string `placeholder:"PATH" default:"/" help:"Path under which the API is mounted. Default: ${default}."`
	PublicPath string `name:"public-path" placeholder:"PATH" help:"Path under which clients see the API, where a proxy takes off a part of it. Default: what --prefix says."`
	H2C        bool   `name:"h2c" help:"Take HTTP/2 too, without TLS (h2c with prior knowledge), for a proxy that speaks it. Each request counts as a connection."`

	AllowedOrigin []string `placeholder:"ORIGIN" help:"Origin of pages that may use the API from a browser, as https://shop.example; may be repeated, or a list with commas. * allows all. Default: none."`

	APIKey     []string `name:"api-key" sep:"none" placeholder:"ACCOUNT=KEY" help:"An API key and the account it is for; may be repeated. Other users of the machine may see it."`
	APIKeyFile string   `name:"api-key-file" placeholder:"FILE" help:"File of API keys, one ACCOUNT=KEY a line; # begins a comment line. Others must not be able to write it, and should not to read it."`

	LogFormat       string        `enum:"text,json" default:"text" placeholder:"FORMAT" help:"Form of the log: text or json. Default: ${default}."`
	LogLevel        string        `enum:"debug,info,warn,error" default:"info" placeholder:"LEVEL" help:"Least level that is logged: debug, info, warn or error. Requests are info. Default: ${default}."`
	Durability      string        `enum:"synced,buffered" default:"synced" placeholder:"WHEN" help:"When a write is acknowledged: synced, when it is on disk; buffered, before that, so that a crash may take the last ones. Default: ${default}."`
	UseWindow       time.Duration `default:"1s" placeholder:"TIME" help:"How long after its acknowledgement a use becomes durable: 0, or 1ms to 1h. Default: ${default}."`
	CacheSize       byteSize      `placeholder:"SIZE" help:"Memory of the engine's cache, at least 2MiB; the cache of products takes an eighth as much again. Default: 256MiB, or an eighth of the memory that the process may have, by GOMEMLIMIT or its control group, if that is less."`
	DiskReserve     byteSize      `placeholder:"SIZE" help:"Free disk space below which writes are refused; reads go on, and deletes as far as the room goes that is held for them (the file ballast). Default: a tenth of the volume, at least 16MiB or a quarter of it, at most 256MiB."`
	ImageGraceSize  byteSize      `placeholder:"SIZE" help:"Image bytes that stay for their readers after they were replaced or deleted, at most for a quarter of an hour; beyond it the oldest go at once. Default: a sixteenth of the volume, at most 1GiB."`
	MaxImageSize    byteSize      `default:"20MiB" placeholder:"SIZE" help:"Largest uploaded image, at most --max-request-size. Default: ${default}."`
	MaxRequestSize  byteSize      `default:"64MiB" placeholder:"SIZE" help:"Largest multipart request. Default: ${default}."`
	SpoolDir        string        `placeholder:"DIR" help:"Folder where uploads of more than 256KiB wait until they are stored, and the files of the dashboard's imports, made if it is missing. Default: spool in the folder of the store; with --store, the folder for temporary files."`
	RequestMemory   byteSize      `placeholder:"SIZE" help:"Memory that all requests may hold at once for bodies and answers, at least 16MiB; those of one account get half. What passes it is refused with 503 or 429. Default: 64MiB, or an eighth of GOMEMLIMIT if that is less."`
	SpoolSize       byteSize      `default:"1GiB" placeholder:"SIZE" help:"Disk space that waiting uploads may take at once; those of one account get half. Default: ${default}."`
	AccountUploads  int           `default:"32" placeholder:"N" help:"Multipart requests of one account that are worked on at once. Further ones wait, and are refused with 429 after 2s. Default: ${default}."`
	AccountRate     float64       `placeholder:"N" help:"Requests a second that one account may make in the long run, each line of POST /bulk among them: those wait. Further ones are refused with 429, and Retry-After says when to try again. Default: as many as it likes."`
	AccountBurst    int           `placeholder:"N" help:"Requests that an account may make at once when it has made none for a while. Default: --account-rate, rounded up."`
	AccountProducts int64         `placeholder:"N" help:"About how many products one account may have. Writes that would make it more are refused with 403. Default: as many as it likes."`
	AccountImages   byteSize      `placeholder:"SIZE" help:"About how many bytes the uploaded images of one account may have. Default: as many as they like."`
	MaxConnections  int           `placeholder:"N" help:"How many clients may be connected. Further ones take the place of those that stand still, those without a key first; where there are none they are answered 503. Default: 4096, or as many as the files that the process may have open allow."`

	MaxConnectionsPerAddress int      `placeholder:"N" help:"How many of them may come from one address, or one /64 of IPv6; loopback and trusted proxies are exempt. Default: a quarter."`
	TrustedProxy             []string `sep:"none" placeholder:"NETWORK" help:"Address or network (10.0.0.0/8) of proxies whose X-Forwarded-For is believed; may be repeated. Default: none."`

	dashboardFlags
	adminFlags
	tlsFlags

	ShutdownDelay   time.Duration `default:"1s" placeholder:"TIME" help:"How long the server goes on when it is told to stop: it says meanwhile that it is not ready, and every answer ends its connection, so that no client sends on one that is closed. As long as a load balancer takes to notice, where there is one. Default: ${default}."`
	ShutdownTimeout time.Duration `default:"30s" placeholder:"TIME" help:"How long running requests may take to end when the server stops. Default: ${default}."`
}

// Help returns the details.
func (*serveCmd) Help() string {
	return `API keys come from --api-key, --api-key-file and the environment variable ` + keysVariable + ` together. There the ACCOUNT=KEY entries have white space or commas between them. The first "=" separates. A key has at least ` + strconv.Itoa(minKey) + ` characters, and should be long and random, as "openssl rand -hex 16" makes them. Clients send the key in the header X-API-Key. Keys are never logged. ACCOUNT=sha256:SUM stands for the key that has this SHA-256 sum, in 64 hexadecimal digits, so that the file holds no key: printf %s "$KEY" | sha256sum makes it.

The dashboard, at ` + strings.Trim(dashboardPath, "/") + `/ under the prefix, shows an account's products to people who sign in with its key, who may use, edit, delete, import and export them. A proxy must leave the Host header as it is, or --trusted-origin says under which origin browsers see it.

GET ` + healthPath + ` needs no key and is not under the prefix: 200 when the store takes writes and uploads can be kept (with --read-only, when it can be read), 503 when not.

A socket that systemd passes (LISTEN_FDS) takes the place of --addr, and systemd is told when the server is ready (NOTIFY_SOCKET).

SIGTERM or SIGINT stops the server: it says that it is not ready, goes on for --shutdown-delay, takes no more requests, ends running ones, writes everything down and exits with 0. A second one ends it at once.

On SIGHUP it reads --api-key-file, --tls-cert and --tls-key again. Keys that are gone are refused from then on, also in sessions of the dashboard within a minute. A new certificate is used for connections that are opened from then on. A file with which it would not have started changes nothing, and the log says why.

Flags that are not on the command line are looked for in the environment (` + environmentNames() + `), and then in the file of --config, which may set any flag but --api-key, --config and --demo; a flag that may be repeated may stand there several times.

The log is written to the standard error. Each request has a line there, with its method, path, status, error code, account, client address, request ID (as in the header X-Request-ID of the answer), duration and size.

A client that stands still for 30 seconds within a request, for 2 minutes between two, or is slower than 4 KiB a second on the whole, is cut off.

A store that can't be written, since its volume is read-only or full or for want of permission, is served for reading, and the log says why. With --read-only that is as it should be, and the folder is left as it is, byte for byte.

A store that is missing is made. Any number of servers may share a store in a database (--store), behind any load balancer. There every write and use is durable before it is acknowledged, and --durability, --use-window and --disk-reserve change nothing.

--demo fills its own store, in ./` + demoDir + ` unless --data names another folder, serves the account "` + demoAccount + `" with the key "` + demoKey + `", which is no secret, and prints what to try. Samples that were deleted come back with the next start.`
}

// Run serves until the process is to stop.
func (c *serveCmd) Run(p *process) error {
	prefix, err := c.check()
	if err != nil {
		return err
	}
	proxies, err := parseProxies(c.TrustedProxy)
	if err != nil {
		return err
	}
	log := newLogger(p.stderr, c.LogFormat, c.LogLevel)
	auth, err := c.authenticator(log)
	if err != nil {
		return err
	}
	clock := ttl.SystemClock()
	secure, err := c.openCertificate(clock.Now(), log)
	if err != nil {
		return err
	}
	store, err := c.where()
	if err != nil {
		return err
	}
	listener, err := passedListener()
	if err == nil && listener == nil {
		listener, err = listen(p.ctx, c.Addr)
	}
	if err != nil {
		return err
	}
	defer listener.Close()
	operators, err := c.adminFlags.listen(p.ctx)
	if err != nil {
		return err
	}
	if operators != nil {
		defer operators.Close()
	}
	return c.serve(p, site{listener: listener, operators: operators, store: store, prefix: prefix, auth: auth, secure: secure, proxies: proxies, clock: clock, log: log})
}

// authenticator knows the keys of all sources.
func (c *serveCmd) authenticator(log *slog.Logger) (*httpadapter.APIKeys, error) {
	if c.Demo {
		if len(c.APIKey) > 0 || c.APIKeyFile != "" || os.Getenv(keysVariable) != "" {
			return nil, errors.New("--demo has a key of its own and takes none of --api-key, --api-key-file (or SHELFLIFE_API_KEY_FILE) and " + keysVariable)
		}
		return httpadapter.NewAPIKeys(apiKeys{demoKey: demoAccount})
	}
	keys, err := c.readKeys(log)
	if err != nil {
		return nil, err
	}
	return httpadapter.NewAPIKeys(keys)
}

// readKeys reads the keys of all sources.
func (c *serveCmd) readKeys(log *slog.Logger) (apiKeys, error) {
	keys, warnings, err := readAPIKeys(c.APIKey, c.APIKeyFile, os.Getenv(keysVariable))
	for _, w := range warnings {
		log.Warn(w)
	}
	return keys, err
}

// reloadOnHangup reads the keys and the certificate again whenever the process is
// sent SIGHUP, until ctx ends.
func (c *serveCmd) reloadOnHangup(ctx context.Context, p *process, at site) {
	hangups := p.hangups
	if hangups == nil {
		// Under nohup, where it ends no other command either. Here it ends nothing, and a
		// key that was taken back must not stay valid because nobody hears of it.
		own := make(chan os.Signal, 1)
		signal.Notify(own, syscall.SIGHUP)
		defer signal.Stop(own)
		hangups = own
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
		}
		c.reloadKeys(at)
		c.reloadCertificate(at)
	}
}

func (c *serveCmd) reloadKeys(at site) {
	if c.Demo {
		return // its key is its own
	}
	keys, err := c.readKeys(at.log)
	if err == nil {
		err = at.auth.Replace(keys)
	}
	if err != nil {
		at.log.Error("the API keys could not be read again: those from before stay valid", "error", err)
		return
	}
	at.log.Info("API keys read again", "keys", len(keys))
}

func (c *serveCmd) reloadCertificate(at site) {
	if at.secure == nil {
		return
	}
	if err := at.secure.load(at.clock.Now(), at.log); err != nil {
		at.log.Error("the certificate could not be read again: the one from before stays in use", "error", err)
		return
	}
	at.log.Info("certificate read again", "until", at.secure.current.Load().Leaf.NotAfter.UTC())
}

// where returns the place of the store.
func (c *serveCmd) where() (place, error) {
	switch {
	case c.Demo && c.Store != "":
		return place{}, errors.New("--demo fills a folder and takes no --store (or SHELFLIFE_STORE)")
	case c.Demo && c.Data == "":
		return place{dir: demoDir}, nil
	case c.Data == "" && c.Store == "":
		return place{}, errors.New("--data or --store is missing (try --help, or --demo)")
	}
	return c.place()
}

// site is what a store is served with.
type site struct {
	listener  net.Listener
	operators net.Listener // nil if there is none for them
	store     place
	prefix    string // as cleanPrefix returns it
	auth      *httpadapter.APIKeys
	secure    *certificate // nil without TLS
	proxies   trustedProxies
	clock     ttl.Clock
	log       *slog.Logger
}

// serve opens the store and serves it.
func (c *serveCmd) serve(p *process, at site) (err error) {
	clock, log := at.clock, at.log
	if c.CacheSize == 0 {
		c.CacheSize = byteSize(ownCache()) // before Go has a limit of its own
	}
	limitHeap()
	files, err := shareFiles(openFileLimit(), c.MaxConnections)
	if err != nil {
		return err
	}
	engine := pebble.Options{CacheSize: int64(c.CacheSize), DiskReserve: int64(c.DiskReserve), MaxOpenFiles: files.tables, MustExist: c.MustExist, ReadOnly: c.ReadOnly, Logger: log}
	options := c.catalogOptions(clock)
	calls := metrics.NewCalls(&metrics.CallsOptions{Clock: clock})
	if at.operators != nil {
		options.Observe = calls.Observe
	}
	// A signal that comes meanwhile is heeded below.
	cat, err := openStore(context.WithoutCancel(p.ctx), at.store, engine, options)
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
	budget, err := c.budget(files.connections)
	if err != nil {
		return err
	}
	uploads := &spool{}
	if !errors.Is(cat.Ready(), backend.ErrReadOnly) { // else uploads are refused before they are kept
		if uploads, err = openSpool(c.spoolDir(at.store), at.store.dir, clock, log); err != nil {
			return err
		}
	}
	if c.Demo && c.Data == "" {
		if err := hideDemoDir(); err != nil {
			return err
		}
	}
	if c.Demo {
		switch err := fillDemo(p.ctx, cat); {
		case errors.Is(err, context.Canceled):
			return nil
		case err != nil:
			return err
		}
	}
	api, err := httpadapter.New(cat, &httpadapter.Options{
		Authenticate:      noteAccount(at.auth.Authenticate),
		MaxMultipartBytes: int64(c.MaxRequestSize),
		SpoolDir:          uploads.dir,
		Budget:            budget,
		PublicPath:        c.PublicPath,
		AllowedOrigins:    c.AllowedOrigin,
		Logger:            log,
	})
	if err != nil {
		return err
	}
	pages, closePages, err := c.dashboard(cat, at.auth, budget, uploads.dir, clock, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closePages()) }()
	url := at.secure.scheme() + "://" + baseHost(at.listener.Addr()) + at.prefix
	var leaving leave
	ready := leaving.ready(func() error { return c.ready(cat, uploads) })
	health := healthHandler(ready, cat.Damage)
	stopAdmin, err := c.serveAdmin(at.operators, cat, calls, ready, log)
	if err != nil {
		return err
	}
	defer stopAdmin()
	clients := c.clientLimits(files.connections, at.proxies, clock)
	server := newServer(api.ReadOn(mount(at.prefix, api, pages, health)), clock, log, at.proxies)
	// Around everything that a request may wait for, its line in the log included:
	// where the log is read slowly, requests must not pile up behind it.
	server.Handler = leaving.wrap(clients.Handler(server.Handler, watched(api.ReadOn(overloaded(health)), clock, log, at.proxies)))
	if c.H2C || at.secure != nil {
		takeHTTP2(server)
	}
	server.ConnContext = clients.ConnContext
	server.RegisterOnShutdown(api.Drain)
	log.Info("serving", "url", url, "data", at.store.String(),
		"open_files_limit", files.limit, "open_tables", files.tables, "max_http_connections", files.connections,
		"cache_size", int64(c.CacheSize))
	if c.Demo {
		printDemo(p.stdout, url, pages != nil)
	}
	var beside sync.WaitGroup
	serving, stopServing := context.WithCancel(context.WithoutCancel(p.ctx))
	beside.Go(func() { clients.CloseIdle(serving) })
	beside.Go(func() { c.reloadOnHangup(serving, p, at) })
	defer func() { stopServing(); beside.Wait() }()
	// The socket takes connections already: what comes from now on is answered.
	notifyStarter("READY=1", log)
	defer context.AfterFunc(p.ctx, func() { notifyStarter("STOPPING=1", log) })()
	listener := at.secure.listen(clients.Listener(at.listener))
	return runServer(p.ctx, server, listener, &leaving, shutdown{c.ShutdownDelay, c.ShutdownTimeout}, log)
}

// notifyStarter notifies what has started the process. A failure is logged and
// changes nothing else.
func notifyStarter(state string, log *slog.Logger) {
	if err := notify(state); err != nil {
		log.Warn("can't notify what has started the process", "error", err)
	}
}

// spoolDir is the folder for uploads, "" for the one in that of the store.
func (c *serveCmd) spoolDir(store place) string {
	if c.SpoolDir == "" && store.url != "" {
		return os.TempDir()
	}
	return c.SpoolDir
}

// ready returns nil if all that the server is for can be done.
func (c *serveCmd) ready(cat *catalog.Catalog, uploads *spool) error {
	err := cat.Ready()
	switch {
	case !errors.Is(err, backend.ErrReadOnly):
		return errors.Join(err, uploads.ready())
	case c.ReadOnly:
		return nil
	}
	return err
}

// shutdown says how a server stops: how long it goes on when it has said so, and how
// long the requests may take that run then.
type shutdown struct{ delay, timeout time.Duration }

// runServer serves until ctx is done and the delay has passed, during which clients and
// those that ask for readiness are told, and then until the running requests have ended,
// or their time has passed.
func runServer(ctx context.Context, server *http.Server, listener net.Listener, leaving *leave, how shutdown, log *slog.Logger) error {
	var fresh freshConns
	fresh.watch(server)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	leaving.begun.Store(true)
	log.Info("stopping")
	delay := time.NewTimer(how.delay)
	defer delay.Stop()
	select {
	case err := <-ended:
		return err
	case <-delay.C:
	}
	// First, and awaited: Shutdown does not know of a connection that was accepted while
	// it looked, and would leave it without an answer.
	_ = listener.Close() // which ends Serve, whatever it returns
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		return err // it had failed before it was told to stop
	}
	drained, cancel := context.WithTimeout(context.WithoutCancel(ctx), how.timeout)
	defer cancel()
	fresh.await(drained)
	if err := server.Shutdown(drained); err != nil {
		log.Warn("requests that did not end were cut off", "error", err)
		_ = server.Close()
	}
	return nil
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("the address %s is in use: stop what listens there, or choose another with --addr", addr)
	}
	return listener, err
}

// baseHost returns the host and port at which this machine reaches a listener.
func baseHost(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if ok && tcp.IP.IsUnspecified() {
		loopback := net.IPv4(127, 0, 0, 1)
		if tcp.IP.To4() == nil {
			loopback = net.IPv6loopback
		}
		addr = &net.TCPAddr{IP: loopback, Port: tcp.Port}
	}
	return addr.String()
}
