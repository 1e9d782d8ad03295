package memory

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/shelflife-db/shelflife/backend"
)

// heal is what a Store needs to play the part of one that heals.
type heal struct {
	generation atomic.Uint64
	// admission is held while calls must wait. The writer's token is taken before it.
	admission sync.RWMutex
	mu        sync.Mutex // guards told
	told      []func(uint64)
}

var errHealed = fmt.Errorf("%w: the store has healed", backend.ErrUnavailable)

// await returns when calls are admitted.
func (h *heal) await() {
	h.admission.RLock()
	//lint:ignore SA2001 there is nothing to be done but to wait
	h.admission.RUnlock()
}

// settle makes durable what is committed.
func (d *data) settle() {
	if d.options.Heals {
		d.settling.Lock()
		defer d.settling.Unlock()
		d.durable = d.committed.Load()
	}
}

// takeBack makes the committed state the durable one. The caller has the writer's
// token.
func (d *data) takeBack() {
	d.settling.Lock()
	defer d.settling.Unlock()
	d.committed.Store(d.durable)
}

// Heal has a store with Options.Heals go back to what is durable, as one does that
// has healed from a failed write, and returns when that is done. It waits for the
// Update that is at work. Without the option it does nothing.
func (s *Store) Heal() {
	if !s.data.options.Heals {
		return
	}
	s.data.writer <- struct{}{}
	defer func() { <-s.data.writer }()
	s.heal.admission.Lock()
	defer s.heal.admission.Unlock()
	s.data.takeBack()
	generation := s.heal.generation.Add(1)
	s.heal.mu.Lock()
	told := s.heal.told
	s.heal.mu.Unlock()
	for _, fn := range told {
		fn(generation)
	}
}

// Generation implements [backend.Healer].
func (s *Store) Generation() uint64 { return s.heal.generation.Load() }

// OnHeal implements [backend.Healer].
func (s *Store) OnHeal(fn func(generation uint64)) {
	s.heal.mu.Lock()
	defer s.heal.mu.Unlock()
	s.heal.told = append(s.heal.told, fn)
}

// view is the state that a loop or a snapshot reads, and the generation that it is
// of.
type view struct {
	*version
	generation uint64
}

// view returns the state that is visible now. The generation is read first: that
// of a later state would have it read on.
func (s *Store) view() view {
	generation := s.Generation()
	return view{s.data.committed.Load(), generation}
}

// readable returns nil while a view may be read.
func (s *Store) readable(v view) error {
	if err := s.closedErr(); err != nil {
		return err
	}
	if s.Generation() != v.generation {
		return errHealed
	}
	return nil
}
