package connlimit_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/cmd/shelflife/internal/connlimit"
	"github.com/shelflife-db/shelflife/ttl"
)

// startHTTP2 is start with a server that speaks HTTP/2 too, and a client of it
// that has one connection.
func startHTTP2(t *testing.T, o connlimit.Options) (*server, *http.Client) {
	s := startWith(t, o, func(server *http.Server) {
		server.Protocols = new(http.Protocols)
		server.Protocols.SetHTTP1(true)
		server.Protocols.SetUnencryptedHTTP2(true)
	})
	only := new(http.Protocols)
	only.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: only}
	// Before the server's own cleanup, which waits for its connections.
	t.Cleanup(func() { s.end(); transport.CloseIdleConnections() })
	return s, &http.Client{Transport: transport}
}

// ask returns the status of an answer, 0 where the stream was cut off.
func ask(t *testing.T, c *http.Client, addr, path string) int {
	r, err := http.NewRequestWithContext(context.Background(), "GET", "http://"+addr+path, nil)
	if err != nil {
		t.Error(err)
		return 0
	}
	res, err := c.Do(r)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	return res.StatusCode
}

// TestStreamsCountAsConnections: one connection with many requests at once gets no
// more than as many connections would.
func TestStreamsCountAsConnections(t *testing.T) {
	for name, o := range map[string]connlimit.Options{
		"in all":           {Total: 5, Unproven: 9, PerAddress: 9, Spare: 1},
		"without a key":    {Total: 9, Unproven: 5, PerAddress: 9, Spare: 1},
		"from one address": {Total: 9, Unproven: 9, PerAddress: 5, Spare: 1},
	} {
		t.Run(name, func(t *testing.T) {
			s, c := startHTTP2(t, o)
			var running sync.WaitGroup
			for range 5 {
				running.Go(func() { assert.Equal(t, 200, ask(t, c, s.addr, "/hold")) })
				<-s.held
			}
			require.Equal(t, 4, s.limiter.Stats().Extra)
			for range 20 {
				require.Equal(t, 503, ask(t, c, s.addr, "/plain"), "a sixth")
			}
			require.Equal(t, 1, s.limiter.Stats().Served, "they share a connection")
			if name == "in all" {
				require.Equal(t, 503, s.dial().get("/plain"), "a connection finds no room beside the streams")
			}
			s.end()
			running.Wait()
			require.Equal(t, 200, ask(t, c, s.addr, "/plain"), "there is room again")
			require.Eventually(t, func() bool { return s.limiter.Stats().Extra == 0 }, 20*time.Second, time.Millisecond)
		})
	}
}

// TestStreamsLeaveConnections: however many requests come at once on a connection,
// a quarter of the places is for other connections.
func TestStreamsLeaveConnections(t *testing.T) {
	s, c := startHTTP2(t, connlimit.Options{Total: 16, Unproven: 16, PerAddress: 16, Spare: 1})
	var running sync.WaitGroup
	for range 13 { // the first is the connection's own
		running.Go(func() { assert.Equal(t, 200, ask(t, c, s.addr, "/hold")) })
		<-s.held
	}
	require.Equal(t, 12, s.limiter.Stats().Extra)
	require.Equal(t, 503, ask(t, c, s.addr, "/plain"))
	for range 3 {
		require.Equal(t, 200, s.dial().get("/plain"))
	}
	s.end()
	running.Wait()
}

// TestStreamsMakeQuietOnesGiveWay: as a new connection does, a request beside
// others takes the place of a connection that stands still; and with a key it
// counts as one with a key.
func TestStreamsMakeQuietOnesGiveWay(t *testing.T) {
	clock := ttl.NewManualClock(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	s, c := startHTTP2(t, connlimit.Options{Total: 4, Unproven: 2, PerAddress: 9, Spare: 1, Exempt: netip.Addr.IsLoopback, Clock: clock})
	require.Equal(t, 200, ask(t, c, s.addr, "/key"))
	quiet := []*client{s.dial(), s.dial()}
	for _, q := range quiet {
		require.Equal(t, 200, q.get("/plain"))
	}
	requireQuiet(t, s, 3)
	clock.Advance(time.Second) // since when they stand still
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() { assert.Equal(t, 200, ask(t, c, s.addr, "/hold")) })
		<-s.held
	}
	for _, q := range quiet {
		require.True(t, q.closed())
	}
	st := s.limiter.Stats()
	require.Equal(t, []int{1, 0, 3}, []int{st.Served, st.Unproven, st.Extra})
	require.Equal(t, 503, ask(t, c, s.addr, "/plain"))
	s.end()
	running.Wait()
}

// TestStreamsThatFindNoRoomAtAll are cut off: what would answer them is bounded
// too.
func TestStreamsThatFindNoRoomAtAll(t *testing.T) {
	l := connlimit.New(connlimit.Options{Total: 1, Unproven: 1, PerAddress: 1, Spare: 1})
	script := scripted{from{address: netip.MustParseAddr("192.0.2.1")}}
	conn, err := l.Listener(&script).Accept()
	require.NoError(t, err)
	ctx := l.ConnContext(t.Context(), conn)
	begun, release := make(chan struct{}, 9), make(chan struct{})
	hold := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { begun <- struct{}{}; <-release })
	h := l.Handler(hold, hold)
	var running sync.WaitGroup
	for range 2 { // one served, one that says that there is no room
		running.Go(func() { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/", nil)) })
		<-begun
	}
	require.PanicsWithError(t, http.ErrAbortHandler.Error(), func() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/", nil))
	})
	close(release)
	running.Wait()
	require.Zero(t, l.Stats().Extra)
	require.NotPanics(t, func() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/", nil))
	})
}

// TestHandlersThatOutliveTheirConnections are counted until they end: a client that
// leaves and comes again must not pile them up.
func TestHandlersThatOutliveTheirConnections(t *testing.T) {
	l := connlimit.New(connlimit.Options{Total: 2, Unproven: 2, PerAddress: 2, Spare: 1})
	begun, release := make(chan struct{}, 99), make(chan struct{})
	hold := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { begun <- struct{}{}; <-release })
	h := l.Handler(hold, hold)
	var running sync.WaitGroup
	connect := func() *http.Request {
		script := scripted{from{address: netip.MustParseAddr("192.0.2.1")}}
		conn, err := l.Listener(&script).Accept()
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		return httptest.NewRequestWithContext(l.ConnContext(t.Context(), conn), "GET", "/", nil)
	}
	for range 2 + 1 + 1 {
		r := connect()
		running.Go(func() { h.ServeHTTP(httptest.NewRecorder(), r) })
		<-begun
	}
	require.PanicsWithError(t, http.ErrAbortHandler.Error(), func() { h.ServeHTTP(httptest.NewRecorder(), connect()) })
	close(release)
	running.Wait()
	require.NotPanics(t, func() { h.ServeHTTP(httptest.NewRecorder(), connect()) })
}
