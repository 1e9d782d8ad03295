package postgrestest

import (
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A Link stands between engines and a server, on a Unix socket of its own. What
// the server says can be held back, or the connections dropped, and a request
// can go wrong.
type Link struct {
	dsn      string
	dir      string
	network  string
	server   string
	listener net.Listener
	trips    atomic.Int64 // requests that waited for an answer

	mu    sync.Mutex // guards what follows
	open  chan struct{}
	conns map[net.Conn]struct{}
	fault func(trip int64) Fault
	delay time.Duration
	wg    sync.WaitGroup
}

// Fault is what becomes of a request.
type Fault int

// The faults of a [Link].
const (
	None     Fault = iota
	Lost           // the connection ends, and the server has not been told
	Unheard        // the connection ends when the server has answered
	Refused        // the server says that its disk is full, and has done nothing
	Rollback       // the server ends the connection, as on a shutdown, and has done nothing
)

// NewLink leads to the server of a connection string until the test ends.
func NewLink(t testing.TB, dsn string) *Link {
	t.Helper()
	l, err := StartLink(dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// StartLink leads to the server of a connection string until it is closed.
func StartLink(dsn string) (*Link, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, err
	}
	l := &Link{conns: map[net.Conn]struct{}{}, open: make(chan struct{})}
	close(l.open)
	if host := u.Query().Get("host"); host != "" {
		l.network, l.server = "unix", filepath.Join(host, ".s.PGSQL."+cmp.Or(u.Query().Get("port"), "5432"))
	} else {
		l.network, l.server = "tcp", u.Host
		if u.Port() == "" {
			l.server = net.JoinHostPort(u.Hostname(), "5432")
		}
	}
	if l.dir, err = os.MkdirTemp("", "link"); err != nil {
		return nil, err
	}
	if l.listener, err = net.Listen("unix", filepath.Join(l.dir, ".s.PGSQL.5432")); err != nil {
		return nil, errors.Join(err, os.RemoveAll(l.dir))
	}
	q := u.Query()
	q.Set("host", l.dir)
	q.Del("port")
	u.Host, u.RawQuery = "", q.Encode()
	l.dsn = u.String()
	l.wg.Go(l.accept)
	return l, nil
}

// DSN returns the connection string that leads through the link.
func (l *Link) DSN() string { return l.dsn }

// Trips returns how many requests have waited for an answer.
func (l *Link) Trips() int64 { return l.trips.Load() }

// Close ends the link and what leads through it.
func (l *Link) Close() {
	l.Resume()
	l.listener.Close()
	l.Drop()
	l.wg.Wait()
	os.RemoveAll(l.dir)
}

// Delay has what the server says come so much later, on every connection that is
// opened from now on.
func (l *Link) Delay(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = d
}

// Fail has fault say what becomes of each request that waits for an answer, of
// all connections, by its number: the first is 1. It is called for one request
// after the other.
func (l *Link) Fail(fault func(trip int64) Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = fault
}

// ask counts a request.
func (l *Link) ask() Fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.trips.Add(1)
	if l.fault == nil {
		return None
	}
	return l.fault(n)
}

func (l *Link) accept() {
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
		delay := l.delay
		l.mu.Unlock()
		end := func() {
			c.Close()
			s.Close()
			l.mu.Lock()
			defer l.mu.Unlock()
			delete(l.conns, c)
			delete(l.conns, s)
		}
		var silent atomic.Bool // the client hears no more
		l.wg.Go(func() {
			defer end()
			_, _ = io.Copy(&requests{link: l, client: c, server: s, silent: &silent, skip: -1}, c)
		})
		l.wg.Go(func() {
			defer end()
			l.answers(c, s, delay, &silent)
		})
	}
}

// answers passes on what the server says.
func (l *Link) answers(c, s net.Conn, delay time.Duration, silent *atomic.Bool) {
	type said struct {
		data []byte
		err  error
		due  time.Time
	}
	heard := make(chan said, 1024)
	l.wg.Go(func() {
		defer close(heard)
		for {
			buf := make([]byte, 16<<10)
			n, err := s.Read(buf)
			heard <- said{buf[:n], err, time.Now().Add(delay)}
			if err != nil {
				return
			}
		}
	})
	failed := false
	for h := range heard { // to its end: the reader must not wait for ever
		if delay > 0 {
			time.Sleep(time.Until(h.due))
		}
		l.mu.Lock()
		open := l.open
		l.mu.Unlock()
		<-open
		if failed = failed || silent.Load(); failed {
			closeBoth(c, s)
			continue
		}
		if len(h.data) > 0 {
			if _, err := c.Write(h.data); err != nil {
				failed = true
			}
		}
		if h.err != nil {
			closeBoth(c, s)
		}
	}
}

func closeBoth(c, s net.Conn) {
	c.Close()
	s.Close()
}

// Stall holds back what the server says, until Resume.
func (l *Link) Stall() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = make(chan struct{})
}

// Resume ends what Stall began.
func (l *Link) Resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.open:
	default:
		close(l.open)
	}
}

// Drop ends all connections.
func (l *Link) Drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		c.Close()
	}
}

// requests is given what a client says, message by message, and passes it on to the
// server but where a request goes wrong. A request ends with the message after
// which the client waits for an answer: Sync or Query.
type requests struct {
	link           *Link
	client, server net.Conn
	silent         *atomic.Bool

	head []byte // of the message that has begun
	skip int    // bytes of it that are to come; -1 before the first one, which has no type
	held []byte // what the server is not told before it is known whether the request goes wrong
}

var errFault = errors.New("the link has failed a request")

func (r *requests) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if r.skip > 0 {
			n := min(r.skip, len(rest))
			r.held = append(r.held, rest[:n]...)
			r.skip, rest = r.skip-n, rest[n:]
		} else {
			size := 5
			if r.skip < 0 {
				size = 4
			}
			r.head, rest = append(r.head, rest[0]), rest[1:]
			if len(r.head) < size {
				continue
			}
			r.held = append(r.held, r.head...)
			r.skip = int(binary.BigEndian.Uint32(r.head[size-4:])) - 4
		}
		if r.skip > 0 {
			continue
		}
		kind := byte(0)
		if len(r.head) == 5 {
			kind = r.head[0]
		}
		r.head = r.head[:0]
		if err := r.end(kind); err != nil {
			return len(p), err
		}
	}
	return len(p), nil
}

// end passes on a message, or the request that ends with it.
func (r *requests) end(kind byte) error {
	fault := None
	switch kind {
	case 'S', 'Q':
		fault = r.link.ask()
	case 0, 'X', 'p', 'H': // the beginning and the end of a connection
	default:
		return nil // the rest of the request is to come
	}
	switch fault {
	case Lost:
		return errFault
	case Unheard:
		r.silent.Store(true)
	case Refused:
		r.held = r.held[:0]
		_, err := r.client.Write(append(errorResponse("ERROR", "53100", "could not extend file: No space left on device"), 'Z', 0, 0, 0, 5, 'I'))
		return err
	case Rollback:
		_, _ = r.client.Write(errorResponse("FATAL", "57P01", "terminating connection due to administrator command"))
		return errFault
	}
	_, err := r.server.Write(r.held)
	r.held = r.held[:0]
	return err
}

// errorResponse is a message of the server.
func errorResponse(severity, code, text string) []byte {
	fields := "S" + severity + "\x00V" + severity + "\x00C" + code + "\x00M" + text + "\x00\x00"
	return append(binary.BigEndian.AppendUint32([]byte{'E'}, uint32(len(fields)+4)), fields...)
}
