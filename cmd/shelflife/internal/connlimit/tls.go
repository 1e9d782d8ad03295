package connlimit

import (
	"crypto/tls"
	"net"
	"net/http"
)

// TLS returns inner, which is of [Limiter.Listener], with its connections within TLS.
// The server serves them as if they were not: it must take HTTP/2 without TLS, by
// prior knowledge, if config offers it to clients. To http.Server.ServeTLS frames
// would come without being metered.
//
// Handshakes happen when the server reads first, within its ReadHeaderTimeout.
// Requests have their TLS field set by [Limiter.Handler].
func TLS(inner net.Listener, config *tls.Config) net.Listener {
	return &tlsListener{inner, config}
}

type tlsListener struct {
	net.Listener
	config *tls.Config
}

// Accept implements net.Listener.
func (l *tlsListener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	own := inner.(*conn)
	own.secure = tls.Server(own.Conn, l.config)
	return &secureConn{Conn: own.secure, own: own}, nil
}

// secureConn is what stands in a connection within TLS. The server must not see that
// it is: it would take it for one that can't be of HTTP/2.
type secureConn struct {
	net.Conn // a *tls.Conn
	own      *conn
}

// Close implements net.Conn.
func (c *secureConn) Close() error {
	c.own.uncount()
	return c.Conn.Close()
}

// Read implements net.Conn. It meters what was sent within TLS: outside it looks
// like no protocol.
func (c *secureConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if sent := c.own.meter(p[:n]); sent != nil {
		return 0, sent
	}
	return n, err
}

// Write implements net.Conn.
func (c *secureConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.own.frames.wrote(n)
	return n, err
}

// overTLS returns r with its TLS field set, if its connection is within TLS.
func overTLS(r *http.Request, c *conn) *http.Request {
	if c.secure == nil {
		return r
	}
	state := c.secure.ConnectionState()
	own := *r
	own.TLS = &state
	return &own
}
