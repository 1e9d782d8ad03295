package catalog

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// Sweep removes what has expired from storage now, instead of waiting for the
// background to do it: everything whose deadline passed at least
// Options.Sweeper.Grace ago. Readers are not affected: for them it is gone
// already. What it removed is gone durably when it returns, as Options.Durability
// says for other writes.
func (c *Catalog) Sweep(ctx context.Context) (ttl.SweepResult, error) {
	ctx, call := c.begin(ctx, OpSweep)
	var res ttl.SweepResult
	err := c.long(ctx, func(ctx context.Context) (err error) {
		res, err = c.sweep(ctx)
		return err
	})
	return res, call.end(c.wrap("sweep", "", err))
}

// sweep returns when what it removed is gone durably.
func (c *Catalog) sweep(ctx context.Context) (ttl.SweepResult, error) {
	if err := c.learnTime(ctx); err != nil {
		return ttl.SweepResult{}, err
	}
	generation := c.generation()
	res, err := c.sweeper.Sweep(ctx)
	return res, errors.Join(err, c.swept.awaitDurable(ctx, c, generation))
}

// maxSwept bounds sweptAccounts.
const maxSwept = 4096

// sweptAccounts are those with removals of which no call has waited until they
// are durable. The background has no need to: what a crash brings back expires
// again.
type sweptAccounts struct {
	// waiting is held while removals become durable, so that no other call takes
	// them for durable before. It is taken before mu.
	waiting sync.Mutex

	mu       sync.Mutex // guards accounts
	accounts map[string]struct{}
}

// add reports whether there are so many that someone should wait for them.
func (s *sweptAccounts) add(entries []dueEntry) (full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range entries {
		if i == 0 || entries[i].Account != entries[i-1].Account {
			s.accounts[entries[i].Account] = struct{}{}
		}
	}
	return len(s.accounts) >= maxSwept
}

// awaitDurable returns when all removals until now, and since a generation, are
// durable.
func (s *sweptAccounts) awaitDurable(ctx context.Context, c *Catalog, generation uint64) error {
	s.waiting.Lock()
	defer s.waiting.Unlock()
	s.mu.Lock()
	accounts := s.accounts
	s.accounts = make(map[string]struct{})
	s.mu.Unlock()
	if c.opts.Durability == Buffered {
		return nil
	}
	scopes := make([]backend.Scope, 0, len(accounts))
	for a := range accounts {
		scopes = append(scopes, backend.Scope{Group: encoding.AccountScope(a)})
	}
	err := c.durableSince(ctx, generation, scopes)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		maps.Copy(s.accounts, accounts)
	}
	return err
}

// expirer is what the sweeper sees of the catalog.
type expirer struct{ c *Catalog }

var _ ttl.Store = expirer{}

// Entries yields the entries of the expiry space, merging its shards.
func (x expirer) Entries(ctx context.Context, from, to int64) iter.Seq2[ttl.Entry, error] {
	if x.c.shards == 1 {
		return x.shard(ctx, 0, from, to)
	}
	return x.merge(ctx, from, to)
}

func (x expirer) shard(ctx context.Context, shard byte, from, to int64) iter.Seq2[ttl.Entry, error] {
	return func(yield func(ttl.Entry, error) bool) {
		start, end := encoding.ExpiryRange(shard, from, to)
		ahead, due := x.c.ahead.begin(x.c), x.c.sweeper.Horizon()
		for e, err := range x.c.backend.Scan(ctx, backend.Range{Start: start, End: end}, backend.ScanOptions{Versions: true}) {
			if err != nil {
				x.met(err)
				yield(ttl.Entry{}, err)
				return
			}
			deadline, err := encoding.ExpiryDeadline(e.Key)
			readable := err == nil
			var value encoding.ExpiryValue
			if readable {
				// What it says of the product may change until the product's scope is
				// held: see tx.saysStill.
				value, err = encoding.DecodeExpiryValue(e.Value)
			}
			if err != nil {
				x.met(err)
				x.c.opts.Logger.Error("shelflife: met an expiry entry that is damaged or newer than this version", "error", err)
				if !readable || errors.Is(err, encoding.ErrNewerSchema) {
					continue
				}
			}
			var entry ttl.Entry
			if err == nil && ahead != nil && deadline <= due {
				entry = ahead.entry(deadline, e.Key, value)
			} else {
				entry = seenEntry(deadline, e)
			}
			if !yield(entry, nil) {
				return
			}
		}
	}
}

// met remembers damage: the background returns its errors to no caller that would
// be told.
func (x expirer) met(err error) { x.c.noteDamage(wrap("sweep", "", err)) }

// merge yields the entries of all shards in order. Shards are few.
func (x expirer) merge(ctx context.Context, from, to int64) iter.Seq2[ttl.Entry, error] {
	return func(yield func(ttl.Entry, error) bool) {
		type head struct {
			entry ttl.Entry
			next  func() (ttl.Entry, error, bool)
		}
		var heads []head
		for shard := range x.c.shards {
			next, stop := iter.Pull2(x.shard(ctx, byte(shard), from, to))
			defer stop()
			entry, err, ok := next()
			if err != nil {
				yield(ttl.Entry{}, err)
				return
			}
			if ok {
				heads = append(heads, head{entry, next})
			}
		}
		for len(heads) > 0 {
			first := 0
			for i := range heads {
				a, b := heads[i].entry, heads[first].entry
				if cmp.Or(cmp.Compare(a.Deadline, b.Deadline), strings.Compare(a.Key, b.Key)) < 0 {
					first = i
				}
			}
			if !yield(heads[first].entry, nil) {
				return
			}
			entry, err, ok := heads[first].next()
			switch {
			case err != nil:
				yield(ttl.Entry{}, err)
				return
			case ok:
				heads[first].entry = entry
			default:
				heads = append(heads[:first], heads[first+1:]...)
			}
		}
	}
}

// A dueEntry is an entry of the expiry space, and its key, which a product's needs.
type dueEntry struct {
	encoding.Expiry
	key []byte
	// scan met it, where value is what it said, nil for none: see saidAhead.
	scan  *aheadScan
	value encoding.ExpiryValue
	// seen is what the index knows of its value where processes share the store: see
	// backend.ExpectSeen.
	seen backend.Entry
}

// Expire removes what the entries stand for, or moves them: in one Update where the
// store is this process's alone.
func (x expirer) Expire(ctx context.Context, due []ttl.Entry) (done int, err error) {
	c := x.c
	if err := c.hooks.AwaitRoom(ctx); err != nil {
		return 0, err
	}
	size := 0
	for _, d := range due {
		size += len(d.Key)
	}
	entries, numbers := make([]dueEntry, 0, len(due)), make([]int, 0, len(due))
	space := make([]byte, 0, size) // of the keys
	var e encoding.Expiry
	for i, d := range due {
		begin := len(space)
		space = append(space, d.Key...)
		key := space[begin:len(space):len(space)]
		e, err = encoding.DecodeExpiryKeyAfter(e, key)
		if err != nil {
			continue // only a damaged store has such an entry; Check reports it
		}
		scan, value := c.ahead.take(d.Key)
		entries, numbers = append(entries, dueEntry{e, key, scan, value, noted(d.Note)}), append(numbers, i)
	}
	lanes, most := []lane{{entries: entries, numbers: numbers}}, len(due)
	if !c.exclusive {
		lanes, most = spread(entries, numbers), laneBatch
	}
	var others sync.WaitGroup
	for i := range lanes[1:] {
		others.Go(func() { x.handleLane(ctx, &lanes[1+i], most) })
	}
	x.handleLane(ctx, &lanes[0], most)
	others.Wait()
	done = len(due)
	full := false
	for i := range lanes {
		l := &lanes[i]
		full = c.swept.add(l.entries[:l.done]) || full
		if l.err != nil && l.numbers[l.done] < done {
			done, err = l.numbers[l.done], l.err
		}
	}
	if full {
		err = errors.Join(err, c.swept.awaitDurable(ctx, c, c.generation()))
	}
	return done, err
}

// handle removes what the entries stand for, or moves them, in one Update. What it
// can't read it leaves, and reports.
func (x expirer) handle(ctx context.Context, entries []dueEntry) error {
	c := x.c
	scopes := scopesOf(entries)
	o := backend.UpdateOptions{Buffered: true, Reclaim: true}
	horizon := c.sweeper.Horizon()
	var unreadable []error // in the run that counts
	err := c.update(ctx, scopes, o, func(t *tx) error {
		unreadable = nil
		rest, err := t.expireUnread(entries)
		if err != nil {
			return err
		}
		var products []productkey.Key
		for _, e := range rest {
			if e.Kind == encoding.ExpiryProduct {
				products = append(products, productkey.Of(e.Account, e.ID))
			}
		}
		if err := t.fetchTogether(products); err != nil {
			return err
		}
		for _, e := range rest {
			err := t.expireEntry(e.Expiry, horizon)
			if encoding.IsUnreadable(err) {
				unreadable = append(unreadable, err)
				continue
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		x.met(err)
		return err
	}
	for _, err := range unreadable {
		x.met(err)
		c.opts.Logger.Error("shelflife: could not read what has expired", "error", err)
	}
	return nil
}

// scopesOf returns the scopes of what the entries are of. They share memory: one by one
// they would be as many pieces as there are entries.
func scopesOf(entries []dueEntry) []backend.Scope {
	size := 0
	for i := range entries {
		size += 1 + len(entries[i].ID)
	}
	space := make([]byte, 0, size)
	for i := range entries {
		space = encoding.AppendProductItem(space, entries[i].ID)
	}
	items := string(space)
	scopes := make([]backend.Scope, 0, len(entries))
	var group string
	for i := range entries {
		e := &entries[i]
		if i == 0 || e.Account != entries[i-1].Account {
			group = encoding.AccountScope(e.Account)
		}
		item := items[:1+len(e.ID)]
		items = items[len(item):]
		if blob, ok := e.BlobID(); ok {
			scopes = append(scopes, blobScope(e.Account, blob))
		} else {
			scopes = append(scopes, backend.Scope{Group: group, Item: item})
		}
	}
	return scopes
}

// A saidEntry is a due entry and what it says, if it is there.
type saidEntry struct {
	entry *dueEntry
	found bool
	value encoding.ExpiryValue
	// unreadable says that value could not be read.
	unreadable bool
	// record is the key of the product's record.
	record []byte
}

// expireUnread removes the products of which the entries say all that has to be
// known, without a read of their records, and returns the entries that are left for
// expireEntry. All are due.
//
// What an entry says is read here, where the scopes are held, unless it is known to
// say what it said before: a writer that keeps the entry and moves the deadline, or
// gives the product uploads, says so in it, in the commit of the record
// (tx.writeExpiry). A product has one entry at most, so what stands under its key is
// what the entry is of. One that is not there was handled before, or its product has
// another now.
func (t *tx) expireUnread(entries []dueEntry) (rest []dueEntry, err error) {
	if t.c.opts.OnExpire != nil {
		return entries, nil // which is told of the product
	}
	asked := make([]saidEntry, 0, len(entries))
	var keys [][]byte
	var seen []backend.Entry
	var read []int // of asked, what is read
	for i := range entries {
		e := &entries[i]
		k := productkey.Of(e.Account, e.ID)
		// A use that waits to be written may have moved the deadline.
		if e.Kind != encoding.ExpiryProduct || t.c.uses.Has(k) {
			rest = append(rest, *e)
			continue
		}
		if t.saysStill(e, k) {
			asked = append(asked, saidEntry{entry: e, found: true, value: e.value})
			continue
		}
		asked, read = append(asked, saidEntry{entry: e}), append(read, len(asked))
		keys, seen = append(keys, e.key), append(seen, e.seen)
	}
	if len(asked) == 0 {
		return entries, nil
	}
	if len(keys) > 0 {
		ctx := t.ctx
		// What is taken for read brings no time, by which it is judged whether it is due.
		if !t.c.clocked || t.c.storeTime.Fresh() {
			ctx = backend.ExpectSeen(ctx, seen)
		}
		err = t.txn.GetMany(ctx, keys, func(n int, value []byte) error {
			s := &asked[read[n]]
			var err error
			s.value, err = encoding.DecodeExpiryValue(value)
			s.found, s.unreadable = true, err != nil
			return nil
		})
	}
	switch {
	case isDamage(err):
		return entries, nil // the records say what there is
	case err != nil:
		return nil, err
	}
	unread := asked[:0]
	for i := range asked {
		s := asked[i]
		switch {
		case !s.found:
		case s.unreadable || s.value.Flags.MustRead():
			rest = append(rest, *s.entry)
		case t.isSetBack(s.entry.Deadline):
			return nil, errSetBack
		default:
			unread = append(unread, s)
		}
	}
	return rest, t.removeUnread(unread)
}

// removeUnread is what write does to remove products that have no blobs. The index
// has dropped their entries when it handed them on.
//
// It goes space by space, each in order: an engine finds the place of a key fastest
// from that of the one below.
func (t *tx) removeUnread(unread []saidEntry) error {
	size := 0
	for i := range unread {
		size += len(unread[i].entry.key) // which holds the same, and more
	}
	records := make([]byte, 0, size)
	for i := range unread {
		e := unread[i].entry
		t.markGone(productkey.Of(e.Account, e.ID))
		if err := t.txn.Delete(e.key, 0); err != nil {
			return err
		}
		begin := len(records)
		records = encoding.AppendProductKey(records, e.Account, e.ID)
		unread[i].record = records[begin:len(records):len(records)]
	}
	slices.SortFunc(unread, func(a, b saidEntry) int { return bytes.Compare(a.record, b.record) })
	for i := range unread {
		if err := t.txn.Delete(unread[i].record, int(unread[i].value.RecordSize)); err != nil {
			return err
		}
	}
	for i := range unread {
		if unread[i].value.Flags&encoding.ExpiryUnlisted != 0 {
			continue
		}
		t.key = encoding.AppendListedOf(t.key[:0], unread[i].record)
		if err := t.txn.Delete(t.key, 0); err != nil {
			return err
		}
	}
	return nil
}

// expireEntry handles one entry, whose deadline is not after horizon.
func (t *tx) expireEntry(e encoding.Expiry, horizon int64) error {
	if blob, ok := e.BlobID(); ok {
		return t.expireBlob(e, blob)
	}
	f, err := t.load(e.Account, e.ID)
	if err != nil {
		return err
	}
	if f.stored == nil || f.stored.IndexedAt != e.Deadline {
		return t.deleteExpiry(e) // not the current entry of anything
	}
	used := t.c.uses.On(f.stored)
	deadline := used.ExpiresAt()
	if deadline == encoding.None || deadline > horizon {
		next := *used // its entry was early: it was used since
		return t.write(f, &next, nil)
	}
	if t.isSetBack(deadline) {
		return errSetBack
	}
	return t.removeExpired(f)
}

// isSetBack reports whether the store's clock has not come to a deadline that was
// due: a read has brought the time, which the sweeper may not have heard of for a
// while.
func (t *tx) isSetBack(deadline int64) bool {
	return t.c.clocked && t.c.opts.Clock.Now().UnixMilli() < deadline
}

// errSetBack has the sweeper look at the clock anew.
var errSetBack = errors.New("the store's clock was set back")

// decideExpired removes those of the products that have expired.
//
// Where processes share a store with a clock of its own, nothing holds up
// another process between the moment at which a product is found expired here
// and the moment at which that one commits what it read before the deadline:
// engines may be optimistic, and to have read something is no write that such a
// commit would conflict with. So no caller is told that a product has expired
// before a write of it says so. Whichever of the two commits first decides, for
// all processes, and the clocks of two servers, of which one takes over from
// the other, decide nothing.
//
// What expired more than uses.LongUpdate ago is left to the sweeper: no Update
// takes so long, and after a leap of the clock that is nearly everything.
func (c *Catalog) decideExpired(ctx context.Context, products []productkey.Key) error {
	scopes := make([]backend.Scope, 0, len(products))
	for _, k := range products {
		scopes = append(scopes, productScope(k.Account, k.ID))
	}
	o := backend.UpdateOptions{Buffered: true, Reclaim: true}
	return undecidedError(c.update(ctx, scopes, o, func(t *tx) error {
		for _, k := range products {
			f, err := t.load(k.Account, k.ID)
			if err == nil && f.undecided {
				err = t.removeExpired(f)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}))
}

// undecidedError is the error of a call that ended with err before it was decided
// what has expired. The outcome that is not known is that of a removal, for which
// the caller did not ask.
func undecidedError(err error) error {
	if errors.Is(err, backend.ErrUnknownOutcome) {
		return fmt.Errorf("%w: it is not known what has expired: %s", backend.ErrUnavailable, err.Error())
	}
	return err
}

// removeExpired removes a product that has expired, and all it owns.
func (t *tx) removeExpired(f *found) error {
	replaced := *f
	if err := t.write(f, nil, nil); err != nil {
		return err
	}
	t.expire(&replaced)
	return nil
}

func (t *tx) expireBlob(e encoding.Expiry, blob encoding.BlobID) error {
	h, err := t.blobHeader(e.Account, blob)
	if err != nil {
		return err
	}
	if h == nil || h.State == encoding.BlobOwned || h.Deadline != e.Deadline {
		return t.deleteExpiry(e)
	}
	return t.removeBlob(e.Account, blob, h)
}

// SaveProgress writes the sweeper's progress.
func (x expirer) SaveProgress(ctx context.Context, p ttl.Progress) error {
	group, item := encoding.MetaScope(encoding.SweepProgressName)
	scopes := []backend.Scope{{Group: group, Item: item}}
	o := backend.UpdateOptions{Buffered: true, Reclaim: true}
	return x.c.backend.Update(ctx, scopes, o, func(_ context.Context, txn backend.Txn) error {
		value := encoding.AppendSweepProgress(nil, encoding.SweepProgress(p))
		return txn.Put(encoding.AppendMetaKey(nil, encoding.SweepProgressName), value)
	})
}

// loadProgress returns the sweeper's progress. It has come to now at most: a
// clock that went back between two openings writes deadlines behind it. It is a
// hint: without one that can be understood the sweeper begins anew.
func (c *Catalog) loadProgress(ctx context.Context) (ttl.Progress, error) {
	var p encoding.SweepProgress
	_, err := c.backend.Get(ctx, encoding.AppendMetaKey(nil, encoding.SweepProgressName), func(value []byte) (err error) {
		p, err = encoding.DecodeSweepProgress(value)
		return err
	})
	if encoding.IsUnreadable(err) {
		c.noteDamage(wrap("load the sweeper's progress", "", err))
		c.opts.Logger.Error("shelflife: could not read how far the sweeper had come", "error", err)
		err = nil
	}
	p.SweptTo = min(p.SweptTo, c.now.Now())
	return ttl.Progress(p), err
}

// addToIndex announces an entry that is visible now.
func (c *Catalog) addToIndex(e ttl.Entry) {
	if c.index.Add(e) {
		c.sweeper.Wake()
	}
}
