package ttl

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// maxFailures is how often in a row an entry may fail before the entries
// behind it get their turn.
const maxFailures = 3

// seenEvery is how long the saved Progress.Seen may lag behind the time.
const seenEvery = time.Hour

// errNoProgress stands for an Expire that neither did nor said anything.
var errNoProgress = errors.New("ttl: store handled no due entry and returned no error")

// Store is what a [Sweeper] needs of the owner of the entries.
type Store interface {
	Source

	// Expire handles due entries, which are in order: it removes what they
	// stand for, or moves them to a later deadline, or drops those that no
	// longer stand for anything. It judges each by its own records, by
	// [Sweeper.Horizon] or its own clock, never by the entry alone, and leaves
	// no entry of those it counts as done in the Source. A moved entry's new
	// deadline lies after the Horizon, and is announced by Index.Add like any
	// other.
	//
	// done says how many of the first entries are done; the others stay due
	// and are tried again, after a backoff when err is not nil. Calls may be
	// repeated with entries that an earlier call has handled. After an error
	// entries come singly for a while, and one that fails on its own several
	// times is set aside and tried again later, so that it does not hold up
	// the others. Expire returns soon after ctx is done.
	Expire(ctx context.Context, due []Entry) (done int, err error)

	// SaveProgress keeps p for the start of a later [NewSweeper]. It is a hint
	// and may be lost. It is called now and then while entries come due, and
	// once an hour when none do.
	SaveProgress(ctx context.Context, p Progress) error
}

// A Leaser is a [Store] whose entries several processes could handle, of which one
// is enough.
type Leaser interface {
	Store
	// Lease returns 0 if this process is the one to handle them now, and otherwise
	// how long another one will be. [Sweeper.Run] asks before each step, and keeps
	// still for so long; it costs nothing for as long as the answer is known.
	// [Sweeper.Sweep] does not ask.
	Lease(ctx context.Context) (wait time.Duration)
}

// Progress is what a [Sweeper] leaves to the one that opens the store after it.
type Progress struct {
	// SweptTo is a deadline, in Unix milliseconds, below which no current entry
	// lies. 0 says nothing.
	SweptTo int64
	// Seen is the time, in Unix milliseconds, by which entries were last judged.
	// 0: never, or not known.
	Seen int64
	// DoubtSince and DoubtSeen are the first and the last time, in Unix
	// milliseconds, that the clock showed since a leap before an opening whose
	// pause has not ended. 0: there is none. They are kept over openings for a
	// store that is never open as long as the pause: one that a job opens for a
	// minute each hour would begin the pause anew each time, and never be swept.
	DoubtSince, DoubtSeen int64
}

// SweeperOptions tune a [Sweeper]. The zero value takes the defaults. A
// negative duration stands for none where a default would otherwise apply.
// No option affects what readers see as expired.
type SweeperOptions struct {
	// Grace is how long after its deadline an entry is handled. Default 5 s.
	Grace time.Duration
	// BatchSize is how many entries Expire gets at most. Default 128, also where
	// it is negative.
	BatchSize int
	// Pause is the rest between two batches. Default 2 ms. Sweep takes none.
	Pause time.Duration
	// RetryMin and RetryMax bound the wait after an error, which doubles with
	// each that follows. Defaults 1 s and 30 s. Sweep does not wait for it.
	RetryMin, RetryMax time.Duration
	// LeapTolerance is how far the wall clock may get ahead of monotonic time
	// between two looks at it before that counts as a leap. A machine that was
	// suspended may show one too. At least 10 ms, what clocks differ by without
	// one. Default 10 s.
	LeapTolerance time.Duration
	// GapTolerance is how far the wall clock may be ahead of the time at which
	// the store was last in use, when it is opened, before that counts as a
	// leap. It can't be known whether the clock is wrong or the store was closed
	// for so long; both pause removals. The pause goes on over further openings
	// that are no further apart. Default 24 h.
	GapTolerance time.Duration
	// LeapPause is how long, in monotonic time, nothing is handed to Expire
	// after a leap. Default 15 minutes. Then the new time is accepted; never, nor
	// by later openings for that, where it is the greatest Duration. A store
	// that is always closed for longer than GapTolerance, and opened for less
	// than LeapPause, is never swept: negative, for no pause, may suit it.
	LeapPause time.Duration
	// FullPassEvery is how often the Source is read from its beginning, for
	// entries that were written behind the progress. Default 6 h; the first
	// pass comes after a tenth of it. Negative: never.
	FullPassEvery time.Duration
	// Rescan is how often the Source is read from the progress on, for entries
	// that other processes wrote. Default 0: never, which is right where every
	// writer calls Index.Add.
	Rescan time.Duration
	// SaveEvery is how long progress may go unsaved. Default 1 minute.
	SaveEvery time.Duration
	// Logger receives warnings of leaps and errors. It gets no keys. Default:
	// silent.
	Logger *slog.Logger
}

func (o SweeperOptions) withDefaults() SweeperOptions {
	duration := func(d *time.Duration, byDefault time.Duration) {
		if *d == 0 {
			*d = byDefault
		}
		*d = max(*d, 0)
	}
	duration(&o.Grace, 5*time.Second)
	duration(&o.Pause, 2*time.Millisecond)
	duration(&o.RetryMin, time.Second)
	duration(&o.RetryMax, 30*time.Second)
	o.RetryMin = max(o.RetryMin, time.Millisecond)
	o.RetryMax = max(o.RetryMax, o.RetryMin)
	duration(&o.LeapTolerance, 10*time.Second)
	o.LeapTolerance = max(o.LeapTolerance, 10*time.Millisecond)
	duration(&o.GapTolerance, 24*time.Hour)
	duration(&o.LeapPause, 15*time.Minute)
	duration(&o.FullPassEvery, 6*time.Hour)
	duration(&o.Rescan, 0)
	duration(&o.SaveEvery, time.Minute)
	if o.BatchSize <= 0 {
		o.BatchSize = 128
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// SweepResult says what a call of [Sweeper.Sweep] did.
type SweepResult struct {
	// Expired counts the entries that the Store handled: what was removed, and
	// what turned out to live longer.
	Expired int
	// Paused says that nothing more was handled because of a leaping clock.
	Paused bool
}

// SweeperStats are counters since the start of a [Sweeper].
type SweeperStats struct {
	Expired    uint64 // entries that the Store handled
	Batches    uint64 // calls of Expire
	Refills    uint64 // reads of the Source that moved the window on
	FullPasses uint64 // reads of the Source from its beginning
	Rescans    uint64 // reads of the Source from the progress on
	Errors     uint64 // errors of the Store
	Leaps      uint64 // leaps of the wall clock, before the start too
	SetAside   int    // entries that keep failing and wait for another try
	Paused     bool   // a leap holds removals back at present
	SweptTo    int64  // every entry known below this deadline was handled (Unix ms)
	LastError  error  // the latest error of the Store; nil if there was none
}

// Sweeper hands the entries of an [Index] to a [Store] when they are due.
//
// An entry is due when its deadline plus the grace is not after the time that
// both the Monotone and the wall clock show: a wall clock that leapt and was
// put right destroys nothing. All methods are safe for concurrent use.
type Sweeper struct {
	store Store
	index *Index
	clock Clock
	now   *Monotone
	o     SweeperOptions

	wake    chan struct{} // buffered: a wake-up is never lost, several are one
	horizon atomic.Int64
	turn    chan struct{} // holds one token: the step that took it owns round

	// restart says that the Source is to be read from its beginning.
	restart atomic.Bool

	round round // owned by the holder of turn

	statsMu sync.Mutex // guards the rest; taken last
	stats   SweeperStats
	// handling counts the entries that the Store has, the earliest of which is first.
	handling int
	first    int64
}

// round is what the Sweeper remembers from one step to the next. Instants are
// monotonic time as Clock.Elapsed counts it.
type round struct {
	leaps      leapWatch
	pauseUntil time.Duration // removals are held back before
	retryAt    time.Duration // Run keeps still before
	backoff    time.Duration // the wait after the next error
	fullPassAt time.Duration
	startOver  bool // a full pass is due, whenever fullPassAt is
	rescanAt   time.Duration

	singly   int   // so many entries are handed over one by one
	failing  Entry // the first entry that the last failure left undone
	failures int   // how often in a row that was it
	aside    []Entry
	asideEnd time.Duration // when those aside are tried again

	sweptTo int64
	unsaved bool  // entries were handled since sweptTo was saved
	seen    int64 // the Progress.Seen that was saved last
	// doubtSince is Progress.DoubtSince while the pause of a leap before the
	// opening lasts, else 0, and doubtSaved says whether it was saved.
	doubtSince int64
	doubtSaved bool
	saveAt     time.Duration
}

// NewSweeper returns a Sweeper over the index, which it alone refills. start
// is what SaveProgress was last called with, or zero: entries below
// start.SweptTo are found by a full pass only. now and the index are those that
// the owner of the store uses. Nothing runs before Run or Sweep is called.
func NewSweeper(store Store, index *Index, clock Clock, now *Monotone, start Progress, o SweeperOptions) *Sweeper {
	o = o.withDefaults()
	start.SweptTo, start.Seen = max(start.SweptTo, 0), max(start.Seen, 0)
	index.skipTo(start.SweptTo)
	elapsed := clock.Elapsed()
	s := &Sweeper{
		store: store, index: index, clock: clock, now: now, o: o,
		wake: make(chan struct{}, 1),
		turn: make(chan struct{}, 1),
		round: round{
			leaps:      newLeapWatch(clock, o.LeapTolerance),
			backoff:    o.RetryMin,
			fullPassAt: elapsed + o.FullPassEvery/10,
			rescanAt:   elapsed + o.Rescan,
			sweptTo:    start.SweptTo,
			seen:       start.Seen,
			saveAt:     elapsed + o.SaveEvery,
		},
		stats: SweeperStats{SweptTo: start.SweptTo},
	}
	s.horizon.Store(math.MinInt64)
	s.doubt(start, elapsed)
	s.turn <- struct{}{}
	return s
}

// doubt pauses removals where the clock is far ahead of the start.
func (s *Sweeper) doubt(start Progress, elapsed time.Duration) {
	wall := s.round.leaps.wall
	gap := fromMillis(wall - start.Seen)
	if start.Seen == 0 || gap <= s.o.GapTolerance {
		return
	}
	since := wall
	if start.DoubtSince > 0 && start.DoubtSince <= start.DoubtSeen && start.DoubtSeen <= wall &&
		fromMillis(wall-start.DoubtSeen) <= s.o.GapTolerance {
		since = start.DoubtSince
	}
	if rest := s.o.LeapPause - fromMillis(wall-since); rest > 0 {
		s.round.doubtSince = since
		s.pause("the wall clock is far ahead of when the store was last in use; removals pause", gap, elapsed, rest)
	}
}

// Run sweeps until ctx is done. The caller gives it a goroutine, and cancels
// ctx and waits for Run to return before it closes the store. Run once.
func (s *Sweeper) Run(ctx context.Context) {
	for ctx.Err() == nil {
		st, err := s.step(ctx, false)
		if err != nil && ctx.Err() != nil {
			return
		}
		wake := s.wake
		if st.more {
			// The pause is owed to foreground work, whatever comes due.
			wake = nil
		}
		if st.wait <= 0 {
			continue
		}
		timer := s.clock.NewTimer(st.wait)
		select {
		case <-timer.C():
		case <-wake:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// Wake makes Run look for an earlier deadline than before: call it where
// [Index.Add] reports one. It never blocks.
func (s *Sweeper) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Restart has the Source read from its beginning, where it has taken back changes:
// entries that were handled may be there again. It never blocks.
func (s *Sweeper) Restart() {
	s.restart.Store(true)
	s.Wake()
}

// Sweep handles everything that is due now, without pauses, and returns when
// nothing is or at the first error. It does not wait for a leap pause to end:
// the result says that one is on. It may be called beside Run or without it.
// Errors are those of the Store and of ctx.
func (s *Sweeper) Sweep(ctx context.Context) (SweepResult, error) {
	var r SweepResult
	for {
		st, err := s.step(ctx, true)
		r.Expired += st.expired
		if err != nil {
			return r, err
		}
		if st.paused {
			r.Paused = true
			return r, nil
		}
		if !st.more {
			return r, nil
		}
	}
}

// Save saves the progress where that is due, for a store that is about to be
// closed: call it after Run has returned. An error is reported as those of Run
// are.
func (s *Sweeper) Save(ctx context.Context) {
	select {
	case <-s.turn:
		defer func() { s.turn <- struct{}{} }()
	case <-ctx.Done():
		return
	}
	r := &s.round
	switch now, elapsed := s.observe(); {
	case elapsed < r.pauseUntil:
		s.saveDoubt(ctx, now)
	case s.saveIsDue(now):
		s.save(ctx, now, elapsed)
	}
}

// Horizon returns the deadline, in Unix milliseconds, up to which entries are
// due. During Expire it is that by which the batch was chosen, so that a store
// can judge its records exactly as the Sweeper judged the entries: what is not
// after the Horizon has been expired for the grace. Before the first step it
// is the smallest int64.
func (s *Sweeper) Horizon() int64 { return s.horizon.Load() }

// Stats returns the counters.
func (s *Sweeper) Stats() SweeperStats {
	s.statsMu.Lock()
	defer s.statsMu.Unlock()
	return s.stats
}

// Backlog returns how many entries are due, of those in the index and those that the
// Store is at work on, and how long, in milliseconds, the earliest has been. Those set
// aside do not count. It never waits for the Store.
func (s *Sweeper) Backlog() (due int, lag int64) {
	now := min(s.clock.Now().UnixMilli(), s.now.Now()) - s.o.Grace.Milliseconds()
	s.statsMu.Lock()
	due, first := s.handling, s.first
	s.statsMu.Unlock()
	waiting, next := s.index.backlog(now)
	if due == 0 || waiting > 0 && next < first {
		first = next
	}
	if due += waiting; due == 0 {
		return 0, 0
	}
	return due, max(now-first, 0)
}

// handle notes what the Store is given, and with none that it is done.
func (s *Sweeper) handle(entries []Entry) {
	s.statsMu.Lock()
	defer s.statsMu.Unlock()
	if s.handling = len(entries); s.handling > 0 {
		s.first = entries[0].Deadline
	}
}

func (s *Sweeper) count(update func(*SweeperStats)) {
	s.statsMu.Lock()
	defer s.statsMu.Unlock()
	update(&s.stats)
}
