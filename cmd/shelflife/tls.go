package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/shelflife-db/shelflife/cmd/shelflife/internal/connlimit"
)

// tlsFlags are the certificate of a server.
type tlsFlags struct {
	TLSCert string `name:"tls-cert" placeholder:"FILE" help:"Certificate in PEM, the chain behind it: serve HTTPS, HTTP/2 too. Read again on SIGHUP."`
	TLSKey  string `name:"tls-key" placeholder:"FILE" help:"Its private key in PEM. Others should not be able to read it."`
}

func (f tlsFlags) check() error {
	if (f.TLSCert == "") != (f.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key are given together, or not at all")
	}
	return nil
}

// certificate is what a server shows to its clients. It is safe for concurrent use.
type certificate struct {
	flags   tlsFlags
	current atomic.Pointer[tls.Certificate]
}

// openCertificate reads the certificate, nil if there is none.
func (f tlsFlags) openCertificate(now time.Time, log *slog.Logger) (*certificate, error) {
	if f.TLSCert == "" {
		return nil, nil
	}
	c := &certificate{flags: f}
	return c, c.load(now, log)
}

// load reads the files. After an error what was read before is shown on.
func (c *certificate) load(now time.Time, log *slog.Logger) error {
	chain, _, err := readRegularFile(c.flags.TLSCert)
	if err != nil {
		return fmt.Errorf("--tls-cert: %w", err)
	}
	key, mode, err := readRegularFile(c.flags.TLSKey)
	if err != nil {
		return fmt.Errorf("--tls-key: %w", err)
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return fmt.Errorf("--tls-cert, --tls-key: %w", err)
	}
	if mode&othersRead != 0 && runtime.GOOS != "windows" {
		log.Warn(fmt.Sprintf("--tls-key: %s may be read by others (mode %04o): chmod 600 it", c.flags.TLSKey, mode))
	}
	switch leaf := pair.Leaf; {
	case now.After(leaf.NotAfter):
		log.Warn("the certificate has ended: clients refuse it", "ended", leaf.NotAfter.UTC())
	case now.Before(leaf.NotBefore):
		log.Warn("the certificate has not begun: clients refuse it", "begins", leaf.NotBefore.UTC())
	}
	c.current.Store(&pair)
	return nil
}

// listen has what limited accepts be within TLS, if there is a certificate.
func (c *certificate) listen(limited net.Listener) net.Listener {
	if c == nil {
		return limited
	}
	return connlimit.TLS(limited, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	})
}

// scheme is that of URLs of the server.
func (c *certificate) scheme() string {
	if c == nil {
		return "http"
	}
	return "https"
}
