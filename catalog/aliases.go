package catalog

import (
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// Packages encoding and ttl are for the module's own packages and carry no promise
// of stability. These are the names of theirs that callers of a catalog need.

// ErrNewerSchema says that a newer version of the library wrote what was to be
// read. Open fails with it, before it changes anything, where the whole store is
// too new.
var ErrNewerSchema = encoding.ErrNewerSchema

// AccountPartition keeps what belongs to an account in one part of a store that
// has several: see postgres.Options.Partition.
type AccountPartition = encoding.AccountPartition

// SweepResult is what [Catalog.Sweep] did.
type SweepResult = ttl.SweepResult
