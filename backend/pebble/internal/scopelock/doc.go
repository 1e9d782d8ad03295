// Package scopelock gives Updates isolation by locks on what their scopes hash
// to, and knows how far the log must be on the disk for what they can have read.
//
// # Isolation
//
// A [Table] has a fixed number of stripes, some for groups and some for items.
// An Update of a whole group locks the stripe of the group exclusively, one of
// an item shares it and locks the stripe of the item. Two scopes that share a
// stripe by accident wait for each other and are otherwise unaffected. Waiting
// is first come, first served.
//
// # Positions
//
// A stripe remembers the position in the log of the last commit under it, so
// that a caller which has read something knows what must be durable before
// anything is concluded from it. With the lock held that is [Table.Last]; without it
// [Table.Visible], which also sees that a commit is on its way.
//
// # Locks and their order
//
// [Table.Acquire] takes the stripes of groups first, then those of items, each
// kind by rising index and none twice: two Updates can't wait for each other.
// Below them lies the mutex of each lock, held for a few instructions, under
// which nothing else is taken. The package knows neither the disk nor contexts:
// how long to wait is the caller's, see [Waiter].
package scopelock
