// Package uses makes the use of a product durable without writing the product.
//
// A use moves a product's deadline, and must cost next to nothing. So it is
// noted in memory, in an [Overlay] that readers put on top of the records; a
// [Folder] writes it to a journal within Config.Window, which makes it durable,
// and into the product's record in the long run. [Renewals] guard the other
// side of the same promise: no caller is told that a product has expired which
// an Update at work is about to renew.
//
// # A use, step by step
//
//  1. The caller sees that uses may wait: the store has no other writer, takes
//     writes, and [Folder.Stuck] is false. Otherwise the use is an Update of its
//     own, which is called durable below.
//  2. It reads the clock, and then [Renewals.Possible]: an Update at work may be
//     about to give the product another deadline, of which the use would not know:
//     durable.
//  3. It takes [Overlay.Get], then the record, and waits until what it read is
//     durable: no answer rests on what a crash can take back.
//  4. The deadline in the record, without the overlay's use, must be further away
//     than a margin of several windows: else a crash could take the use and with
//     it the product: durable.
//  5. [Overlay.Add], under the stripe's lock, counts the entry, and only then reads
//     the clock again. Past the record's deadline, in a full overlay, or where a
//     use of an earlier product with the ID is still there, it reports false:
//     durable. Otherwise it notes the use.
//  6. [Folder.Wake] has it written in time. The use is acknowledged.
//
// # A use that reads nothing
//
// Add keeps in the entry the [Lifetime] that the record of step 3 has, so that a
// further use for which nothing else is wanted need not read it: [Overlay.Renew]
// takes the place of steps 3 to 5. What it keeps is what the record cache would,
// by the same rules (see package recordcache):
//
//   - A writer, which holds the product's scope, calls [Overlay.Mark] before it
//     changes anything: the lifetime is forgotten, and none is kept until
//     [Overlay.Unmark], when its Update has ended, whichever way.
//   - A use takes a [Token] by [Overlay.BeforeRead] before it reads, and the
//     lifetime is kept only if the stripe was not marked since, and is not now.
//   - It is kept when the use has waited until what it read is durable (step 3), so
//     that a use which takes it from here waits for nothing.
//   - A store that takes back what was visible has [Overlay.Forget] called.
//
// It is the record's, so that the margin of step 4 is judged by the deadline that a
// crash would leave. What the journal brings back has none. Steps 1 and 2 are the
// same, and the Folder is awake for as long as there is an entry.
//
// # A reader
//
// reads the clock, then the overlay, then the record; each order has its reason.
//
//   - Clock before overlay: a use that the reader does not find took its time
//     after the reader did (step 5). So if the reader finds the product expired,
//     the use was late and is refused: a product that a reader saw expire stays
//     expired.
//   - Overlay before record: an entry leaves only when the record shows it,
//     visibly and durably. Read the other way round, the record could be older
//     than the fold and the overlay younger than the pruning: the use would be
//     missing in both.
//   - What has expired by both is looked at again if [Renewals.Possible]: an
//     Update that read the clock before the deadline may become visible after it.
//
// A scan reads records as they were when it began, so the overlay keeps for it
// what was folded since: [Overlay.Pin].
//
// # The way to the record
//
//  1. At each half window, and each 15 seconds at least, the Folder takes the uses
//     that are not in the journal ([Overlay] marks them fresh) and writes them
//     there, durably. Where that fails they are put back. Parts of the journal have
//     ascending numbers.
//  2. Where the journal has become large because the same products were used again
//     and again, every use that the records don't show is written to it once more,
//     durably, and only then what was there before is removed: in between a crash
//     finds such a use twice.
//  3. A fold begins when no use came for some windows, when uses waited long, when
//     the journal is large all the same or the overlay is three quarters full. It
//     notes the end of the journal and takes every use that the records don't show.
//     What comes later is in later parts.
//  4. Config.Fold writes them into the records in small Updates that other writers
//     interleave with, durably. Only then do the entries say which use the record
//     shows; one that has got a newer one meanwhile is not folded by that.
//  5. When all are folded the parts up to the noted end are removed: not before,
//     or a crash would find a use in neither. A crash before it finds them in both,
//     which is harmless: uses are merged by max.
//  6. Folded entries leave at the end of the next fold, unless a pinned scan needs
//     them.
//
// [Folder.Open] puts what a crash left in the journal back into the overlay,
// before the first read. [Folder.Finish] folds everything.
//
// # Invariants
//
//   - A use that was acknowledged is in the overlay or in the record, at every
//     instant, for every reader.
//   - Within Config.Window of its acknowledgement it is in the journal or in the
//     record, durably; before it, if the record's deadline is near. Where the store
//     stops taking writes, that holds for no use that waits; [Folder.Stuck] keeps
//     further ones from waiting.
//   - A use belongs to one incarnation of a product. It never brings back a
//     product that was seen to expire, nor one that was deleted.
//   - Stored times never go back.
//
// # Locks
//
// Overlay.roundMu before a stripe's lock; nothing is locked under a stripe's, but
// the clock is read. The Folder's fields belong to the goroutine of [Folder.Run], and to Open and Finish
// while that does not run.
package uses
