package pebble

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble/internal/reclaim"
	"github.com/shelflife-db/shelflife/backend/pebble/internal/scopelock"
)

// opening is Pebble, opened once in the Store's folder, with all that holds only
// as long: locks and log positions, open snapshots, what watches the disk. A Store
// that never fails for want of room has one; see healer.
type opening struct {
	*engine
	store     *Store
	gate      *gate
	scopes    *scopelock.Table
	durable   *durability
	loads     *loads
	snapshots *snapshots
	reclaimer *reclaimer

	// updates counts the Updates, which life counts too: the next opening waits for
	// them, not for loops.
	updates backend.Lifecycle
	// held says that files are kept for it. It belongs to the healer.
	held bool

	// watching is done when the watchers are to end.
	watching  context.Context
	stopWatch context.CancelFunc
	watchers  sync.WaitGroup
}

func newOpening(s *Store, e *engine) *opening {
	o := &opening{
		engine:    e,
		store:     s,
		gate:      newGate(e, s.opts.DiskReserve),
		scopes:    scopelock.New(),
		durable:   newDurability(e),
		snapshots: newSnapshots(e),
	}
	o.loads = &loads{engine: e, durable: o.durable, scopes: o.scopes}
	o.watching, o.stopWatch = context.WithCancel(context.Background())
	o.reclaimer = newReclaimer(e, o.gate)
	o.gate.ticked = func(now time.Time) {
		o.reclaimer.tick(now)
		s.healer.tick()
	}
	return o
}

// watch starts what watches the disk until unwatch. It takes the Store's ticks: one
// opening does at a time.
func (o *opening) watch() {
	if o.readOnly != nil {
		return
	}
	o.watchers.Go(func() { o.gate.watch(o.store.ticks, o.watching.Done()) })
	o.watchers.Go(func() { o.hang.Watch(o.watching.Done()) })
	o.watchers.Go(func() { o.reclaimer.run(o.watching) })
}

// unwatch ends watch.
func (o *opening) unwatch() {
	o.stopWatch()
	o.watchers.Wait()
}

// refuse has the opening take no more calls, and ends loops and snapshots, with
// why. The first call counts.
func (o *opening) refuse(why error) {
	o.why.CompareAndSwap(nil, &why)
	o.life.Refuse()
}

// close waits for the calls and closes Pebble. refuse has been called.
func (o *opening) close() error {
	return o.life.Close(func() error {
		o.snapshots.release()
		o.unwatch()
		err := o.engine.close()
		if err == nil && o.readOnly == nil {
			o.closeOwed()
		}
		return err
	})
}

func (o *opening) getMany(ctx context.Context, keys [][]byte, fn func(int, []byte) error) error {
	if len(keys) < 2 {
		return getMany(ctx, o.db, keys, fn)
	}
	if err := o.fail.Engine(); err != nil {
		return err
	}
	snap := o.db.NewSnapshot()
	defer func() { _ = snap.Close() }()
	return getMany(ctx, snap, keys, fn)
}

// reclaim is Reclaim of the Store.
func (o *opening) reclaim(ctx context.Context) error {
	if o.readOnly != nil {
		return o.readOnly
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-o.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := o.reclaimer.pass(ctx, reclaim.Erase, false)
	switch {
	case err == nil, errors.Is(err, backend.ErrUnavailable):
		return err
	case ctx.Err() != nil && o.life.Closed():
		return o.ended()
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", backend.ErrUnavailable, err)
}

func (o *opening) size(r backend.Range) (int64, error) {
	if emptyRange(r) {
		return 0, nil
	}
	if err := o.fail.Engine(); err != nil {
		return 0, err
	}
	end := r.End
	if end == nil {
		end = lastKey
	}
	n, err := o.db.EstimateDiskUsage(r.Start, end)
	if err != nil {
		return 0, engineError(err)
	}
	return int64(n), nil
}

// lastKey is above every key that is not made of 0xff alone.
var lastKey = []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
