package encoding

// AppendListedValue appends the value of a listed entry, which says nothing but
// its schema.
func AppendListedValue(dst []byte) []byte {
	return appendInt(appendArrayLen(dst, 1), Schema)
}

// CheckListedValue returns nil if data is the value of a listed entry that this
// version understands. It fails with [ErrCorrupt] or [ErrNewerSchema].
func CheckListedValue(data []byte) error {
	_, err := decodeEntry(data, "listed entry", 0)
	return err
}

// ExpiryFlags are what an expiry entry says of a product, so that it may be
// removed without its record having been read: a writer of the record keeps
// them. A version that does not know a flag reads the record: see
// [ExpiryFlags.MustRead].
type ExpiryFlags uint32

const (
	// ExpiryRenewed: the deadline has moved, and the entry has not.
	ExpiryRenewed ExpiryFlags = 1 << 0
	// ExpiryUploads: the product owns blobs, which become garbage with it.
	ExpiryUploads ExpiryFlags = 1 << 1
	// ExpiryUnlisted: the product is in no list, and has no listed entry. It says
	// what there is to remove, and asks for no read.
	ExpiryUnlisted ExpiryFlags = 1 << 3

	// expiryKnown are the flags that this version writes. 1 << 2 is not used again:
	// before there was a version 1 it said that the others were not kept.
	expiryKnown = ExpiryRenewed | ExpiryUploads | ExpiryUnlisted
)

// MustRead reports whether the record must be read before the product may be
// removed: where a flag is set, known or not, that does not say what there is to
// remove.
func (f ExpiryFlags) MustRead() bool { return f&^ExpiryUnlisted != 0 }

// HasDeadline reports whether the product expires at the deadline of the entry. A
// flag that is not known may say that it does not.
func (f ExpiryFlags) HasDeadline() bool { return f&^(ExpiryUploads|ExpiryUnlisted) == 0 }

// Known reports whether every flag that is set is one that this version writes.
func (f ExpiryFlags) Known() bool { return f&^expiryKnown == 0 }

// An ExpiryValue is the value of an expiry entry.
type ExpiryValue struct {
	Flags ExpiryFlags
	// RecordSize is the length of the record when the entry was written, in
	// bytes; 0 = not known. It is a hint, which is replaced when the record's has
	// become of another order: one more or less of its binary digits.
	RecordSize uint32
}

// expiryElements counts the elements behind the schema.
const expiryElements = 2

// AppendExpiryValue appends the encoding of v.
func AppendExpiryValue(dst []byte, v ExpiryValue) []byte {
	dst = appendInt(appendArrayLen(dst, 1+expiryElements), Schema)
	dst = appendInt(dst, int64(v.Flags))
	return appendInt(dst, int64(v.RecordSize))
}

// DecodeExpiryValue returns the value in data. It fails with [ErrCorrupt] or
// [ErrNewerSchema].
func DecodeExpiryValue(data []byte) (ExpiryValue, error) {
	const kind = "expiry entry"
	if n := len(data); n == 6 && data[3] == codeUint16 && data[0] == codeFixArray|(1+expiryElements) && data[1] == Schema && data[2] < 0x80 {
		// As this version writes that of most records, in a fraction of the time.
		return ExpiryValue{ExpiryFlags(data[2]), uint32(data[4])<<8 | uint32(data[5])}, nil
	}
	values, err := decodeEntry(data, kind, expiryElements)
	if err != nil {
		return ExpiryValue{}, err
	}
	v := ExpiryValue{ExpiryFlags(values[0]), uint32(values[1])}
	if int64(v.Flags) != values[0] || int64(v.RecordSize) != values[1] {
		return ExpiryValue{}, corrupt(kind, "flags or size")
	}
	return v, nil
}

// PeekExpiryFlags is DecodeExpiryValue of the flags, in a fraction of the time.
func PeekExpiryFlags(data []byte) (ExpiryFlags, error) {
	if len(data) > 3 && data[0] == codeFixArray|(1+expiryElements) && data[1] == Schema && data[2] < 0x80 {
		return ExpiryFlags(data[2]), nil // a positive fixint, as this version writes it
	}
	v, err := DecodeExpiryValue(data)
	return v.Flags, err
}

// decodeEntry decodes an array of a schema and so many integers, and passes by
// what a newer writer has appended: entries are not rewritten, but replaced.
func decodeEntry(data []byte, kind string, integers int) (values [expiryElements]int64, err error) {
	if err := checkSchema(data, kind); err != nil {
		return values, err
	}
	in := reader{data: data}
	n := in.arrayLen("array") - 1
	in.smallInt("schema")
	if n < integers {
		return values, corrupt(kind, "number of elements")
	}
	for i := range integers {
		values[i] = in.int("integer")
	}
	in.elements(n-integers, "unknown elements")
	if in.bad == "" && in.left() != 0 {
		in.fail("bytes after the end")
	}
	if in.bad != "" {
		return values, corrupt(kind, in.bad)
	}
	return values, nil
}
