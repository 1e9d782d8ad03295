package pebble

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble/internal/diskguard"
)

// healer opens a store anew that has failed for want of room, without closing it to
// its callers. Pebble can't go on behind a failed write, so another takes its
// place, in the same folder, whose locks are never given back.
//
// The invariant: at every instant at most one opening writes to the disk, and every
// call is an opening's, from its beginning to its end. So what holds for an opening
// (locks, log positions, what is durable) is never asked of another.
//
// # Healing, step by step
//
//  1. The opening has failed, see diskguard.FS: Updates are refused, reads go on.
//     The healer looks at each tick whether to try, and at once where it is the
//     first time in a while. It does not where an error was met that does not pass,
//     where Pebble panicked, nor while the disk has no room even for deletions:
//     an opening needs room too.
//  2. It announces the turn to come. From now on Updates wait for it, bounded as by
//     a disk that hangs; reads still go to the failed opening.
//  3. FS.Freeze waits for the operations that were under way when the write failed.
//     Earlier, a write that comes late could hit a log that the new opening uses
//     again. Only now is it known that no other error was met.
//  4. The folder must be the one that was opened; a missing store is never made.
//  5. Keeper.Hold keeps the tables and blob files that the failed opening reads.
//     Before the new one opens, which may drop some in its first compaction.
//  6. Pebble is opened. It recovers what the disk holds, and writes it out before it
//     returns: from here on that is durable. A failure leaves all as it was but for
//     what recovery has written, and is tried again at twice the interval.
//  7. The failed opening refuses calls, which wait for the turn, and its loops and
//     snapshots end. Then its Updates are waited for: one of them could still be
//     calling an OnVisible function, and put a commit that is gone into the caller's
//     memory, behind step 9. They end by themselves, since it has failed. Its reads
//     are not waited for: a loop's body may itself wait for the new turn.
//  8. Its watchers end, as the ticks are the next one's.
//  9. The generation is raised, then the caller is told. Not after step 10: a call
//     could mix what the caller remembers with what the store holds now. Not before
//     step 7: what is read from the failed opening afterwards would be remembered.
//  10. The new opening takes its turn, and waiting calls go on.
//  11. The failed one is closed when the last loop over it has ended, and the files
//     that were kept are removed.
type healer struct {
	store  *Store
	keeper *diskguard.Keeper
	// hang says that healing takes longer than calls wait.
	hang *diskguard.Hang
	// ticked has the latest tick, if the loop has not taken it.
	ticked chan struct{}
	stop   chan struct{}
	// working counts the goroutines that end with the healer, leaving those that
	// close failed openings.
	working, leaving sync.WaitGroup

	generation atomic.Uint64
	mu         sync.Mutex // guards told; nothing is locked below it
	told       []func(uint64)

	// The loop's own.
	interval int  // ticks between two tries
	rest     int  // ticks until the next
	healthy  int  // ticks since the store was last seen to have failed
	hastened bool // it was tried to heal before a tick
}

const (
	// maxHealInterval is the longest between two tries, in ticks.
	maxHealInterval = 32
	// healthyAfter is how many ticks without a failure make the next one the first
	// again: a store that heals and fails in turn takes back commits each time.
	healthyAfter = 64
)

// turn is an opening and, while another is being made, what is closed when that
// has ended, either way.
type turn struct {
	*opening
	next chan struct{}
}

var errHealing = fmt.Errorf("%w: the store is healing from a failed write", backend.ErrUnavailable)

func newHealer(s *Store, keeper *diskguard.Keeper) *healer {
	return &healer{
		store:  s,
		keeper: keeper,
		hang:   diskguard.NewHang(s.opts.HangTimeout, s.log, func() uint64 { return 0 }),
		ticked: make(chan struct{}, 1),
		stop:   make(chan struct{}),
	}
}

func (h *healer) start() {
	h.working.Go(func() { h.hang.Watch(h.stop) })
	h.working.Go(h.run)
}

func (h *healer) run() {
	for {
		select {
		case <-h.stop:
			return
		case <-h.ticked:
			h.look()
		case <-h.firstFailure():
			h.hastened = true
			o := h.store.turn.Load()
			o.gate.lookAtSpace() // it may be what has failed
			h.look()
		}
	}
}

// firstFailure is closed when the opening fails, if that is the first time in a
// while: it may have been for a moment.
func (h *healer) firstFailure() <-chan struct{} {
	if h.store.opts.tick != nil || h.hastened {
		return nil
	}
	return h.store.turn.Load().fail.Happened()
}

// end ends the healer, after a try that is under way.
func (h *healer) end() {
	close(h.stop)
	h.working.Wait()
}

// tick has the healer look. It never waits.
func (h *healer) tick() {
	select {
	case h.ticked <- struct{}{}:
	default:
	}
}

// await returns when next is closed, at once where it is nil.
func (h *healer) await(ctx context.Context, next <-chan struct{}, patient bool) error {
	if next == nil {
		return nil
	}
	var hung <-chan struct{}
	if !patient {
		hung = h.hang.Begun()
	}
	select {
	case <-next:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-h.store.closing:
		return backend.ErrClosed
	case <-hung:
		return errHealing
	}
}

// look tries to heal the store where that is due: step 1.
func (h *healer) look() {
	o := h.store.turn.Load().opening
	if !o.fail.Failed() {
		if h.healthy++; h.healthy >= healthyAfter {
			h.interval, h.rest, h.hastened = 0, 0, false
		}
		return
	}
	h.healthy = 0
	if !o.fail.Passing() || o.guard.Parked() != nil || o.gate.level() == spaceNone {
		return
	}
	if h.rest > 0 {
		h.rest--
		return
	}
	h.interval = min(max(1, 2*h.interval), maxHealInterval)
	h.rest = h.interval - 1
	h.try(o)
}

func (h *healer) try(o *opening) {
	s := h.store
	s.log.Info("backend/pebble: healing begins", "cause", o.fail.Cause())
	next := make(chan struct{})
	s.turn.Store(&turn{o, next})
	h.hang.Applies.Begin()
	healed, err := h.heal(o)
	h.hang.Applies.End()
	if err != nil {
		s.log.Warn("backend/pebble: healing failed, it will be tried again", "error", err)
		healed = o
	}
	s.turn.Store(&turn{opening: healed})
	close(next)
	if err == nil {
		s.log.Info("backend/pebble: healed, writes are admitted", "generation", h.generation.Load())
		h.leaving.Go(func() { h.leave(o) })
	}
}

// heal returns the opening that takes the place of o: steps 3 to 9.
func (h *healer) heal(o *opening) (*opening, error) {
	s := h.store
	o.guard.Freeze()
	if !o.fail.Passing() {
		return nil, o.fail.Cause()
	}
	if err := s.folder.moved(); err != nil {
		return nil, err
	}
	if !o.held {
		h.keeper.Hold()
		o.held = true
	}
	e, err := openEngine(s.folder, s.opts, h.keeper, true)
	if err != nil {
		return nil, err
	}
	healed := newOpening(s, e)
	o.refuse(errHealing)
	_ = o.updates.Close(func() error { return nil })
	o.unwatch()
	h.tell(h.generation.Add(1))
	healed.watch()
	return healed, nil
}

// leave closes an opening whose turn is over.
func (h *healer) leave(o *opening) {
	// It can't but return why it has failed.
	_ = o.close()
	h.keeper.Release()
}

func (h *healer) tell(generation uint64) {
	h.mu.Lock()
	told := h.told
	h.mu.Unlock()
	for _, fn := range told {
		fn(generation)
	}
}

// Generation implements backend.Healer.
func (s *Store) Generation() uint64 { return s.healer.generation.Load() }

// OnHeal implements backend.Healer.
func (s *Store) OnHeal(fn func(generation uint64)) {
	s.healer.mu.Lock()
	defer s.healer.mu.Unlock()
	s.healer.told = append(s.healer.told, fn)
}
