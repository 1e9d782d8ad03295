package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"
)

// TestArrays compares the bytes with those of pgx.
func TestArrays(t *testing.T) {
	theirs, ours := pgtype.NewMap(), pgtype.NewMap()
	registerArrays(ours)
	for _, c := range []struct {
		oid   uint32
		value any
	}{
		{pgtype.Int4ArrayOID, []int32{}},
		{pgtype.Int4ArrayOID, []int32{0, -1, 1 << 30}},
		{pgtype.Int4ArrayOID, []int32(nil)},
		{pgtype.Int8ArrayOID, []int64{}},
		{pgtype.Int8ArrayOID, []int64{0, -1, 1 << 62}},
		{pgtype.Int8ArrayOID, []int64(nil)},
		{pgtype.Int8ArrayOID, []int32{1, 2}},
		{pgtype.ByteaArrayOID, byteas{}},
		{pgtype.ByteaArrayOID, byteas{{}, {0}, []byte("three")}},
		{pgtype.ByteaArrayOID, byteas{nil, []byte("two")}},
		{pgtype.ByteaArrayOID, byteas(nil)},
		{pgtype.ByteaArrayOID, [][]byte{[]byte("a")}},
	} {
		for _, format := range []int16{pgtype.BinaryFormatCode, pgtype.TextFormatCode} {
			want, err := theirs.Encode(c.oid, format, c.value, []byte("before"))
			require.NoError(t, err)
			got, err := ours.Encode(c.oid, format, c.value, []byte("before"))
			require.NoError(t, err)
			require.Equal(t, want, got, "%d of %T %v", format, c.value, c.value)
		}
	}
}
