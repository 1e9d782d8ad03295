package connlimit

import "context"

// idleLooks is how often in Options.Idle one looks for connections that were quiet
// for that long.
const idleLooks = 8

// CloseIdle closes connections that have been quiet for Options.Idle, or an eighth
// of it longer, until ctx ends.
//
// It stands for http.Server.IdleTimeout, which must be zero: where a connection of
// HTTP/2 ends that has streams, the server sets the timer anew while it closes them,
// and keeps all that belonged to the connection until it fires. Clients that come
// and go could fill the memory with that.
//
// Go 1.26: unnecessary when closeAllStreamsOnConnClose leaves the timer alone
// (TestClosedConnectionsAreLetGo).
func (l *Limiter) CloseIdle(ctx context.Context) {
	for {
		timer := l.o.Clock.NewTimer(l.o.Idle / idleLooks)
		select {
		case <-timer.C():
		case <-ctx.Done():
			timer.Stop()
			return
		}
		for _, c := range l.idle() {
			_ = c.Conn.Close() // it is counted no more
		}
	}
}

// idle forgets the connections that have been quiet for too long, and returns them.
func (l *Limiter) idle() (closed []*conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	since := l.o.Clock.Elapsed() - l.o.Idle
	for _, set := range []*connSet{&l.served, &l.spare} {
		for _, c := range set.quietSince(since) {
			l.forget(c)
			closed = append(closed, c)
		}
	}
	return closed
}
