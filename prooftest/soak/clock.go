package main

import (
	"time"

	"github.com/shelflife-db/shelflife/ttl"
)

// speed is how much faster the catalog's time runs: a day is 17 seconds.
const speed = 5000

// fastClock is the system's clock run faster, from the instant at which it was
// made.
type fastClock struct {
	system ttl.Clock
	start  time.Time
}

var _ ttl.Clock = fastClock{}

func newFastClock() fastClock {
	system := ttl.SystemClock()
	return fastClock{system, system.Now()}
}

func (c fastClock) Now() time.Time         { return c.start.Add(c.Elapsed()) }
func (c fastClock) Elapsed() time.Duration { return c.system.Elapsed() * speed }
func (c fastClock) NewTimer(d time.Duration) ttl.Timer {
	return c.system.NewTimer(d / speed)
}
