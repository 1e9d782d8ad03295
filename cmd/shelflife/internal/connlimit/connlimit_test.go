package connlimit_test

import (
	"bufio"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/cmd/shelflife/internal/connlimit"
	"github.com/shelflife-db/shelflife/ttl"
)

// server is an HTTP server whose connections are limited. /key authenticates,
// /hold runs until release is closed, /read reads the body, /long answers with much; spare connections get
// 503.
type server struct {
	t       *testing.T
	limiter *connlimit.Limiter
	addr    string
	held    chan struct{} // one for each /hold that has begun
	release chan struct{}
	end     func() // closes release
}

// longAnswer is the length of what /long answers.
const longAnswer = 8 << 20

// zeros is an endless reader.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func start(t *testing.T, o connlimit.Options) *server {
	return startWith(t, o, func(*http.Server) {})
}

// startWith is start with a server that configure has changed.
func startWith(t *testing.T, o connlimit.Options, configure func(*http.Server)) *server {
	return startOver(t, o, func(l net.Listener) net.Listener { return l }, configure)
}

// startOver is startWith with what wrap makes of the limiter's listener.
func startOver(t *testing.T, o connlimit.Options, wrap func(net.Listener) net.Listener, configure func(*http.Server)) *server {
	s := &server{t: t, limiter: connlimit.New(o), held: make(chan struct{}, 1000), release: make(chan struct{})}
	s.end = sync.OnceFunc(func() { close(s.release) })
	mux := http.NewServeMux()
	mux.HandleFunc("/key", func(_ http.ResponseWriter, r *http.Request) { connlimit.Authenticated(r.Context()) })
	mux.HandleFunc("/hold", func(http.ResponseWriter, *http.Request) { s.held <- struct{}{}; <-s.release })
	mux.HandleFunc("/read", func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, io.LimitReader(zeros{}, longAnswer)) })
	mux.HandleFunc("/plain", func(http.ResponseWriter, *http.Request) {})
	full := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	ts := httptest.NewUnstartedServer(s.limiter.Handler(mux, full))
	ts.Listener = wrap(s.limiter.Listener(ts.Listener))
	ts.Config.ConnContext = s.limiter.ConnContext
	configure(ts.Config)
	ts.Start()
	s.addr = ts.Listener.Addr().String()
	t.Cleanup(func() { s.end(); ts.Close() })
	return s
}

// client is one connection.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func (s *server) dial() *client {
	c, err := net.Dial("tcp", s.addr)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { c.Close() })
	return &client{s.t, c, bufio.NewReader(c)}
}

func (c *client) send(path string) {
	_, err := io.WriteString(c.conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(c.t, err)
}

// get returns the status of an answer, 0 if the connection was closed.
func (c *client) get(path string) int {
	c.send(path)
	return c.status()
}

func (c *client) status() int {
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// closed waits for the server to close the connection, and reports whether it
// did so without a word.
func (c *client) closed() bool {
	_, err := c.in.ReadByte()
	return err != nil
}

func TestTheQuietestGivesWay(t *testing.T) {
	clock := ttl.NewManualClock(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	s := start(t, connlimit.Options{Total: 3, Unproven: 3, PerAddress: 3, Spare: 1, Clock: clock})
	proven, silent, busy := s.dial(), s.dial(), s.dial()
	require.Equal(t, 200, proven.get("/key"))
	busy.send("/hold")
	<-s.held
	requireQuiet(t, s, 2)
	clock.Advance(2 * time.Second)
	// Of the two that are quiet the unproven one goes, though the other has been
	// quiet for longer.
	require.Equal(t, 200, s.dial().get("/key"))
	require.True(t, silent.closed())
	require.Equal(t, 200, proven.get("/plain"), "still open")
	require.EqualValues(t, 1, s.limiter.Stats().Evicted)
}

func TestUnprovenConnectionsLeaveRoom(t *testing.T) {
	s := start(t, connlimit.Options{Total: 4, Unproven: 2, PerAddress: 4, Spare: 1})
	var silent []*client
	for range 10 {
		silent = append(silent, s.dial())
	}
	for range 3 {
		require.Equal(t, 200, s.dial().get("/key"))
	}
	// The first with a key took the place of a silent one, and then made room by
	// its key for the second.
	for _, c := range silent[:10-1] {
		require.True(t, c.closed())
	}
	require.Equal(t, 4, s.limiter.Stats().Served)
	require.Equal(t, 1, s.limiter.Stats().Unproven)
}

func TestSpareConnectionsAnswerWhileFull(t *testing.T) {
	s := start(t, connlimit.Options{Total: 2, Unproven: 2, PerAddress: 9, Spare: 1, Exempt: func(netip.Addr) bool { return true }})
	for range 2 {
		s.dial().send("/hold")
		<-s.held
	}
	waits := s.dial() // takes the spare place, and gives way to the next
	for range 3 {
		c := s.dial()
		require.Equal(t, 503, c.get("/plain"))
		require.True(t, c.closed(), "an answer is the last of a spare connection")
	}
	require.True(t, waits.closed())
	s.end()
}

func TestPerAddress(t *testing.T) {
	s := start(t, connlimit.Options{Total: 9, Unproven: 9, PerAddress: 2, Spare: 9})
	for range 2 {
		s.dial().send("/hold")
		<-s.held
	}
	require.True(t, s.dial().closed(), "an address that has what it may is not answered by a spare connection")
	require.EqualValues(t, 1, s.limiter.Stats().Refused)

	exempt := start(t, connlimit.Options{Total: 9, Unproven: 9, PerAddress: 2, Spare: 9, Exempt: netip.Addr.IsLoopback})
	for range 3 {
		exempt.dial().send("/hold")
		<-exempt.held
	}
}

// TestNetworksCountAsOneAddress has connections from addresses that this
// machine does not have.
func TestNetworksCountAsOneAddress(t *testing.T) {
	for name, c := range map[string]struct {
		addresses []string
		open      int
	}{
		"one /64":                {[]string{"2001:db8::1", "2001:db8::2", "2001:db8::ffff:1"}, 1},
		"two networks":           {[]string{"2001:db8::1", "2001:db8:0:1::1"}, 2},
		"IPv4 written as IPv6":   {[]string{"192.0.2.1", "::ffff:192.0.2.1"}, 1},
		"neighbours are others":  {[]string{"192.0.2.1", "192.0.2.2"}, 2},
		"a zone is no other one": {[]string{"fe80::1%eth0", "fe80::1%eth1"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			l := connlimit.New(connlimit.Options{Total: 9, Unproven: 9, PerAddress: 1, Spare: 1})
			script := make(scripted, 0, len(c.addresses))
			for _, a := range c.addresses {
				script = append(script, from{address: netip.MustParseAddr(a)})
			}
			listener := l.Listener(&script)
			for {
				if _, err := listener.Accept(); err != nil {
					break
				}
			}
			require.Equal(t, c.open, l.Stats().Served)
		})
	}
}

// scripted is a listener whose connections are given.
type scripted []from

func (s *scripted) Accept() (net.Conn, error) {
	if len(*s) == 0 {
		return nil, net.ErrClosed
	}
	c := (*s)[0]
	*s = (*s)[1:]
	return c, nil
}
func (*scripted) Close() error   { return nil }
func (*scripted) Addr() net.Addr { return &net.TCPAddr{} }

// from is a connection that has nothing but an address.
type from struct {
	net.Conn
	address netip.Addr
}

func (f from) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.AddrPortFrom(f.address, 1)) }
func (from) Close() error           { return nil }

// TestCountsReturnToZero has many clients do what clients do, and looks whether
// anything stays counted.
func TestCountsReturnToZero(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	o := connlimit.Options{Total: 8, Unproven: 4, PerAddress: 7, Spare: 2}
	s := start(t, o)
	var group sync.WaitGroup
	for w := range 16 {
		group.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(w)))
			for range 50 {
				c, err := net.Dial("tcp", s.addr)
				if err != nil {
					t.Error(err)
					return
				}
				in := bufio.NewReader(c)
				for range rnd.IntN(3) {
					path := []string{"/key", "/plain"}[rnd.IntN(2)]
					if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
						break
					}
					if _, err := http.ReadResponse(in, nil); err != nil {
						break
					}
					st := s.limiter.Stats()
					if st.Served > o.Total || st.Unproven > o.Unproven || st.Spare > o.Spare {
						t.Errorf("over the limits: %+v", st)
					}
				}
				c.Close()
			}
		})
	}
	group.Wait()
	require.Equal(t, 200, s.dial().get("/plain"), "it still serves")
}
