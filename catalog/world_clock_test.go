package catalog_test

import (
	"time"

	"github.com/shelflife-db/shelflife/ttl"
)

// skews are what the wall clocks of the processes that share a store are off by.
var skews = []time.Duration{6 * time.Hour, -31 * 24 * time.Hour}

// skewedClock is a clock whose wall clock is wrong.
type skewedClock struct {
	ttl.Clock
	skew time.Duration
}

func (c skewedClock) Now() time.Time { return c.Clock.Now().Add(c.skew) }
