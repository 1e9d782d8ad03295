package ttl

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var epoch = time.Date(2026, 5, 13, 10, 0, 0, 0, time.UTC)

func ExampleManualClock() {
	clock := NewManualClock(time.Date(2026, 5, 13, 10, 0, 0, 0, time.UTC))
	timer := clock.NewTimer(time.Hour)

	clock.Leap(48 * time.Hour) // the wall clock alone: no timer fires
	fmt.Println(clock.Now().Format(time.DateTime), clock.Elapsed(), len(timer.C()))

	clock.Advance(time.Hour)
	fmt.Println(clock.Now().Format(time.DateTime), clock.Elapsed(), len(timer.C()))
	// Output:
	// 2026-05-15 10:00:00 0s 0
	// 2026-05-15 11:00:00 1h0m0s 1
}

func TestManualClock(t *testing.T) {
	c := NewManualClock(epoch)
	require.Equal(t, epoch, c.Now())
	require.Zero(t, c.Elapsed())

	early, late, stopped := c.NewTimer(time.Second), c.NewTimer(2*time.Second), c.NewTimer(time.Second)
	require.Equal(t, 3, c.Timers())
	require.True(t, stopped.Stop())
	require.False(t, stopped.Stop())
	require.Equal(t, 2, c.Timers())

	c.Advance(time.Second - 1)
	require.Empty(t, early.C())
	c.Advance(1)
	require.Equal(t, epoch.Add(time.Second), <-early.C())
	require.False(t, early.Stop(), "it has fired")
	require.Empty(t, late.C())
	require.Empty(t, stopped.C())

	c.Leap(-time.Hour)
	c.Advance(-time.Hour)
	require.Equal(t, epoch.Add(time.Second-time.Hour), c.Now())
	require.Equal(t, time.Second, c.Elapsed())
	c.Set(epoch)
	require.Equal(t, epoch, c.Now())
	require.Empty(t, late.C())

	require.Len(t, c.NewTimer(0).C(), 1, "fires at once")
	require.Equal(t, 1, c.Timers())
}

func TestSystemClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := SystemClock()
		wall, elapsed := c.Now(), c.Elapsed()
		timer := c.NewTimer(time.Minute)
		<-timer.C()
		require.False(t, timer.Stop())
		require.Equal(t, time.Minute, c.Elapsed()-elapsed)
		require.Equal(t, time.Minute, c.Now().Sub(wall))
		require.True(t, c.NewTimer(time.Minute).Stop())
	})
}

func TestMonotone(t *testing.T) {
	c := NewManualClock(epoch.Add(1999 * time.Microsecond))
	m := NewMonotone(c)
	start := epoch.UnixMilli() + 1
	require.Equal(t, start, m.Now(), "cut, not rounded")
	c.Leap(-time.Hour)
	require.Equal(t, start, m.Now(), "stands still")
	c.Leap(time.Hour + time.Millisecond)
	require.Equal(t, start+1, m.Now())
	c.Leap(-time.Second)
	require.Equal(t, start+1, m.Now())
}

func TestMonotoneBefore1970(t *testing.T) {
	c := NewManualClock(time.UnixMilli(-5))
	m := NewMonotone(c)
	require.EqualValues(t, 1, m.Now())
	c.Leap(6 * time.Millisecond)
	require.EqualValues(t, 1, m.Now())
	c.Leap(time.Millisecond)
	require.EqualValues(t, 2, m.Now())
}

func TestMonotoneConcurrent(t *testing.T) {
	c := NewManualClock(epoch)
	m := NewMonotone(c)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			last := m.Now()
			for range 2000 {
				now := m.Now()
				if now < last {
					t.Errorf("%d after %d", now, last)
					return
				}
				last = now
			}
		})
	}
	for i := range 2000 {
		c.Leap(time.Duration(i%7-3) * time.Second)
	}
	readers.Wait()
}

func TestLeapWatch(t *testing.T) {
	const tolerance = 10 * time.Second
	c := NewManualClock(epoch)
	w := newLeapWatch(c, tolerance)
	for _, step := range []struct {
		name          string
		advance, leap time.Duration
		want          time.Duration
	}{
		{"nothing", 0, 0, 0},
		{"a long sleep", 100 * time.Hour, 0, 0},
		{"within the tolerance", time.Hour, tolerance, 0},
		{"and again", time.Hour, tolerance, 0},
		{"beyond it", time.Hour, tolerance + time.Millisecond, tolerance + time.Millisecond},
		{"reported once", time.Hour, 0, 0},
		{"back", time.Hour, -48 * time.Hour, 0},
		{"forth", time.Hour, 48 * time.Hour, 48 * time.Hour},
		{"five years", 0, 5 * 365 * 24 * time.Hour, 5 * 365 * 24 * time.Hour},
	} {
		c.Advance(step.advance)
		c.Leap(step.leap)
		wall, elapsed, leap := w.observe()
		require.Equal(t, step.want, leap, step.name)
		require.Equal(t, c.Now().UnixMilli(), wall)
		require.Equal(t, c.Elapsed(), elapsed)
	}

	c.Set(time.UnixMilli(1 << 61))
	_, _, leap := w.observe()
	require.Positive(t, leap, "saturates")
	c.Set(epoch)
	_, _, leap = w.observe()
	require.Zero(t, leap)
}

func BenchmarkMonotoneNow(b *testing.B) {
	m := NewMonotone(SystemClock())
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Now()
		}
	})
}
