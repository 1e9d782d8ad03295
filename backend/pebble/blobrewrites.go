package pebble

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
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
	// inVain is after how many files that became no smaller a pass gives up.
	inVain = 3
)

// blobRewrites says how much garbage Pebble may leave in blob files. Pebble asks
// when it looks for work, and writes one file at a time anew, the one with most
// garbage first.
type blobRewrites struct {
	share  atomic.Uint64 // of garbage that is left alone, as the bits of a float64; 1: all
	tokens atomic.Int64  // bytes that may still be read before the next tick
	paced  atomic.Bool   // tokens matter
	vain   atomic.Int32  // files in a row that became no smaller
}

func newBlobRewrites() *blobRewrites {
	b := new(blobRewrites)
	b.rest()
	return b
}

// aim has Pebble leave a share of garbage alone, and rest all.
func (b *blobRewrites) aim(share float64, paced bool) {
	b.paced.Store(paced)
	b.share.Store(math.Float64bits(share))
}

func (b *blobRewrites) rest() {
	b.share.Store(math.Float64bits(1))
	b.vain.Store(0)
}

func (b *blobRewrites) refill() { b.tokens.Store(rewriteRate) }

// ended notes a file that was written anew.
func (b *blobRewrites) ended(i crdb.BlobFileRewriteInfo) {
	b.tokens.Add(-int64(i.Input.Size))
	if i.Err == nil && i.Output.ValueSize < i.Input.ValueSize {
		b.vain.Store(0)
	} else {
		b.vain.Add(1)
	}
}

// target is the share that Pebble is told.
func (b *blobRewrites) target() float64 {
	if b.vain.Load() >= inVain || b.paced.Load() && b.tokens.Load() <= 0 {
		return 1
	}
	return math.Float64frombits(b.share.Load())
}

// garbageShare returns how much of the values in blob files nothing refers to.
func (r *reclaimer) garbageShare() float64 {
	m := r.db.Metrics()
	if m.BlobFiles.ValueSize <= m.BlobFiles.ReferencedValueSize {
		return 0
	}
	return float64(m.BlobFiles.ValueSize-m.BlobFiles.ReferencedValueSize) / float64(m.BlobFiles.ValueSize)
}

var errInVain = errors.New("backend/pebble: blob files can't be written anew")

// rewriteBlobs returns when no more than a share of the values in blob files is
// garbage.
func (r *reclaimer) rewriteBlobs(ctx context.Context, share float64, paced bool) error {
	r.blobs.aim(share, paced)
	defer r.blobs.rest()
	var err error
	waited := r.until(ctx, func() bool {
		switch {
		case r.garbageShare() <= share:
			return true
		case r.guard.Unreadable() || r.blobs.vain.Load() >= inVain:
			err = errInVain
			return true
		}
		r.wake()
		return false
	})
	return errors.Join(waited, err)
}

// wake has Pebble look for work. It does by itself when something was written, or
// when the earliest snapshot is closed.
func (r *reclaimer) wake() {
	if r.db.Metrics().Snapshots.Count == 0 {
		_ = r.db.NewSnapshot().Close()
		return
	}
	_, _ = r.db.AsyncFlush()
}
