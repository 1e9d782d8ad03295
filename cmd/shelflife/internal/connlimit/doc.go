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
//   - No more handlers run than that, and Options.Spare that answer that there is
//     no room: also where they outlive their connections.
//   - No more than Options.Unproven of them are unproven, but for the spare ones.
//   - No more than Options.PerAddress of them come from one address, unless it
//     is exempt.
//
// A connection that comes when one of these is reached takes the place of the
// one that has been quiet for longest among those that are counted there,
// unproven ones first: clients open a connection again that was closed between
// two requests. Where none is quiet, the newcomer becomes a spare connection if
// the server is full, and is closed otherwise. A spare connection is for one
// request that is answered at once, such as a health check or the answer that
// the server is full; of these too the quietest goes first.
package connlimit
