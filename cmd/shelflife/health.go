package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// healthCmd is shelflife health.
type healthCmd struct {
	Ready   bool          `help:"Ask whether the server takes writes, rather than whether it lives."`
	Admin   string        `placeholder:"ADDR" env:"SHELFLIFE_ADMIN_ADDR" help:"What the server has as --admin-addr."`
	Addr    string        `placeholder:"HOST:PORT" default:"127.0.0.1:8080" env:"SHELFLIFE_ADDR" help:"What it has as --addr, where it has no --admin-addr and no TLS. Default: ${default}."`
	Timeout time.Duration `default:"5s" placeholder:"TIME" help:"How long it may take to answer. Default: ${default}."`
}

// Help returns the details.
func (*healthCmd) Help() string {
	return `Asks a server on this machine how it is, and exits with 0 if it is well: the check of a container, which needs no other program for it.

Without --ready it is about the process: it is well as long as it answers. That is what a restart depends on: a store that is short of disk space takes no writes, and a restart makes that no better. With --ready it is about what it can do, as what sends it requests wants to know.`
}

// Run asks once.
func (c *healthCmd) Run(p *process) error {
	ctx, cancel := context.WithTimeout(p.ctx, c.Timeout)
	defer cancel()
	addr, path := c.Addr, healthPath
	if c.Admin != "" {
		if addr, path = c.Admin, "/livez"; c.Ready {
			path = "/readyz"
		}
	}
	client, err := newAdminClient(onThisMachine(addr))
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, client.base+path, nil)
	if err != nil {
		return err
	}
	res, err := client.client.Do(r)
	if err != nil {
		return fmt.Errorf("the server does not answer: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	// The path of the API says how ready it is: any answer of it is one of a process
	// that lives.
	alive := path == healthPath && !c.Ready && res.StatusCode == http.StatusServiceUnavailable
	if res.StatusCode != http.StatusOK && !alive {
		return fmt.Errorf("the server is not well: %s", reasonOf(res))
	}
	fmt.Fprintln(p.stdout, "ok")
	return nil
}

// onThisMachine returns how this machine reaches an address that a server listens on,
// which may stand for all of the machine's.
func onThisMachine(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || strings.HasPrefix(addr, unixPrefix) {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port)
}
