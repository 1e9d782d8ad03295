// Package encoding decides the bytes that Shelflife stores: keys, product
// records, blob headers and the description of the store.
//
// It is for the module's own packages, and its Go API carries no promise of
// stability; the bytes do, see below. What callers of a catalog need of it has a
// name in package catalog.
//
// # Keys
//
// A key is one byte for its space, then components. A component of variable
// length (an account, a product ID, a meta name) has every 00 byte written as
// 00 FF and ends in 00 01. Keys therefore sort as the tuples of their parts do,
// byte by byte, and no part reaches into the range of another, whatever bytes
// it holds. Parts of fixed width (shards, times, blob IDs, chunk numbers) are
// raw and big endian.
//
//	01 meta     name                                      -> store: description, uses, uses/N: start and parts of the use journal, sweep: progress, sweeper: lease
//	10 product  account, ID                               -> record
//	18 listed   account, ID                               -> listed entry
//	20 blob     account, blob ID (16), number (4)         -> 0: header, 1+i: chunk i, see below
//	30 expiry   shard (1), deadline (8), kind (1), account, ID or blob ID (16) -> expiry entry
//	40, 50, 60  reserved
//
// A deadline has its sign bit inverted, so that its bytes sort as the number does.
//
// # Values
//
// Every value but a chunk is a MessagePack array that any MessagePack decoder
// reads, and begins with a schema number. Within one
// schema a writer may append elements and set flag bits; a reader of the same
// schema that does not know them keeps them and writes them back as they were.
// Whatever such a reader must not ignore takes a new schema number, which makes
// it fail with [ErrNewerSchema]. A part of the use journal is not extended: it
// lives for about half a minute. The entries of the listed and the expiry space,
// the journal's start, the sweeper's progress and the lease are replaced, never rewritten:
// what a newer writer appended to one is ignored, and goes with it.
//
// A flag of a record says that its texts need no escaping in JSON. Whoever encodes a
// record sets it by what it has, so it was there from the first schema on.
//
// A record has a checksum of itself, and its images last, behind everything that
// is read more often and behind what a newer writer appended.
//
// A chunk is bytes of an image, and a checksum of them and of their place
// (CRC32C, four bytes, big endian), so that a part of an image is verified
// without the rest. The hash of the whole stands in the blob's header.
//
// Decoders accept any input: they never panic, never recurse, and allocate no
// more than a small multiple of the input's length.
package encoding
