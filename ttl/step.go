package ttl

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"time"
)

// stepResult says what one step did and when the next has work.
type stepResult struct {
	expired int
	paused  bool          // a leap holds removals back
	more    bool          // entries are due still
	wait    time.Duration // until the next step; not positive: at once
}

// step looks at the clock, keeps the window filled and handles one batch. When
// it is forced it does not wait out a backoff.
func (s *Sweeper) step(ctx context.Context, forced bool) (stepResult, error) {
	if err := ctx.Err(); err != nil {
		return stepResult{}, err
	}
	select {
	case <-s.turn:
		defer func() { s.turn <- struct{}{} }()
	case <-ctx.Done():
		return stepResult{}, ctx.Err()
	}
	r := &s.round

	now, elapsed := s.observe()
	if elapsed < r.pauseUntil {
		if !r.doubtSaved {
			s.saveDoubt(ctx, now)
		}
		return stepResult{paused: true, wait: r.pauseUntil - elapsed}, nil
	}
	r.doubtSince = 0
	s.count(func(st *SweeperStats) { st.Paused = false })
	if elapsed < r.retryAt && !forced {
		return stepResult{wait: r.retryAt - elapsed}, nil
	}

	if l, ok := s.store.(Leaser); ok && !forced {
		if wait := l.Lease(ctx); wait > 0 {
			return stepResult{wait: wait}, nil
		}
	}
	expired, err := s.work(ctx, now, elapsed)
	if err != nil {
		s.fail(ctx, err)
		return stepResult{expired: expired, wait: r.retryAt - elapsed}, err
	}
	r.backoff, r.retryAt = s.o.RetryMin, 0
	more, wait := s.ahead(now, elapsed)
	return stepResult{expired: expired, more: more, wait: wait}, nil
}

// observe reads the clocks. now is what the due entries are judged by.
func (s *Sweeper) observe() (now int64, elapsed time.Duration) {
	r := &s.round
	wall, elapsed, leap := r.leaps.observe()
	now = min(wall, s.now.Now())
	if leap > 0 {
		s.pause("the wall clock leapt forward; removals pause", leap, elapsed, s.o.LeapPause)
	}
	s.horizon.Store(now - s.o.Grace.Milliseconds())
	return now, elapsed
}

// pause holds removals back because of a leap.
func (s *Sweeper) pause(text string, leap, elapsed, pause time.Duration) {
	s.round.pauseUntil = elapsed + min(pause, math.MaxInt64-elapsed)
	s.count(func(st *SweeperStats) {
		st.Leaps++
		st.Paused = pause > 0
	})
	s.o.Logger.Warn(text, slog.Duration("leap", leap), slog.Duration("pause", pause))
}

// saveDoubt saves, while the pause of a leap before the opening lasts, since when
// the clock has shown the new time.
func (s *Sweeper) saveDoubt(ctx context.Context, now int64) {
	r := &s.round
	if r.doubtSince == 0 || now < r.doubtSince || s.o.LeapPause == math.MaxInt64 {
		return // there is no doubt, or the clock is never believed after one
	}
	r.doubtSaved = true
	p := Progress{SweptTo: r.sweptTo, Seen: r.seen, DoubtSince: r.doubtSince, DoubtSeen: now}
	if err := s.store.SaveProgress(ctx, p); err != nil {
		s.report(ctx, "saving the sweeper's progress failed", err)
	}
}

// work does what is to be done now, at most one batch of it.
func (s *Sweeper) work(ctx context.Context, now int64, elapsed time.Duration) (expired int, err error) {
	r := &s.round
	if s.restart.Swap(false) {
		r.startOver, r.sweptTo, r.unsaved = true, 0, true
	}
	// What the index has can be handled even while the Source can't be read.
	readErr := s.read(ctx, now, elapsed)
	if len(r.aside) > 0 && elapsed >= r.asideEnd {
		s.index.putBack(r.aside)
		r.aside = nil
	}
	if expired, err = s.expire(ctx); err != nil {
		return expired, errors.Join(readErr, err)
	}
	if readErr != nil {
		return expired, readErr
	}
	s.advance()
	if elapsed >= r.saveAt && s.saveIsDue(now) {
		s.save(ctx, now, elapsed)
	}
	return expired, nil
}

// saveIsDue reports whether what is saved has become too old.
func (s *Sweeper) saveIsDue(now int64) bool {
	r := &s.round
	return r.unsaved || now < r.seen || fromMillis(now-r.seen) >= seenEvery
}

// save saves the progress. It is a hint: removals do not wait for it.
func (s *Sweeper) save(ctx context.Context, now int64, elapsed time.Duration) {
	r := &s.round
	r.saveAt = elapsed + s.o.SaveEvery
	err := s.store.SaveProgress(ctx, Progress{SweptTo: r.sweptTo, Seen: now})
	if err == nil {
		r.unsaved, r.seen = false, now
		return
	}
	r.saveAt = elapsed + max(s.o.SaveEvery, s.o.RetryMax)
	if !r.unsaved {
		r.saveAt = elapsed + seenEvery
	}
	s.report(ctx, "saving the sweeper's progress failed", err)
}

// read brings the window up to date with the Source.
func (s *Sweeper) read(ctx context.Context, now int64, elapsed time.Duration) error {
	r := &s.round
	if r.startOver || s.o.FullPassEvery > 0 && elapsed >= r.fullPassAt {
		if err := s.index.Rescan(ctx, s.store, 0, now); err != nil {
			return err
		}
		r.startOver = false
		r.fullPassAt = elapsed + s.o.FullPassEvery
		r.rescanAt = elapsed + s.o.Rescan
		s.count(func(st *SweeperStats) { st.FullPasses++ })
	}
	if s.o.Rescan > 0 && elapsed >= r.rescanAt {
		if err := s.index.Rescan(ctx, s.store, r.sweptTo, now); err != nil {
			return err
		}
		r.rescanAt = elapsed + s.o.Rescan
		s.count(func(st *SweeperStats) { st.Rescans++ })
	}
	if s.index.wantsRefill(now, s.lead()) {
		if err := s.index.Refill(ctx, s.store, now); err != nil {
			return err
		}
		s.count(func(st *SweeperStats) { st.Refills++ })
	}
	return nil
}

// lead is how long before its end, in milliseconds, the window is refilled.
func (s *Sweeper) lead() int64 { return s.index.span / 4 }

// expire hands one batch to the store. The entries are out of the index while
// the store has them, so that one that is written anew meanwhile is kept.
func (s *Sweeper) expire(ctx context.Context) (done int, err error) {
	r := &s.round
	limit := s.o.BatchSize
	if r.singly > 0 {
		limit = 1
		r.singly--
	}
	due := s.index.take(s.Horizon(), limit)
	if len(due) == 0 {
		return 0, nil
	}
	s.handle(due)
	done, err = s.store.Expire(ctx, due)
	done = min(max(done, 0), len(due))
	if done == 0 && err == nil {
		err = errNoProgress
	}
	r.unsaved = r.unsaved || done > 0
	rest := due[done:]
	if err != nil && len(rest) > 0 && ctx.Err() == nil {
		rest = s.setAside(rest)
	} else if done > 0 {
		r.failures = 0
	}
	s.index.putBack(rest)
	s.handle(nil)
	s.count(func(st *SweeperStats) {
		st.Batches++
		st.Expired += uint64(done)
		st.SetAside = len(r.aside)
	})
	return done, err
}

// setAside notes that rest failed, and takes its first entry out of the way
// when it was that too often, so that one bad record does not hold up all the
// others. A batch's worth may be aside: more means that the store is down.
func (s *Sweeper) setAside(rest []Entry) []Entry {
	r := &s.round
	// A store may fail a batch as a whole: one by one the culprit shows.
	r.singly = s.o.BatchSize
	if !rest[0].is(r.failing) {
		r.failing, r.failures = rest[0], 0
	}
	r.failures++
	if r.failures < maxFailures || len(r.aside) >= s.o.BatchSize {
		return rest
	}
	if len(r.aside) == 0 {
		r.asideEnd = s.clock.Elapsed() + 10*s.o.RetryMax
	}
	if !slices.ContainsFunc(r.aside, rest[0].is) {
		r.aside = append(r.aside, rest[0])
	}
	r.failures = 0
	return rest[1:]
}

// advance moves the progress up to the first entry that is still to be
// handled, at most to the horizon: entries may yet be written above.
func (s *Sweeper) advance() {
	r := &s.round
	to := min(s.Horizon(), s.index.End())
	if next, ok := s.index.Next(); ok {
		to = min(to, next)
	}
	for _, e := range r.aside {
		to = min(to, e.Deadline)
	}
	r.sweptTo = max(r.sweptTo, to)
	s.count(func(st *SweeperStats) { st.SweptTo = r.sweptTo })
}

// fail makes Run keep still for a while after an error of the store.
func (s *Sweeper) fail(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	r := &s.round
	r.retryAt = s.clock.Elapsed() + r.backoff
	r.backoff = min(2*r.backoff, s.o.RetryMax)
	s.report(ctx, "sweeping failed; will retry", err)
}

// report makes an error of the store known, unless it is that of ctx.
func (s *Sweeper) report(ctx context.Context, text string, err error) {
	if ctx.Err() != nil {
		return
	}
	s.count(func(st *SweeperStats) {
		st.Errors++
		st.LastError = err
	})
	s.o.Logger.Warn(text, slog.Any("error", err))
}

// ahead finds out what comes next after a step without an error.
func (s *Sweeper) ahead(now int64, elapsed time.Duration) (more bool, wait time.Duration) {
	r := &s.round
	wait = math.MaxInt64
	if next, ok := s.index.Next(); ok {
		if next <= s.Horizon() {
			return true, s.o.Pause
		}
		wait = fromMillis(next - s.Horizon())
	}
	lead := s.lead()
	if s.index.wantsRefill(now, lead) {
		// The window is cut short by its size, and has room again.
		return s.index.End() <= s.Horizon(), s.o.Pause
	}
	if end := s.index.End(); end-lead > now {
		wait = min(wait, fromMillis(end-lead-now))
	}
	// The wall clock may move without a timer noticing, so never sleep for more than a span.
	until := []time.Duration{wait, fromMillis(s.index.span)}
	if s.o.FullPassEvery > 0 {
		until = append(until, r.fullPassAt-elapsed)
	}
	if s.o.Rescan > 0 {
		until = append(until, r.rescanAt-elapsed)
	}
	if len(r.aside) > 0 {
		until = append(until, r.asideEnd-elapsed)
	}
	if s.saveIsDue(now) {
		until = append(until, r.saveAt-elapsed)
	} else {
		until = append(until, fromMillis(r.seen-now)+seenEvery)
	}
	return false, slices.Min(until)
}
