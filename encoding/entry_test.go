package encoding

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
)

var sampleExpiryValues = map[string]ExpiryValue{
	"nothing": {},
	"today":   {ExpiryUnlisted, 1100},
	"all":     {ExpiryRenewed | ExpiryUploads | ExpiryUnlisted, math.MaxUint32},
	"unknown": {math.MaxUint32, 1},
}

func TestGoldenEntries(t *testing.T) {
	stored := checkGolden(t, "entries.golden", []goldenCase{
		{"listed", AppendListedValue(nil)},
		{"expiry-nothing", AppendExpiryValue(nil, sampleExpiryValues["nothing"])},
		{"expiry-today", AppendExpiryValue(nil, sampleExpiryValues["today"])},
		{"expiry-all", AppendExpiryValue(nil, sampleExpiryValues["all"])},
		{"expiry-unknown", AppendExpiryValue(nil, sampleExpiryValues["unknown"])},
		{"progress", AppendSweepProgress(nil, sampleProgress)},
		{"lease", AppendSweepLease(nil, sampleLease)},
	})
	require.NoError(t, CheckListedValue(stored["listed"]))
	for name, want := range sampleExpiryValues {
		got, err := DecodeExpiryValue(stored["expiry-"+name])
		require.NoError(t, err, name)
		require.Equal(t, want, got, name)
	}
	got, err := DecodeSweepProgress(stored["progress"])
	require.NoError(t, err)
	require.Equal(t, sampleProgress, got)
	lease, err := DecodeSweepLease(stored["lease"])
	require.NoError(t, err)
	require.Equal(t, sampleLease, lease)
}

// TestExpiryValues: every size is read as it was written.
func TestExpiryValues(t *testing.T) {
	for bit := range 32 {
		for _, size := range []uint32{1 << bit, 1<<bit - 1, 1<<bit | 1, math.MaxUint32 >> bit} {
			for _, flags := range []ExpiryFlags{0, ExpiryUnlisted, 1 << 7, 1 << 8} {
				v := ExpiryValue{flags, size}
				got, err := DecodeExpiryValue(AppendExpiryValue(nil, v))
				require.NoError(t, err)
				require.Equal(t, v, got)
			}
		}
	}
}

// A flag of a newer version says, like all but one of those that are known, that the
// record must be read.
func TestExpiryFlagsMustRead(t *testing.T) {
	require.False(t, ExpiryFlags(0).MustRead())
	require.False(t, ExpiryUnlisted.MustRead())
	for bit := range 32 {
		f := ExpiryFlags(1 << bit)
		require.Equal(t, f != ExpiryUnlisted, f.MustRead(), "bit %d", bit)
		require.Equal(t, f != ExpiryUnlisted, (f | ExpiryUnlisted).MustRead(), "bit %d", bit)
		require.Equal(t, f == ExpiryUnlisted || f == ExpiryRenewed || f == ExpiryUploads, f.Known(), "bit %d", bit)
	}
}

// entryDecoders are those of values that are replaced and never rewritten.
var entryDecoders = map[string]func([]byte) error{
	"listed entry": CheckListedValue,
	"expiry entry": func(data []byte) error { _, err := DecodeExpiryValue(data); return err },
	"progress":     func(data []byte) error { _, err := DecodeSweepProgress(data); return err },
	"lease":        func(data []byte) error { _, err := DecodeSweepLease(data); return err },
	"start":        func(data []byte) error { _, err := DecodeUseJournalStart(data); return err },
}

func TestEntriesIgnoreUnknownElements(t *testing.T) {
	raw, count := newerElements(t)
	for name, values := range map[string][]any{
		"listed entry": {1}, "expiry entry": {1, 4, 9}, "progress": {1, 2, 3, 4, 5}, "lease": {1, 2, 3}, "start": {1, 2},
	} {
		data, err := msgpack.Marshal(values)
		require.NoError(t, err)
		require.NoError(t, entryDecoders[name](data), name)
		longer := slices.Concat([]byte{codeArray16, 0, byte(len(values) + count)}, data[1:], raw)
		require.NoError(t, entryDecoders[name](longer), name)
	}
}

func TestEntriesRefuseDamage(t *testing.T) {
	for name, good := range map[string][]byte{
		"listed entry": AppendListedValue(nil), "expiry entry": AppendExpiryValue(nil, sampleExpiryValues["today"]),
		"progress": AppendSweepProgress(nil, sampleProgress), "lease": AppendSweepLease(nil, sampleLease), "start": AppendUseJournalStart(nil, 300),
	} {
		decode := entryDecoders[name]
		require.NoError(t, decode(good))
		for n := range good {
			require.ErrorIs(t, decode(good[:n]), ErrCorrupt, "%s cut to %d", name, n)
		}
		require.ErrorIs(t, decode(append(slices.Clone(good), 0)), ErrCorrupt, name)
		require.ErrorIs(t, decode([]byte{0x92, 0, 1}), ErrCorrupt, name)
		newer, err := msgpack.Marshal([]any{Schema + 1, "another form"})
		require.NoError(t, err)
		err = decode(newer)
		require.ErrorIs(t, err, ErrNewerSchema, name)
		require.NotErrorIs(t, err, ErrCorrupt, name)
	}
	for name, values := range map[string][]any{
		"negative flags": {1, -1, 5}, "negative size": {1, 4, -5}, "large flags": {1, uint64(1) << 32, 5},
		"large size": {1, 4, uint64(1) << 32}, "a string": {1, "x", 5}, "no size": {1, 4},
	} {
		data, err := msgpack.Marshal(values)
		require.NoError(t, err)
		_, err = DecodeExpiryValue(data)
		require.ErrorIs(t, err, ErrCorrupt, name)
	}
}

func FuzzDecodeEntries(f *testing.F) {
	f.Add(AppendListedValue(nil))
	for _, v := range sampleExpiryValues {
		f.Add(AppendExpiryValue(nil, v))
	}
	f.Add(AppendSweepProgress(nil, sampleProgress))
	f.Add(AppendSweepLease(nil, sampleLease))
	f.Add(AppendUseJournalStart(nil, 300))
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = CheckListedValue(data)
		if v, err := DecodeExpiryValue(data); err == nil {
			again, err := DecodeExpiryValue(AppendExpiryValue(nil, v))
			require.NoError(t, err)
			require.Equal(t, v, again)
		}
		if p, err := DecodeSweepProgress(data); err == nil {
			again, err := DecodeSweepProgress(AppendSweepProgress(nil, p))
			require.NoError(t, err)
			require.Equal(t, p, again)
		}
		if l, err := DecodeSweepLease(data); err == nil {
			again, err := DecodeSweepLease(AppendSweepLease(nil, l))
			require.NoError(t, err)
			require.Equal(t, l, again)
		}
		if n, err := DecodeUseJournalStart(data); err == nil {
			again, err := DecodeUseJournalStart(AppendUseJournalStart(nil, n))
			require.NoError(t, err)
			require.Equal(t, n, again)
		}
	})
}
