// Package budget accounts for what requests hold at once of one thing that the
// process has little of: bytes of memory, bytes of a spool.
//
// A [Pool] has a size, which all requests share, and a share, which is the most
// that the requests of one account may hold together. What a request holds is a
// [Hold]. The invariants, at any time:
//
//   - What the holds of all accounts have sums up to no more than the size.
//   - What the holds of one account have sums up to no more than the share.
//   - A hold that waits has nothing, so that no two holds wait for each other.
//   - An account of which no open hold has asked for anything takes no memory, but
//     for a bounded number of places that are kept for the next.
//
// A share smaller than the size is what keeps one account from taking the pool
// from the others. Requests that have no account yet, or none, count as the
// account "".
package budget
