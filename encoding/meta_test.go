package encoding

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
)

func TestStoreMetaRoundTrip(t *testing.T) {
	other := sampleMeta()
	other.CreatedAt, other.Schema, other.MinReader, other.MinWriter, other.Shards = None, 1000, 3, 70000, MaxShards
	whole := sampleMeta()
	whole.Partition, whole.Parts = PartitionNone, 0
	for _, want := range []*StoreMeta{sampleMeta(), other, whole} {
		got := *sampleMeta()
		require.NoError(t, DecodeStoreMeta(AppendStoreMeta([]byte("x"), want)[1:], &got))
		require.Equal(t, *want, got)
	}
}

func TestStoreMetaKeepsUnknownElements(t *testing.T) {
	raw, count := newerElements(t)
	newer := sampleMeta()
	newer.extra = raw
	data := AppendStoreMeta(nil, newer)
	require.Len(t, genericArray(t, data), 10+count)
	var got StoreMeta
	require.NoError(t, DecodeStoreMeta(data, &got))
	require.Equal(t, data, AppendStoreMeta(nil, &got))
}

func TestStoreMetaCompatible(t *testing.T) {
	for _, c := range []struct{ schema, minReader, minWriter, need int }{
		{Schema, 1, 1, 0},
		{Schema + 5, 1, 1, 0},
		{Schema + 5, Schema, Schema, 0},
		{Schema + 5, 1, Schema + 1, Schema + 1},
		{Schema + 5, Schema + 2, 1, Schema + 2},
		{Schema + 5, Schema + 2, Schema + 3, Schema + 3},
	} {
		m := StoreMeta{Schema: c.schema, MinReader: c.minReader, MinWriter: c.minWriter}
		err := m.Compatible()
		if c.need == 0 {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, ErrNewerSchema)
		var schema *SchemaError
		require.ErrorAs(t, err, &schema)
		require.Equal(t, SchemaError{Found: c.need, Supported: Schema}, *schema)
	}
}

// A store that is placed by a function of a newer version is neither read nor
// written, and not taken for damaged.
func TestStoreMetaOfUnknownPartition(t *testing.T) {
	m := sampleMeta()
	m.Partition = partitionNewest + 1
	require.NoError(t, DecodeStoreMeta(AppendStoreMeta(nil, m), m))
	for _, err := range []error{m.Compatible(), m.Readable()} {
		require.ErrorIs(t, err, ErrNewerSchema)
		require.NotErrorIs(t, err, ErrCorrupt)
		var partition *PartitionError
		require.ErrorAs(t, err, &partition)
		require.Equal(t, partitionNewest+1, partition.Found)
		require.ErrorContains(t, err, "partition function 2")
	}
	m.Partition = partitionNewest
	require.NoError(t, m.Compatible())
}

func TestPartitionNamed(t *testing.T) {
	for name, want := range map[string]Partition{"": PartitionNone, AccountPartition{}.Name(): PartitionAccount} {
		got, ok := PartitionNamed(name)
		require.True(t, ok, name)
		require.Equal(t, want, got, name)
	}
	_, ok := PartitionNamed("none")
	require.False(t, ok)
}

func TestDecodeStoreMetaRefusesDamage(t *testing.T) {
	good := AppendStoreMeta(nil, sampleMeta())
	for n := range good {
		require.ErrorIs(t, DecodeStoreMeta(good[:n], new(StoreMeta)), ErrCorrupt, "cut to %d", n)
	}
	require.ErrorIs(t, DecodeStoreMeta(append(slices.Clone(good), 0), new(StoreMeta)), ErrCorrupt)

	id, secret := make([]byte, 16), sampleMeta().Secret
	sound := []any{1, 1, 1, 5, id, 1, 7, secret[:], 1, 2}
	data, err := msgpack.Marshal(sound)
	require.NoError(t, err)
	require.NoError(t, DecodeStoreMeta(data, new(StoreMeta)))
	with := func(i int, v any) []any {
		values := slices.Clone(sound)
		values[i] = v
		return values
	}
	for name, values := range map[string][]any{
		"schema 0":              with(0, 0),
		"reader 0":              with(1, 0),
		"writer 0":              with(2, 0),
		"a string":              with(3, "x"),
		"short store ID":        with(4, id[1:]),
		"no shards":             with(5, 0),
		"many shards":           with(5, MaxShards+1),
		"no epoch":              with(6, 0),
		"short secret":          with(7, secret[1:]),
		"no secret":             with(7, nil),
		"secret of zeros":       with(7, make([]byte, 32)),
		"negative partition":    with(8, -1),
		"parts of no partition": with(8, 0),
		"no parts":              with(9, 0),
		"negative parts":        with(9, -2),
		"many parts":            with(9, MaxParts+1),
		"nine elements":         sound[:9],
	} {
		data, err := msgpack.Marshal(values)
		require.NoError(t, err)
		into := *sampleMeta()
		require.ErrorIs(t, DecodeStoreMeta(data, &into), ErrCorrupt, name)
		require.Equal(t, *sampleMeta(), into, name)
	}
}
