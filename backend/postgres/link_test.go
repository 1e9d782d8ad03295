package postgres_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// A link stands between engines and a server, on a Unix socket of its own. What
// the server says can be held back, or the connections dropped.
type link struct {
	dsn      string
	network  string
	server   string
	listener net.Listener
	trips    atomic.Int64 // requests that waited for an answer

	mu    sync.Mutex // guards what follows
	open  chan struct{}
	conns map[net.Conn]struct{}
	wg    sync.WaitGroup
}

// newLink leads to the server of a connection string.
func newLink(t *testing.T, dsn string) *link {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	l := &link{conns: map[net.Conn]struct{}{}, open: make(chan struct{})}
	close(l.open)
	if host := u.Query().Get("host"); host != "" {
		l.network, l.server = "unix", filepath.Join(host, ".s.PGSQL.5432")
	} else {
		l.network, l.server = "tcp", u.Host
		if u.Port() == "" {
			l.server = net.JoinHostPort(u.Hostname(), "5432")
		}
	}
	dir, err := os.MkdirTemp("", "link")
	require.NoError(t, err)
	l.listener, err = net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	require.NoError(t, err)
	q := u.Query()
	q.Set("host", dir)
	u.Host, u.RawQuery = "", q.Encode()
	l.dsn = u.String()
	l.wg.Go(l.accept)
	t.Cleanup(func() {
		l.resume()
		l.listener.Close()
		l.drop()
		l.wg.Wait()
		os.RemoveAll(dir)
	})
	return l
}

func (l *link) accept() {
	for {
		c, err := l.listener.Accept()
		if err != nil {
			return
		}
		s, err := net.Dial(l.network, l.server)
		if err != nil {
			c.Close()
			continue
		}
		l.mu.Lock()
		l.conns[c], l.conns[s] = struct{}{}, struct{}{}
		l.mu.Unlock()
		end := func() {
			c.Close()
			s.Close()
			l.mu.Lock()
			defer l.mu.Unlock()
			delete(l.conns, c)
			delete(l.conns, s)
		}
		l.wg.Go(func() {
			defer end()
			_, _ = io.Copy(s, io.TeeReader(c, &syncCounter{n: &l.trips, skip: -1}))
		})
		l.wg.Go(func() {
			defer end()
			buf := make([]byte, 64<<10)
			for {
				n, err := s.Read(buf)
				l.mu.Lock()
				open := l.open
				l.mu.Unlock()
				<-open
				if n > 0 {
					if _, err := c.Write(buf[:n]); err != nil {
						return
					}
				}
				if err != nil {
					return
				}
			}
		})
	}
}

// stall holds back what the server says, until resume.
func (l *link) stall() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = make(chan struct{})
}

func (l *link) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.open:
	default:
		close(l.open)
	}
}

// drop ends all connections.
func (l *link) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		c.Close()
	}
}

// A syncCounter is given what a client says and counts the messages after which
// it waits for an answer: Sync and Query.
type syncCounter struct {
	n    *atomic.Int64
	head []byte
	skip int // bytes of the message that are to come; -1 before the first one, which has no type
}

func (c *syncCounter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if c.skip > 0 {
			n := min(c.skip, len(rest))
			c.skip, rest = c.skip-n, rest[n:]
			continue
		}
		c.head, rest = append(c.head, rest[0]), rest[1:]
		size := 5
		if c.skip < 0 {
			size = 4
		}
		if len(c.head) < size {
			continue
		}
		if size == 5 && (c.head[0] == 'S' || c.head[0] == 'Q') {
			c.n.Add(1)
		}
		c.skip, c.head = int(binary.BigEndian.Uint32(c.head[size-4:]))-4, c.head[:0]
	}
	return len(p), nil
}
