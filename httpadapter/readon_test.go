package httpadapter_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/ttl"
)

// large is more than the buffers of two sockets take, so that a client which
// writes it before it reads finds out whether the server reads on.
const large = 15 << 20

// earlyAnswers are requests that are answered before their body is read.
var earlyAnswers = []struct {
	name, head string
	status     int
}{
	{"wrong key", "POST /products HTTP/1.1\r\nX-API-Key: wrong\r\nContent-Type: application/json\r\n", 401},
	{"no key", "POST /uses HTTP/1.1\r\nContent-Type: application/json\r\n", 401},
	{"no such path", "POST /nope HTTP/1.1\r\nX-API-Key: key-a\r\nContent-Type: application/json\r\n", 404},
	{"no such method", "PUT /products HTTP/1.1\r\nX-API-Key: key-a\r\nContent-Type: application/json\r\n", 405},
	{"no such media type", "POST /products HTTP/1.1\r\nX-API-Key: key-a\r\nContent-Type: text/plain\r\n", 415},
	{"too large", "POST /products HTTP/1.1\r\nX-API-Key: key-a\r\nContent-Type: application/json\r\n", 413},
	{"too large, uses", "POST /uses HTTP/1.1\r\nX-API-Key: key-a\r\nContent-Type: application/json\r\n", 413},
	{"broken multipart", "POST /products HTTP/1.1\r\nX-API-Key: key-a\r\nContent-Type: multipart/form-data\r\n", 400},
	{"a use of nothing", "POST /products/nobody/use HTTP/1.1\r\nX-API-Key: key-a\r\n", 404},
	{"a use", "POST /products/p/use HTTP/1.1\r\nX-API-Key: key-a\r\n", 200},
	{"a bad condition", "POST /products/p/use HTTP/1.1\r\nX-API-Key: key-a\r\nIf-Match: *\r\n", 400},
	{"a read with a body", "GET /products/p HTTP/1.1\r\nX-API-Key: key-a\r\n", 200},
	{"a delete with a body", "DELETE /products/nobody HTTP/1.1\r\nX-API-Key: key-a\r\n", 404},
	{"the host's own endpoint, wrong key", "POST /try-on HTTP/1.1\r\nX-API-Key: wrong\r\nContent-Type: application/json\r\n", 401},
	{"the host's own endpoint, too large", "POST /try-on HTTP/1.1\r\nX-API-Key: key-a\r\nContent-Type: application/json\r\n", 413},
	{"the host's mux", "POST /elsewhere/nope HTTP/1.1\r\n", 404},
}

// withHost is a handler beside a host's endpoint and a part of the host's that
// answers by itself.
func withHost(t *testing.T) *env {
	host := new(tryOn)
	e := newEnv(t, setup{mount: func(h *httpadapter.Handler) (http.Handler, string) {
		host.handler = h
		m := http.NewServeMux()
		m.Handle("POST /try-on", host)
		m.Handle("/elsewhere/", h.ReadOn(http.NotFoundHandler()))
		m.Handle("/", h)
		return m, ""
	}})
	e.create("p")
	return e
}

func TestEarlyAnswersArrive(t *testing.T) {
	// contract 6: every answer reaches its client, also one given before the
	// body was read. The client writes all of its request before it reads.
	e := withHost(t)
	addr := e.server.Listener.Addr().String()
	for _, tc := range earlyAnswers {
		for _, how := range []struct{ name, version, header string }{
			{"length", "HTTP/1.1", fmt.Sprintf("Content-Length: %d\r\n", large)},
			{"chunks", "HTTP/1.1", "Transfer-Encoding: chunked\r\n"},
			{"1.0 as nginx sends it", "HTTP/1.0", fmt.Sprintf("Connection: close\r\nContent-Length: %d\r\n", large)},
		} {
			t.Run(tc.name+", "+how.name, func(t *testing.T) {
				conn, err := net.Dial("tcp", addr)
				require.NoError(t, err)
				defer conn.Close()
				head := strings.Replace(tc.head, "HTTP/1.1", how.version, 1) + "Host: x\r\n" + how.header + "\r\n"
				_, err = io.WriteString(conn, head)
				require.NoError(t, err)
				require.NoError(t, writeBody(conn, how.name == "chunks"))
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				require.NoError(t, err)
				defer resp.Body.Close()
				_, err = io.Copy(io.Discard, resp.Body)
				require.NoError(t, err)
				require.Equal(t, tc.status, resp.StatusCode)
			})
		}
	}
}

// writeBody writes a large body.
func writeBody(w io.Writer, chunked bool) error {
	piece := bytes.Repeat([]byte(" "), 64<<10)
	for sent := 0; sent < large; sent += len(piece) {
		out := piece
		if chunked {
			out = fmt.Appendf(nil, "%x\r\n%s\r\n", len(piece), piece)
		}
		if _, err := w.Write(out); err != nil {
			return fmt.Errorf("after %d bytes: %w", sent, err)
		}
	}
	if chunked {
		_, err := io.WriteString(w, "0\r\n\r\n")
		return err
	}
	return nil
}

func TestConnectionGoesOnBehindAnEarlyAnswer(t *testing.T) {
	// A body of a usual size costs the client no connection.
	e := withHost(t)
	conn, err := net.Dial("tcp", e.server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for range 2 {
		_, err = fmt.Fprintf(conn, "POST /nope HTTP/1.1\r\nHost: x\r\nX-API-Key: key-a\r\nContent-Length: %d\r\n\r\n", 200<<10)
		require.NoError(t, err)
		_, err = conn.Write(make([]byte, 200<<10))
		require.NoError(t, err)
		resp, err := http.ReadResponse(answers, nil)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, 404, resp.StatusCode)
	}
}

func TestNoBodyIsInvited(t *testing.T) {
	// contract 6: not where the client awaits 100 Continue.
	e := withHost(t)
	for _, tc := range earlyAnswers {
		t.Run(tc.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", e.server.Listener.Addr().String())
			require.NoError(t, err)
			defer conn.Close()
			_, err = fmt.Fprintf(conn, "%sHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", tc.head, large)
			require.NoError(t, err)
			all, err := io.ReadAll(conn)
			require.NoError(t, err, "the connection is closed")
			require.Contains(t, strings.SplitN(string(all), "\r\n", 2)[0], fmt.Sprint("HTTP/1.1 ", tc.status))
			require.NotContains(t, string(all), "100 Continue")
		})
	}
}

func TestInvitedBodyIsReadOn(t *testing.T) {
	// The client was told to continue, and then that its request is too large.
	e := withHost(t)
	for _, target := range []string{"/products", "/try-on"} {
		conn, err := net.Dial("tcp", e.server.Listener.Addr().String())
		require.NoError(t, err)
		defer conn.Close()
		_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nX-API-Key: key-a\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n", target)
		require.NoError(t, err)
		answers := bufio.NewReader(conn)
		resp, err := http.ReadResponse(answers, nil)
		require.NoError(t, err)
		require.Equal(t, 100, resp.StatusCode)
		require.NoError(t, writeBody(conn, true))
		resp, err = http.ReadResponse(answers, nil)
		require.NoError(t, err)
		require.Equal(t, 413, resp.StatusCode)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
}

func TestEarlyAnswersArriveOverHTTP2(t *testing.T) {
	e := withHost(t)
	server := httptest.NewUnstartedServer(e.server.Config.Handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	body := make([]byte, large)
	for _, tc := range earlyAnswers {
		method, rest, _ := strings.Cut(tc.head, " ")
		target, rest, _ := strings.Cut(rest, " ")
		for range 3 {
			req, err := http.NewRequest(method, server.URL+target, bytes.NewReader(body))
			require.NoError(t, err)
			for _, line := range strings.Split(rest, "\r\n")[1:] {
				if name, value, ok := strings.Cut(line, ": "); ok {
					req.Header.Set(name, value)
				}
			}
			resp, err := server.Client().Do(req)
			require.NoError(t, err, tc.name)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err, tc.name)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, 2, resp.ProtoMajor)
			require.Equal(t, tc.status, resp.StatusCode, tc.name)
		}
	}
}

// inBubble runs f where time passes when all goroutines wait. connect returns a
// client's end of a connection to a handler with the options.
func inBubble(t *testing.T, o httpadapter.Options, f func(t *testing.T, connect func() net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		cat, err := catalog.Open(t.Context(), memory.New(nil), &catalog.Options{Clock: ttl.NewManualClock(start)})
		require.NoError(t, err)
		listener := &pipeListener{make(chan net.Conn), make(chan struct{})}
		h, err := httpadapter.New(cat, &o)
		require.NoError(t, err)
		server := &http.Server{Handler: record(t, "", h)}
		ended := make(chan error)
		go func() { ended <- server.Serve(listener) }()
		f(t, func() net.Conn {
			client, conn := net.Pipe()
			listener.conns <- conn
			return client
		})
		require.NoError(t, server.Shutdown(context.Background()))
		<-ended
		require.NoError(t, cat.Close())
	})
}

// pipeListener hands out connections made of pipes.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	close(l.closed)
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// begin sends the head of a request whose key is wrong and reads the answer. It
// must come at once, unless the body is so short that net/http waits for it.
func begin(t *testing.T, conn net.Conn, length int) *bufio.Reader {
	t.Helper()
	began := time.Now()
	_, err := fmt.Fprintf(conn, "POST /products HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", length)
	require.NoError(t, err)
	answers := bufio.NewReader(conn)
	resp, err := http.ReadResponse(answers, nil)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 401, resp.StatusCode)
	if length > 256<<10 {
		require.Zero(t, time.Since(began))
	}
	return answers
}

func TestReadOnIsBoundedInTime(t *testing.T) {
	for name, send := range map[string]func(net.Conn){
		"it stands still": func(net.Conn) {},
		"a byte a second": func(conn net.Conn) {
			for {
				if _, err := conn.Write([]byte(" ")); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		},
	} {
		for _, length := range []int{1000, 1 << 20} {
			t.Run(fmt.Sprint(name, length), func(t *testing.T) {
				inBubble(t, httpadapter.Options{}, func(t *testing.T, connect func() net.Conn) {
					conn := connect()
					began := time.Now()
					sent := make(chan struct{})
					time.AfterFunc(time.Millisecond, func() { defer close(sent); send(conn) })
					answers := begin(t, conn, length)
					_, err := answers.ReadByte()
					require.ErrorIs(t, err, io.EOF)
					require.Less(t, time.Since(began), 11*time.Second)
					require.GreaterOrEqual(t, time.Since(began), 10*time.Second)
					conn.Close()
					<-sent
				})
			})
		}
	}
}

func TestReadOnIsBoundedInBytes(t *testing.T) {
	// No more than the largest request, and what net/http adds of itself.
	o := httpadapter.Options{MaxJSONBytes: 1000, MaxMultipartBytes: 1 << 20}
	inBubble(t, o, func(t *testing.T, connect func() net.Conn) {
		conn := connect()
		begin(t, conn, 1<<30)
		sent := 0
		for piece := make([]byte, 1<<10); ; {
			n, err := conn.Write(piece)
			sent += n
			if err != nil {
				require.ErrorIs(t, err, io.ErrClosedPipe)
				break
			}
		}
		require.GreaterOrEqual(t, sent, 1<<20)
		require.Less(t, sent, 1<<20+512<<10)
		conn.Close()
	})
}

func TestReadOnIsBoundedInNumber(t *testing.T) {
	// 256 at once; the next one gets its answer, and is closed on.
	inBubble(t, httpadapter.Options{}, func(t *testing.T, connect func() net.Conn) {
		const length = 1 << 20 // more than net/http would read by itself
		began := time.Now()
		var standing []net.Conn
		for range 256 {
			conn := connect()
			begin(t, conn, length)
			standing = append(standing, conn)
		}
		synctest.Wait()
		conn := connect()
		_, err := begin(t, conn, length).ReadByte()
		require.ErrorIs(t, err, io.EOF)
		require.Less(t, time.Since(began), 2*time.Second)
		conn.Close()
		for _, conn := range standing {
			_, err := conn.Read(make([]byte, 1))
			require.True(t, errors.Is(err, io.EOF), err)
			conn.Close()
		}
		require.GreaterOrEqual(t, time.Since(began), 10*time.Second)
		conn = connect()
		begin(t, conn, length)
		_, err = conn.Write(make([]byte, length))
		require.NoError(t, err, "there is room again")
		conn.Close()
	})
}
