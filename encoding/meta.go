package encoding

// StoreMetaName is the name of the meta entry that holds the [StoreMeta].
const StoreMetaName = "store"

// StoreMeta describes a store. It is written once, when the store is created,
// and again only when a newer version raises its schemas or when the store is
// restored. It keeps what a newer writer added to it, so change a copy of the
// decoded one instead of building another.
type StoreMeta struct {
	StoreID   [16]byte // random
	CreatedAt int64    // Unix milliseconds
	Schema    int      // of the version that wrote it
	MinReader int      // the least schema that may read the store
	MinWriter int      // the least schema that may write to it
	Shards    int      // the count for Shard; fixed when the store is created

	// Epoch is random and not 0. Whatever brings back an earlier state of the
	// store draws another, so that a reader of its changes sees that time went
	// back.
	Epoch uint64
	// Secret is what the store signs with: random, for as long as the store
	// lives. It is copied with the store and never shown.
	Secret Secret
	// Partition is the function by which the keyspace is placed in Parts parts,
	// fixed when the store is created.
	Partition Partition
	Parts     int

	extra []byte // the elements that this version does not know
}

// Compatible returns nil if this version may read and write the store, else an
// error that matches [ErrNewerSchema]: a [*SchemaError] or a [*PartitionError].
func (m StoreMeta) Compatible() error {
	return m.supports(max(m.MinReader, m.MinWriter))
}

// Readable is Compatible for a version that reads the store, and might not write
// to it.
func (m StoreMeta) Readable() error { return m.supports(m.MinReader) }

func (m StoreMeta) supports(schema int) error {
	switch {
	case schema > Schema:
		return &SchemaError{Found: schema, Supported: Schema}
	case m.Partition > partitionNewest:
		return &PartitionError{Found: m.Partition}
	}
	return nil
}

// AppendStoreMeta appends the encoding of m to dst.
func AppendStoreMeta(dst []byte, m *StoreMeta) []byte {
	return appendArray(dst, m.extra, m.Schema, m.MinReader, m.MinWriter, m.CreatedAt, m.StoreID[:], m.Shards,
		m.Epoch, m.Secret[:], int(m.Partition), m.Parts)
}

// DecodeStoreMeta sets *m to the description in data, whatever it held before.
// It shares no memory with data. It reads one of any schema: what it decodes
// here stays the same in all of them, and [StoreMeta.Compatible] reports whether
// the rest may be read. It fails with [ErrCorrupt]; *m is then as it was.
func DecodeStoreMeta(data []byte, m *StoreMeta) error {
	const kind = "store meta"
	var (
		d          StoreMeta
		id, secret []byte
		partition  int
		err        error
	)
	d.extra, err = decodeArray(data, kind, &d.Schema, &d.MinReader, &d.MinWriter, &d.CreatedAt, &id, &d.Shards,
		&d.Epoch, &secret, &partition, &d.Parts)
	d.Partition = Partition(partition)
	switch {
	case err != nil:
		return err
	case d.Schema < 1 || d.MinReader < 1 || d.MinWriter < 1:
		return corrupt(kind, "schema")
	case len(id) != len(d.StoreID):
		return corrupt(kind, "store ID")
	case d.Shards < 1 || d.Shards > MaxShards:
		return corrupt(kind, "shards")
	case d.Epoch == 0:
		return corrupt(kind, "epoch")
	case len(secret) != len(d.Secret) || Secret(secret) == Secret{}:
		return corrupt(kind, "secret")
	case d.Partition < 0 || d.Parts < 0 || d.Parts > MaxParts || (d.Partition == PartitionNone) != (d.Parts == 0):
		return corrupt(kind, "partition")
	}
	d.StoreID, d.Secret = [16]byte(id), Secret(secret)
	*m = d
	return nil
}
