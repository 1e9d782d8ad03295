package backend

// A Healer is a Backend that recovers by itself, while it is open, from a failure
// after which nothing more could be written: a disk that was full, say, and has
// room again. It is optional: an engine that never loses a commit while it is open
// does not implement it.
//
// Healing is like a crash, as far as the store goes. Afterwards it holds the
// effect of the first n commits, whole, for some n that is not smaller than what
// was promised: what was visible and not durable may be gone. The time from one
// healing to the next is a generation.
//
// # What the engine guarantees
//
//  1. From the failure on, and until it has healed, an Update fails: with
//     [ErrUnknownOutcome] where its commit was visible and not known to be
//     durable, else with [ErrUnavailable], which does not match [ErrStopped].
//     Reads may go on. While the engine is at work on healing, calls may wait for
//     that as they would for a store that does not answer.
//  2. When it has healed, and before it admits any call to the new generation, it
//     calls the functions of OnHeal. No Update of an earlier generation is running
//     then: all of its OnVisible functions that will ever be called have returned.
//     A read of an earlier generation may still be running.
//  3. Generation has the new number before these functions are called. So a caller that
//     finds the same number before a call and inside a later one, such as the
//     callback of an Update, knows that nothing was taken back in between.
//  4. Scans and snapshots that began in an earlier generation end with
//     ErrUnavailable at their next step, if not before.
//  5. The nil of Durable is about the generation in which it was called. What was
//     read, or committed as Buffered, in an earlier one may be gone all the same.
//
// # What the caller owes
//
// It drops everything in its memory that rests on commits which it does not
// know to be durable. It takes the generation before it reads, or commits as
// Buffered, what it will call Durable for, and compares it afterwards: where it
// has changed, nothing is known.
//
// # What an implementer minds
//
// Positions in the log, by which Durable knows what is durable, begin anew with
// each generation: an old position, compared with the new log, would make a lost
// commit look durable. The store that is healed is the
// one that was opened: an engine that can't be sure of that stays as it is.
type Healer interface {
	// Generation returns how often the engine has healed since it was opened.
	Generation() uint64
	// OnHeal has fn called each time, with the new generation; see Healer. It
	// must be quick and must not call the engine, Generation excepted.
	OnHeal(fn func(generation uint64))
}

// Generation returns the generation of b, if it is a Healer, or of the one that
// b decorates: a decorator has a method Unwrap that returns what it decorates.
// It is 0 where there is none.
func Generation(b Backend) uint64 {
	if h, ok := find[Healer](b); ok {
		return h.Generation()
	}
	return 0
}

// OnHeal has fn called whenever b has healed, if it is a Healer, or the one
// that b decorates. Where there is none it does nothing.
func OnHeal(b Backend, fn func(generation uint64)) {
	if h, ok := find[Healer](b); ok {
		h.OnHeal(fn)
	}
}
