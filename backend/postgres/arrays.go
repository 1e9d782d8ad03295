package postgres

import (
	"encoding/binary"

	"github.com/jackc/pgx/v5/pgtype"
)

// byteas are a bytea[].
type byteas = pgtype.FlatArray[[]byte]

// registerArrays has a connection's types encode the arrays of a commit at once. pgx would
// encode each element by itself, from a copy of it on the heap: a fifth of what a
// sweep costs its process.
func registerArrays(types *pgtype.Map) {
	for _, oid := range []uint32{pgtype.Int4ArrayOID, pgtype.Int8ArrayOID, pgtype.ByteaArrayOID} {
		if t, ok := types.TypeForOID(oid); ok {
			if codec, ok := t.Codec.(*pgtype.ArrayCodec); ok {
				types.RegisterType(&pgtype.Type{Name: t.Name, OID: oid, Codec: arrayCodec{codec}})
			}
		}
	}
}

// arrayCodec is a codec that knows slices as they are. What they are not, and text,
// are pgx's.
type arrayCodec struct{ *pgtype.ArrayCodec }

// PlanEncode implements [pgtype.Codec].
func (c arrayCodec) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if format == pgtype.BinaryFormatCode {
		element := c.ElementType.OID
		switch value.(type) {
		case []int32:
			if element == pgtype.Int4OID {
				return int4s{}
			}
		case []int64:
			if element == pgtype.Int8OID {
				return int8s{}
			}
		case byteas:
			if element == pgtype.ByteaOID {
				return byteaPlan{}
			}
		}
	}
	return c.ArrayCodec.PlanEncode(m, oid, format, value)
}

// The plans of the slices. A nil slice is NULL, and so is a nil element, as by pgx.
type (
	int4s     struct{}
	int8s     struct{}
	byteaPlan struct{}
)

func (int4s) Encode(value any, buf []byte) ([]byte, error) {
	all := value.([]int32)
	if all == nil {
		return nil, nil
	}
	buf = appendArrayHeader(buf, pgtype.Int4OID, len(all), false)
	for _, n := range all {
		buf = binary.BigEndian.AppendUint32(append(buf, 0, 0, 0, 4), uint32(n))
	}
	return buf, nil
}

func (int8s) Encode(value any, buf []byte) ([]byte, error) {
	all := value.([]int64)
	if all == nil {
		return nil, nil
	}
	buf = appendArrayHeader(buf, pgtype.Int8OID, len(all), false)
	for _, n := range all {
		buf = binary.BigEndian.AppendUint64(append(buf, 0, 0, 0, 8), uint64(n))
	}
	return buf, nil
}

func (byteaPlan) Encode(value any, buf []byte) ([]byte, error) {
	all := value.(byteas)
	if all == nil {
		return nil, nil
	}
	nulls := false
	for _, b := range all {
		nulls = nulls || b == nil
	}
	buf = appendArrayHeader(buf, pgtype.ByteaOID, len(all), nulls)
	for _, b := range all {
		if b == nil {
			buf = append(buf, 0xFF, 0xFF, 0xFF, 0xFF)
			continue
		}
		buf = append(binary.BigEndian.AppendUint32(buf, uint32(len(b))), b...)
	}
	return buf, nil
}

// appendArrayHeader appends what precedes the elements: the number of dimensions,
// whether elements are NULL, their type, and the length and the lower bound of the
// dimension.
func appendArrayHeader(buf []byte, element uint32, length int, nulls bool) []byte {
	head := [...]uint32{1, 0, element, uint32(length), 1}
	if nulls {
		head[1] = 1
	}
	for _, n := range head {
		buf = binary.BigEndian.AppendUint32(buf, n)
	}
	return buf
}
