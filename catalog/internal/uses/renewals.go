package uses

import (
	"hash/maphash"
	"math"
	"sync/atomic"

	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
)

// Renewals counts the Updates at work on products. One that read the clock
// before a product's deadline may renew the product, and become visible after
// the deadline: then no caller must have been told meanwhile that it is gone.
//
// An Update is counted before it reads the clock, and until it is visible or has
// failed. A reader that finds that a product has expired looks here, and reads
// the product again. Where nothing is counted, an Update that read an earlier
// time is visible by now, and one to come reads a later time. It is safe for
// concurrent use.
type Renewals struct {
	// others says that other catalogs write to the store, whose Updates can't be
	// counted.
	others bool
	seed   maphash.Seed
	// blocks of stripes are made when they are needed first: a process may have
	// many catalogs of which few are in use.
	blocks [renewalStripes / renewalBlock]atomic.Pointer[[renewalBlock]renewalStripe]
}

const (
	renewalStripes = 1024
	renewalBlock   = 8
)

// renewalStripe counts for the products that hash to it.
type renewalStripe struct {
	count atomic.Int64
	// late is when an Update was uncounted last that had taken longer than
	// LongUpdate. It is set before the count is lowered: a reader that finds the
	// count at zero must find it.
	late atomic.Int64
	// last is when any was uncounted last, set as late is.
	last atomic.Int64
	_    [40]byte // a cache line of its own
}

// LongUpdate is longer, in milliseconds, than an Update should take.
const LongUpdate = 60_000

// NewRenewals returns renewals of no Updates. others says that other processes
// write to the store.
func NewRenewals(others bool) *Renewals {
	return &Renewals{others: others, seed: maphash.MakeSeed()}
}

func (r *Renewals) stripe(k productkey.Key) *renewalStripe {
	i := maphash.Comparable(r.seed, k) % renewalStripes
	block := r.blocks[i/renewalBlock].Load()
	if block == nil {
		block = r.makeBlock(i / renewalBlock)
	}
	return &block[i%renewalBlock]
}

func (r *Renewals) makeBlock(n uint64) *[renewalBlock]renewalStripe {
	block := new([renewalBlock]renewalStripe)
	for i := range block {
		block[i].late.Store(math.MinInt64)
		block[i].last.Store(math.MinInt64)
	}
	if !r.blocks[n].CompareAndSwap(nil, block) {
		return r.blocks[n].Load() // another was faster
	}
	return block
}

// Renewal is an Update that is counted for a product.
type Renewal struct{ stripe *renewalStripe }

// Begin counts an Update that is about to read the clock for the product.
func (r *Renewals) Begin(k productkey.Key) Renewal {
	s := r.stripe(k)
	s.count.Add(1)
	return Renewal{s}
}

// End uncounts the Update: it is visible, or has failed. firstNow is the first time
// that it read, now the time after its end.
func (r Renewal) End(firstNow, now int64) {
	if now-firstNow > LongUpdate {
		raise(&r.stripe.late, now)
	}
	raise(&r.stripe.last, now)
	r.stripe.count.Add(-1)
}

// raise sets v to now unless it is later: Updates that end at once come here in
// any order.
func raise(v *atomic.Int64, now int64) {
	for {
		was := v.Load()
		if was >= now || v.CompareAndSwap(was, now) {
			return
		}
	}
}

// Possible reports whether an Update that has read an earlier time may still
// renew the product.
func (r *Renewals) Possible(k productkey.Key) bool {
	return r.others || r.stripe(k).count.Load() > 0
}

// PossibleSince reports whether an Update of this process may have renewed the
// product since then that had read a time more than LongUpdate before, or may
// still.
func (r *Renewals) PossibleSince(k productkey.Key, then int64) bool {
	s := r.stripe(k)
	return s.count.Load() > 0 || s.late.Load() >= then
}

// AnyPossibleSince is PossibleSince of any product.
func (r *Renewals) AnyPossibleSince(then int64) bool {
	for i := range r.blocks {
		block := r.blocks[i].Load()
		if block == nil {
			continue // nothing was counted there yet
		}
		for j := range block {
			if block[j].count.Load() > 0 || block[j].late.Load() >= then {
				return true
			}
		}
	}
	return false
}

// QuietSince reports whether no Update on the product, by any process, has become
// visible since then, or may still that had read an earlier time.
func (r *Renewals) QuietSince(k productkey.Key, then int64) bool {
	s := r.stripe(k)
	return !r.others && s.count.Load() == 0 && s.last.Load() < then
}
