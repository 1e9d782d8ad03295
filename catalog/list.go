package catalog

import (
	"bytes"
	"context"
	"iter"
	"unicode/utf8"

	"github.com/shelflife-db/shelflife/encoding"
)

const (
	defaultLimit = 50
	maxLimit     = 200
	// maxPageBytes ends a page early that would take too much memory.
	maxPageBytes = 8 << 20
	// unlistedRun is how many unlisted products in a row are stepped over
	// before the next listed one is looked up.
	unlistedRun = 16
)

// ListOptions choose a page of a list. The zero value is the first page of the
// listed products.
type ListOptions struct {
	// Limit is the largest number of products of the page, 1 to 200. Default:
	// 50. A page of very large products may hold fewer.
	Limit int
	// MaxBytes is how long the page's products may be in their JSON form,
	// separated by commas: a page that would be longer holds fewer, at least one.
	// 0 sets no such limit, a negative one is refused. Default: none.
	MaxBytes int
	// Cursor is the NextCursor of an earlier page, whatever its other options
	// were: this page begins after the last product of that one. Default: the
	// beginning.
	Cursor string
	// From is the ID at which the page begins, or at the next greater one if there is
	// no such product: at most 255 bytes of valid UTF-8. It is refused together
	// with a Cursor. Default: the beginning.
	From string
	// Prefix chooses the products whose ID begins with it, byte for byte. It is at
	// most 255 bytes of valid UTF-8: one that ends within a code point is refused,
	// so cut an ID at a code point to make a prefix of it. Default: all.
	Prefix string
	// Unlisted chooses the unlisted products too. Default: the listed only.
	Unlisted bool
	// PastDamage makes the page continue past products that can't be read, which
	// Page.Damaged names. A caller that deletes elsewhere what a list lacks must look
	// there. Default: damage is an error.
	PastDamage bool
}

// PageInfo is what a page of views has beside its products; see [Page].
type PageInfo struct {
	// NextCursor continues the list; it is "" on the last page. See
	// Page.NextCursor.
	NextCursor string
	// HasMore reports whether there is more, exactly.
	HasMore bool
	// Damaged are stretches of IDs that can't be read; see Page.Damaged.
	Damaged []*DamageError
}

// Page is a part of a list. Its products share memory: one that is kept keeps
// up to 32 KiB of others with it.
type Page struct {
	Products []*Product
	// NextCursor continues the list; it is "" on the last page. It is a
	// position, nothing else: it stays good across restarts and the deletion
	// of products, and shows no caller what it could not list without it.
	NextCursor string
	// HasMore reports whether there is more, exactly.
	HasMore bool
	// Damaged are stretches of IDs in or right behind the page that can't be
	// read; see ListOptions.PastDamage. One at the end of a page is named again
	// by the next.
	Damaged []*DamageError
}

// AllOptions choose the products of [Catalog.All]. The zero value chooses the
// listed ones.
type AllOptions struct {
	// Prefix chooses the products whose ID begins with it, byte for byte. It is at
	// most 255 bytes of valid UTF-8: one that ends within a code point is refused,
	// so cut an ID at a code point to make a prefix of it. Default: all.
	Prefix string
	// From is the ID at which the loop begins, or at the next greater one if there is
	// no such product: at most 255 bytes of valid UTF-8. Default: the beginning.
	From string
	// Unlisted chooses the unlisted products too. Default: the listed only.
	Unlisted bool
	// PastDamage makes the loop continue past products that can't be read: each
	// stretch of them is a step with a nil product and an error that is a
	// *DamageError. Any other error is the last step. Default: damage is the last step too.
	PastDamage bool
}

// List returns a page of an account's products in byte order of their IDs.
// A caller that pages through sees every product that lives and stays listed
// meanwhile exactly once, whatever is written. It skips nothing silently: where
// products can't be read it fails with a *[DamageError] that says between which
// IDs they lie, unless ListOptions.PastDamage.
func (c *Catalog) List(ctx context.Context, account string, o ListOptions) (Page, error) {
	ctx, call := c.begin(ctx, OpList)
	page, err := c.list(ctx, account, o)
	return page, call.end(c.wrap("list", "", err))
}

func (c *Catalog) list(ctx context.Context, account string, o ListOptions) (Page, error) {
	var page Page
	var memory pageMemory
	budget := jsonBudget{most: o.MaxBytes}
	info, err := c.walkPage(ctx, account, &o, func(s *seen) (taken bool, err error) {
		if page.Products == nil {
			memory.left = o.Limit
			page.Products = make([]*Product, 0, o.Limit)
		}
		size := len(s.data)
		s.data = memory.copy(s.data)
		p, err := s.productIn(memory.next())
		if err != nil || !budget.takes(page.Products, p, size) {
			return false, err
		}
		page.Products = append(page.Products, p)
		return true, nil
	})
	if err != nil {
		return Page{}, err
	}
	page.NextCursor, page.HasMore, page.Damaged = info.NextCursor, info.HasMore, info.Damaged
	return page, nil
}

// walkPage has take see the products of a page, each lent until it returns: it takes
// one, or has the page end before it. Damage that it meets is that of the record.
// o gets its defaults.
func (c *Catalog) walkPage(ctx context.Context, account string, o *ListOptions, take func(*seen) (taken bool, err error)) (PageInfo, error) {
	after, err := c.checkListOptions(account, o)
	if err != nil {
		return PageInfo{}, err
	}
	if err := c.calls.Enter(); err != nil {
		return PageInfo{}, err
	}
	defer c.calls.Exit()

	defer c.uses.Pin()()
	l := lister{
		c: c, reader: c.backend, account: account, prefix: o.Prefix, from: o.From, unlisted: o.Unlisted,
		began: c.now.Now(), patience: callTime, pastDamage: o.PastDamage,
		fetch: o.Limit + 1, // the last shows whether there are more
		dead:  c.deadRun(account, !o.Unlisted),
	}
	l.due = c.due(&l, true)
	if c.clocked {
		l.patience = 0 // the time that the reads bring may be much later
	}
	var info PageInfo
	var last []byte // the key of the last product that was taken
	count, size := 0, 0
	s := new(seen)
	for value, err := range l.records(ctx, after) {
		taken, live := false, false
		if err == nil {
			live, err = l.judge(ctx, value, s)
		}
		if err == nil && live && count < o.Limit && size <= maxPageBytes {
			taken, err = take(s)
			err = damageOf(account, l.key, err)
		}
		damage, past := l.passed(err)
		switch {
		case past:
			info.Damaged = append(info.Damaged, damage)
		case err != nil:
			return PageInfo{}, err
		case taken:
			last = append(last[:0], l.key...)
			count++
			size += len(value)
		case live:
			_, id, err := encoding.DecodeProductKey(last)
			info.HasMore, info.NextCursor = true, c.encodeCursor(id)
			return info, err
		}
	}
	return info, nil
}

// checkListOptions fills in defaults and returns the ID behind which the page
// begins.
func (c *Catalog) checkListOptions(account string, o *ListOptions) (after string, err error) {
	faults := new(ValidationError)
	checkAccount(faults, account)
	checkPrefix(faults, o.Prefix)
	setDefault(&o.Limit, defaultLimit)
	if o.Limit < 1 || o.Limit > maxLimit {
		faults.add("limit", CodeValidationFailed, "must be 1 to %d, not %d", maxLimit, o.Limit)
	}
	checkFrom(faults, o.From)
	if o.From != "" && o.Cursor != "" {
		faults.add("from", CodeValidationFailed, "must not be given together with a cursor")
	}
	if o.MaxBytes < 0 {
		faults.add("maxBytes", CodeValidationFailed, "must not be negative, as %d is", o.MaxBytes)
	}
	if o.Cursor != "" {
		var ok bool
		if after, ok = c.decodeCursor(o.Cursor); !ok {
			faults.add("cursor", CodeValidationFailed, "not a cursor of this catalog")
		}
	}
	return after, faults.err()
}

// All yields an account's products in byte order of their IDs, as they were
// when the loop began, but for those that expire while it runs, and for uses
// since then, which may show; one that an edit since then keeps from expiring is
// yielded as the edit left it. It keeps that state, and those uses in memory, for
// as long as it runs: end it soon. After an error, which is its last step, it
// ends.
func (c *Catalog) All(ctx context.Context, account string, o AllOptions) iter.Seq2[*Product, error] {
	return func(yield func(*Product, error) bool) {
		ctx, call := c.begin(ctx, OpAll)
		var last error
		defer func() { _ = call.end(last) }()
		for s, err := range c.all(ctx, account, o, false) {
			var p *Product
			if err == nil {
				s.data = bytes.Clone(s.data)
				p, err = s.product()
				err = damageOf(account, s.key, err)
			}
			last = c.wrap("list all", "", err)
			if !yield(p, last) || err != nil && !(o.PastDamage && isDamage(err)) {
				return
			}
			last = nil // what was passed by is not what the loop ended with
		}
	}
}

// all yields the records that All yields as products; with instant, those also
// that expire while it runs. Each is lent until the next step.
func (c *Catalog) all(ctx context.Context, account string, o AllOptions, instant bool) iter.Seq2[*seen, error] {
	return func(yield func(*seen, error) bool) {
		faults := new(ValidationError)
		checkAccount(faults, account)
		checkPrefix(faults, o.Prefix)
		checkFrom(faults, o.From)
		if err := faults.err(); err != nil {
			yield(nil, err)
			return
		}
		defer c.uses.Pin()()
		// Before the clock: what had expired in a span had by then, too.
		known := c.knownDead(account, !o.Unlisted)
		if instant {
			// The time that comes with the walk's own reads is too late for a walk which
			// judges all by that of its beginning, and the last that is known may be long ago.
			if err := c.learnTime(ctx); err != nil {
				yield(nil, err)
				return
			}
		}
		l := lister{
			c: c, account: account, prefix: o.Prefix, from: o.From, unlisted: o.Unlisted, began: c.now.Now(),
			instant: instant, pastDamage: o.PastDamage,
		}
		snapshot, err := c.backend.Snapshot(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		defer snapshot.Close()
		if known.Holds() {
			l.dead = deadRun{spanAt: known.Behind, sizes: c.deadSizes}
		}
		l.due = c.due(&l, false)
		l.reader = snapshot
		var s seen
		for value, err := range l.records(ctx, "") {
			live := false
			if err == nil {
				live, err = l.judge(ctx, value, &s)
			}
			if _, past := l.passed(err); err != nil && !past {
				yield(nil, err)
				return
			}
			if (live || err != nil) && !yield(&s, err) {
				return
			}
		}
	}
}

func checkPrefix(faults *ValidationError, prefix string) {
	if len(prefix) > MaxNameBytes || !utf8.ValidString(prefix) {
		faults.add("prefix", CodeValidationFailed, "must be at most %d bytes of valid UTF-8", MaxNameBytes)
	}
}

func checkFrom(faults *ValidationError, from string) {
	if len(from) > MaxNameBytes || !utf8.ValidString(from) {
		faults.add("from", CodeValidationFailed, "must be at most %d bytes of valid UTF-8", MaxNameBytes)
	}
}

// jsonBudget is what the JSON of a page's products may still take.
type jsonBudget struct {
	most     int // 0: any
	bound    int // how long the products have at most become
	exact    int // how long the measured ones are
	measured int // products of the page
	scratch  []byte
}

// takes reports whether a product goes on the page behind the others, the first
// one in any case. To write it all a second time is left out while no product
// could be so long.
func (b *jsonBudget) takes(page []*Product, p *Product, recordSize int) bool {
	if b.most == 0 {
		return true
	}
	// A byte of a record takes at most six of the text, an escaped control
	// character; names and numbers are short.
	b.bound += 8*recordSize + 1024
	if b.bound <= b.most {
		return true
	}
	for ; b.measured < len(page); b.measured++ {
		b.exact += b.size(page[b.measured]) + len(",")
	}
	return len(page) == 0 || b.exact+b.size(p) <= b.most
}

func (b *jsonBudget) size(p *Product) int {
	b.scratch = p.AppendJSON(b.scratch[:0])
	return len(b.scratch)
}
