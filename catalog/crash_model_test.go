package catalog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

var (
	crashSeed = flag.Uint64("crash.seed", 0, "begins the crash test with the load of this seed; 0: random")
	crashCuts = flag.Int("crash.cuts", 2_000, "power cuts of the crash test in all; fewer with -race")
)

// crashConfigs are options that change what a crash may take.
var crashConfigs = []struct {
	name string
	opts catalog.Options
}{
	{"synced", catalog.Options{}},
	{"synced-nowindow", catalog.Options{UseWindow: catalog.NoUseWindow}},
	{"buffered", catalog.Options{Durability: catalog.Buffered}},
	{"synced-tinyindex-nocache", catalog.Options{Index: tinyIndex, CacheBytes: -1, UseCapacity: 2}},
}

const (
	crashWriters   = 4
	crashEntries   = 40 // of each writer in a load
	cutsPerLoad    = 40
	sharedProducts = 2
	commonAccount  = "common"
	// stageLifetime is more than the clock moves during an upload.
	stageLifetime = 30 * day
)

// TestCrashModel cuts the power at random writes to the disk while several
// writers are at work, with a random part of what was not synced surviving.
// What is found then is what every writer had done up to one moment, after
// everything that was acknowledged; the store is sound, and after a sweep
// nothing is left without an owner. Recovery is cut too.
//
// A seed replays the operations of every writer, not how they interleave.
func TestCrashModel(t *testing.T) {
	seed := *crashSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	for i, cfg := range crashConfigs {
		t.Run(cfg.name, func(t *testing.T) {
			t.Parallel()
			t.Logf("replay with -crash.seed=%d", seed)
			want := max(1, *crashCuts/len(crashConfigs)/crashRaceFactor)
			var total crashFigures
			for load := uint64(0); total.cuts < want; load++ {
				total.add(runCrashLoad(t, cfg.opts, seed+load, uint64(i), want-total.cuts))
			}
			t.Logf("%+v", total)
			if total.cuts >= 100 {
				require.NotZero(t, total.recoveries)
				require.NotZero(t, total.products)
			}
		})
	}
}

// crashFigures say how much a run has tested.
type crashFigures struct {
	entries, cuts, recoveries, products, inFlight, uses, staged int
}

func (f *crashFigures) add(g crashFigures) {
	f.entries += g.entries
	f.cuts += g.cuts
	f.recoveries += g.recoveries
	f.products += g.products
	f.inFlight += g.inFlight
	f.uses += g.uses
	f.staged += g.staged
}

// crashLoad is one store under load until it is closed, and what was left by
// power cuts meanwhile.
type crashLoad struct {
	t       *testing.T
	opts    catalog.Options
	clock   *ttl.ManualClock
	c       *catalog.Catalog
	writers []*crashWriter
	shared  sharedLog
	figures crashFigures
	cuts    []*powerCut
	rng     *rand.Rand // of the checks
}

// powerCut is a disk after a crash, and how far the writers were before and
// after the moment at which it happened.
type powerCut struct {
	disk                         *vfs.MemFS
	acked, started               [crashWriters]int
	sharedStarted, sharedPromise int
	at                           time.Time
}

// powerCutter takes a crash clone before the writes that it draws.
type powerCutter struct {
	disk *vfs.MemFS
	left atomic.Int64 // writes until the next cut; none when it is negative
	cut  func(disk *vfs.MemFS)
	// linking keeps cuts and links apart: MemFS.Link of Pebble v2.1.7 takes a lock for
	// reading twice, and a clone that comes in between waits for the first of them and
	// is waited for by the second.
	linking sync.Mutex
}

// on returns the disk with its power cuts.
func (p *powerCutter) on() vfs.FS { return errorfs.Wrap(linkingDisk{p.disk, &p.linking}, p) }

// linkingDisk is the disk of a powerCutter.
type linkingDisk struct {
	*vfs.MemFS
	linking *sync.Mutex
}

// Link implements vfs.FS.
func (d linkingDisk) Link(oldname, newname string) error {
	d.linking.Lock()
	defer d.linking.Unlock()
	return d.MemFS.Link(oldname, newname)
}

func (p *powerCutter) String() string { return "power cutter" }

func (p *powerCutter) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && p.left.Add(-1) == 0 {
		p.linking.Lock()
		defer p.linking.Unlock()
		p.cut(p.disk)
	}
	return nil
}

// crashClone is what a crash leaves of the disk.
func crashClone(disk *vfs.MemFS, rng *rand.Rand) *vfs.MemFS {
	return disk.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: pick(rng, []int{0, 0, 10, 50, 90, 100}),
		RNG:                 rand.New(rand.NewPCG(rng.Uint64(), 0)),
	})
}

// reusingFS reuses files in two steps: ReuseForWrite of vfs.MemFS locks twice
// what CrashClone locks.
type reusingFS struct{ vfs.FS }

func (f reusingFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return f.OpenReadWrite(newname, c)
}

func openOn(fs vfs.FS, clock ttl.Clock, o catalog.Options) (*catalog.Catalog, error) {
	b, err := pebble.Open(context.Background(), "db", &pebble.Options{FS: reusingFS{fs}, CacheSize: 1 << 20, MemTableSize: 256 << 10})
	if err != nil {
		return nil, err
	}
	o.Clock = clock
	c, err := catalog.Open(context.Background(), b, &o)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return c, nil
}

// runCrashLoad runs one load and checks what each of its cuts left.
func runCrashLoad(t *testing.T, o catalog.Options, seed, stream uint64, cuts int) crashFigures {
	o.StageLifetime = stageLifetime
	l := &crashLoad{t: t, opts: o, clock: ttl.NewManualClock(epoch), rng: rand.New(rand.NewPCG(seed, stream))}
	for i := range crashWriters {
		l.writers = append(l.writers, &crashWriter{
			load: l, rng: rand.New(rand.NewPCG(seed, stream<<8|uint64(i+1))),
			name: fmt.Sprintf("w%d", i), account: fmt.Sprintf("account-%d", i), live: map[string]*catalog.Product{},
		})
	}
	disk := vfs.NewCrashableMem()
	cutting := rand.New(rand.NewPCG(seed, stream<<8|255))
	cutter := &powerCutter{disk: disk}
	cutter.cut = func(disk *vfs.MemFS) {
		l.cuts = append(l.cuts, l.cutPower(disk, cutting))
		if len(l.cuts) < min(cuts, cutsPerLoad) {
			cutter.left.Store(1 + cutting.Int64N(16))
		}
	}
	cutter.left.Store(1 + cutting.Int64N(60)) // perhaps while it is created

	var err error
	l.c, err = openOn(cutter.on(), l.clock, o)
	require.NoError(t, err)
	catalog.EagerBulk(l.c)
	for i := range sharedProducts {
		l.shared.create(t, l.c, fmt.Sprintf("s%d", i))
	}
	var wg sync.WaitGroup
	for _, w := range l.writers {
		wg.Go(w.run)
	}
	wg.Wait()
	require.NoError(t, l.c.Close())
	cutter.left.Store(-1)
	require.False(t, t.Failed())

	for _, w := range l.writers {
		l.figures.entries += len(w.entries)
	}
	l.shared.order(t)
	for i, cut := range l.cuts {
		if err := l.checkCut(cut); err != nil {
			t.Fatalf("replay with -run '^%s$' -crash.seed=%d -crash.cuts=1\nload %d, cut %d at %v, acknowledged %v, started %v: %v",
				t.Name(), seed, seed, i, cut.at, cut.acked, cut.started, err)
		}
	}
	l.figures.cuts = len(l.cuts)
	return l.figures
}

func (l *crashLoad) cutPower(disk *vfs.MemFS, rng *rand.Rand) *powerCut {
	cut := new(powerCut)
	for i, w := range l.writers {
		cut.acked[i] = int(w.acked.Load())
	}
	cut.sharedPromise = int(l.shared.acks.Load())
	cut.disk = crashClone(disk, rng)
	for i, w := range l.writers {
		cut.started[i] = int(w.started.Load())
	}
	cut.sharedStarted = int(l.shared.starts.Load())
	cut.at = l.clock.Now()
	return cut
}

// crashEntry is an operation of one writer. What it is about is known when it
// has ended.
type crashEntry struct {
	kind    entryKind
	key     modelKey
	product *catalog.Product // as the answer showed it
	samples []*sample        // of its images, nil for URLs
	durable bool             // of a use: it must survive
	staged  *catalog.StagedImage
	claims  catalog.StagedRef
}

type entryKind int

const (
	entryVoid entryKind = iota // changed nothing
	entryUpsert
	entryUse
	entryDelete
	entryDeleteAccount
	entryStage
)

// crashWriter works on products of its own, one operation after the other.
type crashWriter struct {
	load          *crashLoad
	rng           *rand.Rand
	name, account string
	live          map[string]*catalog.Product // as they were last seen
	free          []catalog.StagedRef
	tokens        int
	fresh         int // calls that had new products

	// entries are appended by the writer alone; started and acked count them.
	entries        []*crashEntry
	started, acked atomic.Int64
}

func (w *crashWriter) run() {
	for len(w.entries) < crashEntries && !w.load.t.Failed() {
		if err := w.step(); err != nil {
			w.load.t.Errorf("%s: %v", w.name, err)
		}
	}
}

// begin notes operations that are about to begin, end that they have.
func (w *crashWriter) begin(n int) []*crashEntry {
	for range n {
		w.entries = append(w.entries, new(crashEntry))
	}
	w.started.Store(int64(len(w.entries)))
	return w.entries[len(w.entries)-n:]
}

func (w *crashWriter) end() { w.acked.Store(int64(len(w.entries))) }

func (w *crashWriter) step() error {
	ctx, c, rng := context.Background(), w.load.c, w.rng
	id := fmt.Sprintf("p%d", rng.IntN(6))
	switch n := rng.IntN(100); {
	case n < 32:
		return w.upsert(ctx, id)
	case n < 37:
		return w.upsertMany(ctx)
	case n < 57:
		return w.use(ctx, id)
	case n < 64:
		e := w.begin(1)[0]
		err := c.Delete(ctx, w.account, id)
		if err == nil {
			*e = crashEntry{kind: entryDelete, key: modelKey{w.account, id}}
			delete(w.live, id)
		}
		w.end()
		return ignore(err, catalog.ErrNotFound)
	case n < 65:
		e := w.begin(1)[0]
		_, err := c.DeleteAccount(ctx, w.account)
		*e = crashEntry{kind: entryDeleteAccount, key: modelKey{account: w.account}}
		w.live, w.free = map[string]*catalog.Product{}, nil
		w.end()
		return err
	case n < 70:
		return w.stage(ctx)
	case n < 82:
		return w.load.shared.edit(ctx, c, fmt.Sprintf("s%d", rng.IntN(sharedProducts)), w.name, rng)
	case n < 84:
		_, err := c.Sweep(ctx)
		return err
	case n < 85:
		return c.Reclaim(ctx)
	case n < 95:
		w.load.clock.Advance(time.Duration(rng.IntN(1500)) * time.Millisecond)
	case n < 96:
		w.load.clock.Advance(pick(rng, []time.Duration{time.Minute, 20 * time.Minute, 5 * time.Hour}))
	default:
		// To where a use must be durable at once.
		if p := w.live[id]; p != nil && !p.ExpiresAt.IsZero() {
			w.load.clock.Advance(min(p.ExpiresAt.Add(-5*time.Second).Sub(w.load.clock.Now()), 2*day))
			return w.use(ctx, id)
		}
	}
	return nil
}

func ignore(err, harmless error) error {
	if errors.Is(err, harmless) {
		return nil
	}
	return err
}

// draw makes a patch that no other is equal to. It always has images, so that
// it creates too.
func (w *crashWriter) draw(e *crashEntry) catalog.Patch {
	rng := w.rng
	w.tokens++
	token := fmt.Sprintf("%s-%d", w.name, w.tokens)
	metadata := fmt.Sprintf(`{"token":%q,"pad":"%x"}`, token, make([]byte, rng.IntN(1500)))
	p := catalog.Patch{Title: catalog.Set(token), Metadata: catalog.Set(json.RawMessage(metadata))}
	switch rng.IntN(4) {
	case 0:
		p.ValidForDays = catalog.Null[int]()
	case 1, 2:
		p.ValidForDays = catalog.Set(1)
	}
	var images []catalog.NewImage
	for range 1 + rng.IntN(3) {
		var img catalog.NewImage
		var s *sample
		switch n := rng.IntN(100); {
		case n < 40:
			img.URL = "https://a.example/" + token
		case n < 50 && len(w.free) > 0 && e.claims == "":
			e.claims = pick(rng, w.free)
			img.Staged = e.claims
			s = w.sampleOf(e.claims)
		case n == 99:
			s = pick(rng, samples().large)
		default:
			s = pick(rng, samples().small)
		}
		if s != nil && img.Staged == "" {
			img.Upload = catalog.NewUpload(bytes.NewReader(s.data))
		}
		images, e.samples = append(images, img), append(e.samples, s)
	}
	p.Images = catalog.Set(images)
	return p
}

func (w *crashWriter) sampleOf(ref catalog.StagedRef) *sample {
	for _, e := range w.entries {
		if e.staged != nil && e.staged.Ref == ref {
			return e.samples[0]
		}
	}
	return nil
}

func (w *crashWriter) upsert(ctx context.Context, id string) error {
	e := w.begin(1)[0]
	var next crashEntry
	p := w.draw(&next)
	var res catalog.Result
	var err error
	switch w.rng.IntN(8) {
	case 0, 1, 2:
		res, err = w.load.c.UpsertInline(ctx, w.account, id, p)
	case 3:
		res, err = w.load.c.CreateOneShot(ctx, w.account, p)
	default:
		res, err = w.load.c.Upsert(ctx, w.account, id, p)
	}
	err = w.upserted(e, next, res, err)
	w.end()
	return err
}

// upserted notes the answer of an upsert.
func (w *crashWriter) upserted(e *crashEntry, next crashEntry, res catalog.Result, err error) error {
	if bad := (*catalog.ValidationError)(nil); errors.As(err, &bad) && next.claims != "" {
		return nil // the staged bytes have expired, or a failed sibling claimed them
	}
	if err != nil {
		return err
	}
	next.kind, next.product = entryUpsert, res.Product
	next.key = modelKey{w.account, res.Product.ExternalID}
	*e = next
	w.live[res.Product.ExternalID] = res.Product
	if next.claims != "" {
		free := w.free[:0:0]
		for _, ref := range w.free {
			if ref != next.claims {
				free = append(free, ref)
			}
		}
		w.free = free
	}
	return nil
}

func (w *crashWriter) upsertMany(ctx context.Context) error {
	entries := w.begin(2 + w.rng.IntN(4))
	drawn := make([]crashEntry, len(entries))
	var items []catalog.UpsertItem
	id := func(int) string { return fmt.Sprintf("p%d", w.rng.IntN(6)) }
	if oneIn(w.rng, 2) { // new ones, which are written in bulk
		w.fresh++
		id = func(i int) string { return fmt.Sprintf("q%d-%d", w.fresh, i) }
	}
	for i := range entries {
		items = append(items, catalog.UpsertItem{ExternalID: id(i), Patch: w.draw(&drawn[i])})
	}
	results := w.load.c.UpsertMany(ctx, w.account, items)
	var err error
	for i, res := range results {
		err = errors.Join(err, w.upserted(entries[i], drawn[i], res.Result, res.Err))
	}
	w.end()
	return err
}

func (w *crashWriter) use(ctx context.Context, id string) error {
	before := w.live[id]
	e := w.begin(1)[0]
	p, err := w.load.c.Use(ctx, w.account, id)
	if err == nil {
		// Where the deadline that was shown is near, that in the record is.
		near := before != nil && !before.ExpiresAt.IsZero() && before.ExpiresAt.Sub(p.LastUsedAt) <= 10*time.Second
		durable := near || w.load.opts.UseWindow == catalog.NoUseWindow
		*e = crashEntry{kind: entryUse, key: modelKey{w.account, id}, product: p, durable: durable}
		w.live[id] = p
	}
	w.end()
	return ignore(err, catalog.ErrNotFound)
}

func (w *crashWriter) stage(ctx context.Context) error {
	s := pick(w.rng, samples().small)
	if oneIn(w.rng, 20) {
		s = pick(w.rng, samples().large)
	}
	e := w.begin(1)[0]
	img, err := w.load.c.StageImage(ctx, w.account, bytes.NewReader(s.data))
	if err == nil {
		*e = crashEntry{kind: entryStage, key: modelKey{account: w.account}, staged: &img, samples: []*sample{s}}
		w.free = append(w.free, img.Ref)
	}
	w.end()
	return err
}
