// Package deadspans remembers stretches of an account's keys in which no product
// lives, so that a page need not read again what has expired and waits to be
// removed.
//
// # The invariant
//
// Between the ends of a span no product lives, nor will one until a writer has
// marked it. A product that has expired for one reader has expired for all that
// come later, and nothing but an Update that writes its record brings it back: a
// use that comes late is refused (see the package uses). So these rules, which
// the callers keep, are enough:
//
//  1. A writer that leaves a record behind, and holds the product's scope, calls
//     [Spans.Mark] before it changes anything, and [Spans.Unmark] when its Update
//     has ended, whichever way. Mark cuts the key out of the span in which it
//     lies. Were the key cut out after the change, a page could pass by a product
//     whose creation had been acknowledged. An Update that removes records marks
//     nothing: what was dead stays dead.
//  2. A walk calls [Spans.Watch] before it reads what it will keep, and
//     [Watch.Keep] for stretches, from front to back, in which each record that it
//     read since had expired, with its pending use, as of a time that it read
//     before, and no Update that had read an earlier time could renew it.
//     Keep leaves out what is marked, or was since Watch: a record there may have
//     become visible behind the walk. Were the watch begun after the read, a
//     product that was written in between would be in a span.
//  3. What is visible is never taken back while spans are kept. Before a backend
//     does that, as one that is opened anew, [Spans.Reset] is called.
//
// A span says nothing of the past. A walk over a snapshot takes what is [Known]
// before the snapshot is made, and passes by those spans only if nothing was cut
// out of any until the snapshot was there: [Known.Holds].
//
// What is said of products may be said of the listed ones alone: those who keep
// such spans have Spans of their own for them, of which unlisted products that live may
// be in the middle, and mark in both.
//
// All this needs a backend on which no other process writes. Spans are hints: any of
// them may be forgotten at any time, which costs no more than reading what lies
// in it.
package deadspans
