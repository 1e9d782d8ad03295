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
	for _, want := range []*StoreMeta{sampleMeta(), other} {
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
	require.Len(t, genericArray(t, data), 6+count)
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

func TestDecodeStoreMetaRefusesDamage(t *testing.T) {
	good := AppendStoreMeta(nil, sampleMeta())
	for n := range good {
		require.ErrorIs(t, DecodeStoreMeta(good[:n], new(StoreMeta)), ErrCorrupt, "cut to %d", n)
	}
	require.ErrorIs(t, DecodeStoreMeta(append(slices.Clone(good), 0), new(StoreMeta)), ErrCorrupt)

	id := make([]byte, 16)
	for name, values := range map[string][]any{
		"schema 0":       {0, 1, 1, 5, id, 1},
		"reader 0":       {1, 0, 1, 5, id, 1},
		"writer 0":       {1, 1, 0, 5, id, 1},
		"short store ID": {1, 1, 1, 5, id[1:], 1},
		"no shards":      {1, 1, 1, 5, id, 0},
		"many shards":    {1, 1, 1, 5, id, MaxShards + 1},
		"five elements":  {1, 1, 1, 5, id},
		"a string":       {1, 1, 1, "x", id, 1},
	} {
		data, err := msgpack.Marshal(values)
		require.NoError(t, err)
		into := *sampleMeta()
		require.ErrorIs(t, DecodeStoreMeta(data, &into), ErrCorrupt, name)
		require.Equal(t, *sampleMeta(), into, name)
	}
}
