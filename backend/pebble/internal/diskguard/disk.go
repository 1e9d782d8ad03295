package diskguard

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelflife-db/shelflife/backend"
)

// nudgeEvery is how many bytes may be written between two looks at the free
// space, unless LookEvery says fewer.
const nudgeEvery = 4 << 20

var (
	errStopping = errors.New("backend/pebble: closing")
	errOpening  = errors.New("backend/pebble: not opened yet")
)

// disk is what an FS and the files that it has opened share: what they know of
// the disk below, and what Pebble may do there.
type disk struct {
	real vfs.FS
	fail *Failure
	// operations are those under way that change something on the disk.
	operations backend.Lifecycle
	// keeper keeps what an earlier opening still reads.
	keeper *Keeper
	// overlay holds the files made after the failure, by their base names.
	overlay *vfs.MemFS
	// nudge asks the watcher for a look at the disk.
	nudge   chan struct{}
	written atomic.Int64
	// every is how many bytes call for a look, due says that they were written
	// since the last.
	every int64
	due   atomic.Bool
	// stopping is closed before Pebble is: compactions that wait end. Those
	// that run are finished: Pebble would begin them again, and wait for them,
	// when the store is opened next.
	stopping chan struct{}
	// retry is closed and replaced when compactions that failed may try again.
	retry atomic.Pointer[chan struct{}]
	// tries is how often a file is tried to be opened where too many are.
	tries int
	// opened says that Pebble is: before, compactions that failed do not wait.
	opened atomic.Bool
	// backoff says that a compaction failed since.
	backoff atomic.Bool
	// unreadable says that a blob file could not be read.
	unreadable atomic.Bool
	// answered counts what was written to the disk.
	answered atomic.Uint64
	// rewrites counts the blob files that are being written anew.
	rewrites atomic.Int32
	parked   parking
}

// parking says that a goroutine of Pebble is kept for good, and why.
type parking struct {
	cause atomic.Pointer[error]
	set   chan struct{}
}

func newDisk(real vfs.FS, fail *Failure, keeper *Keeper) *disk {
	d := &disk{
		real:     real,
		fail:     fail,
		keeper:   keeper,
		overlay:  vfs.NewMem(),
		nudge:    make(chan struct{}, 1),
		every:    nudgeEvery,
		tries:    outOfFilesTries,
		stopping: make(chan struct{}),
		parked:   parking{set: make(chan struct{})},
	}
	c := make(chan struct{})
	d.retry.Store(&c)
	return d
}

// Nudged receives when much was written, or something else calls for a look at
// the disk.
func (d *disk) Nudged() <-chan struct{} { return d.nudge }

// Nudge asks for a look at the disk.
func (d *disk) Nudge() {
	select {
	case d.nudge <- struct{}{}:
	default:
	}
}

// count notes n written bytes.
func (d *disk) count(n int) {
	if d.written.Add(int64(n)) >= d.every {
		d.written.Store(0)
		d.due.Store(true)
		d.Nudge()
	}
}

// LookEvery asks for a look at the disk after n written bytes, at the latest. It
// is called before anything is written.
func (d *disk) LookEvery(n int64) { d.every = max(1, min(n, nudgeEvery)) }

// TryToOpen says how often a file is tried to be opened where too many are. It is
// called before anything is.
func (d *disk) TryToOpen(times int) { d.tries = times }

// LookDue reports whether so much was written since it last did.
func (d *disk) LookDue() bool { return d.due.Load() && d.due.CompareAndSwap(true, false) }

// Answered counts the writes that have reached the disk.
func (d *disk) Answered() uint64 { return d.answered.Load() }

// Stop ends compactions that wait. It is called once, before Pebble is closed.
func (d *disk) Stop() { close(d.stopping) }

// Stopping is closed by Stop.
func (d *disk) Stopping() <-chan struct{} { return d.stopping }

// Resume lets compactions that failed try again.
func (d *disk) Resume() {
	if d.backoff.CompareAndSwap(true, false) {
		c := make(chan struct{})
		close(*d.retry.Swap(&c))
	}
}

// Opened says that Pebble is open. Until then its compactions fail rather than wait:
// before it returns, Pebble waits for them itself, and begins no other meanwhile.
func (d *disk) Opened() { d.opened.Store(true) }

// waitCompaction holds back a compaction that would fail, so that Pebble does
// not try again and again.
func (d *disk) waitCompaction() error {
	for {
		retry, set, failed := *d.retry.Load(), d.fail.Happened(), d.fail.Failed()
		switch {
		case !failed && !d.backoff.Load():
			return nil
		case isDone(d.stopping):
			return errStopping
		case !d.opened.Load():
			return errOpening
		case failed:
			retry, set = nil, nil
		}
		select {
		case <-d.stopping:
		case <-set:
		case <-retry:
		}
	}
}

// Unreadable reports whether a blob file could not be read.
func (d *disk) Unreadable() bool { return d.unreadable.Load() }

// RewriteBegins and RewriteEnds say that Pebble writes a blob file anew.
func (d *disk) RewriteBegins() { d.rewrites.Add(1) }

// RewriteEnds ends RewriteBegins.
func (d *disk) RewriteEnds() { d.rewrites.Add(-1) }

// Parked returns why a goroutine of Pebble is kept for good, nil if none is.
func (d *disk) Parked() error {
	if cause := d.parked.cause.Load(); cause != nil {
		return *cause
	}
	return nil
}

// Parking is closed when a goroutine of Pebble is kept for good.
func (d *disk) Parking() <-chan struct{} { return d.parked.set }

// park keeps its goroutine for good.
func (d *disk) park(cause error) {
	d.unreadable.Store(true)
	if d.parked.cause.CompareAndSwap(nil, &cause) {
		d.fail.log.Error("backend/pebble: a damaged file is left as it is until the store is opened again", "error", cause)
		close(d.parked.set)
	}
	select {}
}

func (d *disk) failOn(op, name string, err error) {
	d.fail.failedDisk(fmt.Errorf("%s %s: %w", op, name, err))
}

// begin counts in an operation that changes something on the disk, and reports
// whether it may: not after a failure. If so, end follows.
//
// It is counted before the failure is looked at: either Freeze waits for it, or it
// is refused.
func (d *disk) begin() bool {
	if d.operations.Enter() != nil {
		return false
	}
	if d.fail.Failed() {
		d.operations.Exit()
		return false
	}
	return true
}

func (d *disk) end() { d.operations.Exit() }

// Freeze admits no more operations, and returns when those under way are over: from
// then on nothing reaches the disk, and another opening may have it. The opening
// has failed, or was never finished. Freeze waits for a disk that hangs. It may be
// called again.
func (d *disk) Freeze() {
	_ = d.operations.Close(func() error { return nil })
}

// The longest that the guard waits for a free file descriptor: nothing is lost
// so far, while the failure that would follow is for good.
const (
	outOfFilesPause = 50 * time.Millisecond
	outOfFilesTries = 200
)

// patiently opens a file, again and again while the process or the system has
// too many open.
func (d *disk) patiently(open func() (vfs.File, error)) (f vfs.File, err error) {
	for range d.tries {
		if f, err = open(); !isOutOfFiles(err) || isDone(d.stopping) || d.fail.Failed() {
			break
		}
		select {
		case <-time.After(outOfFilesPause):
		case <-d.fail.Happened():
		case <-d.stopping:
		}
	}
	return f, err
}

func isOutOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// isDone reports whether c, which may be nil, is closed.
func isDone(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
