package encoding

import (
	"bytes"
	"cmp"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// names are those that an encoding of components is likely to get wrong.
var names = []string{
	"", "a", "b", "a/b", "b/c", "c", "a\x00", "a\x00b", "a\x00\x00", "a\x00\x01", "a\x00\xff", "a\x01", "a\xff",
	"\x00", "\x00\x00", "\x00\x01", "\x00\xff", "\x01", "\x01\x00", "\xff", "\xff\xff", "\xff\x00", "größe", "👕",
	strings.Repeat("x", 300),
}

func TestProductKeysSortAsTheirParts(t *testing.T) {
	type part struct{ account, id string }
	var parts []part
	for _, a := range names {
		for _, i := range names {
			parts = append(parts, part{a, i})
		}
	}
	r := newRand(t)
	for range 500 {
		parts = append(parts, part{randomName(r), randomName(r)})
	}
	for _, appendKey := range []func([]byte, string, string) []byte{AppendProductKey, AppendListedKey} {
		for _, x := range parts {
			kx := appendKey(nil, x.account, x.id)
			for range 50 {
				y := parts[r.IntN(len(parts))]
				want := cmp.Or(strings.Compare(x.account, y.account), strings.Compare(x.id, y.id))
				require.Equal(t, want, bytes.Compare(kx, appendKey(nil, y.account, y.id)), "%q %q", x, y)
			}
		}
	}
}

func TestExpiryKeysSortAsTheirParts(t *testing.T) {
	r := newRand(t)
	deadlines := []int64{math.MinInt64, -1, 0, 1, 255, 256, 1_747_130_400_000, math.MaxInt64}
	random := func() Expiry {
		return Expiry{byte(r.IntN(3)), deadlines[r.IntN(len(deadlines))], ExpiryProduct, randomName(r), randomName(r)}
	}
	for range 20_000 {
		x, y := random(), random()
		want := cmp.Or(cmp.Compare(x.Shard, y.Shard), cmp.Compare(x.Deadline, y.Deadline),
			cmp.Compare(x.Account, y.Account), cmp.Compare(x.ID, y.ID))
		require.Equal(t, want, bytes.Compare(AppendExpiryKey(nil, x), AppendExpiryKey(nil, y)), "%q %q", x, y)
	}
}

func TestBlobKeysSortByNumber(t *testing.T) {
	var keys [][]byte
	for _, n := range []uint32{0, 1, 2, 255, 256, 65536, math.MaxUint32} {
		keys = append(keys, AppendBlobKey(nil, "a", sampleBlob, n))
	}
	require.True(t, slices.IsSortedFunc(keys, bytes.Compare))
}

func TestKeysRoundTrip(t *testing.T) {
	for _, a := range names {
		name, err := DecodeMetaKey(AppendMetaKey(nil, a))
		require.NoError(t, err)
		require.Equal(t, a, name)

		account, blob, n, err := DecodeBlobKey(AppendBlobKey(nil, a, sampleBlob, 77))
		require.NoError(t, err)
		require.Equal(t, a, account)
		require.Equal(t, sampleBlob, blob)
		require.Equal(t, uint32(77), n)

		for _, e := range []Expiry{
			{3, -5, ExpiryBlob, a, string(sampleBlob[:])},
			{3, 1_747_130_400_000, ExpiryProduct, a, ""},
		} {
			got, err := DecodeExpiryKey(AppendExpiryKey(nil, e))
			require.NoError(t, err)
			require.Equal(t, e, got)
		}

		for _, i := range names {
			account, id, err := DecodeProductKey(AppendProductKey([]byte("before"), a, i)[len("before"):])
			require.NoError(t, err)
			require.Equal(t, [2]string{a, i}, [2]string{account, id})

			account, id, err = DecodeListedKey(AppendListedKey(nil, a, i))
			require.NoError(t, err)
			require.Equal(t, [2]string{a, i}, [2]string{account, id})

			require.Equal(t, AppendListedKey(nil, a, i), AppendListedOf(nil, AppendProductKey(nil, a, i)))

			e := Expiry{255, math.MaxInt64, ExpiryProduct, a, i}
			key := AppendExpiryKey(nil, e)
			got, err := DecodeExpiryKey(key)
			require.NoError(t, err)
			require.Equal(t, e, got)
			for _, other := range names {
				got, err = DecodeExpiryKeyAfter(Expiry{Account: other}, key)
				require.NoError(t, err)
				require.Equal(t, e, got, "after %q", other)
			}
			deadline, err := ExpiryDeadline(key)
			require.NoError(t, err)
			require.Equal(t, e.Deadline, deadline)
			_, item := ProductScope(a, i)
			require.Equal(t, item, string(AppendProductItem(nil, i)))

			start, _ := ProductRange(a)
			dst, err := AppendKeyID([]byte("x"), AppendProductKey(nil, a, i), len(start))
			require.NoError(t, err)
			require.Equal(t, "x"+i, string(dst))
		}
	}
}

func TestDecodedKeysShareNoMemory(t *testing.T) {
	key := AppendProductKey(nil, "account", "id")
	account, id, err := DecodeProductKey(key)
	require.NoError(t, err)
	clear(key)
	require.Equal(t, [2]string{"account", "id"}, [2]string{account, id})
}

func TestDecodeRefusesDamagedKeys(t *testing.T) {
	good := map[byte][]byte{
		SpaceMeta:    AppendMetaKey(nil, "store"),
		SpaceProduct: AppendProductKey(nil, "acme", "shirt"),
		SpaceListed:  AppendListedKey(nil, "acme", "shirt"),
		SpaceBlob:    AppendBlobKey(nil, "acme", sampleBlob, 1),
		SpaceExpiry:  AppendExpiryKey(nil, Expiry{0, 1, ExpiryProduct, "acme", "shirt"}),
	}
	for space, key := range good {
		for n := range key {
			require.ErrorIs(t, decodeKey(space, key[:n]), ErrCorrupt, "%x cut to %d", key, n)
		}
		require.ErrorIs(t, decodeKey(space, append(slices.Clone(key), 0)), ErrCorrupt, "%x and one more", key)
		for other := range good {
			if other != space {
				require.ErrorIs(t, decodeKey(other, key), ErrCorrupt, "%x in space %x", key, other)
			}
		}
	}
	for name, key := range map[string]string{
		"unknown escape":          "\x10a\x00\x02\x00\x01b\x00\x01",
		"no end of the ID":        "\x10a\x00\x01b\x00",
		"unknown kind of expiry":  "\x30\x00\x80\x00\x00\x00\x00\x00\x00\x01\x03a\x00\x01b\x00\x01",
		"blob ID of wrong length": string(AppendExpiryKey(nil, Expiry{0, 1, ExpiryBlob, "a", "short"})),
	} {
		require.ErrorIs(t, decodeKey(key[0], []byte(key)), ErrCorrupt, name)
	}

	for _, c := range []struct {
		key       string
		prefixLen int
	}{{"", 0}, {"ab", 3}, {"ab", -1}, {"ab\x00\x01", 5}, {"ab\x00", 1}, {"ab\x00\x01c", 1}} {
		dst, err := AppendKeyID([]byte("x"), []byte(c.key), c.prefixLen)
		require.ErrorIs(t, err, ErrCorrupt)
		require.Equal(t, "x", string(dst))
	}
}

func decodeKey(space byte, key []byte) (err error) {
	switch space {
	case SpaceMeta:
		_, err = DecodeMetaKey(key)
	case SpaceProduct:
		_, _, err = DecodeProductKey(key)
	case SpaceListed:
		_, _, err = DecodeListedKey(key)
	case SpaceBlob:
		_, _, _, err = DecodeBlobKey(key)
	case SpaceExpiry:
		_, err = DecodeExpiryKey(key)
	}
	return err
}

func TestExpiryBlobID(t *testing.T) {
	id, ok := Expiry{Kind: ExpiryBlob, ID: string(sampleBlob[:])}.BlobID()
	require.True(t, ok)
	require.Equal(t, sampleBlob, id)
	_, ok = Expiry{Kind: ExpiryProduct, ID: string(sampleBlob[:])}.BlobID()
	require.False(t, ok)
	_, ok = Expiry{Kind: ExpiryBlob, ID: "short"}.BlobID()
	require.False(t, ok)
}

func TestBlobIDText(t *testing.T) {
	id, ok := ParseBlobID(sampleBlob.String())
	require.True(t, ok)
	require.Equal(t, sampleBlob, id)
	require.False(t, id.IsZero())
	require.True(t, BlobID{}.IsZero())
	for _, s := range []string{
		"", "00", sampleBlob.String() + "0", strings.ToUpper(sampleBlob.String()),
		strings.Repeat("g", 32), strings.Repeat("0", 31) + "/", "é" + strings.Repeat("0", 30),
	} {
		_, ok := ParseBlobID(s)
		require.False(t, ok, s)
	}
}

func TestShard(t *testing.T) {
	for _, count := range []int{-1, 0, 1} {
		require.Zero(t, Shard("a", "b", count))
	}
	require.Equal(t, Shard("a", "b", MaxShards), Shard("a", "b", MaxShards+1))
	require.NotEqual(t, Shard("a", "b/c", MaxShards), Shard("a/b", "c", MaxShards))
	for _, a := range names {
		h := fnv.New64a()
		_, _ = h.Write([]byte(a + "\x00" + "shirt"))
		require.Equal(t, byte(h.Sum64()%13), Shard(a, "shirt", 13))
	}

	const count, products = 8, 8000
	var hits [count]int
	for i := range products {
		hits[Shard("acme", "shirt-"+string(rune('0'+i%10))+"-"+string(rune(0x4e00+i)), count)]++
	}
	for shard, n := range hits {
		require.InDelta(t, products/count, n, products/count/5, "shard %d", shard)
	}
}
