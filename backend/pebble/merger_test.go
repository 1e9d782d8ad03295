package pebble

import (
	"encoding/binary"
	"log/slog"
	"math"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	crdb "github.com/cockroachdb/pebble/v2"
)

func number(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }

func TestMergerAdds(t *testing.T) {
	o := &crdb.Options{FS: vfs.NewMem(), Merger: merger, FormatMajorVersion: formatMajorVersion}
	o.Logger = engineLogger{log: slog.New(slog.DiscardHandler)}
	db, err := crdb.Open("", o)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	key := []byte("n")
	require.NoError(t, db.Set(key, number(40), nil))
	require.NoError(t, db.Merge(key, number(3), nil))
	require.NoError(t, db.Flush())
	require.NoError(t, db.Merge(key, number(math.MaxUint64), nil))
	require.NoError(t, db.Compact(t.Context(), []byte("a"), []byte("z"), false))
	value, closer, err := db.Get(key)
	require.NoError(t, err)
	require.Equal(t, number(42), value)
	require.NoError(t, closer.Close())
}

func TestMergerRefusesOtherSizes(t *testing.T) {
	_, err := merger.Merge(nil, []byte("seven b"))
	require.Error(t, err)
	m, err := merger.Merge(nil, number(1))
	require.NoError(t, err)
	require.Error(t, m.MergeOlder(nil))
	require.Error(t, m.MergeNewer(make([]byte, 9)))
}

// TestFormatIsPinned fails when a release would silently write another format,
// which older releases can't read.
func TestFormatIsPinned(t *testing.T) {
	require.Equal(t, "024", formatMajorVersion.String())
	require.Equal(t, "shelflife.v1", merger.Name)
	require.Equal(t, "leveldb.BytewiseComparator", crdb.DefaultComparer.Name)
}
