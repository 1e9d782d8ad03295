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
		"nil":                    {nil, Options{CacheSize: 256 << 20, MemTableSize: 32 << 20, MaxOpenFiles: 1000, DiskReserve: 256 << 20, HangTimeout: 10 * time.Second}, ""},
		"zero":                   {&Options{}, Options{CacheSize: 256 << 20, MemTableSize: 32 << 20, MaxOpenFiles: 1000, DiskReserve: 256 << 20, HangTimeout: 10 * time.Second}, ""},
		"cache follows memtable": {&Options{MemTableSize: 64 << 20}, Options{CacheSize: 512 << 20, MemTableSize: 64 << 20, MaxOpenFiles: 1000, DiskReserve: 256 << 20, HangTimeout: 10 * time.Second}, ""},
		"no reserve":             {&Options{DiskReserve: -1}, Options{CacheSize: 256 << 20, MemTableSize: 32 << 20, MaxOpenFiles: 1000, DiskReserve: -1, HangTimeout: 10 * time.Second}, ""},
		"small memtable":         {&Options{MemTableSize: 1}, Options{}, "MemTableSize"},
		"negative memtable":      {&Options{MemTableSize: -1}, Options{}, "MemTableSize"},
		"large memtable":         {&Options{MemTableSize: 2 << 30}, Options{}, "MemTableSize"},
		"small cache":            {&Options{CacheSize: 32 << 20}, Options{}, "CacheSize"},
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
			require.Equal(t, c.want, got)
			e := engineOptions(got)
			e.EnsureDefaults()
			require.NoError(t, e.Validate())
		})
	}
}
