// Package groupsync has callers that wait for a log to be synced share the syncs.
//
// # Guarantee
//
// A caller that joins a [Group] gets a [Round], which ends with the result of a sync
// that began after the call to [Group.Join]: whatever the caller wrote to the log
// before it joined is on the disk once its round has ended without an error.
//
// # Gathering
//
// One sync is under way at a time, and those who join meanwhile share the next. Left
// to that, callers who write again as soon as they are answered part into two halves
// that never meet: one is synced while the other writes, so that each waits for two
// syncs and each sync is half as large as it could be. So a round awaits those who
// were answered at the end of the one before, for as long as a sync takes, and
// begins when all of them have joined. Where they don't come back in time, rounds
// stop to await anyone, and try again after a number of rounds that doubles with each
// failure.
//
// A caller that is alone is not held up, but for the first time after it was not: then
// those who were there are awaited once.
package groupsync
