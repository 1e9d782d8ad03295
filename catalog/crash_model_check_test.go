package catalog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

// sharedLog is what all writers did to the products that they share: edits,
// each on the condition of the version that it saw, so that their order is
// known.
type sharedLog struct {
	mu           sync.Mutex // guards edits
	edits        []*sharedEdit
	starts, acks atomic.Int64
	ordered      map[catalog.Version]int // position in the history of its product
}

// sharedEdit is one edit that was tried. before is zero for the creation.
type sharedEdit struct {
	id      string
	before  catalog.Version
	product *catalog.Product // nil if it was refused
	// ack is when it was acknowledged among all edits, from 1.
	ack int
}

func (s *sharedLog) create(t *testing.T, c *catalog.Catalog, id string) {
	require.NoError(t, s.note(id, catalog.Version{}, func() (*catalog.Product, error) {
		res, err := c.Upsert(t.Context(), commonAccount, id, withImage(catalog.Patch{}), catalog.CreateOnly())
		return res.Product, err
	}))
}

// note records one edit around its call.
func (s *sharedLog) note(id string, before catalog.Version, call func() (*catalog.Product, error)) error {
	e := &sharedEdit{id: id, before: before}
	s.mu.Lock()
	s.edits = append(s.edits, e)
	s.starts.Store(int64(len(s.edits)))
	s.mu.Unlock()
	p, err := call()
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		e.product = p
		e.ack = int(s.acks.Load()) + 1
		s.acks.Store(int64(e.ack))
	}
	return err
}

// edit edits or uses a shared product.
func (s *sharedLog) edit(ctx context.Context, c *catalog.Catalog, id, writer string, rng *rand.Rand) error {
	p, err := c.Get(ctx, commonAccount, id)
	if err != nil {
		return err
	}
	if oneIn(rng, 4) {
		_, err := c.Use(ctx, commonAccount, id)
		return err
	}
	patch := catalog.Patch{Title: catalog.Set(fmt.Sprint(writer, rng.Uint64()))}
	err = s.note(id, p.Version(), func() (*catalog.Product, error) {
		res, err := c.Upsert(ctx, commonAccount, id, patch, catalog.IfVersion(p.Version()))
		return res.Product, err
	})
	return ignore(err, catalog.ErrPreconditionFailed)
}

// order finds the order of the edits of each product.
func (s *sharedLog) order(t *testing.T) {
	s.ordered = map[catalog.Version]int{}
	for i := range sharedProducts {
		var version catalog.Version
		for n := 0; ; n++ {
			next := s.after(fmt.Sprintf("s%d", i), version)
			if next == nil {
				break
			}
			version = next.product.Version()
			_, twice := s.ordered[version]
			require.False(t, twice)
			s.ordered[version] = n
		}
	}
}

// after returns the edit that was made on a version, nil if it is the latest.
func (s *sharedLog) after(id string, v catalog.Version) *sharedEdit {
	for _, e := range s.edits {
		if e.id == id && e.before == v && e.product != nil {
			return e
		}
	}
	return nil
}

// check compares a shared product that was found after a cut: it is in a state
// that began before the cut, not older than one that was acknowledged.
func (s *sharedLog) check(cut *powerCut, id string, found *catalog.Product, buffered bool) error {
	promised := -1
	if !buffered {
		for _, e := range s.edits {
			if e.id == id && e.ack != 0 && e.ack <= cut.sharedPromise {
				promised = max(promised, s.ordered[e.product.Version()])
			}
		}
	}
	if found == nil {
		if promised >= 0 {
			return fmt.Errorf("shared product %s is lost", id)
		}
		return nil
	}
	for i, e := range s.edits[:cut.sharedStarted] {
		if e.product == nil || e.product.Version() != found.Version() {
			continue
		}
		if n := s.ordered[found.Version()]; n < promised {
			return fmt.Errorf("shared product %s is as of edit %d, %d was acknowledged", id, n, promised)
		}
		if e.id != id || !sameBut(found, e.product) {
			return fmt.Errorf("shared product %s is half of edit %d: %s", id, i, found.AppendJSON(nil))
		}
		return nil
	}
	return fmt.Errorf("shared product %s is in a state that no call made: %s", id, found.AppendJSON(nil))
}

// sameBut reports whether two products are the same, uses apart.
func sameBut(a, b *catalog.Product) bool {
	like := *b
	like.LastUsedAt, like.ExpiresAt = a.LastUsedAt, a.ExpiresAt
	return a.Version() == b.Version() && bytes.Equal(a.AppendJSON(nil), like.AppendJSON(nil))
}

// checkCut opens what a cut left, perhaps with another cut on the way, and
// checks it.
func (l *crashLoad) checkCut(cut *powerCut) error {
	clock := ttl.NewManualClock(cut.at)
	rng := rand.New(rand.NewPCG(l.rng.Uint64(), 0))
	var again *powerCut
	cutter := &powerCutter{disk: cut.disk}
	cutter.cut = func(disk *vfs.MemFS) {
		second := *cut
		second.disk = crashClone(disk, rng)
		again = &second
	}
	if oneIn(l.rng, 4) {
		cutter.left.Store(1 + l.rng.Int64N(12))
	}
	c, err := openOn(cutter.on(), clock, l.opts)
	if err != nil {
		return fmt.Errorf("recovery: %w", err)
	}
	err = l.checkRecovered(c, clock, cut)
	err = errors.Join(err, c.Close())
	if err == nil {
		err = checkNothingLeft(cut.disk)
	}
	if err == nil && again != nil {
		l.figures.recoveries++
		if err := l.checkCut(again); err != nil {
			return fmt.Errorf("cut again in recovery: %w", err)
		}
	}
	return err
}

// checkNothingLeft looks into a store whose products were all deleted.
func checkNothingLeft(disk *vfs.MemFS) error {
	b, err := pebble.Open(context.Background(), "db", &pebble.Options{FS: disk, CacheSize: 1 << 20, MemTableSize: 256 << 10})
	if err != nil {
		return err
	}
	return errors.Join(onlyMeta(b), b.Close())
}

func (l *crashLoad) checkRecovered(c *catalog.Catalog, clock *ttl.ManualClock, cut *powerCut) error {
	ctx := context.Background()
	if err := sound(c); err != nil {
		return err
	}
	for i, w := range l.writers {
		if err := l.checkWriter(c, w, cut, cut.acked[i], cut.started[i]); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	for i := range sharedProducts {
		id := fmt.Sprintf("s%d", i)
		found, err := c.Get(ctx, commonAccount, id)
		if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return err
		}
		if err := l.shared.check(cut, id, found, l.opts.Durability == catalog.Buffered); err != nil {
			return err
		}
	}
	// Past every grace, no image bytes but those of products are left.
	for _, d := range []time.Duration{stageLifetime + time.Minute, time.Hour} {
		clock.Advance(d)
		if _, err := c.Sweep(ctx); err != nil {
			return err
		}
	}
	report, err := c.Check(ctx)
	if err != nil {
		return err
	}
	uploads := 0
	accounts := []string{commonAccount}
	for _, w := range l.writers {
		accounts = append(accounts, w.account)
	}
	for _, account := range accounts {
		s, err := c.Stats(ctx, account)
		if err != nil {
			return err
		}
		uploads += s.Uploads
	}
	if len(report.Problems) > 0 || report.Blobs != uploads {
		return fmt.Errorf("%d stored images of which %d belong to products, problems %v", report.Blobs, uploads, report.Problems)
	}
	for _, account := range accounts {
		if _, err := c.DeleteAccount(ctx, account); err != nil {
			return err
		}
	}
	clock.Advance(time.Hour)
	_, err = c.Sweep(ctx)
	return err
}

func sound(c *catalog.Catalog) error {
	report, err := c.Check(context.Background())
	if err == nil && len(report.Problems) > 0 {
		err = fmt.Errorf("problems %v", report.Problems)
	}
	return err
}

// expectation is a product as a writer's first entries leave it.
type expectation struct {
	entry *crashEntry
	// floor is the latest use that must have survived.
	floor time.Time
}

// after returns the products as the writer's first n entries leave them.
func (w *crashWriter) after(n int) map[modelKey]*expectation {
	products := map[modelKey]*expectation{}
	for _, e := range w.entries[:n] {
		switch e.kind {
		case entryUpsert:
			products[e.key] = &expectation{e, e.product.LastUsedAt}
		case entryUse:
			if p := products[e.key]; p != nil && e.durable {
				p.floor = later(p.floor, e.product.LastUsedAt)
			}
		case entryDelete:
			delete(products, e.key)
		case entryDeleteAccount:
			clear(products)
		}
	}
	return products
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// checkWriter finds a moment between acked and started entries at which the
// writer's products were as they are now.
func (l *crashLoad) checkWriter(c *catalog.Catalog, w *crashWriter, cut *powerCut, acked, started int) error {
	found := map[modelKey]*catalog.Product{}
	latest := map[modelKey]time.Time{} // use that may have survived
	for _, e := range w.entries[:started] {
		if e.kind == entryUse {
			latest[e.key] = later(latest[e.key], e.product.LastUsedAt)
		}
	}
	for p, err := range c.All(context.Background(), w.account, catalog.AllOptions{Unlisted: true}) {
		if err != nil {
			return err
		}
		found[modelKey{w.account, p.ExternalID}] = p
	}
	lo := acked
	if l.opts.Durability == catalog.Buffered {
		lo = 0
		for i, e := range w.entries[:acked] {
			if e.durable {
				lo = i + 1
			}
		}
	}
	var mismatch error
	for n := lo; n <= started; n++ {
		expected := w.after(n)
		err := matchAll(expected, found, latest, cut.at)
		if err != nil {
			mismatch = errors.Join(mismatch, fmt.Errorf("after %d of %d: %w", n, started, err))
			continue
		}
		l.figures.products += len(found)
		l.figures.uses += len(latest)
		if n > lo {
			l.figures.inFlight++
		}
		if err := checkBytes(c, w.account, expected, found); err != nil {
			return err
		}
		return l.checkStaged(c, w, cut, acked, started)
	}
	return mismatch
}

func matchAll(expected map[modelKey]*expectation, found map[modelKey]*catalog.Product, latest map[modelKey]time.Time, now time.Time) error {
	for k, p := range found {
		if expected[k] == nil {
			return fmt.Errorf("%q was deleted or not made yet: %s", k.id, p.AppendJSON(nil))
		}
	}
	for k, want := range expected {
		if err := match(want, found[k], latest[k], now); err != nil {
			return fmt.Errorf("%q: %w", k.id, err)
		}
	}
	return nil
}

// match compares a product with what is expected of it: every byte of an edit,
// and uses within what may be lost.
func match(want *expectation, found *catalog.Product, latest, now time.Time) error {
	p := want.entry.product
	life := time.Duration(p.ValidForDays) * day
	if found == nil {
		if life != 0 && !later(p.ExpiresAt, want.floor.Add(life)).After(now) {
			return nil // expired, at worst by its former deadline
		}
		return fmt.Errorf("lost: %s", p.AppendJSON(nil))
	}
	if !sameBut(found, p) {
		return fmt.Errorf("got %s, want %s", found.AppendJSON(nil), p.AppendJSON(nil))
	}
	if found.LastUsedAt.Before(want.floor) {
		return fmt.Errorf("used at %v, that of %v was durable", found.LastUsedAt, want.floor)
	}
	if found.LastUsedAt.After(later(p.LastUsedAt, latest)) {
		return fmt.Errorf("used at %v, never after %v", found.LastUsedAt, latest)
	}
	if life == 0 {
		return nil
	}
	if deadline := later(p.ExpiresAt, found.LastUsedAt.Add(life)); !found.ExpiresAt.Equal(deadline) {
		return fmt.Errorf("expires at %v, not %v", found.ExpiresAt, deadline)
	}
	if !found.ExpiresAt.After(now) {
		return fmt.Errorf("expired at %v, but is there at %v", found.ExpiresAt, now)
	}
	return nil
}

// checkBytes reads the uploads of the products.
func checkBytes(c *catalog.Catalog, account string, expected map[modelKey]*expectation, found map[modelKey]*catalog.Product) error {
	for k := range found {
		for i, s := range expected[k].entry.samples {
			if s == nil {
				continue
			}
			r, err := c.OpenImage(context.Background(), account, k.id, i)
			if err != nil {
				return err
			}
			data, err := io.ReadAll(r)
			if err == nil && !bytes.Equal(data, s.data) {
				err = fmt.Errorf("image %d of %q has other bytes", i, k.id)
			}
			if err = errors.Join(err, r.Close()); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkStaged claims the staged images that were acknowledged and neither claimed
// nor removed with their account.
func (l *crashLoad) checkStaged(c *catalog.Catalog, w *crashWriter, cut *powerCut, acked, started int) error {
	if l.opts.Durability == catalog.Buffered {
		return nil
	}
	tried := map[catalog.StagedRef]bool{}
	kept := 0 // what was staged before is gone, or may be
	for i, e := range w.entries[:started] {
		tried[e.claims] = true
		if e.kind == entryDeleteAccount {
			kept = i + 1
		}
	}
	for _, e := range w.entries[min(kept, acked):acked] {
		if e.kind != entryStage || tried[e.staged.Ref] || !e.staged.ExpiresAt.After(cut.at) {
			continue
		}
		l.figures.staged++
		id := "claims-" + string(e.staged.Ref)
		images := catalog.Set([]catalog.NewImage{{Staged: e.staged.Ref}})
		if _, err := c.Upsert(context.Background(), w.account, id, catalog.Patch{Images: images}); err != nil {
			return fmt.Errorf("acknowledged staged image: %w", err)
		}
		claimed := &crashEntry{samples: e.samples}
		k := modelKey{w.account, id}
		expected := map[modelKey]*expectation{k: {entry: claimed}}
		if err := checkBytes(c, w.account, expected, map[modelKey]*catalog.Product{k: nil}); err != nil {
			return err
		}
	}
	return nil
}
