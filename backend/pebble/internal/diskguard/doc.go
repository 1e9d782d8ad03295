// Package diskguard keeps a failing, a full or a hanging disk from Pebble, which
// would end the process, and from callers, which would be told of a success that
// is none or wait for good.
//
// # A write fails
//
// [FS] stands between Pebble and the file system. It sees the first failed write
// before Pebble does and records it in a [Failure], which is for good. From then
// on Pebble writes to memory. A call that waits for a commit asks the Failure after
// Pebble has reported success.
//
// Where the error [Passes], the store may be opened anew, on another FS, while the
// first is still read. [FS.Freeze] returns when the first leaves the disk alone, and
// a [Keeper] keeps the files that it reads.
//
// # A disk hangs
//
// [Hang] notices that calls which wait for the disk get no answer. It is not for
// good. [Wait] is how long one call waits: for its context, and unless it is
// patient for a hang.
//
// # A file is damaged
//
// Pebble panics on some damage, in goroutines of its own too. FS finds it where
// the file is opened or read, and returns an error, or keeps the goroutine.
//
// # Locks
//
// The once of [Failure], and three leaves: one is held while a log is renamed or
// removed, one while a directory is opened or closed, one by a [Keeper]. The other
// parts are atomics and channels that are closed. So Pebble may call all of it with
// any lock of its own held.
package diskguard
