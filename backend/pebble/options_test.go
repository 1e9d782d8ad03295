package pebble

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

func TestOptions(t *testing.T) {
	for name, c := range map[string]struct {
		in   *Options
		want Options // of the sizes
		err  string
	}{
		"nil":                    {nil, Options{CacheSize: 256 << 20, MemTableSize: 32 << 20, fitMemTable: true}, ""},
		"zero":                   {&Options{}, Options{CacheSize: 256 << 20, MemTableSize: 32 << 20, fitMemTable: true}, ""},
		"cache follows memtable": {&Options{MemTableSize: 64 << 20}, Options{CacheSize: 512 << 20, MemTableSize: 64 << 20}, ""},
		"memtable follows cache": {&Options{CacheSize: 64 << 20}, Options{CacheSize: 64 << 20, MemTableSize: 8 << 20, fitMemTable: true}, ""},
		"no reserve":             {&Options{DiskReserve: -1}, Options{CacheSize: 256 << 20, MemTableSize: 32 << 20, DiskReserve: -1, fitMemTable: true}, ""},
		"no erasure":             {&Options{EraseWithin: -1}, Options{CacheSize: 256 << 20, MemTableSize: 32 << 20, EraseWithin: -1, fitMemTable: true}, ""},
		"erasure in a minute":    {&Options{EraseWithin: time.Minute}, Options{CacheSize: 256 << 20, MemTableSize: 32 << 20, EraseWithin: time.Minute, fitMemTable: true}, ""},
		"erasure at once":        {&Options{EraseWithin: time.Second}, Options{}, "EraseWithin"},
		"small memtable":         {&Options{MemTableSize: 1}, Options{}, "MemTableSize"},
		"negative memtable":      {&Options{MemTableSize: -1}, Options{}, "MemTableSize"},
		"large memtable":         {&Options{MemTableSize: 2 << 30}, Options{}, "MemTableSize"},
		"small cache":            {&Options{CacheSize: 32 << 20, MemTableSize: 32 << 20}, Options{}, "CacheSize"},
		"few files":              {&Options{MaxOpenFiles: 3}, Options{}, "MaxOpenFiles"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.in.withDefaults()
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				_, err := Open(t.Context(), "d", c.in)
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.NotNil(t, got.Logger)
			require.Equal(t, vfs.Default, got.FS)
			got.Logger, got.FS = nil, nil
			c.want.MaxOpenFiles, c.want.HangTimeout = 1000, 10*time.Second
			if c.want.EraseWithin == 0 {
				c.want.EraseWithin = 24 * time.Hour
			}
			require.Equal(t, c.want, got)
			e := engineOptions(got)
			e.EnsureDefaults()
			require.NoError(t, e.Validate())
		})
	}
}

// TestOptionsFitTheVolume: a small volume is neither all reserve nor all
// memtable, and what is asked for is taken.
func TestOptionsFitTheVolume(t *testing.T) {
	const mib, gib = 1 << 20, 1 << 30
	for _, c := range []struct {
		volume            uint64
		in                Options
		reserve, memTable int64
	}{
		{100 * gib, Options{}, 256 * mib, 32 * mib},
		{2 * gib, Options{}, 2 * gib / 10, 32 * mib},
		{400 * mib, Options{}, 40 * mib, 400 * mib / 64},
		{100 * mib, Options{}, 16 * mib, 100 * mib / 64},
		{8 * mib, Options{}, 2 * mib, 256 << 10},
		{400 * mib, Options{CacheSize: 16 * mib}, 40 * mib, 2 * mib},
		{400 * mib, Options{DiskReserve: 300 * mib, MemTableSize: 64 * mib}, 300 * mib, 64 * mib},
		{400 * mib, Options{DiskReserve: -1}, -1, 400 * mib / 64},
		{0, Options{}, 256 * mib, 32 * mib}, // the file system does not tell
	} {
		c.in.FS = &scripted{FS: vfs.NewMem(), total: c.volume}
		o, err := c.in.withDefaults()
		require.NoError(t, err)
		o.fit("d")
		require.Equal(t, []int64{c.reserve, c.memTable}, []int64{o.DiskReserve, o.MemTableSize}, "%d %+v", c.volume, c.in)
	}
}
