package pebble

import (
	"sync"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"
)

const (
	// garbageShare is how much of the values in blob files may be garbage for
	// long, roomShare how much after a pass that gives room back: the rest is at
	// most a quarter more than what lives.
	garbageShare = 0.3
	roomShare    = 0.2
	// garbageSettles is how long more than that is left alone: much of it goes with
	// its file.
	garbageSettles = 5 * time.Minute
	// rewriteRate is how many bytes of blob files are read, to be written anew,
	// between two ticks.
	rewriteRate = 64 << 20
	// inVain is after how many files in a row that became no smaller an aim is
	// given up.
	inVain = 3
)

// blobRewrites says how much garbage Pebble may leave in blob files. Pebble asks
// when it looks for work, and writes one file at a time anew, the one with most
// garbage first.
//
// Two ask for that at a time: the loop, which watches the garbage whatever it came
// from, and a pass, which Reclaim may run beside the loop. Each has an aim of its
// own and ends only that, or the loop's tick would take the aim from a pass that
// waits for it.
//
// Pebble v2.1.7: unnecessary when a call writes blob files anew, as DB.Compact does
// tables (TestPebbleSleepsOnGarbage).
type blobRewrites struct {
	mu     sync.Mutex // guards what follows; Pebble's lock may be held around it
	loop   rewriteAim
	pass   rewriteAim
	tokens int64 // bytes that paced aims may still have read before the next tick
}

// rewriteAim is how much garbage one of the two wants left alone.
type rewriteAim struct {
	on    bool
	share float64 // of the values in blob files
	paced bool    // it waits for tokens
	vain  int     // files in a row that became no smaller since it was set
}

// watch sets the loop's aim, or ends it.
func (b *blobRewrites) watch(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if on != b.loop.on {
		b.loop = rewriteAim{on: on, share: garbageShare, paced: true}
	}
}

// aim sets that of a pass, until rest.
func (b *blobRewrites) aim(share float64, paced bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pass = rewriteAim{on: true, share: share, paced: paced}
}

func (b *blobRewrites) rest() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pass = rewriteAim{}
}

func (b *blobRewrites) refill() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = rewriteRate
}

// ended notes a file that was written anew.
func (b *blobRewrites) ended(i crdb.BlobFileRewriteInfo) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens -= int64(i.Input.Size)
	for _, a := range []*rewriteAim{&b.loop, &b.pass} {
		if i.Err == nil && i.Output.ValueSize < i.Input.ValueSize {
			a.vain = 0
		} else {
			a.vain++
		}
	}
}

// target is the share that Pebble is told.
func (b *blobRewrites) target() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	share := 1.0 // all
	for _, a := range []rewriteAim{b.loop, b.pass} {
		if a.on && a.vain < inVain && (!a.paced || b.tokens > 0) {
			share = min(share, a.share)
		}
	}
	return share
}

// passInVain reports whether a pass had files written anew that became no smaller.
func (b *blobRewrites) passInVain() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pass.vain >= inVain
}
