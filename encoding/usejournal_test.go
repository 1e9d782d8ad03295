package encoding

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

var sampleUses = []Use{
	{Account: "acme", ID: "shirt-42", Incarnation: math.MaxUint64, At: 1_747_130_400_123},
	{Account: "acme\x00", ID: "größe", Incarnation: 0, At: None},
}

func TestGoldenUses(t *testing.T) {
	stored := checkGolden(t, "uses.golden", []goldenCase{
		{"none", AppendUses(nil, nil)},
		{"two", AppendUses(nil, sampleUses)},
		{"name", []byte(UseJournalName(0x2a))},
		{"start", AppendUseJournalStart(nil, 0x2a)},
	})
	got, err := DecodeUses(stored["two"])
	require.NoError(t, err)
	require.Equal(t, sampleUses, got)
	start, err := DecodeUseJournalStart(stored["start"])
	require.NoError(t, err)
	require.Equal(t, uint64(0x2a), start)
	_, err = DecodeUseJournalStart([]byte("x"))
	require.ErrorIs(t, err, ErrCorrupt)
}

func TestUseJournalNames(t *testing.T) {
	start, end := UseJournalRange()
	var keys [][]byte
	for _, n := range []uint64{0, 1, 0xff, 0x100, math.MaxUint64} {
		name := UseJournalName(n)
		got, ok := ParseUseJournalName(name)
		require.True(t, ok)
		require.Equal(t, n, got)
		keys = append(keys, AppendMetaKey(nil, name))
	}
	require.True(t, slices.IsSortedFunc(keys, bytes.Compare))
	for _, k := range keys {
		require.True(t, bytes.Compare(start, k) <= 0 && bytes.Compare(k, end) < 0)
	}
	for _, name := range []string{"", "uses", "uses/", "uses/1", "uses/000000000000000G", "uses/00000000000000000", "uses/000000000000000A", StoreMetaName} {
		_, ok := ParseUseJournalName(name)
		require.False(t, ok, name)
	}
	for _, name := range []string{StoreMetaName, UseJournalStart, "sweep", "use", "uses0", "uses."} {
		k := AppendMetaKey(nil, name)
		require.False(t, bytes.Compare(start, k) <= 0 && bytes.Compare(k, end) < 0, name)
	}
}

func TestDecodeUsesRefusesDamage(t *testing.T) {
	good := AppendUses(nil, sampleUses)
	for n := range good {
		_, err := DecodeUses(good[:n])
		require.ErrorIs(t, err, ErrCorrupt, "cut to %d", n)
	}
	_, err := DecodeUses(append(slices.Clone(good), codeNil))
	require.ErrorIs(t, err, ErrCorrupt)
	_, err = DecodeUses([]byte{0x91, 2})
	require.ErrorIs(t, err, ErrNewerSchema)
	_, err = DecodeUses([]byte{codeArray32, 0, 0, 0, 5, 1})
	require.ErrorIs(t, err, ErrCorrupt, "more promised than there is")
}

func FuzzDecodeUses(f *testing.F) {
	f.Add(AppendUses(nil, nil))
	f.Add(AppendUses(nil, sampleUses))
	f.Fuzz(func(t *testing.T, data []byte) {
		uses, err := DecodeUses(data)
		if err != nil {
			return
		}
		again, err := DecodeUses(AppendUses(nil, uses))
		require.NoError(t, err)
		require.Equal(t, uses, again)
	})
}
