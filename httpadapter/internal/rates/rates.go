// Package rates bounds how many requests an account may make in a time.
//
// Each account has a bucket of tokens, full at first, of which a request takes one,
// and which fills at a constant rate. The invariants:
//
//   - An account that asks for less than the rate is never refused.
//   - Memory is bounded, however many accounts there are: a full bucket is
//     forgotten, and so is another where there are too many. That account may have
//     a burst once more.
//   - One account's requests wait for no other's, but for the lock of a map.
package rates

import (
	"hash/maphash"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/shelflife-db/shelflife/ttl"
)

// The buckets that are remembered: 16 MiB of them at most, with names of some bytes.
const (
	shards      = 16
	maxPerShard = 4096
)

// Limiter bounds the rate of each account. It is safe for concurrent use.
type Limiter struct {
	rate  rate.Limit
	burst int
	clock ttl.Clock
	seed  maphash.Seed
	parts [shards]shard
}

// shard has the buckets of some accounts.
type shard struct {
	mu      sync.Mutex // guards buckets
	buckets map[string]*rate.Limiter
}

// New returns a limiter of so many requests a second, and burst at once.
func New(perSecond float64, burst int, clock ttl.Clock) *Limiter {
	l := &Limiter{rate: rate.Limit(perSecond), burst: burst, clock: clock, seed: maphash.MakeSeed()}
	for i := range l.parts {
		l.parts[i].buckets = make(map[string]*rate.Limiter)
	}
	return l
}

// Take takes a token of the account's. Where there is none it returns how long it
// takes until there is one.
func (l *Limiter) Take(account string) (wait time.Duration, ok bool) {
	now := l.now()
	bucket := l.bucket(account, now)
	taken := bucket.ReserveN(now, 1)
	if wait = taken.DelayFrom(now); wait == 0 {
		return 0, true
	}
	taken.CancelAt(now)
	return wait, false
}

// TakeSpare is Take for what can wait: it leaves half of a burst to the account's
// other requests.
func (l *Limiter) TakeSpare(account string) (wait time.Duration, ok bool) {
	now := l.now()
	want := float64(1 + l.burst/2)
	if have := l.bucket(account, now).TokensAt(now); have < want {
		return 1 + time.Duration((want-have)/float64(l.rate)*float64(time.Second)), false
	}
	return l.Take(account)
}

// now is a time that never goes back, for rate.Limiter: an instant of the monotonic
// clock.
func (l *Limiter) now() time.Time { return time.Unix(0, 0).Add(l.clock.Elapsed()) }

// bucket returns the bucket of an account.
func (l *Limiter) bucket(account string, now time.Time) *rate.Limiter {
	s := &l.parts[maphash.String(l.seed, account)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.buckets[account]; ok {
		return b
	}
	if len(s.buckets) >= maxPerShard {
		s.forget(now, l.burst)
	}
	b := rate.NewLimiter(l.rate, l.burst)
	s.buckets[account] = b
	return b
}

// forget makes room for half of the buckets: those first that are as good as new.
func (s *shard) forget(now time.Time, burst int) {
	for account, b := range s.buckets {
		if b.TokensAt(now) >= float64(burst) {
			delete(s.buckets, account)
		}
	}
	for account := range s.buckets {
		if len(s.buckets) <= maxPerShard/2 {
			return
		}
		delete(s.buckets, account)
	}
}
