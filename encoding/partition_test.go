package encoding_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/encoding"
)

// keysOf returns one key of each kind that an account owns.
func keysOf(account, id string, deadline int64) [][]byte {
	blob := encoding.BlobID{1, 2, byte(len(id))}
	return [][]byte{
		encoding.AppendProductKey(nil, account, id),
		encoding.AppendListedKey(nil, account, id),
		encoding.AppendBlobKey(nil, account, blob, 0),
		encoding.AppendBlobKey(nil, account, blob, 7),
		encoding.AppendExpiryKey(nil, encoding.Expiry{Shard: 3, Deadline: deadline, Kind: encoding.ExpiryProduct, Account: account, ID: id}),
		encoding.AppendExpiryKey(nil, encoding.Expiry{Deadline: deadline, Kind: encoding.ExpiryBlob, Account: account, ID: string(blob[:])}),
	}
}

var partition encoding.AccountPartition

func TestAccountPartition(t *testing.T) {
	counts := make([]int, 16)
	for i := range 1600 {
		account := fmt.Sprint("account-", i)
		parts := map[int]bool{}
		for j, id := range []string{"a", "b/c", "\x00", ""} {
			for _, k := range keysOf(account, id, int64(i*j)) {
				parts[partition.Part(k, 16)] = true
			}
		}
		require.Len(t, parts, 1, "all that %s owns is in one part", account)
		for p := range parts {
			counts[p]++
		}
	}
	require.Greater(t, slices.Min(counts), 60, "accounts spread: %v", counts)
	require.Less(t, slices.Max(counts), 150, "accounts spread: %v", counts)
	for _, k := range [][]byte{nil, {}, {0}, []byte("\x10a"), []byte("\x30"), []byte("?"), encoding.AppendMetaKey(nil, "x")} {
		require.Zero(t, partition.Part(k, 16), "%x", k)
	}
	// For ever.
	for account, want := range map[string]int{"": 4, "a": 12, "acme": 9, "ä\x00b": 6} {
		require.Equal(t, want, partition.Part(encoding.AppendProductKey(nil, account, "x"), 16), "%q", account)
	}
}

// TestRangePart compares the rule for ranges with that for keys.
func TestRangePart(t *testing.T) {
	var keys [][]byte
	for _, account := range []string{"", "a", "a\x00", "a\x00b", "b", "b\xff"} {
		for i, id := range []string{"", "x", "x\x00y"} {
			keys = append(keys, keysOf(account, id, int64(i))...)
		}
		start, end := encoding.ProductRange(account)
		p, ok := partition.RangePart(start, end, 16)
		require.True(t, ok, "the products of %q", account)
		require.Equal(t, partition.Part(encoding.AppendProductKey(nil, account, "x"), 16), p)
	}
	keys = append(keys, encoding.AppendMetaKey(nil, "m"), encoding.AppendMetaKey(nil, "n"))
	slices.SortFunc(keys, bytes.Compare)
	bounds := slices.Clone(keys)
	for _, k := range keys { // and what lies between
		bounds = append(bounds, append(bytes.Clone(k), 0), k[:len(k)-1], append(bytes.Clone(k[:len(k)-1]), k[len(k)-1]+1))
	}
	found := 0
	for _, start := range bounds {
		_, ok := partition.RangePart(start, nil, 16)
		require.False(t, ok)
		for _, end := range bounds {
			p, ok := partition.RangePart(start, end, 16)
			if !ok {
				continue
			}
			for _, k := range keys {
				if bytes.Compare(k, start) >= 0 && bytes.Compare(k, end) < 0 {
					found++
					require.Equal(t, p, partition.Part(k, 16), "%x in %x to %x", k, start, end)
				}
			}
		}
	}
	require.Positive(t, found)
}
