package catalog

import (
	"context"
	"io"
	"time"

	"github.com/shelflife-db/shelflife/ttl"
)

// How long a pace lets work go on without a rest, and how long a rest is at most:
// what a slow writer took is no work.
const (
	paceWork = 500 * time.Microsecond
	paceRest = 5 * time.Millisecond
)

// pace has long work in the background rest for as long as it worked, in short
// turns, so that calls don't wait behind it for a processor. A nil pace never rests.
type pace struct {
	clock ttl.Clock
	since time.Duration // when the work began after the last rest, as the clock's Elapsed
}

func newPace(clock ttl.Clock) *pace { return &pace{clock, clock.Elapsed()} }

// rest is called between two steps of the work. It returns the error of ctx if that
// ends meanwhile.
func (p *pace) rest(ctx context.Context) error {
	if p == nil {
		return nil
	}
	worked := p.clock.Elapsed() - p.since
	if worked < paceWork {
		return nil
	}
	timer := p.clock.NewTimer(min(worked, paceRest))
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-ctx.Done():
		return ctx.Err()
	}
	p.since = p.clock.Elapsed()
	return nil
}

// pacedWriter rests between what is written to it.
type pacedWriter struct {
	io.Writer
	ctx  context.Context
	pace *pace
}

// Write implements io.Writer.
func (w pacedWriter) Write(b []byte) (int, error) {
	if err := w.pace.rest(w.ctx); err != nil {
		return 0, err
	}
	return w.Writer.Write(b)
}
