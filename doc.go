// Package shelflife is the root of a storage engine for product catalogs. It
// holds no code: begin with one of the packages below.
//
//   - [github.com/shelflife-db/shelflife/catalog] is the library: products of
//     accounts, with images, metadata and a lifetime between uses.
//   - [github.com/shelflife-db/shelflife/backend/pebble] keeps a catalog in a
//     folder, [github.com/shelflife-db/shelflife/backend/postgres] in a database
//     that several processes share, and
//     [github.com/shelflife-db/shelflife/backend/memory] in memory, for tests.
//   - [github.com/shelflife-db/shelflife/httpadapter] serves a catalog over HTTP,
//     and [github.com/shelflife-db/shelflife/httpadapter/dashboard] as pages;
//     [github.com/shelflife-db/shelflife/httpadapter/client] is its client.
//   - [github.com/shelflife-db/shelflife/backend] is the contract of an engine, for
//     a backend of your own.
//
// The programs in examples show an embedding, a service with an endpoint of its
// own, two processes on one database, and an importer. The command is cmd/shelflife. README.md
// says what it is for, docs/contract.md what callers may rely on.
package shelflife
