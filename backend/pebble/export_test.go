package pebble

import "time"

// SetTick has a channel drive what otherwise happens each second.
func (o *Options) SetTick(tick <-chan time.Time) { o.tick = tick }
