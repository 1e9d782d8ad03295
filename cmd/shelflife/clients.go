package main

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/shelflife-db/shelflife/cmd/shelflife/internal/connlimit"
	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/ttl"
)

// retryAfter is how many seconds a client is asked to wait where the server has
// too many.
const retryAfter = "1"

// clientLimits bounds the connections of serve.
func (c *serveCmd) clientLimits(connections int, proxies trustedProxies, clock ttl.Clock) *connlimit.Limiter {
	perAddress := c.MaxConnectionsPerAddress
	if perAddress == 0 {
		perAddress = max(connections/4, 1)
	}
	return connlimit.New(connlimit.Options{
		Total:      connections,
		Unproven:   max(connections/2, 1),
		PerAddress: perAddress,
		Spare:      spareConnections,
		Exempt:     func(a netip.Addr) bool { return a.IsLoopback() || proxies.trust(a) },
		Idle:       idleTimeout,
		Clock:      clock,
	})
}

// overloaded answers the spare connections of a server that is full: what is
// asked of health, and nothing else.
func overloaded(health http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpadapter.RequestID(w, r)
		if r.URL.EscapedPath() == healthPath {
			health.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Retry-After", retryAfter)
		answerJSON(w, r, http.StatusServiceUnavailable, `{"code":"OVERLOADED","message":"the server has as many clients as it can take; try again soon","status":503}`)
	})
}

// trustedProxies are the networks of the proxies that are believed about the
// client of a request.
type trustedProxies []netip.Prefix

// parseProxies reads networks like 10.0.0.0/8, and single addresses.
func parseProxies(texts []string) (trustedProxies, error) {
	var proxies trustedProxies
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			address, e := netip.ParseAddr(text)
			if e != nil || address.Zone() != "" {
				return nil, fmt.Errorf("--trusted-proxy %q is neither an address nor a network like 10.0.0.0/8", text)
			}
			prefix = netip.PrefixFrom(address, address.BitLen())
		}
		proxies = append(proxies, prefix.Masked())
	}
	return proxies, nil
}

func (t trustedProxies) trust(a netip.Addr) bool {
	for _, prefix := range t {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}

// client returns the address of the client of a request: that of the connection,
// or where that is a trusted proxy, the last in X-Forwarded-For that is not. What
// stands before that one is the client's own word.
func (t trustedProxies) client(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || len(t) == 0 {
		return r.RemoteAddr
	}
	if a, err := netip.ParseAddr(host); err != nil || !t.trust(a.Unmap().WithZone("")) {
		return r.RemoteAddr
	}
	client := r.RemoteAddr
	forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(forwarded) - 1; i >= 0; i-- {
		a, err := netip.ParseAddr(strings.TrimSpace(forwarded[i]))
		if err != nil {
			break // no proxy wrote that
		}
		client = a.String()
		if !t.trust(a.Unmap().WithZone("")) {
			break
		}
	}
	return client
}
