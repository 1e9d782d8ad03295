package backend

import "context"

// A Reclaimer is a Backend in which deleted bytes stay, and take room, for a
// while. It is optional: an engine that has nothing to give back, or can't, does not
// implement it; its own documentation says then how long deleted bytes stay.
type Reclaimer interface {
	// Reclaim gives back the room of what has been deleted, and leaves nothing of
	// it where the engine keeps its data. It returns when that is done, as far as
	// no open snapshot or running scan needs it. Commits go on meanwhile; ending
	// ctx ends it with some of the work done.
	Reclaim(ctx context.Context) error
}

// Reclaim calls b, if it is a Reclaimer, or the one that b decorates: a
// decorator has a method Unwrap that returns what it decorates. Where there is
// none it returns nil, since there is nothing to be done.
func Reclaim(ctx context.Context, b Backend) error {
	r, ok := find[Reclaimer](b)
	if !ok {
		return ctx.Err()
	}
	return r.Reclaim(ctx)
}
