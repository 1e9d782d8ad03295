// Package ttl finds what is due and has it removed, in time order, without
// polling and without holding every deadline in memory.
//
// A [Source] keeps all entries in order of their deadlines. An [Index] holds
// those of the near future, a window that is refilled from the Source as time
// goes on. A [Sweeper] sleeps until the next of them is due and hands it to a
// [Store] in bounded batches. All three read time from one [Clock].
//
// The index is a hint: nothing is decided from it. It may hold entries that no
// longer stand for anything, and the Store drops them when they come due. What
// it never does is lack an entry below its end that the Source has, as long as
// its owner calls [Index.Add] for every entry that it writes.
//
// The clocks are part of the API of package catalog, and as stable as that. All
// else is for the module's own packages and carries no promise of stability.
package ttl
