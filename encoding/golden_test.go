package encoding

import (
	"encoding/hex"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files")

type goldenCase struct {
	name string
	data []byte
}

// checkGolden compares the cases with testdata/<file>: one line each, the name
// and the bytes in hex. It returns the stored bytes by name.
func checkGolden(t *testing.T, file string, cases []goldenCase) map[string][]byte {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		var b strings.Builder
		for _, c := range cases {
			fmt.Fprintf(&b, "%s %x\n", c.name, c.data)
		}
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o644))
	}
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	stored := map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		name, digits, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		require.True(t, ok, "line %q", line)
		stored[name], err = hex.DecodeString(digits)
		require.NoError(t, err)
	}
	require.Len(t, stored, len(cases))
	for _, c := range cases {
		require.Equal(t, hex.EncodeToString(stored[c.name]), hex.EncodeToString(c.data), c.name)
	}
	return stored
}

func TestGoldenKeys(t *testing.T) {
	chunks, chunksEnd := BlobChunksRange("acme", sampleBlob)
	products, productsEnd := ProductRange("acme")
	prefix, prefixEnd := ListedPrefixRange("acme", "shirt\x00\xff")
	due, dueEnd := ExpiryRange(2, 0, 1_747_130_400_000)
	checkGolden(t, "keys.golden", []goldenCase{
		{"meta", AppendMetaKey(nil, StoreMetaName)},
		{"product", AppendProductKey(nil, "acme", "shirt-42")},
		{"product-empty", AppendProductKey(nil, "", "")},
		{"product-escaped", AppendProductKey(nil, "a\x00b\xff", "\x00\x01\x00")},
		{"product-unicode", AppendProductKey(nil, "größe", "👕/a b")},
		{"listed", AppendListedKey(nil, "acme", "shirt-42")},
		{"blob-header", AppendBlobKey(nil, "acme", sampleBlob, 0)},
		{"blob-chunk", AppendBlobKey(nil, "acme", sampleBlob, 0x01020304)},
		{"expiry-product", AppendExpiryKey(nil, Expiry{2, 1_747_130_400_000, ExpiryProduct, "acme", "shirt-42"})},
		{"expiry-blob", AppendExpiryKey(nil, Expiry{255, math.MaxInt64, ExpiryBlob, "acme", string(sampleBlob[:])})},
		{"expiry-negative", AppendExpiryKey(nil, Expiry{0, -1, ExpiryProduct, "", "\x00"})},
		{"successor", AppendSuccessor(nil, AppendProductKey(nil, "acme", "shirt-42"))},
		{"product-range-start", products},
		{"product-range-end", productsEnd},
		{"listed-prefix-start", prefix},
		{"listed-prefix-end", prefixEnd},
		{"blob-chunks-start", chunks},
		{"blob-chunks-end", chunksEnd},
		{"expiry-range-start", due},
		{"expiry-range-end", dueEnd},
	})
}

func TestGoldenShards(t *testing.T) {
	var cases []goldenCase
	for _, c := range []struct {
		name, account, id string
		count             int
	}{
		{"one", "acme", "shirt-42", 1},
		{"two", "acme", "shirt-42", 2},
		{"sixteen", "acme", "shirt-42", 16},
		{"most", "acme", "shirt-42", MaxShards},
		{"empty", "", "", MaxShards},
		{"split-early", "a", "b/c", MaxShards},
		{"split-late", "a/b", "c", MaxShards},
		{"blob", "acme", string(sampleBlob[:]), MaxShards},
	} {
		cases = append(cases, goldenCase{c.name, []byte{Shard(c.account, c.id, c.count)}})
	}
	checkGolden(t, "shards.golden", cases)
}

func TestGoldenRecords(t *testing.T) {
	records := map[string]*Record{"minimal": minimalRecord(), "full": fullRecord()}
	stored := checkGolden(t, "records.golden", []goldenCase{
		{"minimal", AppendRecord(nil, records["minimal"])},
		{"full", AppendRecord(nil, records["full"])},
	})
	for name, want := range records {
		var got Record
		require.NoError(t, DecodeRecord(stored[name], &got))
		require.Equal(t, *want, got)
	}
}

func TestGoldenBlobHeaders(t *testing.T) {
	headers := map[string]*BlobHeader{"staged": stagedHeader(), "owned": ownedHeader()}
	stored := checkGolden(t, "blobheaders.golden", []goldenCase{
		{"staged", AppendBlobHeader(nil, headers["staged"])},
		{"owned", AppendBlobHeader(nil, headers["owned"])},
	})
	for name, want := range headers {
		var got BlobHeader
		require.NoError(t, DecodeBlobHeader(stored[name], &got))
		require.Equal(t, *want, got)
	}
}

func TestGoldenStoreMeta(t *testing.T) {
	stored := checkGolden(t, "storemeta.golden", []goldenCase{{"store", AppendStoreMeta(nil, sampleMeta())}})
	var got StoreMeta
	require.NoError(t, DecodeStoreMeta(stored["store"], &got))
	require.Equal(t, *sampleMeta(), got)
}
