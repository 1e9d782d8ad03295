package connlimit

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
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
	refused   uint64
	evicted   uint64
}

// New returns a limiter.
func New(o Options) *Limiter {
	return &Limiter{o: o, addresses: make(map[netip.Addr]*connSet)}
}

// Stats are the figures of a Limiter.
type Stats struct {
	Served, Unproven, Spare int
	// Refused counts the connections that were closed at once, and Evicted those
	// that gave way to others, since the beginning.
	Refused, Evicted uint64
}

// Stats returns the figures of the moment.
func (l *Limiter) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{
		Served: l.served.count, Unproven: l.unproven.count, Spare: l.spare.count,
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

	// These belong to the limiter.
	address  netip.Addr // invalid if the address has no limit
	spare    bool
	unproven bool
	running  int  // handlers; quiet if 0
	gone     bool // counted no more
	places   [3]place
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.limiter.mu.Lock()
	c.limiter.forget(c)
	c.limiter.mu.Unlock()
	return c.Conn.Close()
}

// admit counts c if there is place for it, and returns the connection that gave
// way, which the caller closes.
func (l *Limiter) admit(c *conn) (admitted bool, victim *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.address = l.limited(c.RemoteAddr())
	// One victim is enough: whichever limit it is taken for, it lowers the count
	// of served by one, and it is taken from the narrowest limit that is reached.
	var from *connSet
	switch own := l.addresses[c.address]; {
	case own != nil && own.count >= l.o.PerAddress:
		from = own
	case l.unproven.count >= l.o.Unproven:
		from = &l.unproven
	case l.served.count >= l.o.Total:
		from = &l.served
	}
	if from != nil {
		if victim = from.quietest(); victim != nil {
			l.forget(victim)
			l.evicted++
		} else if from != &l.unproven && from != &l.served {
			l.refused++ // one address does not get at the spare ones either
			return false, nil
		}
	}
	if from == nil || victim != nil {
		l.count(c)
		return true, victim
	}
	if l.spare.count >= l.o.Spare {
		if victim = l.spare.quietest(); victim == nil {
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

// count adds c, which is not spare, to every set that it belongs to.
func (l *Limiter) count(c *conn) {
	l.served.add(c, &c.places[0])
	l.unproven.add(c, &c.places[1])
	if c.address.IsValid() {
		own := l.addresses[c.address]
		if own == nil {
			own = new(connSet)
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
	// With TLS the server's connection is around ours.
	if around, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = around.NetConn()
	}
	if own, ok := c.(*conn); ok {
		return context.WithValue(ctx, connKey{}, own)
	}
	return ctx
}

// Handler returns next, which is told apart from quiet while it runs. Requests
// of spare connections go to overflow, and each is the last of its connection.
func (l *Limiter) Handler(next, overflow http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := r.Context().Value(connKey{}).(*conn)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		l.run(c, 1)
		defer l.run(c, -1)
		if c.spare {
			w.Header().Set("Connection", "close")
			overflow.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// run counts the handlers of c up or down, and moves it in its sets when it
// becomes quiet or ceases to be.
func (l *Limiter) run(c *conn, by int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := c.running
	c.running += by
	if c.gone || was > 0 && c.running > 0 {
		return
	}
	for i := range c.places {
		if set := c.places[i].set; set != nil {
			set.move(&c.places[i])
		}
	}
}

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
