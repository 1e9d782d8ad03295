package catalog

import (
	"bytes"
	"context"
	"math"
	"math/big"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/deadspans"
	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/catalog/internal/uses"
	"github.com/shelflife-db/shelflife/encoding"
)

// dueSizes are numbers of expired records in a row.
type dueSizes struct {
	// after is how many a walk reads before it looks what is due.
	after int
	// entries is how many entries of the expiry space it looks at for each of them: an
	// entry costs about a twenty-fifth of a record where two read, and may be another account's.
	entries int
	// again is how many it reads, when it knows what is due, before it goes on by that.
	again int
	// divide is from how many bytes in files on what is due is read in parts.
	divide int64
}

var defaultDue = dueSizes{after: 4096, entries: 256, again: 16, divide: 1 << 20}

// dueGrowth is how many times longer a run must be, after one for which too much is
// due, before the walk looks again.
const dueGrowth = 4

// dueWalk has a walk over the listed products of an account step over a long run of
// expired ones without their records, which are long. The deadline of a product stands
// in the key of its expiry entry: the walk reads what is due, all at once, then the keys of
// the listed space, and passes by the products of which both say that they are dead.
//
// These steps come in this order, each for a reason:
//
//  1. The clock, lister.began. Everything is dead for it.
//  2. The pending uses, looked at later than the clock and pinned: one that is not
//     there yet is late, and is refused, by Overlay.Add.
//  3. The watch for the span that is to be kept, before anything of it is read.
//  4. The expiry entries. One that does not say that its product was renewed has its
//     deadline: tx.writeExpiry changes what it says in the commit that moves the
//     deadline, and leaves no entry behind when the product has another, or is gone and
//     created anew. So each is the truth of the moment at which it is read.
//  5. The renewals, behind the entries: an Update that read the clock before a
//     deadline, and is not in what was read, is at work still or has taken long. Those
//     that come later read a later time. They create the product anew, which a walk
//     that began before need not show, and cut it out of the span.
//  6. The listed keys. What is not among the due is read: it may live.
//
// A span that is kept so says nothing of unlisted products: it is one of
// Catalog.deadListed.
type dueWalk struct {
	l     *lister
	sizes dueSizes
	// keep says that what is stepped over may be kept as a span.
	keep bool

	row int // of expired records that were read
	at  int // at how many of them it looks
	// until is behind the last key of the walk.
	until []byte
	due   dueSets // zero: not read
	watch *deadspans.Watch
	// pending are the IDs of the account's products with a pending use.
	pending map[string]struct{}
	// renewing says that an Update may be renewing what is due.
	renewing bool
}

// due returns that of a walk over an account's listed products.
func (c *Catalog) due(l *lister, keep bool) *dueWalk {
	if c.deadListed == nil || l.unlisted {
		return nil
	}
	return &dueWalk{l: l, sizes: c.dueSizes, keep: keep, at: c.dueSizes.after}
}

// within says behind which key the walk ends.
func (w *dueWalk) within(end []byte) {
	if w != nil {
		w.until = end
	}
}

// pass counts a listed product that has expired, and reports whether the walk should
// go on by what is due.
func (w *dueWalk) pass() bool {
	if w == nil {
		return false
	}
	w.row++
	return w.row >= w.at
}

// breakRow ends the row.
func (w *dueWalk) breakRow() {
	if w != nil {
		w.row = 0
	}
}

// end ends the walk.
func (w *dueWalk) end() {
	if w == nil {
		return
	}
	w.drop()
	if w.watch != nil {
		w.watch.End()
	}
}

// drop forgets what is due, and lets another walk read it.
func (w *dueWalk) drop() {
	if w.due.sets != nil {
		w.due = dueSets{}
		<-w.l.c.dueTurn
	}
}

// goOn returns the first key of the product space, from start on, at which a listed
// product may live, at most end.
func (w *dueWalk) goOn(ctx context.Context, start, end []byte) (at []byte, err error) {
	row := w.row
	if w.due.sets == nil {
		if read, err := w.read(ctx, start); !read || err != nil {
			return start, w.past(err)
		}
	}
	w.row = 0
	at, enough, err := w.step(ctx, start, end)
	if w.at = w.sizes.again; !enough {
		w.at = max(w.at, w.sizes.after/dueGrowth) // here a scan of the records is faster
	}
	if !w.keep {
		// The loop over the products takes as long as its body wants.
		w.drop()
		w.at = dueGrowth * max(row, w.sizes.after)
	}
	return at, w.past(err)
}

// past returns nil for damage, which the catalog remembers: the records say
// what there is.
func (w *dueWalk) past(err error) error {
	if !isDamage(err) {
		return err
	}
	w.l.c.noteDamage(wrap("list", "", err))
	w.drop()
	w.at = math.MaxInt
	return nil
}

// expiryEntryBytes is what an entry of the expiry space takes in files at least.
const expiryEntryBytes = 10

// dueRange is what is due of a part of the expiry space.
func (w *dueWalk) dueRange(shard int) backend.Range {
	from, to := encoding.ExpiryRange(byte(shard), math.MinInt64, w.l.began-uses.LongUpdate+1)
	return backend.Range{Start: from, End: to}
}

// duePart is what is due of a shard, and the bytes that it takes in files.
type duePart struct {
	backend.Range
	size int64
}

// dueParts returns what is due, by shard.
func (w *dueWalk) dueParts(ctx context.Context) (parts []duePart, err error) {
	for shard := range w.l.c.shards {
		r := w.dueRange(shard)
		size, err := w.l.c.backend.Size(ctx, r)
		if err != nil {
			return nil, err
		}
		parts = append(parts, duePart{r, size})
	}
	return parts, nil
}

// rowFor is after how many records the walk may read what is due.
func (w *dueWalk) rowFor(due []duePart) int {
	var size int64
	for _, p := range due {
		size += p.size
	}
	return int(min(size/expiryEntryBytes/int64(w.sizes.entries), math.MaxInt32))
}

// read reads what is due from the key start on. It reports false where that takes too
// much for the row that was read, or another walk is at it.
func (w *dueWalk) read(ctx context.Context, start []byte) (ok bool, err error) {
	c, l, row := w.l.c, w.l, w.row
	shards, err := w.dueParts(ctx)
	if err != nil {
		return false, err
	}
	if least := w.rowFor(shards); row < least {
		w.at = least
		return false, nil
	}
	select {
	case c.dueTurn <- struct{}{}:
	default:
		w.at = dueGrowth * row
		return false, nil
	}
	defer func() {
		if !ok {
			<-c.dueTurn
		}
	}()
	w.pending = c.uses.Of(l.account)
	if w.watch == nil && w.keep {
		w.watch = c.deadListed.Watch(l.account)
	}
	parts, err := w.halves(ctx, shards)
	if err != nil {
		return false, err
	}
	due, all, err := w.readParts(ctx, parts, start)
	if !all || err != nil {
		if err == nil {
			w.at = dueGrowth * row
		}
		return false, err
	}
	w.renewing = c.renewals.AnyPossibleSince(l.began)
	w.due = due
	return true, nil
}

// dueReaders is how many parts of what is due are read at once. The reading is work for
// the processor, and the page waits for it.
const dueReaders = 2

// halves returns what is due in parts of about the same size for dueReaders, in the
// order of their deadlines as far as they are of one shard.
func (w *dueWalk) halves(ctx context.Context, due []duePart) (parts []backend.Range, err error) {
	for _, p := range due {
		if len(due) >= dueReaders || p.size < w.sizes.divide {
			parts = append(parts, p.Range)
			continue
		}
		middle, err := w.middle(ctx, p)
		if err != nil {
			return nil, err
		}
		parts = append(parts, backend.Range{Start: p.Start, End: middle}, backend.Range{Start: middle, End: p.End})
	}
	return parts, nil
}

// middle returns a key before which about half of p lies. It halves what lies between
// the first and the last key, taken as numbers, until it has found one.
func (w *dueWalk) middle(ctx context.Context, p duePart) ([]byte, error) {
	const length = 48 // of the keys that are looked at; what differs behind it is not told apart
	number := func(key []byte) *big.Int {
		return new(big.Int).SetBytes(append(bytes.Clone(key), make([]byte, length)...)[:length])
	}
	low, high := number(p.Start), number(p.End)
	middle := bytes.Clone(p.Start)
	for range 8 * length {
		at := new(big.Int).Add(low, high)
		at.Rsh(at, 1)
		middle = at.FillBytes(make([]byte, length))
		before, err := w.l.c.backend.Size(ctx, backend.Range{Start: p.Start, End: middle})
		if err != nil {
			return nil, err
		}
		switch {
		case before < p.size*7/16:
			low = at
		case before > p.size*9/16:
			high = at
		default:
			return middle, nil
		}
	}
	return middle, nil
}

// readParts reads what is due, from the key start on. all is false where that is more
// than the walk may look at.
func (w *dueWalk) readParts(ctx context.Context, parts []backend.Range, start []byte) (due dueSets, all bool, err error) {
	readers := min(dueReaders, len(parts))
	budget := newDueBudget(w.sizes.entries * w.row)
	due.sets = make([]*dueSet, readers)
	g, ctx := errgroup.WithContext(ctx)
	for i := range readers {
		set := new(dueSet)
		due.sets[i] = set
		mine := parts[i*len(parts)/readers : (i+1)*len(parts)/readers]
		g.Go(func() error {
			for _, part := range mine {
				if err := w.readPart(ctx, part, start, set, maxDueSet/readers, budget); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = g.Wait()
	return due, !budget.spent(), err
}

// dueBudget is how many entries several readers may still look at. They take some
// at a time.
type dueBudget struct {
	lot  int64
	left atomic.Int64
}

func newDueBudget(entries int) *dueBudget {
	b := &dueBudget{lot: min(int64(entries)/64+1, 1024)}
	b.left.Store(int64(entries))
	return b
}

// take returns how many a reader may look at, 0 if none.
func (b *dueBudget) take() int64 {
	if b.left.Add(-b.lot) < 0 {
		return 0
	}
	return b.lot
}

// spent reports whether a reader was refused.
func (b *dueBudget) spent() bool { return b.left.Load() < 0 }

// readPart adds to a set what is due of a part, until the set has most bytes or the
// budget is spent.
func (w *dueWalk) readPart(ctx context.Context, part backend.Range, start []byte, set *dueSet, most int, budget *dueBudget) error {
	head, _ := encoding.ListedRange(w.l.account)
	account := head[1:]
	// Names in front of what the walk has before it, or behind, are none of its.
	first, behind := bytes.TrimPrefix(start[1:], account), w.until[1:]
	may := int64(0)
	for e, err := range w.l.reader.Scan(ctx, part, backend.ScanOptions{}) {
		if err != nil {
			return err
		}
		if may == 0 {
			if may = budget.take(); may == 0 {
				return nil
			}
		}
		may--
		kind, names, cut := encoding.CutExpiryKey(e.Key)
		if !cut || kind != encoding.ExpiryProduct || !bytes.HasPrefix(names, account) || bytes.Compare(names, behind) >= 0 {
			continue
		}
		name := names[len(account):]
		if bytes.Compare(name, first) < 0 {
			continue
		}
		flags, err := encoding.PeekExpiryFlags(e.Value)
		if err != nil || !flags.HasDeadline() || flags&encoding.ExpiryUnlisted != 0 {
			continue // its record is read
		}
		if set.add(name); set.size() >= most {
			return nil // of the rest the records are read
		}
	}
	return nil
}

// maxMisses is how many records of listed products in a row are read one by one, rather
// than by a scan.
const maxMisses = 16

// step is goOn, given what is due. enough is false where it came to products of which
// the entries say too little.
func (w *dueWalk) step(ctx context.Context, start, end []byte) (at []byte, enough bool, err error) {
	l := w.l
	head, _ := encoding.ListedRange(l.account)
	from, to := bytes.Clone(start), bytes.Clone(end)
	from[0], to[0] = encoding.SpaceListed, encoding.SpaceListed
	passed, misses := 0, 0
	at = bytes.Clone(start) // behind what was passed by
	defer func() {
		if w.watch != nil && passed >= l.c.deadSizes.least {
			w.watch.Keep(string(start), string(at), passed)
		}
	}()
	for e, err := range l.reader.Scan(ctx, backend.Range{Start: from, End: to}, backend.ScanOptions{KeysOnly: true}) {
		if err != nil {
			return at, true, err
		}
		dead := w.due.has(e.Key[len(head):])
		if dead && (len(w.pending) > 0 || w.renewing) {
			if dead, err = w.isQuiet(e.Key); err != nil {
				return at, true, err
			}
		}
		if dead {
			misses = 0
		} else {
			// One that was renewed while its entry was not moved, or has expired just now.
			if misses++; misses <= maxMisses {
				if dead, err = w.isDead(ctx, e.Key); err != nil {
					return at, true, err
				}
			}
			if !dead {
				return at, misses <= maxMisses, nil
			}
		}
		passed++
		at = append(append(at[:0], e.Key...), 0)
		at[0] = encoding.SpaceProduct
	}
	return end, true, nil
}

// isQuiet reports whether a product that is due has no use that waits to be written,
// and no Update that may renew it.
func (w *dueWalk) isQuiet(listed []byte) (bool, error) {
	_, id, err := encoding.DecodeListedKey(listed)
	if err != nil {
		return false, err
	}
	if _, pending := w.pending[id]; pending {
		return false, nil
	}
	return !w.l.c.renewals.PossibleSince(productkey.Of(w.l.account, id), w.l.began), nil
}

// isDead reports whether the record of a listed product has expired for good, or is
// gone. One that can't be read is for the scan to meet.
func (w *dueWalk) isDead(ctx context.Context, listed []byte) (dead bool, err error) {
	l := w.l
	l.key = bytes.Clone(listed)
	l.key[0] = encoding.SpaceProduct
	found, err := l.reader.Get(ctx, l.key, func(value []byte) error {
		h, err := peekVerified(value)
		dead = err == nil && l.hasExpired(&h)
		return err
	})
	if isDamage(damageOf(l.account, l.key, err)) {
		return false, nil
	}
	return dead || err == nil && !found, err
}
