package connlimit_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/cmd/shelflife/internal/connlimit"
	"github.com/shelflife-db/shelflife/ttl"
)

func TestQuietConnectionsAreClosed(t *testing.T) {
	const idle = time.Minute
	clock := ttl.NewManualClock(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	s := start(t, connlimit.Options{Total: 9, Unproven: 9, PerAddress: 9, Spare: 1, Idle: idle, Clock: clock})
	ctx, cancel := context.WithCancel(t.Context())
	var closing sync.WaitGroup
	closing.Go(func() { s.limiter.CloseIdle(ctx) })
	defer closing.Wait()
	defer cancel()

	silent, quiet, used, busy := s.dial(), s.dial(), s.dial(), s.dial()
	require.Equal(t, 200, quiet.get("/key"))
	require.Equal(t, 200, used.get("/key"))
	busy.send("/hold")
	<-s.held
	require.Eventually(t, func() bool { return s.limiter.Stats().Served == 4 }, 20*time.Second, time.Millisecond)
	clock.Advance(idle / 2)
	require.Equal(t, 200, used.get("/plain"))
	// Until the answer has ended the connection is not quiet.
	requireQuiet(t, s, 3)
	for range 9 { // the looks are an eighth apart
		clock.Advance(idle / 16)
		time.Sleep(time.Millisecond)
	}
	require.Eventually(t, func() bool {
		clock.Advance(time.Millisecond) // for a look that had not begun to wait
		return s.limiter.Stats().Served == 2
	}, 20*time.Second, time.Millisecond)
	require.True(t, silent.closed())
	require.True(t, quiet.closed())
	require.Equal(t, 200, used.get("/plain"))
	s.end()
	require.Equal(t, 200, busy.status())
	require.Zero(t, s.limiter.Stats().Evicted, "none gave way to another")
}

// requireQuiet waits until so many connections are quiet.
func requireQuiet(t *testing.T, s *server, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return s.limiter.Stats().Quiet == n }, 20*time.Second, time.Millisecond)
}

// TestClosedConnectionsAreLetGo: nothing of a connection stays behind it, of HTTP/2
// with streams neither. Where the server itself closes idle ones it does: then
// CloseIdle is needed.
func TestClosedConnectionsAreLetGo(t *testing.T) {
	for name, idle := range map[string]time.Duration{"by CloseIdle": 0, "by the server": time.Hour} {
		t.Run(name, func(t *testing.T) {
			l := connlimit.New(connlimit.Options{Total: 99, Unproven: 99, PerAddress: 99, Spare: 1})
			answering := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			})
			ts := httptest.NewUnstartedServer(l.Handler(answering, answering))
			seen := make(chan weak.Pointer[watchedConn], 1)
			ts.Listener = watchedListener{l.Listener(ts.Listener), seen}
			ts.Config.ConnContext = l.ConnContext
			ts.Config.IdleTimeout = idle
			ts.Config.Protocols = new(http.Protocols)
			ts.Config.Protocols.SetHTTP1(true)
			ts.Config.Protocols.SetUnencryptedHTTP2(true)
			ts.Start()
			defer ts.Close()
			var conns []weak.Pointer[watchedConn]
			for range 5 {
				c := (&server{t: t, addr: ts.Listener.Addr().String()}).dialHTTP2(1 << 20)
				require.True(t, c.begin())
				conns = append(conns, <-seen)
				require.NoError(t, c.conn.Close())
			}
			kept := func() (n int) {
				runtime.GC()
				for _, c := range conns {
					if c.Value() != nil {
						n++
					}
				}
				return n
			}
			if idle == 0 {
				require.Eventually(t, func() bool { return kept() == 0 }, 20*time.Second, 10*time.Millisecond)
				return
			}
			for range 20 {
				kept()
				time.Sleep(10 * time.Millisecond)
			}
			require.Equal(t, len(conns), kept(), "the server closes them by itself: CloseIdle is not needed any more")
		})
	}
}

// watchedListener reports each connection that it accepts.
type watchedListener struct {
	net.Listener
	seen chan<- weak.Pointer[watchedConn]
}

type watchedConn struct {
	net.Conn
	_ [64]byte // no part of another allocation
}

func (l watchedListener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &watchedConn{Conn: inner}
	l.seen <- weak.Make(c)
	return c, nil
}

// TestStreamsLeaveAloneWhatHasJustCome: a connection that has not come to its first
// request does not give way to a stream of another.
func TestStreamsLeaveAloneWhatHasJustCome(t *testing.T) {
	clock := ttl.NewManualClock(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	s, c := startHTTP2(t, connlimit.Options{Total: 3, Unproven: 3, PerAddress: 9, Spare: 1, Clock: clock})
	var running sync.WaitGroup
	for range 2 {
		running.Go(func() { _ = ask(t, c, s.addr, "/hold") })
		<-s.held
	}
	newcomer := s.dial()
	requireQuiet(t, s, 1)
	require.Equal(t, 503, ask(t, c, s.addr, "/plain"))
	require.Equal(t, 200, newcomer.get("/plain"))
	s.end()
	running.Wait()
}

// TestClientsAtWorkKeepTheirConnections: one with a key that stands between two
// requests does not give way, neither to connections nor to streams of another; one
// that rests does.
func TestClientsAtWorkKeepTheirConnections(t *testing.T) {
	clock := ttl.NewManualClock(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	s, c := startHTTP2(t, connlimit.Options{Total: 3, Unproven: 3, PerAddress: 9, Spare: 1, Clock: clock})
	neighbour := s.dial()
	require.Equal(t, 200, neighbour.get("/key"))
	requireQuiet(t, s, 1)
	var running sync.WaitGroup
	for range 2 { // the other has a connection with two requests: all is full
		running.Go(func() { _ = ask(t, c, s.addr, "/hold") })
		<-s.held
	}
	clock.Advance(999 * time.Millisecond)
	require.Equal(t, 503, ask(t, c, s.addr, "/plain"), "a further stream")
	require.Equal(t, 503, s.dial().get("/plain"), "a further connection")
	require.Equal(t, 200, neighbour.get("/key"))
	requireQuiet(t, s, 1)
	clock.Advance(time.Second)
	require.Equal(t, 200, ask(t, c, s.addr, "/plain"))
	require.True(t, neighbour.closed())
	s.end()
	running.Wait()
}
