package catalog

import (
	"bytes"
	"context"
	"errors"
	"iter"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/catalog/internal/uses"
	"github.com/shelflife-db/shelflife/encoding"
)

// lister walks the products of an account.
type lister struct {
	c        *Catalog
	reader   backend.Reader
	account  string
	prefix   string
	from     string
	unlisted bool
	began    int64 // a time before the state that reader sees
	// patience is how long the walk may count as one instant, in milliseconds;
	// 0 says that it never does.
	patience int64
	// instant says that all are judged by the time began.
	instant bool
	// pastDamage says that damage does not end the walk.
	pastDamage bool
	// fetch is about how many records the walk takes; 0 is all of them.
	fetch int
	// breakAt, where not nil, is the beginning of the keys of generated IDs, at which a
	// scan is broken off.
	breakAt []byte
	// walk says that unlisted products are stepped over one by one, since the
	// listed space can't be read.
	walk bool
	// key and header are those of the record that was yielded, until the next step.
	key    []byte
	header encoding.Header
	// expired is set by judge when the record has expired.
	expired bool
	// dead is what is passed by because nothing lives there.
	dead deadRun
	// due steps over long runs of expired products; nil where nothing does.
	due *dueWalk
	// goesOnByDue is set by scan when the walk should go on by what is due.
	goesOnByDue bool
}

// passed returns err as damage behind which the walk goes on, if it is that.
func (l *lister) passed(err error) (damage *DamageError, past bool) {
	if err == nil || !l.pastDamage {
		return nil, false
	}
	return asDamageError(err)
}

func asDamageError(err error) (damage *DamageError, ok bool) {
	ok = errors.As(err, &damage)
	return damage, ok
}

// callTime is longer, in milliseconds, than a page should take. A product that
// lives at its beginning and for so long is listed without another look at the
// clock.
const callTime = 10_000

// records yields the stored records behind the ID after, for judge, but most of
// those that have expired. Each is lent until the next step.
//
// It steps over the generated IDs, which are never listed, over long runs of
// other unlisted products by way of the listed space, over the dead spans, and over
// long runs of expired products by what is due, so that its cost depends on what it
// yields.
func (l *lister) records(ctx context.Context, after string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		defer l.dead.end()
		defer l.due.end()
		start, end := l.bounds(after)
		l.due.within(end)
		generated, behindGenerated := encoding.ProductPrefixRange(l.account, generatedPrefix)
		for {
			until := end
			if !l.unlisted && bytes.Compare(start, behindGenerated) < 0 {
				if bytes.Compare(generated, start) <= 0 {
					start = behindGenerated
				} else if bytes.Compare(generated, end) < 0 {
					if l.c.clocked {
						// The store is far, and a scan that ends here is a request, though most
						// accounts have none of these: it is broken off where it meets one.
						l.breakAt = generated
					} else {
						until = generated
					}
				}
			}
			if bytes.Compare(start, end) >= 0 {
				return
			}
			at, id, done := l.scan(ctx, backend.Range{Start: start, End: until}, yield)
			switch {
			case done:
				return
			case id == "":
				start = at
				if l.goesOnByDue {
					l.goesOnByDue = false
					var err error
					if start, err = l.due.goOn(ctx, start, until); err != nil {
						yield(nil, err)
						return
					}
				}
				continue
			}
			next, err := l.nextListed(ctx, id)
			switch {
			case isDamage(err):
				// The records know what is listed, too.
				l.c.noteDamage(wrap("list", "", err))
				l.walk = true
				start = encoding.AppendSuccessor(nil, encoding.AppendProductKey(nil, l.account, id))
			case err != nil:
				yield(nil, err)
				return
			case next == "":
				return
			default:
				start = encoding.AppendProductKey(nil, l.account, next)
			}
		}
	}
}

// bounds returns the keys between which the walk goes.
func (l *lister) bounds(after string) (start, end []byte) {
	start, end = encoding.ProductPrefixRange(l.account, l.prefix)
	if l.from != "" {
		if first := encoding.AppendProductKey(nil, l.account, l.from); bytes.Compare(first, start) > 0 {
			start = first
		}
	}
	if after != "" {
		behind := encoding.AppendSuccessor(nil, encoding.AppendProductKey(nil, l.account, after))
		if bytes.Compare(behind, start) > 0 {
			start = behind
		}
	}
	return start, end
}

// scan yields what is to be seen in r. Unless the walk is done it goes on at a
// key, or behind an ID at which a run of unlisted products was broken off.
func (l *lister) scan(ctx context.Context, r backend.Range, yield func([]byte, error) bool) (at []byte, id string, done bool) {
	if end := l.dead.behind(r.Start); end != nil {
		return end, "", false
	}
	l.dead.start(r.Start)
	skipped := 0
	for e, err := range l.reader.Scan(ctx, r, backend.ScanOptions{PastDamage: l.pastDamage, Limit: l.fetch}) {
		if err == nil && l.breakAt != nil && bytes.HasPrefix(e.Key, l.breakAt) {
			return l.breakAt, "", false
		}
		h := &l.header
		if l.key = e.Key; err == nil {
			*h, err = peekVerified(e.Value)
		}
		if err != nil {
			err = damageOf(l.account, e.Key, err)
			_, past := l.passed(err)
			if !yield(nil, err) || !past {
				return nil, "", true
			}
			l.dead.stop()
			l.due.breakRow()
			continue
		}
		dead := l.hasExpired(h)
		switch {
		case !h.Listed && !l.unlisted:
			if skipped++; skipped >= unlistedRun && !l.walk {
				l.dead.breakAt(e.Key)
				_, id, err := encoding.DecodeProductKey(e.Key)
				if err != nil {
					yield(nil, err)
				}
				return nil, id, err != nil
			}
		case dead:
			skipped = 0
		default:
			skipped, l.expired = 0, false
			if !yield(e.Value, nil) {
				return nil, "", true
			}
			dead = l.expired
		}
		if !dead {
			l.dead.breakAt(e.Key)
			if h.Listed {
				l.due.breakRow()
			}
			continue
		}
		if at := l.dead.pass(e.Key); at != nil {
			return at, "", false
		}
		if h.Listed && l.due.pass() {
			l.goesOnByDue = true
			return encoding.AppendSuccessor(nil, e.Key), "", false
		}
	}
	return r.End, "", false
}

// peekVerified is encoding.PeekRecord of a record that is right: a header that is
// not could have a product passed over that lives.
func peekVerified(record []byte) (encoding.Header, error) {
	if err := encoding.VerifyRecord(record); err != nil {
		return encoding.Header{}, err
	}
	return encoding.ViewChecked(record).Header(), nil
}

// hasExpired reports whether the record of l.key has expired for good, as far as
// can be told by its header: most of what waits to be swept. The uses are pinned.
func (l *lister) hasExpired(h *encoding.Header) bool {
	deadline := h.ExpiresAt()
	if deadline == encoding.None || l.began < deadline {
		return false
	}
	_, id, err := encoding.DecodeProductKey(l.key)
	if err != nil {
		return false // judge reports it
	}
	k := productkey.Of(l.account, id)
	return !l.c.uses.Has(k) && l.unrenewed(k, deadline)
}

// unrenewed reports whether no Update that read the clock before a product's
// deadline can have become visible since the walk began, or still will.
func (l *lister) unrenewed(k productkey.Key, deadline int64) bool {
	return l.c.renewals.QuietSince(k, l.began) ||
		deadline <= l.began-uses.LongUpdate && !l.c.renewals.PossibleSince(k, l.began)
}

// judge sets s to the record that was yielded, which is lent and was verified, with the pending use on
// top, and reports whether a reader may see it. The uses are pinned.
func (l *lister) judge(ctx context.Context, value []byte, s *seen) (live bool, err error) {
	*s = seen{key: l.key, data: value, header: l.header}
	// What lives for longer than a walk should take is listed without another look at
	// the clock; for the rest the time may have come meanwhile.
	now := l.began + l.patience
	if !l.instant && (l.patience == 0 || !s.isLive(now)) {
		now = l.c.now.Now() // before the overlay is looked at: see uses.Overlay.Add
	}
	k := productkey.Of(l.account, alias(encoding.ViewChecked(value).ID()))
	l.c.uses.Get(k).SeeHeader(&s.header)
	switch {
	case s.isLive(now):
		return true, nil
	case !s.isLive(l.began) && l.unrenewed(k, s.header.ExpiresAt()):
		l.expired = true
		return false, nil
	}
	// It may have been renewed since by a use that went past the overlay, or by
	// an edit that began before the deadline.
	var current seen
	found, err := l.c.lookAgain(ctx, k.Clone(), &current)
	if err != nil || !found || current.header.Incarnation != s.header.Incarnation {
		l.expired = err == nil && !found
		return false, err
	}
	uses.TouchHeader(&s.header, current.header.LastUsedAt)
	if !s.isLive(now) {
		current.key = l.key
		*s = current // no use renewed it
	}
	return true, nil
}

// nextListed returns the first listed ID behind id, "" if there is none.
func (l *lister) nextListed(ctx context.Context, id string) (string, error) {
	_, end := encoding.ListedPrefixRange(l.account, l.prefix)
	start := encoding.AppendSuccessor(nil, encoding.AppendListedKey(nil, l.account, id))
	for e, err := range l.reader.Scan(ctx, backend.Range{Start: start, End: end}, backend.ScanOptions{Limit: 1}) {
		if err == nil {
			err = encoding.CheckListedValue(e.Value)
		}
		if err != nil {
			return "", err
		}
		_, next, err := encoding.DecodeListedKey(e.Key)
		return next, err
	}
	return "", nil
}
