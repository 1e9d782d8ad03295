package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/ttl"
)

// pipeListener hands out one connection after the other, made of pipes.
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

// inBubble runs f where time passes when all goroutines wait. connect returns a
// client's end of a connection to a server of h as serve makes it.
func inBubble(t *testing.T, f func(t *testing.T, connect func(h http.HandlerFunc) net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		f(t, func(h http.HandlerFunc) net.Conn {
			listener := &pipeListener{make(chan net.Conn), make(chan struct{})}
			server := newServer(h, ttl.SystemClock(), slog.New(slog.DiscardHandler), nil)
			ended := make(chan error)
			go func() { ended <- server.Serve(listener) }()
			client, conn := net.Pipe()
			listener.conns <- conn
			t.Cleanup(func() {
				client.Close()
				require.NoError(t, server.Shutdown(context.Background()))
				<-ended
			})
			return client
		})
	})
}

// readAll is a handler that reads the body and reports how it went.
func readAll(bodies chan<- string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			err = errors.New("timeout")
		}
		bodies <- fmt.Sprintf("%d %v", n, err)
	}
}

func TestPaceOfBodies(t *testing.T) {
	for name, tc := range map[string]struct {
		chunk int
		every time.Duration
		total int
		want  string        // what the handler sees
		after time.Duration // when
	}{
		"fast":                          {1 << 20, 0, 8 << 20, "8388608 <nil>", 0},
		"8 KiB a second for 17 minutes": {8 << 10, time.Second, 8 << 20, "8388608 <nil>", 1023 * time.Second},
		"a pause of 29 seconds":         {1 << 20, 29 * time.Second, 3 << 20, "3145728 <nil>", 58 * time.Second},
		// 31 bytes: one at once, and one after each of 30 seconds.
		"a byte a second":      {1, time.Second, 100, "31 timeout", 30 * time.Second},
		"it stops":             {1 << 20, time.Hour, 3 << 20, "1048576 timeout", 30 * time.Second},
		"1000 bytes a second":  {1000, time.Second, 1 << 20, "40000 timeout", 39 * time.Second},
		"nothing ever arrives": {0, time.Hour, 1, "0 timeout", 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, connect func(http.HandlerFunc) net.Conn) {
				bodies := make(chan string, 1)
				client := connect(readAll(bodies))
				start := time.Now()
				go func() {
					fmt.Fprintf(client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", tc.total)
					chunk := make([]byte, tc.chunk)
					for sent := 0; sent < tc.total; sent += tc.chunk {
						if _, err := client.Write(chunk[:min(tc.chunk, tc.total-sent)]); err != nil {
							return
						}
						select {
						case <-time.After(tc.every):
						case <-t.Context().Done():
							return
						}
					}
				}()
				go io.Copy(io.Discard, client)
				require.Equal(t, tc.want, <-bodies)
				require.Equal(t, tc.after, time.Since(start).Truncate(time.Second))
			})
		})
	}
}

// An answer that does not need the body comes at once where the body is long,
// or waits to be asked for; the server waits for the rest of a short one, to go
// on with the connection, but not for longer than a client may stand still.
func TestPaceOfEarlyAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		header, body string
		after        time.Duration
	}{
		"a long body that stops":   {"Content-Length: 60000000", "x", 0},
		"a long body, asked for":   {"Content-Length: 60000000\r\nExpect: 100-continue", "", 0},
		"a short body, asked for":  {"Content-Length: 6\r\nExpect: 100-continue", "", 0},
		"a short body that stops":  {"Content-Length: 6", "x", 30 * time.Second},
		"chunks that stop":         {"Transfer-Encoding: chunked", "1\r\nx\r\n", 30 * time.Second},
		"a short body that is all": {"Content-Length: 6", "xxxxxx", 0},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, connect func(http.HandlerFunc) net.Conn) {
				client := connect(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
				start := time.Now()
				go fmt.Fprintf(client, "POST / HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n%s", tc.header, tc.body)
				res, err := http.ReadResponse(bufio.NewReader(client), nil)
				require.NoError(t, err)
				require.Equal(t, http.StatusUnauthorized, res.StatusCode)
				require.Equal(t, tc.after, time.Since(start).Truncate(time.Second))
			})
		})
	}
}

// An answer that is written while the body comes waits for its client, as long as
// that sends: it may read when it has sent everything. One that does neither is cut
// off.
func TestPaceOfAnswersBesideBodies(t *testing.T) {
	const size = 1 << 20
	echo := func(written chan<- string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			require.NoError(t, http.NewResponseController(w).EnableFullDuplex())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				n, err := w.Write(make([]byte, size))
				written <- fmt.Sprint(n == size, errors.Is(err, os.ErrDeadlineExceeded))
			}()
			_, _ = io.Copy(io.Discard, r.Body)
			<-ended
		}
	}
	for name, tc := range map[string]struct {
		seconds int // for which 8 KiB are sent each, of 600
		want    string
		after   time.Duration
	}{
		"it sends for ten minutes, then reads": {600, "true false", 599 * time.Second},
		"it stops":                             {100, "false true", 133 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, connect func(http.HandlerFunc) net.Conn) {
				written := make(chan string, 1)
				client := connect(echo(written))
				start := time.Now()
				go func() {
					fmt.Fprintf(client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 600*8<<10)
					for i := range tc.seconds {
						if i > 0 {
							time.Sleep(time.Second)
						}
						if _, err := client.Write(make([]byte, 8<<10)); err != nil {
							return
						}
					}
					if tc.seconds == 600 {
						_, _ = io.Copy(io.Discard, client)
					}
				}()
				require.Equal(t, tc.want, <-written)
				require.Equal(t, tc.after, time.Since(start).Truncate(time.Second))
			})
		})
	}
}

// A handler may take its time after the body has ended, and the connection
// serves further requests: no deadline is left behind.
func TestPaceEndsWithTheBody(t *testing.T) {
	slow := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		r.Body.Read(make([]byte, 1))
		time.Sleep(time.Hour)
		if err := r.Context().Err(); err != nil {
			w.WriteHeader(http.StatusTeapot)
		}
	}
	inBubble(t, func(t *testing.T, connect func(http.HandlerFunc) net.Conn) {
		client := connect(slow)
		in := bufio.NewReader(client)
		for _, expect := range []bool{false, true, false, true} {
			if expect {
				fmt.Fprint(client, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
				line, err := in.ReadString('\n')
				require.NoError(t, err)
				require.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
				in.ReadString('\n')
			} else {
				fmt.Fprint(client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
			}
			fmt.Fprint(client, "hello")
			res, err := http.ReadResponse(in, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, res.StatusCode)
			time.Sleep(time.Minute)
		}
	})
}

// A body that the handler does not read does not hold the connection either.
func TestPaceOfUnreadBodies(t *testing.T) {
	ignore := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		http.NewResponseController(w).Flush()
	}
	inBubble(t, func(t *testing.T, connect func(http.HandlerFunc) net.Conn) {
		client := connect(ignore)
		start := time.Now()
		fmt.Fprint(client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
		_, err := io.ReadAll(client)
		require.NoError(t, err, "the server ends the connection")
		require.LessOrEqual(t, time.Since(start), time.Minute)
	})
}

func TestPaceOfAnswers(t *testing.T) {
	const size = 1 << 20
	for name, tc := range map[string]struct {
		chunk int
		every time.Duration
		whole bool
	}{
		"fast":            {size, 0, true},
		"8 KiB a second":  {8 << 10, time.Second, true},
		"a byte a second": {1, time.Second, false},
		"never":           {0, time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, connect func(http.HandlerFunc) net.Conn) {
				written := make(chan error, 1)
				big := func(w http.ResponseWriter, r *http.Request) {
					_, err := io.Copy(w, io.LimitReader(strings.NewReader(strings.Repeat("x", size)), size))
					written <- err
				}
				client := connect(big)
				go func() {
					fmt.Fprint(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
					chunk := make([]byte, tc.chunk)
					for {
						if _, err := client.Read(chunk); err != nil {
							return
						}
						select {
						case <-time.After(tc.every):
						case <-t.Context().Done():
							return
						}
					}
				}()
				err := <-written
				require.Equal(t, tc.whole, err == nil, "%v", err)
			})
		})
	}
}
