// Package dump moves a catalog from one store to another, whatever the two are
// kept on, if the one that loads it is served by the same version or a later one:
//
//	info, err := dump.Write(ctx, file, from, nil)
//	...
//	info, err = dump.Load(ctx, to, file, nil)
//
// A dump holds every product that lives with all that its record holds: its times,
// its lifetime, whether it is listed, one-shots too, and its version, so that entity
// tags and conditions of clients stay good; and the bytes of every image, equal ones
// once. It doesn't hold what is a store's own: cursors of lists are of one store, and
// a client begins a list again. Staged images that no product has claimed, and
// whatever has expired or was deleted, are left out.
//
// Two dumps of equal catalogs are equal, byte for byte, if one version of this
// package wrote them.
//
// # Format
//
// A dump is a tar archive, compressed by zstd: "tar --zstd -tf" lists it. Its files
// are, in this order:
//
//   - dump.json: the name and the version of the format.
//   - products/NUMBER.SUM.ndjson: products, one a line, in the order of account and
//     ID; SUM is the SHA-256 of the file. A line whose images come with bytes that no
//     line before had is the last of its file.
//   - images/SUM: behind such a file these bytes, in the order of its images.
//   - manifest.json: how many accounts, products and images that were, and the
//     SHA-256 of the names of all files before it, each with a line feed.
//
// A frame that decompression skips ends it: the SHA-256 of all bytes before that
// frame. So any byte that was changed, is missing or was added is found; and what
// Load writes was compared with the sum in its name before.
//
// In a line times are milliseconds since 1970. anchor is when the lifetime of
// validForDays days began; without it a product is kept forever. incarnation and edit
// are what the version is made of. An image has a url, or an upload; one that is new
// comes behind the file, and one that comes again is that of a later product too.
package dump
