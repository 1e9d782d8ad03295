package catalog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/accountusage"
	"github.com/shelflife-db/shelflife/catalog/internal/deadspans"
	"github.com/shelflife-db/shelflife/catalog/internal/expiryhooks"
	"github.com/shelflife-db/shelflife/catalog/internal/imagegrace"
	"github.com/shelflife-db/shelflife/catalog/internal/recordcache"
	"github.com/shelflife-db/shelflife/catalog/internal/storeclock"
	"github.com/shelflife-db/shelflife/catalog/internal/uses"
	"github.com/shelflife-db/shelflife/catalog/internal/verifiedchunks"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// Catalog keeps the products of many accounts on a backend. It is safe for
// concurrent use.
type Catalog struct {
	backend backend.Backend
	opts    *Options
	limits  Limits
	now     *ttl.Monotone
	random  identities

	exclusive bool              // see backend.Properties
	clocked   bool              // time is the store's own, and comes with reads: see timedBackend
	storeTime *storeclock.Clock // that of a store with a clock of its own, else nil
	readOnly  bool              // see backend.Properties: nothing works in the background
	shards    int               // of the expiry space, fixed when the store was created
	secret    []byte            // the store's: authenticates cursors, and makes IDs of keys

	uses     *uses.Overlay
	renewals *uses.Renewals
	folder   *uses.Folder
	cache    *recordcache.Cache // nil where there is none
	dead     *deadspans.Spans   // nil where others write too
	// deadListed are stretches in which no listed product lives; nil as dead.
	deadListed *deadspans.Spans
	// deadSizes is defaultDeadRun, and dueSizes defaultDue, but in tests.
	deadSizes deadRunSizes
	bulk      bulkSizes // defaultBulk, but in tests
	dueSizes  dueSizes
	// dueTurn has room for the walk that knows what is due: that takes memory.
	dueTurn chan struct{}
	// maxValueSize is that of the backend, 0 where there is none.
	maxValueSize int
	// queries holds each *query that is not in use.
	queries sync.Pool
	// txs holds each *tx that is not in use, and bulkTxs those of Updates in bulk, which
	// have memory for thousands of products.
	txs     sync.Pool
	bulkTxs sync.Pool
	index   *ttl.Index
	sweeper *ttl.Sweeper
	ahead   saidAhead // the sweeper's
	lease   leaseTurn
	usage   *accountusage.Usage // nil without quotas
	// verified are chunks of image bytes that were read; nil where the engine does not
	// notice by itself what its storage changes.
	verified *verifiedchunks.Set
	// backedUp is the state that the last backup has, nil if there was none.
	backedUp atomic.Pointer[time.Time]
	// damage is what was met first, nil if none was.
	damage atomic.Pointer[metDamage]
	hooks  *expiryhooks.Hooks[Expired]
	swept  *sweptAccounts
	// released are the image bytes that wait for the end of their readers' grace.
	released *imagegrace.Queue

	// calls counts the operations that Close waits for. It ends closing first,
	// for those that can take long and be repeated, and for Options.OnExpire.
	calls   backend.Lifecycle
	closing context.Context
	close   context.CancelCauseFunc
	// stop ends the goroutines that running counts; those of the hooks end
	// after them.
	stop    context.CancelFunc
	running sync.WaitGroup
	hooking sync.WaitGroup
}

const (
	// sharedRescan is how often the expiry entries that other processes wrote
	// are looked for.
	sharedRescan = time.Minute
)

// Open returns a catalog on b, whose store it creates if b is empty. Nil
// options mean the defaults. How long Open takes does not depend on how much
// is stored.
//
// The catalog owns b from then on: Close closes it. After an error b is still
// the caller's. An error matches ErrNewerSchema if the store was
// written by a newer version that this one can't serve. A store whose backend
// places its keys otherwise than when it was created is refused, as is a backend
// that places them by a function which is none of package encoding's. A store
// that exists is opened for reading even if b takes no writes (ErrUnavailable).
// Open fails then if the store is new, or has uses left that by Options.UseWindow
// may not wait.
//
// A backend that was opened for reading (backend.Properties.ReadOnly) is never
// written to: what has expired is gone for readers and stays in the store, uses
// that an earlier opening has left count though they stay where they are, and
// every write fails with ErrUnavailable. Such a store need only be readable for
// this version.
func Open(ctx context.Context, b backend.Backend, o *Options) (*Catalog, error) {
	c, err := open(ctx, b, o)
	return c, wrap("open", "", err)
}

func open(ctx context.Context, b backend.Backend, o *Options) (*Catalog, error) {
	if isNil(b) {
		return nil, errors.New("there is no backend")
	}
	opts, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	props := b.Properties()
	if props.Shards > encoding.MaxShards {
		return nil, fmt.Errorf("the backend has %d shards, more than %d", props.Shards, encoding.MaxShards)
	}
	var storeTime *storeclock.Clock
	if props.Clock {
		storeTime = storeclock.New(opts.Clock)
		opts.Clock = storeTime
		b = timedBackend{b, storeTime}
	}
	now := ttl.NewMonotone(opts.Clock)
	c := &Catalog{
		backend:      b,
		opts:         opts,
		limits:       opts.Limits,
		now:          now,
		random:       randomID,
		exclusive:    props.Exclusive,
		clocked:      props.Clock,
		storeTime:    storeTime,
		readOnly:     props.ReadOnly,
		maxValueSize: props.MaxValueSize,
		uses:         uses.NewOverlay(opts.UseCapacity, now.Now),
		renewals:     uses.NewRenewals(!props.Exclusive),
		deadSizes:    defaultDeadRun,
		bulk:         defaultBulk,
		dueSizes:     defaultDue,
		dueTurn:      make(chan struct{}, 1),
		index:        ttl.NewIndex(opts.Index),
		released:     imagegrace.New(opts.ImageGraceBytes),
		lease:        leaseTurn{holder: randomID()},
		swept:        &sweptAccounts{accounts: make(map[string]struct{})},
	}
	c.usage = c.newUsage()
	c.closing, c.close = context.WithCancelCause(context.Background())
	c.hooks = expiryhooks.New(func(e Expired) { opts.OnExpire(c.closing, c, e) })
	if c.exclusive {
		c.dead, c.deadListed = deadspans.New(), deadspans.New()
	}
	if props.Checksums {
		c.verified = new(verifiedchunks.Set)
	}
	if c.exclusive && opts.CacheBytes > 0 {
		c.cache = recordcache.New(opts.CacheBytes)
	}
	// First of all that is read: it says whether this version may read the rest.
	meta, err := c.loadMeta(ctx, props)
	if err != nil {
		return nil, err
	}
	// Reading it has brought the time.
	if c.clocked && !storeTime.Observed() {
		return nil, errNoStamp
	}
	c.shards, c.secret = meta.Shards, meta.Secret[:]
	progress, err := c.loadProgress(ctx)
	if err != nil {
		return nil, err
	}
	sweep := opts.Sweeper
	if !c.exclusive && sweep.Rescan == 0 {
		sweep.Rescan = sharedRescan
	}
	if !c.exclusive && sweep.BatchSize <= 0 {
		sweep.BatchSize = sharedBatch
	}
	c.sweeper = ttl.NewSweeper(expirer{c}, c.index, opts.Clock, c.now, progress, sweep)
	c.folder = uses.NewFolder(c.uses, uses.Config{
		Backend: b, Fold: c.foldUses, Clock: opts.Clock, Logger: opts.Logger,
		Window: opts.UseWindow, Hold: c.buffersUses(), ReadOnly: c.readOnly,
	})
	// Before anything is written, and after everything that healed drops was made.
	backend.OnHeal(b, c.healed)
	// Uses that a crash left in the journal are in the overlay before the first
	// read and the first sweep, which would take their products for expired.
	if err := c.folder.Open(ctx); err != nil {
		return nil, err
	}
	c.start()
	return c, nil
}

// start begins the work in the background, which Close ends.
func (c *Catalog) start() {
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	if !c.readOnly {
		c.running.Go(func() { c.sweeper.Run(ctx) })
		c.running.Go(func() { c.folder.Run(ctx) })
		c.running.Go(func() { c.endGraceEarly(ctx) })
		if c.usage != nil {
			c.running.Go(func() { c.usage.Run(ctx) })
		}
	}
	c.hooking.Go(c.hooks.Run)
}

// Close ends the catalog and closes its backend: it refuses new calls with
// ErrClosed, waits for running ones, makes every acknowledged use durable and
// ends the work in the background. Loops over All and readers of images end
// with ErrClosed at their next step, for which Close may wait: the body of such
// a loop must not call it. Sweep, Check and DeleteAccount end with ErrClosed too. Calling it
// again returns the result of the first call.
func (c *Catalog) Close() error {
	c.calls.Refuse() // first: what is told that the catalog is closing finds it closed
	c.close(ErrClosed)
	return c.wrap("close", "", c.calls.Close(func() error {
		c.stop()
		c.running.Wait()
		if !c.readOnly {
			c.sweeper.Save(context.Background())
			c.endLease(context.Background())
		}
		folded := c.folder.Finish(context.Background())
		c.hooks.Stop()
		c.hooking.Wait()
		return errors.Join(folded, c.backend.Close())
	}))
}

// long runs a call that can take long and be repeated: Close does not wait for
// it, but has it end with ErrClosed.
func (c *Catalog) long(ctx context.Context, call func(context.Context) error) error {
	if err := c.calls.Enter(); err != nil {
		return err
	}
	defer c.calls.Exit()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(c.closing, func() { cancel(backend.ErrClosed) })
	defer stop()
	err := call(ctx)
	if err != nil && errors.Is(context.Cause(ctx), backend.ErrClosed) {
		return backend.ErrClosed
	}
	return err
}

// Ready returns nil if the catalog would try to serve a write, and otherwise
// an error that matches ErrClosed or ErrUnavailable. It is cheap.
func (c *Catalog) Ready() error {
	if c.calls.Closed() {
		return c.wrap("ready", "", backend.ErrClosed)
	}
	return c.wrap("ready", "", c.backend.Ready())
}

// Limits returns the limits in force, defaults filled in.
func (c *Catalog) Limits() Limits { return c.limits }

// loadMeta reads the description of the store, or writes it if the store is
// new. One that exists is opened though the backend takes no writes.
func (c *Catalog) loadMeta(ctx context.Context, props backend.Properties) (meta encoding.StoreMeta, err error) {
	partition, err := partitionOf(props)
	if err != nil {
		return meta, err
	}
	key := encoding.AppendMetaKey(nil, encoding.StoreMetaName)
	decode := func(value []byte) error {
		meta = encoding.StoreMeta{}
		return encoding.DecodeStoreMeta(value, &meta)
	}
	found, err := c.backend.Get(ctx, key, decode)
	if err == nil && !found {
		fresh := newStoreMeta(c.now.Now(), props, partition)
		group, item := encoding.MetaScope(encoding.StoreMetaName)
		scopes := []backend.Scope{{Group: group, Item: item}}
		err = c.backend.Update(ctx, scopes, backend.UpdateOptions{}, func(ctx context.Context, txn backend.Txn) error {
			// Another process may have been first.
			if found, err := txn.Get(ctx, key, decode); err != nil || found {
				return err
			}
			meta = fresh
			return txn.Put(key, encoding.AppendStoreMeta(nil, &fresh))
		})
	}
	if err != nil {
		return meta, err
	}
	if c.readOnly {
		err = meta.Readable()
	} else {
		err = meta.Compatible()
	}
	if err == nil && (meta.Partition != partition || meta.Parts != props.Parts) {
		err = fmt.Errorf("the store was created in %d parts by partition function %d, the backend has %d by function %d",
			meta.Parts, meta.Partition, props.Parts, partition)
	}
	if err != nil || c.readOnly {
		return meta, err
	}
	return c.beginEpoch(ctx, meta)
}

// beginEpoch gives a store that was made of a backup another epoch, and returns the
// description as it is then.
func (c *Catalog) beginEpoch(ctx context.Context, meta encoding.StoreMeta) (encoding.StoreMeta, error) {
	restored := backend.FindRestored(c.backend)
	if restored == nil || !restored.WasRestored() {
		return meta, nil
	}
	meta.Epoch = newEpoch()
	group, item := encoding.MetaScope(encoding.StoreMetaName)
	scopes := []backend.Scope{{Group: group, Item: item}}
	err := c.backend.Update(ctx, scopes, backend.UpdateOptions{Patient: true}, func(_ context.Context, txn backend.Txn) error {
		return txn.Put(encoding.AppendMetaKey(nil, encoding.StoreMetaName), encoding.AppendStoreMeta(nil, &meta))
	})
	if err != nil {
		return meta, err
	}
	// Not before: a crash in between costs one more epoch, and not the only one.
	return meta, restored.SettleRestored()
}

// partitionOf returns the partition function of a backend, which must be one that
// a store may have.
func partitionOf(props backend.Properties) (encoding.Partition, error) {
	p, ok := encoding.PartitionNamed(props.Partition)
	if !ok {
		return p, fmt.Errorf("the backend places keys by %q, which is no partition function of this library", props.Partition)
	}
	if props.Parts > encoding.MaxParts {
		return p, fmt.Errorf("the backend has %d parts, more than %d", props.Parts, encoding.MaxParts)
	}
	return p, nil
}

// newStoreMeta describes a new store on a backend.
func newStoreMeta(now int64, props backend.Properties, partition encoding.Partition) encoding.StoreMeta {
	m := encoding.StoreMeta{
		CreatedAt: now, Schema: encoding.Schema,
		MinReader: encoding.Schema, MinWriter: encoding.Schema, Shards: max(props.Shards, 1),
		Epoch: newEpoch(), Partition: partition, Parts: props.Parts,
	}
	_, _ = rand.Read(m.StoreID[:]) // never fails: see crypto/rand
	_, _ = rand.Read(m.Secret[:])
	return m
}

// newEpoch draws the epoch of a store that begins, or that an earlier state of it
// was brought back to.
func newEpoch() uint64 {
	for {
		if epoch := randomID(); epoch != 0 {
			return epoch
		}
	}
}
