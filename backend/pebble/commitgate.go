package pebble

import (
	"sync"

	"github.com/shelflife-db/shelflife/backend/pebble/internal/diskguard"
)

// commitGate lets commits be applied side by side, and one ingestion alone.
//
// A commit is durable when the log is up to it, an ingestion by itself and at once.
// Were a commit applied between the sync of the log and the ingestion, a crash could
// take it and leave the ingestion, which came after it. So the gate is closed from
// before that sync until the ingestion has its place among the commits.
type commitGate struct {
	mu      sync.Mutex    // guards the rest; nothing is locked below it
	commits int           // that are being applied
	closed  chan struct{} // closed when the gate opens; nil while it is open
	empty   chan struct{} // closed when the last commit has left; nil where nobody waits
}

// pass lets a commit in, behind an ingestion that is at work. leave follows a nil.
func (g *commitGate) pass(w diskguard.Wait) error {
	for {
		g.mu.Lock()
		closed := g.closed
		if closed == nil {
			g.commits++
		}
		g.mu.Unlock()
		if closed == nil {
			return nil
		}
		if err := w.Until(closed); err != nil {
			return err
		}
	}
}

func (g *commitGate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.commits--; g.commits == 0 && g.empty != nil {
		close(g.empty)
		g.empty = nil
	}
}

// shut closes the gate, and returns when no commit is within. open follows a nil.
func (g *commitGate) shut(w diskguard.Wait) error {
	for {
		g.mu.Lock()
		other := g.closed
		var empty chan struct{}
		if other == nil {
			g.closed = make(chan struct{})
			if g.commits > 0 {
				empty = make(chan struct{})
				g.empty = empty
			}
		}
		g.mu.Unlock()
		switch {
		case other != nil:
			if err := w.Until(other); err != nil {
				return err
			}
		case empty != nil:
			err := w.Until(empty)
			if err != nil {
				g.open()
			}
			return err
		default:
			return nil
		}
	}
}

func (g *commitGate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.closed)
	g.closed, g.empty = nil, nil
}
