package pebble

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/shelflife-db/shelflife/backend"
)

// hangTick is how often a hangWatch looks.
const hangTick = time.Second

var errHanging = fmt.Errorf("%w: the disk does not answer", backend.ErrUnavailable)

// errHungUp is for a commit that nobody waits for any more.
var errHungUp = fmt.Errorf("%w: %v", backend.ErrUnknownOutcome, errHanging)

// hangWatch notices that the disk does not answer: commits wait for it, and
// none of them has had an answer for long. It counts its own looks, so that
// time in which the process did not run is none.
type hangWatch struct {
	log   *slog.Logger
	guard *guardFS
	looks int // that find no answer make a hang; negative: no number does

	applies, syncs pendingCalls
	// hung is closed while the disk hangs. Afterwards another one takes its
	// place.
	hung atomic.Pointer[chan struct{}]
}

func newHangWatch(o Options, g *guardFS) *hangWatch {
	h := &hangWatch{log: o.Logger, guard: g, looks: -1}
	if o.HangTimeout > 0 {
		// The first look that finds a call may come at any time after its begin.
		h.looks = 1 + int((o.HangTimeout+hangTick-1)/hangTick)
	}
	c := make(chan struct{})
	h.hung.Store(&c)
	return h
}

// begun is closed when the disk hangs: from now on, or already.
func (h *hangWatch) begun() <-chan struct{} { return *h.hung.Load() }

// begunFor is begun, nil for who is patient.
func (h *hangWatch) begunFor(patient bool) <-chan struct{} {
	if patient {
		return nil
	}
	return h.begun()
}

// err returns errHanging while the disk hangs.
func (h *hangWatch) err() error {
	if isDone(h.begun()) {
		return errHanging
	}
	return nil
}

// soon returns a channel that is closed when two looks have passed.
func (h *hangWatch) soon() <-chan struct{} {
	c := make(chan struct{})
	time.AfterFunc(2*hangTick, func() { close(c) })
	return c
}

// watch looks until stop is closed. It touches neither Pebble nor the disk.
func (h *hangWatch) watch(stop <-chan struct{}) {
	if h.looks < 0 {
		return
	}
	t := time.NewTicker(hangTick)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
			h.look()
		}
	}
}

func (h *hangWatch) look() {
	// Pebble holds up commits while it waits for its files: what is written to
	// them is an answer to those.
	unanswered := max(h.applies.look(h.guard.answered.Load()), h.syncs.look(0))
	switch hanging := h.err() != nil; {
	case unanswered >= h.looks && !hanging:
		close(*h.hung.Load())
		h.log.Error("backend/pebble: the disk does not answer, writes are refused until it does")
	case unanswered == 0 && hanging:
		c := make(chan struct{})
		h.hung.Store(&c)
		h.log.Info("backend/pebble: the disk answers again, writes are admitted")
	}
}

// pendingCalls counts calls of one kind that wait for the disk.
type pendingCalls struct {
	pending  atomic.Int64
	answered atomic.Uint64

	// before is what was answered at the last look, and unanswered how many looks
	// in a row have seen calls pending and none answered. Both belong to the
	// watch.
	before     uint64
	unanswered int
}

func (p *pendingCalls) begin() { p.pending.Add(1) }

func (p *pendingCalls) end() {
	p.answered.Add(1)
	p.pending.Add(-1)
}

// look takes note of the answers, besides which there were others.
func (p *pendingCalls) look(others uint64) int {
	if n := p.answered.Load() + others; n != p.before || p.pending.Load() == 0 {
		p.before, p.unanswered = n, 0
	} else {
		p.unanswered++
	}
	return p.unanswered
}
