package diskguard

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/shelflife-db/shelflife/backend"
)

// hangTick is how often a Hang looks.
const hangTick = time.Second

var errHanging = fmt.Errorf("%w: the disk does not answer", backend.ErrUnavailable)

// Hang notices that the disk does not answer: commits wait for it, and
// none of them has had an answer for long. It counts its own looks, so that
// time in which the process did not run is none.
//
// Pebble has vfs.WithDiskHealthChecks, which answers another question: it says
// that one operation on one file, of a compaction too, has taken long, by a
// clock, which goes on while the process is suspended. It does not say that the
// operation has ended, nor whether commits wait for it; and it holds a goroutine
// with a ticker for every file that is written.
type Hang struct {
	log *slog.Logger
	// written counts the writes that have reached the disk.
	written func() uint64
	looks   int // that find no answer make a hang; negative: no number does

	// Applies are the calls that wait for a commit to be applied, Syncs those
	// that wait for one to be synced.
	Applies, Syncs Calls
	// hung is closed while the disk hangs. Afterwards another one takes its
	// place.
	hung atomic.Pointer[chan struct{}]
}

// NewHang returns one that knows of a hang when there has been no answer for
// timeout; never, where that is not positive. written counts the writes that
// have reached the disk.
func NewHang(timeout time.Duration, log *slog.Logger, written func() uint64) *Hang {
	h := &Hang{log: log, written: written, looks: -1}
	if timeout > 0 {
		// The first look that finds a call may come at any time after its begin.
		h.looks = 1 + int((timeout+hangTick-1)/hangTick)
	}
	c := make(chan struct{})
	h.hung.Store(&c)
	return h
}

// Begun is closed when the disk hangs: from now on, or already.
func (h *Hang) Begun() <-chan struct{} { return *h.hung.Load() }

// Err returns an error that matches backend.ErrUnavailable while the disk hangs.
func (h *Hang) Err() error {
	if isDone(h.Begun()) {
		return errHanging
	}
	return nil
}

// Watch looks until stop is closed. It touches neither Pebble nor the disk.
func (h *Hang) Watch(stop <-chan struct{}) {
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

func (h *Hang) look() {
	// Pebble holds up commits while it waits for its files: what is written to
	// them is an answer to those.
	unanswered := max(h.Applies.look(h.written()), h.Syncs.look(0))
	switch hanging := h.Err() != nil; {
	case unanswered >= h.looks && !hanging:
		close(*h.hung.Load())
		h.log.Error("backend/pebble: the disk does not answer, writes are refused until it does")
	case unanswered == 0 && hanging:
		c := make(chan struct{})
		h.hung.Store(&c)
		h.log.Info("backend/pebble: the disk answers again, writes are admitted")
	}
}

// Calls counts calls of one kind that wait for the disk.
type Calls struct {
	pending  atomic.Int64
	answered atomic.Uint64

	// before is what was answered at the last look, and unanswered how many looks
	// in a row have seen calls pending and none answered. Both belong to the
	// watch.
	before     uint64
	unanswered int
}

// Begin counts a call in.
func (p *Calls) Begin() { p.pending.Add(1) }

// End counts a call out: the disk has answered it.
func (p *Calls) End() {
	p.answered.Add(1)
	p.pending.Add(-1)
}

// look takes note of the answers, besides which there were others.
func (p *Calls) look(others uint64) int {
	if n := p.answered.Load() + others; n != p.before || p.pending.Load() == 0 {
		p.before, p.unanswered = n, 0
	} else {
		p.unanswered++
	}
	return p.unanswered
}
