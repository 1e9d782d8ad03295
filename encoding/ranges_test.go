package encoding

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func within(key, start, end []byte) bool {
	return bytes.Compare(start, key) <= 0 && (end == nil || bytes.Compare(key, end) < 0)
}

// manyNames returns the fixed adversarial names and some random ones.
func manyNames(t *testing.T) []string {
	r := newRand(t)
	all := slices.Clone(names)
	for range 40 {
		all = append(all, randomName(r))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func TestAccountRangesHoldExactlyTheirKeys(t *testing.T) {
	all := manyNames(t)
	for _, a := range all {
		products, productsEnd := ProductRange(a)
		listed, listedEnd := ListedRange(a)
		blobs, blobsEnd := BlobRange(a)
		for _, b := range all {
			for _, id := range all {
				key := AppendProductKey(nil, b, id)
				require.Equal(t, a == b, within(key, products, productsEnd), "%q %q %q", a, b, id)
				require.False(t, within(key, listed, listedEnd) || within(key, blobs, blobsEnd))
				key = AppendListedKey(nil, b, id)
				require.Equal(t, a == b, within(key, listed, listedEnd), "%q %q %q", a, b, id)
			}
			for _, id := range []BlobID{{}, sampleBlob, BlobID(bytes.Repeat([]byte{0xFF}, 16))} {
				key := AppendBlobKey(nil, b, id, math.MaxUint32)
				require.Equal(t, a == b, within(key, blobs, blobsEnd), "%q %q %v", a, b, id)
			}
		}
	}
}

func TestPrefixRangesHoldExactlyTheirKeys(t *testing.T) {
	all := manyNames(t)
	for _, account := range []string{"", "a", "a\x00", "\xff"} {
		for _, prefix := range all {
			products, productsEnd := ProductPrefixRange(account, prefix)
			listed, listedEnd := ListedPrefixRange(account, prefix)
			for _, id := range all {
				for _, id := range []string{id, prefix + id} {
					want := strings.HasPrefix(id, prefix)
					require.Equal(t, want, within(AppendProductKey(nil, account, id), products, productsEnd), "%q %q", prefix, id)
					require.Equal(t, want, within(AppendListedKey(nil, account, id), listed, listedEnd), "%q %q", prefix, id)
				}
			}
			for _, other := range all {
				if other != account {
					require.False(t, within(AppendProductKey(nil, other, prefix), products, productsEnd), "%q %q", prefix, other)
				}
			}
		}
	}
}

func TestEmptyPrefixIsTheWholeAccount(t *testing.T) {
	start, end := ProductRange("a")
	prefixStart, prefixEnd := ProductPrefixRange("a", "")
	require.Equal(t, start, prefixStart)
	require.Equal(t, end, prefixEnd)
}

func TestBlobChunksRange(t *testing.T) {
	ids := []BlobID{{}, {15: 1}, sampleBlob, {0: 0xFF}, BlobID(bytes.Repeat([]byte{0xFF}, 16))}
	for _, a := range names {
		for _, id := range ids {
			start, end := BlobChunksRange(a, id)
			require.Equal(t, AppendBlobKey(nil, a, id, 0), start)
			for _, b := range names {
				for _, other := range ids {
					for _, n := range []uint32{0, 1, math.MaxUint32} {
						require.Equal(t, a == b && id == other, within(AppendBlobKey(nil, b, other, n), start, end))
					}
				}
			}
		}
	}
}

func TestExpiryRange(t *testing.T) {
	times := []int64{math.MinInt64, -1, 0, 1, 1_747_130_400_000, math.MaxInt64 - 1, math.MaxInt64}
	for _, from := range times {
		for _, to := range times {
			start, end := ExpiryRange(1, from, to)
			for _, deadline := range times {
				for _, shard := range []byte{0, 1, 2, 255} {
					for _, e := range []Expiry{
						{shard, deadline, ExpiryProduct, "\xff", "\xff"},
						{shard, deadline, ExpiryProduct, "", ""},
						{shard, deadline, ExpiryBlob, "", string(make([]byte, 16))},
					} {
						want := shard == 1 && from <= deadline && deadline < to
						require.Equal(t, want, within(AppendExpiryKey(nil, e), start, end), "%d %d %v", from, to, e)
					}
				}
			}
		}
	}
}

func TestSpaceRange(t *testing.T) {
	keys := map[byte][]byte{
		SpaceMeta:    AppendMetaKey(nil, "\xff"),
		SpaceProduct: AppendProductKey(nil, "\xff", "\xff"),
		SpaceListed:  AppendListedKey(nil, "", ""),
		SpaceBlob:    AppendBlobKey(nil, "\xff", sampleBlob, math.MaxUint32),
		SpaceExpiry:  AppendExpiryKey(nil, Expiry{255, math.MaxInt64, ExpiryProduct, "\xff", "\xff"}),
	}
	for space := range keys {
		start, end := SpaceRange(space)
		for other, key := range keys {
			require.Equal(t, space == other, within(key, start, end))
		}
	}
	start, end := SpaceRange(0xFF)
	require.Equal(t, []byte{0xFF}, start)
	require.Nil(t, end)
}

func TestRangesAreIndependentMemory(t *testing.T) {
	start, end := ProductRange("a")
	wantEnd := slices.Clone(end)
	_ = append(start, 'x')
	start[0] = 0
	require.Equal(t, wantEnd, end)
}

func TestSuccessor(t *testing.T) {
	r := newRand(t)
	for range 1000 {
		key := AppendProductKey(nil, randomName(r), randomName(r))
		next := AppendSuccessor(nil, key)
		other := AppendProductKey(nil, randomName(r), randomName(r))
		require.Negative(t, bytes.Compare(key, next))
		require.Equal(t, bytes.Compare(other, key) > 0, bytes.Compare(other, next) >= 0)
	}
}
