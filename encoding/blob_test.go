package encoding

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
)

func TestBlobHeaderRoundTrip(t *testing.T) {
	garbage := ownedHeader()
	garbage.State, garbage.Deadline, garbage.Chunks, garbage.Size = BlobGarbage, math.MaxInt64, math.MaxUint32, math.MaxInt64
	garbage.Incarnation, garbage.Owner = math.MaxUint64, "\x00\xff"
	for _, want := range []*BlobHeader{stagedHeader(), ownedHeader(), garbage} {
		data := AppendBlobHeader([]byte("x"), want)[1:]
		got := *ownedHeader()
		require.NoError(t, DecodeBlobHeader(data, &got))
		require.Equal(t, *want, got)
	}
}

func TestBlobHeaderKeepsUnknownElements(t *testing.T) {
	raw, count := newerElements(t)
	newer := ownedHeader()
	newer.extra = slices.Clone(raw)
	data := AppendBlobHeader(nil, newer)
	require.Len(t, genericArray(t, data), 12+count)
	var got BlobHeader
	require.NoError(t, DecodeBlobHeader(data, &got))
	require.Equal(t, data, AppendBlobHeader(nil, &got))

	clear(data)
	got.State = BlobGarbage
	var again BlobHeader
	require.NoError(t, DecodeBlobHeader(AppendBlobHeader(nil, &got), &again))
	require.Equal(t, raw, again.extra)
}

func TestDecodeBlobHeaderRefusesDamage(t *testing.T) {
	good := AppendBlobHeader(nil, ownedHeader())
	for n := range good {
		require.ErrorIs(t, DecodeBlobHeader(good[:n], new(BlobHeader)), ErrCorrupt, "cut to %d", n)
	}
	require.ErrorIs(t, DecodeBlobHeader(append(slices.Clone(good), 0), new(BlobHeader)), ErrCorrupt)

	hash := make([]byte, 32)
	for name, values := range map[string][]any{
		"no elements":       {},
		"schema 0":          {0, 2, "p", 1, -1, 1, 1, 1, hash, "k", 1, 1},
		"state 0":           {1, 0, "p", 1, -1, 1, 1, 1, hash, "k", 1, 1},
		"state 4":           {1, 4, "p", 1, -1, 1, 1, 1, hash, "k", 1, 1},
		"state 256+2":       {1, 258, "p", 1, -1, 1, 1, 1, hash, "k", 1, 1},
		"owner of a number": {1, 2, 5, 1, -1, 1, 1, 1, hash, "k", 1, 1},
		"negative size":     {1, 2, "p", 1, -1, -1, 1, 1, hash, "k", 1, 1},
		"negative chunk":    {1, 2, "p", 1, -1, 1, -1, 1, hash, "k", 1, 1},
		"too many chunks":   {1, 2, "p", 1, -1, 1, 1, uint64(1) << 32, hash, "k", 1, 1},
		"short hash":        {1, 2, "p", 1, -1, 1, 1, 1, hash[1:], "k", 1, 1},
		"hash of nil":       {1, 2, "p", 1, -1, 1, 1, 1, nil, "k", 1, 1},
		"negative width":    {1, 2, "p", 1, -1, 1, 1, 1, hash, "k", -1, 1},
		"negative height":   {1, 2, "p", 1, -1, 1, 1, 1, hash, "k", 1, -1},
		"eleven elements":   {1, 2, "p", 1, -1, 1, 1, 1, hash, "k", 1},
	} {
		data, err := msgpack.Marshal(values)
		require.NoError(t, err)
		into := *stagedHeader()
		require.ErrorIs(t, DecodeBlobHeader(data, &into), ErrCorrupt, name)
		require.Equal(t, *stagedHeader(), into, name)
	}
}

func TestDecodeBlobHeaderOfNewerSchema(t *testing.T) {
	data, err := msgpack.Marshal([]any{Schema + 1, "another form"})
	require.NoError(t, err)
	err = DecodeBlobHeader(data, new(BlobHeader))
	require.ErrorIs(t, err, ErrNewerSchema)
	require.NotErrorIs(t, err, ErrCorrupt)
}
