package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shelflife-db/shelflife/catalog"
)

// heldCursor is a cursor and the ID behind which it goes on.
type heldCursor struct{ cursor, after string }

func (r *modelRun) list(rng *rand.Rand, k modelKey) error {
	o := catalog.ListOptions{
		Limit:    pick(rng, []int{0, 1, 1, 2, 5, 20, 200}),
		Prefix:   pick(rng, modelPrefixes),
		Unlisted: oneIn(rng, 2),
	}
	after, badCursor := "", false
	switch n := len(r.cursors); {
	case n > 0 && oneIn(rng, 2):
		held := r.cursors[rng.IntN(n)]
		o.Cursor, after = held.cursor, held.after
		if badCursor = oneIn(rng, 8); badCursor {
			b := []byte(o.Cursor)
			b[rng.IntN(len(b))] ^= 1
			o.Cursor = string(b)
		}
	case oneIn(rng, 30):
		o.Cursor, badCursor = "AQ", true
	}
	if oneIn(rng, 40) {
		o.Limit = pick(rng, []int{-1, 201})
	}
	if oneIn(rng, 40) {
		o.Prefix = pick(rng, []string{"\xff", strings.Repeat("z", 256)})
	}
	r.note("list %q %+v", k.account, o)
	page, err := r.page(rng, k.account, o)
	faults := nameFaults(k.account, "x")
	if !utf8.ValidString(o.Prefix) || len(o.Prefix) > 255 {
		faults = append(faults, modelFault{"prefix", catalog.CodeValidationFailed})
	}
	if o.Limit < 0 || o.Limit > 200 {
		faults = append(faults, modelFault{"limit", catalog.CodeValidationFailed})
	}
	if badCursor {
		faults = append(faults, modelFault{"cursor", catalog.CodeValidationFailed})
	}
	if len(faults) > 0 {
		return sameFaults(err, refused(faults).faults)
	}
	if err != nil {
		return err
	}
	return r.comparePage(k.account, o, after, page)
}

// page asks for a page, of products or of views.
func (r *modelRun) page(rng *rand.Rand, account string, o catalog.ListOptions) (page catalog.Page, err error) {
	if oneIn(rng, 2) {
		return r.c().List(context.Background(), account, o)
	}
	r.note("  by views")
	info, err := r.c().ListViews(context.Background(), account, o, func(v catalog.ProductView) error {
		p := v.Product()
		page.Products = append(page.Products, p)
		return sameForms(p, v)
	})
	page.NextCursor, page.HasMore, page.Damaged = info.NextCursor, info.HasMore, info.Damaged
	return page, err
}

// sameForms compares what is written from a view with what its product writes.
func sameForms(p *catalog.Product, v catalog.ProductView) error {
	if want, got := string(p.AppendJSON(nil)), string(v.AppendJSON(nil)); got != want || v.ETag() != p.ETag() {
		return fmt.Errorf("a view is %s %s, its product %s %s", got, v.ETag(), want, p.ETag())
	}
	return nil
}

func (r *modelRun) comparePage(account string, o catalog.ListOptions, after string, page catalog.Page) error {
	want := r.m.list(account, o.Prefix, after, o.Unlisted)
	limit := o.Limit
	if limit == 0 {
		limit = 50
	}
	more := len(want) > limit
	want = want[:min(limit, len(want))]
	if page.HasMore != more || (page.NextCursor != "") != more {
		return fmt.Errorf("hasMore %t, cursor %q, want %t", page.HasMore, page.NextCursor, more)
	}
	if more {
		r.cursors = append(r.cursors, heldCursor{page.NextCursor, want[limit-1].id})
		if len(r.cursors) > 20 {
			r.cursors = r.cursors[1:]
		}
	}
	return r.compareProducts(page.Products, want)
}

func (r *modelRun) compareProducts(got []*catalog.Product, want []*modelProduct) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d products %q, want %d", len(got), ids(got), len(want))
	}
	for i := range got {
		if err := r.m.compare(got[i], want[i]); err != nil {
			return err
		}
	}
	return nil
}

// walk pages through a list to its end.
func (r *modelRun) walk(rng *rand.Rand, k modelKey) error {
	o := catalog.ListOptions{Limit: 1 + rng.IntN(20), Prefix: pick(rng, modelPrefixes), Unlisted: oneIn(rng, 2)}
	r.note("walk %q %+v", k.account, o)
	if nameFaults(k.account, "x") != nil {
		return nil
	}
	after := ""
	for {
		page, err := r.page(rng, k.account, o)
		if err != nil {
			return err
		}
		if err := r.comparePage(k.account, o, after, page); err != nil {
			return err
		}
		if !page.HasMore {
			return nil
		}
		o.Cursor, after = page.NextCursor, page.Products[len(page.Products)-1].ExternalID
	}
}

// compareAll compares everything that the catalog shows with the model.
func (r *modelRun) compareAll(*rand.Rand, modelKey) error {
	r.note("compare all")
	for _, account := range modelAccounts {
		for _, o := range []catalog.AllOptions{{}, {Unlisted: true}, {Prefix: "n"}} {
			var got []*catalog.Product
			for p, err := range r.c().All(context.Background(), account, o) {
				if err != nil {
					return err
				}
				got = append(got, p)
			}
			n := 0
			for v, err := range r.c().AllViews(context.Background(), account, o) {
				switch {
				case err != nil:
					return err
				case n == len(got) || string(v.AppendJSON(nil)) != string(got[n].AppendJSON(nil)):
					return fmt.Errorf("view %d of account %q, %+v: %s", n, account, o, v.AppendJSON(nil))
				}
				n++
			}
			if n != len(got) {
				return fmt.Errorf("%d views of %d products", n, len(got))
			}
			if err := r.compareProducts(got, r.m.list(account, o.Prefix, "", o.Unlisted)); err != nil {
				return fmt.Errorf("account %q, %+v: %w", account, o, err)
			}
		}
	}
	return nil
}

func (r *modelRun) stats(rng *rand.Rand, k modelKey) error {
	r.note("stats %q", k.account)
	got, err := r.c().Stats(context.Background(), k.account)
	if faults := nameFaults(k.account, "x"); len(faults) > 0 {
		return sameFaults(err, faults)
	}
	if err != nil {
		return err
	}
	want := r.m.stats(k.account)
	if (got.RecordBytes > 0) != (want.Products > 0) {
		return fmt.Errorf("%d bytes in %d products", got.RecordBytes, want.Products)
	}
	want.RecordBytes = got.RecordBytes
	if got != want {
		return fmt.Errorf("stats %+v, want %+v", got, want)
	}
	_, err = r.c().StoreStats(context.Background())
	return err
}

// check walks the invariants of the store.
func (r *modelRun) check(*rand.Rand, modelKey) error {
	r.note("check")
	report, err := r.c().Check(context.Background())
	if err != nil {
		return err
	}
	if len(report.Problems) > 0 {
		return fmt.Errorf("problems %v", report.Problems)
	}
	live := 0
	for _, p := range r.m.products {
		if p.livesAt(r.m.last) {
			live++
		}
	}
	if report.Products < live || report.Products > len(r.m.products) {
		return fmt.Errorf("%d records for %d products, of which %d live", report.Products, len(r.m.products), live)
	}
	return nil
}

func (r *modelRun) advance(rng *rand.Rand, _ modelKey) error {
	return r.move(pick(rng, []time.Duration{
		time.Millisecond, 300 * time.Millisecond, time.Second, 7 * time.Second, time.Minute, 20 * time.Minute, 5 * time.Hour,
	}))
}

func (r *modelRun) advanceFar(rng *rand.Rand, _ modelKey) error {
	return r.move(time.Duration(1+rng.IntN(20)) * day)
}

// advanceToDeadline moves to the moment around which a product expires.
func (r *modelRun) advanceToDeadline(rng *rand.Rand, k modelKey) error {
	var first int64
	for _, p := range r.m.products {
		if at, ok := p.deadline(); ok && at > r.m.last && (first == 0 || at < first) {
			first = at
		}
	}
	to := time.UnixMilli(first).Add(pick(rng, []time.Duration{
		-11 * time.Second, -time.Second, -time.Millisecond, 0, time.Millisecond, 7 * time.Second,
	}))
	if first == 0 || !to.After(r.clock.Now()) {
		return nil
	}
	return r.move(to.Sub(r.clock.Now()))
}

// move advances the clock.
func (r *modelRun) move(d time.Duration) error {
	r.clock.Advance(d)
	r.note("advance by %v to %v", d, r.clock.Now())
	return r.observe()
}

// observe has every catalog look at the clock.
func (r *modelRun) observe() error {
	for _, c := range r.catalogs {
		if _, err := c.Get(context.Background(), "nobody", "nothing"); !errors.Is(err, catalog.ErrNotFound) {
			return fmt.Errorf("get: %w", err)
		}
	}
	r.m.observe(r.clock.Now())
	if r.clock.Elapsed() >= r.pauseUntil {
		horizon := min(r.m.last, r.clock.Now().UnixMilli()) - r.sweepGrace.Milliseconds()
		r.m.sweepable(horizon)
	}
	return nil
}

// leap moves the wall clock alone. Forward, removals pause.
func (r *modelRun) leap(rng *rand.Rand, _ modelKey) error {
	d := pick(rng, []time.Duration{time.Minute, time.Hour, 40 * day, 400 * day})
	if back := oneIn(rng, 2); back && !r.cfg.clocked { // a store's own clock never goes back
		d = -d
	}
	if err := r.sweepEach(false); err != nil {
		return err
	}
	r.clock.Leap(d)
	r.note("leap by %v to %v", d, r.clock.Now())
	if d > 0 {
		r.pauseUntil = r.clock.Elapsed() + 15*time.Minute
		if err := r.sweepEach(true); err != nil {
			return err
		}
	}
	if err := r.observe(); err != nil {
		return err
	}
	if d > 0 && oneIn(rng, 2) { // put right
		r.clock.Leap(-d)
		r.note("put right")
		return r.reopen(rng, modelKey{})
	}
	return nil
}

func (r *modelRun) sweep(rng *rand.Rand, _ modelKey) error {
	r.note("sweep")
	return r.sweepEach(false)
}

func (r *modelRun) sweepEach(paused bool) error {
	for _, c := range r.catalogs {
		res, err := c.Sweep(context.Background())
		if err != nil {
			return err
		}
		if paused && (!res.Paused || res.Expired > 0) {
			return fmt.Errorf("sweep after a leap: %+v", res)
		}
	}
	return nil
}

// reopen closes the catalogs and opens them again. Time may run backward then:
// what had expired lives again unless it was removed.
func (r *modelRun) reopen(*rand.Rand, modelKey) error {
	r.note("reopen at %v", r.clock.Now())
	if err := r.close(); err != nil {
		return err
	}
	if err := r.start(); err != nil {
		return err
	}
	before := r.m.last
	r.m.last = 0
	r.pauseUntil = 0
	if err := r.observe(); err != nil {
		return err
	}
	if r.m.last >= before {
		return nil
	}
	for k, p := range r.m.products {
		if !p.life.maybeGone || !p.livesAt(r.m.last) {
			continue
		}
		_, err := r.c().Get(context.Background(), k.account, k.id)
		if errors.Is(err, catalog.ErrNotFound) {
			p.life.fate = swept
			delete(r.m.products, k)
		} else if err != nil {
			return err
		}
		p.life.maybeGone = false
	}
	return nil
}
