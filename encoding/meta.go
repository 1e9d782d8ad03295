package encoding

// StoreMetaName is the name of the meta entry that holds the [StoreMeta].
const StoreMetaName = "store"

// StoreMeta describes a store. It is written once, when the store is created,
// and again only when a newer version raises its schemas. It keeps what a newer
// writer added to it, so change a copy of the decoded one instead of building
// another.
type StoreMeta struct {
	StoreID   [16]byte // random
	CreatedAt int64    // Unix milliseconds
	Schema    int      // of the version that wrote it
	MinReader int      // the least schema that may read the store
	MinWriter int      // the least schema that may write to it
	Shards    int      // the count for Shard; fixed when the store is created

	extra []byte // the elements that this version does not know
}

// Compatible returns nil if this version may read and write the store, else a
// [*SchemaError].
func (m StoreMeta) Compatible() error {
	if need := max(m.MinReader, m.MinWriter); need > Schema {
		return &SchemaError{Found: need, Supported: Schema}
	}
	return nil
}

// Readable returns nil if this version may read the store, though it might not
// write to it, else a [*SchemaError].
func (m StoreMeta) Readable() error {
	if m.MinReader > Schema {
		return &SchemaError{Found: m.MinReader, Supported: Schema}
	}
	return nil
}

// AppendStoreMeta appends the encoding of m to dst.
func AppendStoreMeta(dst []byte, m *StoreMeta) []byte {
	return appendArray(dst, m.extra, m.Schema, m.MinReader, m.MinWriter, m.CreatedAt, m.StoreID[:], m.Shards)
}

// DecodeStoreMeta sets *m to the description in data, whatever it held before.
// It shares no memory with data. It reads one of any schema: what it decodes
// here stays the same in all of them, and [StoreMeta.Compatible] reports whether
// the rest may be read. It fails with [ErrCorrupt]; *m is then as it was.
func DecodeStoreMeta(data []byte, m *StoreMeta) error {
	const kind = "store meta"
	var (
		d   StoreMeta
		id  []byte
		err error
	)
	d.extra, err = decodeArray(data, kind, &d.Schema, &d.MinReader, &d.MinWriter, &d.CreatedAt, &id, &d.Shards)
	switch {
	case err != nil:
		return err
	case d.Schema < 1 || d.MinReader < 1 || d.MinWriter < 1:
		return corrupt(kind, "schema")
	case len(id) != len(d.StoreID):
		return corrupt(kind, "store ID")
	case d.Shards < 1 || d.Shards > MaxShards:
		return corrupt(kind, "shards")
	}
	d.StoreID = [16]byte(id)
	*m = d
	return nil
}
