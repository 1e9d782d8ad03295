// Package connlimit bounds the connections of an HTTP server, so that no client
// takes them all: neither one address, nor clients without a key, nor clients
// that stand still.
//
// A connection is quiet while no handler runs for it: before its first request
// has been read, and between two. Where several run at once, which HTTP/2 allows,
// each beside the first counts as a connection: a client gains nothing by asking
// for all on one. A connection is unproven until a request on it has been
// authenticated ([Authenticated]). The invariants, at any time:
//
//   - No more than Options.Total connections are open, and Options.Spare beyond;
//     here and below with what counts as one.
//   - No more than three quarters of Options.Total are handlers beside the first ones
//     of their connections.
//   - No more handlers run than Total, and Options.Spare that answer that there is
//     no room: also where they outlive their connections.
//   - No more than Options.Unproven of them are unproven, but for the spare ones.
//   - No more than Options.PerAddress of them come from one address, unless it
//     is exempt.
//
// Besides, a connection of HTTP/2 that sends 64 KiB of header blocks without a
// handler beginning is closed, and one that sends more frames beside requests and
// their bodies than answers give cause for is read later: what is refused or answered
// before any handler begins is metered apart.
//
// A connection that comes when one of these is reached takes the place of the
// one that has been quiet for longest among those that are counted there,
// unproven ones first, and proven ones only when they have been quiet for a second:
// clients open a connection again that was closed while it stood still, and can't
// know what became of a request that met its end. Where none is quiet, the newcomer becomes a spare connection if
// the server is full, and is closed otherwise. A spare connection is for one
// request that is answered at once, such as a health check or the answer that
// the server is full; of these too the quietest goes first.
package connlimit
