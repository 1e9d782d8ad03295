// Package reclaim knows what a store still owes for what was deleted from it:
// the room that it took on the disk, and that nothing of it can be read there
// any more.
//
// An engine of sorted tables deletes by writing: a deletion is one more entry,
// above the one that it hides, and both go when the two meet in a compaction.
// How soon that is depends on what else is written. So deletions are noted in a
// [Ledger], as ranges of keys, and after a while a pass makes them meet.
//
// Room is given back when much was deleted, measured by the store. Erasing has a
// deadline that begins with the first deletion that no pass has dealt with. The
// ledger decides; passes are the engine's business.
package reclaim
