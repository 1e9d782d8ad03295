// Package recordcache keeps the encoded records that are read again and again,
// and never returns one that the store has replaced.
//
// # The invariant
//
// What [Cache.Get] returns is what the store has. It rests on three rules, which
// the callers keep:
//
//  1. A writer, which holds the product's scope, calls [Cache.Mark], or
//     [Cache.MarkGone] where it removes the product, before it changes anything:
//     the entry leaves, and no reader fills it from then on.
//     Were the entry taken out after the change, a reader could still get the
//     old record when the new one is visible.
//  2. Once the new record is visible the writer may [Cache.Put] it, and calls
//     [Cache.Unmark] when its Update has ended, whichever way. Were the mark
//     taken back before that, a reader that read the old record could fill it.
//  3. A reader calls [Cache.BeforeRead] before it reads the store, and
//     [Cache.Fill] with the token afterwards. The token holds the epoch of the
//     key's stripe, which each Mark moves on; Fill keeps the record only if
//     the stripe was not marked since, and is not marked now. A reader
//     that took its token after reading could fill what was replaced meanwhile.
//
// A store that takes back what was visible has [Cache.Clear] called, at a moment at
// which no writer is between its Mark and its Put: it ends every token before it
// drops the entries, so that none is filled behind it with what was read before.
//
// So a writer that holds the scope may take an entry in place of a read, as long
// as it has not marked the key itself. All this needs a backend on which no other
// process writes.
//
// # What is let in
//
// A record is let in when it is wanted for the second time in a while. A load
// that never comes back to a product, an import or a walk over a large catalog,
// neither pays for entries nor drives out those of others.
package recordcache
