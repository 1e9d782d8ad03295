package connlimit_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/shelflife-db/shelflife/cmd/shelflife/internal/connlimit"
	"github.com/shelflife-db/shelflife/ttl"
)

// rawHTTP2 is a connection of HTTP/2 whose frames a test makes. What it sends
// goes out in pieces.
type rawHTTP2 struct {
	t      *testing.T
	conn   net.Conn
	pieces int
	out    bytes.Buffer
	framer *http2.Framer // to out, and from the connection
	block  bytes.Buffer
	fields *hpack.Encoder // to block
	stream uint32         // of the last request
}

func (s *server) dialHTTP2(pieces int) *rawHTTP2 {
	c := &rawHTTP2{t: s.t, conn: s.dial().conn, pieces: pieces}
	require.NoError(s.t, c.conn.SetDeadline(time.Now().Add(time.Minute)))
	c.out.WriteString(http2.ClientPreface)
	c.framer = http2.NewFramer(&c.out, c.conn)
	c.fields = hpack.NewEncoder(&c.block)
	require.NoError(s.t, c.framer.WriteSettings())
	c.stream = ^uint32(0) // so that the first is 1
	return c
}

// secure has what is sent be within TLS.
func (c *rawHTTP2) secure() {
	config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}} // whose certificate it is does not matter
	c.conn = tls.Client(c.conn, config)
	c.framer = http2.NewFramer(&c.out, c.conn)
}

// begin begins a request whose body does not come, and reports whether the
// connection is alive behind its answer.
func (c *rawHTTP2) begin() bool { return c.request("POST", 0, false) }

// get asks for /plain with n fields beside, and reports whether the connection
// is alive behind the answer.
func (c *rawHTTP2) get(n int) bool { return c.request("GET", n, true) }

func (c *rawHTTP2) request(method string, n int, whole bool) bool {
	c.stream += 2
	c.block.Reset()
	for _, f := range [][2]string{{":method", method}, {":path", "/plain"}, {":scheme", "http"}, {":authority", "x"}} {
		require.NoError(c.t, c.fields.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}))
	}
	for range n {
		require.NoError(c.t, c.fields.WriteField(hpack.HeaderField{Name: "a", Value: "b"}))
	}
	// In two frames, where the second begins before the list is too long: the
	// server would close the connection behind one that is.
	first := bytes.Clone(c.block.Next(100))
	ends := c.block.Len() == 0
	require.NoError(c.t, c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: c.stream, BlockFragment: first, EndStream: whole, EndHeaders: ends}))
	if !ends {
		require.NoError(c.t, c.framer.WriteContinuation(c.stream, true, c.block.Bytes()))
	}
	if !c.send() {
		return false
	}
	for {
		f, err := c.framer.ReadFrame()
		if err != nil {
			return false
		}
		if f.Header().Type == http2.FrameHeaders && f.Header().StreamID == c.stream {
			return true
		}
	}
}

// send sends what was framed, and reports whether it could.
func (c *rawHTTP2) send() bool {
	for c.out.Len() > 0 {
		if _, err := c.conn.Write(c.out.Next(c.pieces)); err != nil {
			return false
		}
	}
	return true
}

// TestHeadersThatNoHandlerSees: the server refuses header lists that are too long
// before any handler begins. A connection that sends many of these is closed.
func TestHeadersThatNoHandlerSees(t *testing.T) {
	o := connlimit.Options{Total: 300, Unproven: 300, PerAddress: 300, Spare: 1}
	configure := func(server *http.Server) {
		server.Protocols = new(http.Protocols)
		server.Protocols.SetHTTP1(true)
		server.Protocols.SetUnencryptedHTTP2(true)
		server.MaxHeaderBytes = 16 << 10
	}
	lender := httptest.NewTLSServer(http.NotFoundHandler())
	lender.Close()
	config := &tls.Config{Certificates: lender.TLS.Certificates, NextProtos: []string{"h2"}}
	within := func(l net.Listener) net.Listener { return connlimit.TLS(l, config) }
	for name, s := range map[string]*server{"bare": startWith(t, o, configure), "within TLS": startOver(t, o, within, configure)} {
		t.Run(name, func(t *testing.T) { requireHeadersMetered(t, s, name != "bare") })
	}
}

func requireHeadersMetered(t *testing.T, s *server, secure bool) {
	const tooMany = 10_500 // a byte each, where only the first needs more
	for name, tt := range map[string]struct {
		fields []int
		alive  bool
	}{
		"a few":                     {slices.Repeat([]int{tooMany}, 6), true},
		"many":                      {slices.Repeat([]int{tooMany}, 7), false},
		"many beside ordinary ones": {slices.Repeat([]int{tooMany, 0, tooMany}, 7), true},
		"ordinary ones alone":       {slices.Repeat([]int{400}, 400), true},
	} {
		for _, pieces := range []int{7, 1000, 1 << 20} {
			t.Run(fmt.Sprintf("%s, in pieces of %d", name, pieces), func(t *testing.T) {
				c := s.dialHTTP2(pieces)
				if secure {
					c.secure()
				}
				for i, n := range tt.fields {
					last := i == len(tt.fields)-1
					require.Equal(t, tt.alive || !last, c.get(n), "request %d", i)
				}
			})
		}
	}
}

// TestBodiesAreNoHeaders: neither what HTTP/1 sends, even in the shape of frames,
// nor bodies of HTTP/2 count as header blocks.
func TestBodiesAreNoHeaders(t *testing.T) {
	s, c := startHTTP2(t, connlimit.Options{Total: 9, Unproven: 9, PerAddress: 9, Spare: 1})
	headers := "\x00\xff\xff\x01\x04\x00\x00\x00\x01"
	body := strings.Repeat(headers+strings.Repeat("x", 65535), 4)
	var running sync.WaitGroup
	running.Go(func() { ask(t, c, s.addr, "/hold") }) // the connection stays what it is
	<-s.held
	res, err := c.Post("http://"+s.addr+"/read", "text/plain", strings.NewReader(body))
	require.NoError(t, err)
	require.Equal(t, 200, res.StatusCode)
	require.NoError(t, res.Body.Close())
	res, err = http.Post("http://"+s.addr+"/read", "text/plain", strings.NewReader(body))
	require.NoError(t, err)
	require.Equal(t, 200, res.StatusCode)
	require.NoError(t, res.Body.Close())
	s.end()
	running.Wait()
}

// TestControlFrames: a connection that sends too many frames which are neither
// requests nor bodies is read late, and goes on.
func TestControlFrames(t *testing.T) {
	clock := ttl.NewManualClock(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	configure := func(server *http.Server) {
		server.Protocols = new(http.Protocols)
		server.Protocols.SetUnencryptedHTTP2(true)
	}
	lender := httptest.NewTLSServer(http.NotFoundHandler())
	lender.Close()
	config := &tls.Config{Certificates: lender.TLS.Certificates, NextProtos: []string{"h2"}}
	within := func(l net.Listener) net.Listener { return connlimit.TLS(l, config) }
	o := connlimit.Options{Total: 300, Unproven: 300, PerAddress: 300, Spare: 1, Clock: clock}
	for name, s := range map[string]*server{"bare": startWith(t, o, configure), "within TLS": startOver(t, o, within, configure)} {
		t.Run(name, func(t *testing.T) {
			c := s.dialHTTP2(1 << 20)
			if name != "bare" {
				c.secure()
			}
			require.True(t, c.get(0))
			for range 3000 {
				require.NoError(t, c.framer.WritePing(false, [8]byte{}))
			}
			answered := make(chan bool, 1)
			begun := clock.Elapsed()
			go func() { answered <- c.get(0) }()
			for {
				select {
				case alive := <-answered:
					require.True(t, alive)
					require.Greater(t, clock.Elapsed()-begun, 2*time.Second)
					return
				case <-time.After(time.Millisecond):
					if clock.Timers() > 0 {
						clock.Advance(100 * time.Millisecond)
					}
				}
			}
		})
	}
}

// TestAcknowledgedAnswers: a client that reads a long answer acknowledges what came
// in a frame for each few KB, and does not wait for it.
func TestAcknowledgedAnswers(t *testing.T) {
	clock := ttl.NewManualClock(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)) // stands still
	s, c := startHTTP2(t, connlimit.Options{Total: 9, Unproven: 9, PerAddress: 9, Spare: 1, Clock: clock})
	var running sync.WaitGroup
	running.Go(func() { ask(t, c, s.addr, "/hold") }) // the connection stays what it is
	<-s.held
	res, err := c.Get("http://" + s.addr + "/long")
	require.NoError(t, err)
	n, err := io.Copy(io.Discard, struct{ io.Reader }{res.Body})
	require.NoError(t, err)
	require.Equal(t, int64(longAnswer), n)
	require.NoError(t, res.Body.Close())
	s.end()
	running.Wait()
}
