package catalog_test

import (
	"testing"

	"github.com/shelflife-db/shelflife/ttl"
)

// memoryWorld is the world of tests to which the kind of store is all the
// same.
func memoryWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, clock: ttl.NewManualClock(epoch), open: stores[0].open(t), handles: 1}
	w.opts.Clock = w.clock
	w.start()
	t.Cleanup(func() {
		w.requireSound()
		w.close()
	})
	return w
}
