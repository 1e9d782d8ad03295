package connlimit

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/shelflife-db/shelflife/ttl"
)

// Options of New. All numbers are positive.
type Options struct {
	// Total is how many connections are served.
	Total int
	// Unproven is how many of them may be unproven.
	Unproven int
	// PerAddress is how many of them may come from one address: from one /64 of
	// IPv6, which is what one client has.
	PerAddress int
	// Spare is how many connections beyond Total are answered by the overflow
	// handler.
	Spare int
	// Exempt reports whether PerAddress does not hold for an address. Nil means
	// that it holds for all.
	Exempt func(netip.Addr) bool
	// Idle is after how long CloseIdle closes a connection that is quiet.
	Idle time.Duration
	// Clock measures for how long. Nil means that of the system.
	Clock ttl.Clock
}

// Limiter counts the connections of one server. It is safe for concurrent use.
type Limiter struct {
	o Options

	// mu guards the fields below and those of all connections. It is not held
	// while a connection is closed or read.
	mu        sync.Mutex
	served    connSet
	unproven  connSet // a part of served
	spare     connSet
	addresses map[netip.Addr]*connSet // parts of served, none of them empty
	// handlers counts those that run, also of connections that are gone: one that
	// waits for something, such as the log, outlives its client.
	handlers int
	overflow int // handlers beyond, which answer that there is no room
	refused  uint64
	evicted  uint64
}

// New returns a limiter.
func New(o Options) *Limiter {
	if o.Clock == nil {
		o.Clock = ttl.SystemClock()
	}
	return &Limiter{
		o:         o,
		served:    connSet{limit: o.Total},
		unproven:  connSet{limit: o.Unproven},
		spare:     connSet{limit: o.Spare},
		addresses: make(map[netip.Addr]*connSet),
	}
}

// Stats are the figures of a Limiter.
type Stats struct {
	Served, Unproven, Spare int
	// Quiet is how many of the served ones are quiet.
	Quiet int
	// Extra is how many handlers run beside the first of each served connection.
	Extra int
	// Refused counts the connections that were closed at once, and Evicted those
	// that gave way to others, since the beginning.
	Refused, Evicted uint64
}

// Stats returns the figures of the moment.
func (l *Limiter) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{
		Quiet:  l.served.unproven.Len() + l.served.proven.Len(),
		Served: l.served.count, Unproven: l.unproven.count, Spare: l.spare.count, Extra: l.served.extra,
		Refused: l.refused, Evicted: l.evicted,
	}
}

// Listener returns inner with the limits applied to what it accepts. Accept
// never waits for a connection to end.
func (l *Limiter) Listener(inner net.Listener) net.Listener { return &listener{inner, l} }

type listener struct {
	net.Listener
	limiter *Limiter
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		inner, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: inner, limiter: l.limiter, unproven: true}
		c.frames.init(l.limiter.o.Clock.Elapsed())
		admitted, victim := l.limiter.admit(c)
		if victim != nil {
			_ = victim.Conn.Close() // its place was given away already
		}
		if admitted {
			return c, nil
		}
		_ = inner.Close()
	}
}

// conn is a connection that is counted.
type conn struct {
	net.Conn
	limiter *Limiter
	frames  frameMeter
	secure  *tls.Conn // around Conn, nil without TLS

	// These belong to the limiter.
	address  netip.Addr // invalid if the address has no limit
	spare    bool
	unproven bool
	running  int           // handlers; quiet if 0
	since    time.Duration // when it became quiet, as the clock's Elapsed
	gone     bool          // counted no more
	places   [3]place
}

// Read implements net.Conn. The server closes a connection whose reading fails.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if sent := c.meter(p[:n]); sent != nil {
		return 0, sent
	}
	return n, err
}

// maxFrameWait bounds how long one read waits, so that it ends soon after its
// connection.
const maxFrameWait = time.Second

// meter takes what was read, which waits where it is too many frames.
func (c *conn) meter(p []byte) error {
	if err := c.frames.read(p); err != nil {
		return err
	}
	clock := c.limiter.o.Clock
	if wait := c.frames.debt(clock.Elapsed()); wait > 0 {
		timer := clock.NewTimer(min(wait, maxFrameWait))
		<-timer.C()
	}
	return nil
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.frames.wrote(n)
	return n, err
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.uncount()
	return c.Conn.Close()
}

func (c *conn) uncount() {
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	c.limiter.forget(c)
}

// admit counts c if there is place for it, and returns the connection that gave
// way, which the caller closes.
func (l *Limiter) admit(c *conn) (admitted bool, victim *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.address, c.since = l.limited(c.RemoteAddr()), l.o.Clock.Elapsed()
	victim, from := l.makeRoom(c, false)
	switch {
	case from == nil:
		l.count(c)
		return true, victim
	case from != &l.unproven && from != &l.served:
		l.refused++ // one address does not get at the spare ones either
		return false, nil
	}
	if l.spare.full() {
		now := l.o.Clock.Elapsed()
		if victim = l.spare.quietest(now, now-restingTime); victim == nil {
			l.refused++
			return false, nil
		}
		l.forget(victim)
		l.evicted++
	}
	c.spare = true
	l.spare.add(c, &c.places[0])
	return true, victim
}

// restingTime is for how long a proven connection is quiet before it gives way to
// another: one that stands between two requests of a client at work does not. The
// client would not know what became of the second.
const restingTime = time.Second

// makeRoom makes room for one more in every set that c, which is not spare,
// belongs to, by forgetting a connection that gives way if need be. Where it
// can't, it returns the set that is full. stream says that the one more is a request
// beside others of c.
func (l *Limiter) makeRoom(c *conn, stream bool) (victim *conn, full *connSet) {
	// One victim is enough: whichever limit it is taken for, it lowers the count
	// of served by one, and it is taken from the narrowest limit that is reached.
	var from *connSet
	switch own := l.addresses[c.address]; {
	case own != nil && own.full():
		from = own
	case c.unproven && l.unproven.full():
		from = &l.unproven
	case l.served.full():
		from = &l.served
	default:
		return nil, nil
	}
	now := l.o.Clock.Elapsed()
	unproven := now
	if stream {
		unproven -= restingTime // one that has just come would never get to its request
	}
	if victim = from.quietest(unproven, now-restingTime); victim == nil {
		return nil, from
	}
	l.forget(victim)
	l.evicted++
	return victim, nil
}

// count adds c, which is not spare, to every set that it belongs to.
func (l *Limiter) count(c *conn) {
	l.served.add(c, &c.places[0])
	l.unproven.add(c, &c.places[1])
	if c.address.IsValid() {
		own := l.addresses[c.address]
		if own == nil {
			own = &connSet{limit: l.o.PerAddress}
			l.addresses[c.address] = own
		}
		own.add(c, &c.places[2])
	}
}

// forget takes c out of every set.
func (l *Limiter) forget(c *conn) {
	if c.gone {
		return
	}
	c.gone = true
	for i := range c.places {
		if set := c.places[i].set; set != nil {
			set.remove(&c.places[i])
		}
	}
	if own := l.addresses[c.address]; own != nil && own.count == 0 {
		delete(l.addresses, c.address)
	}
}

// limited returns the address that counts for a connection from remote, an
// invalid one if there is none.
func (l *Limiter) limited(remote net.Addr) netip.Addr {
	tcp, ok := remote.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	address := tcp.AddrPort().Addr().Unmap().WithZone("")
	if l.o.Exempt != nil && l.o.Exempt(address) {
		return netip.Addr{}
	}
	if address.Is6() {
		network, _ := address.Prefix(64) // fails for more bits than there are
		address = network.Addr()
	}
	return address
}

type connKey struct{}

// ConnContext is for http.Server.ConnContext.
func (l *Limiter) ConnContext(ctx context.Context, c net.Conn) context.Context {
	switch c := c.(type) {
	case *conn:
		return context.WithValue(ctx, connKey{}, c)
	case *secureConn:
		return context.WithValue(ctx, connKey{}, c.own)
	}
	return ctx
}

// Handler returns next, which is told apart from quiet while it runs. Requests
// of spare connections go to overflow, and each is the last of its connection.
//
// Of a connection with several requests at once, those of HTTP/2, each beside the
// first counts as a connection of its own, and makes others give way like one.
// Where there is no room for it it goes to overflow, and is cut off where too many
// do already. So is what comes while too many run whose connections are gone. All
// that may wait for something else than its client belongs into next and overflow:
// only there it is counted.
func (l *Limiter) Handler(next, overflow http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := r.Context().Value(connKey{}).(*conn)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		c.frames.begun()
		r = overTLS(r, c)
		place, victim := l.begin(c)
		defer l.end(c, place)
		if victim != nil {
			_ = victim.Conn.Close() // its place was given away already
		}
		switch place {
		case placeNone:
			panic(http.ErrAbortHandler) // net/http takes this as the wish to reset the stream
		case placeOverflow:
			overflow.ServeHTTP(w, r)
		case placeSpare:
			w.Header().Set("Connection", "close")
			overflow.ServeHTTP(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// handlerPlace is what a handler that has begun is counted as.
type handlerPlace int

const (
	placeServed   handlerPlace = iota
	placeSpare                 // of a spare connection
	placeOverflow              // there is no room for it, but to say so
	placeNone                  // nor for that
)

// begin counts a handler of c in.
func (l *Limiter) begin(c *conn) (place handlerPlace, victim *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	full := l.handlers >= l.o.Total+l.o.Spare
	switch {
	case full || c.running == 0 || c.gone:
	case c.spare, l.served.extra >= l.streams():
		full = true
	default:
		var set *connSet
		victim, set = l.makeRoom(c, true)
		full = set != nil
	}
	switch {
	case !full:
	case l.overflow < l.o.Spare:
		l.overflow++
		return placeOverflow, nil
	default:
		l.refused++
		return placeNone, nil
	}
	l.handlers++
	l.run(c, 1)
	if c.spare {
		return placeSpare, victim
	}
	return placeServed, victim
}

// streams is how many handlers may run beside the first ones of their connections: so
// many clients with many requests at once leave a connection to others.
func (l *Limiter) streams() int { return l.o.Total - l.o.Total/4 }

// end counts a handler of c out, which begin counted in.
func (l *Limiter) end(c *conn, place handlerPlace) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch place {
	case placeServed, placeSpare:
		l.handlers--
		l.run(c, -1)
	case placeOverflow:
		l.overflow--
	}
}

// run counts the handlers of c up or down, and moves it in its sets when it
// becomes quiet or ceases to be.
func (l *Limiter) run(c *conn, by int) {
	was, extra := c.running, c.extra()
	c.running += by
	if c.running == 0 {
		c.since = l.o.Clock.Elapsed()
	}
	if c.gone {
		return
	}
	for i := range c.places {
		set := c.places[i].set
		if set == nil {
			continue
		}
		set.extra += c.extra() - extra
		if was == 0 || c.running == 0 {
			set.move(&c.places[i])
		}
	}
}

// extra is how many handlers run for c beside the first.
func (c *conn) extra() int { return max(c.running-1, 0) }

// Authenticated says that the request of ctx was made with a key that is valid.
func Authenticated(ctx context.Context) {
	c, ok := ctx.Value(connKey{}).(*conn)
	if !ok {
		return
	}
	c.limiter.mu.Lock()
	defer c.limiter.mu.Unlock()
	if !c.unproven {
		return
	}
	c.unproven = false
	for i := range c.places {
		switch set := c.places[i].set; {
		case set == &c.limiter.unproven:
			set.remove(&c.places[i])
		case set != nil:
			set.move(&c.places[i])
		}
	}
}
