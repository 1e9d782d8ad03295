package catalog_test

import (
	"bytes"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fileDamage is what may be wrong with a file.
var fileDamage = []string{"missing", "half of it", "empty", "a byte changed"}

// damageFile returns a copy of the store in which a file is damaged.
func (d *damaged) damageFile(t *testing.T, name, damage string) *vfs.MemFS {
	data := contentOf(t, d.disk, d.disk.PathJoin("db", name))
	switch damage {
	case "missing":
		fs := d.disk.CrashClone(vfs.CrashCloneCfg{})
		require.NoError(t, fs.Remove(fs.PathJoin("db", name)))
		return fs
	case "half of it":
		data = data[:len(data)/2]
	case "empty":
		data = nil
	default:
		data = bytes.Clone(data)
		data[len(data)/2] ^= 0x10
	}
	return d.with(t, name, data)
}

// namesFile reports whether a text tells people which file is meant.
func namesFile(text, name string) bool {
	if strings.HasPrefix(name, "marker.") {
		name = strings.Join(strings.Split(name, ".")[:2], ".")
	}
	number, _, _ := strings.Cut(name, ".")
	return strings.Contains(text, name) || strings.HasPrefix(number, "0") && strings.Contains(text, number) ||
		strings.HasSuffix(name, ".log") && strings.Contains(text, "log")
}

// opened says what becomes of a damaged store that is opened: why it is refused, or
// which products it has as they should be, which it names as damaged, and which are
// neither, and older or gone.
type opened struct {
	refused        error
	right, named   int
	older, problem []string
}

func (d *damaged) opened(t *testing.T, fs *vfs.MemFS) (o opened) {
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	c, err := openOn(fs, ttl.NewManualClock(epoch), catalog.Options{UseWindow: catalog.NoUseWindow})
	if err != nil {
		return opened{refused: err}
	}
	defer func() { _ = c.Close() }()
	found, failed := readContent(t, c, d.ids)
	report, err := c.Check(t.Context())
	require.NoError(t, err)
	for _, p := range report.Problems {
		o.problem = append(o.problem, p.String())
	}
	if len(failed) > 0 {
		require.NotEmpty(t, o.problem, "check finds nothing wrong")
	}
	truth := d.states[len(d.states)-1]
	for _, id := range d.ids {
		switch {
		case failed[id] != nil:
			require.True(t, errors.Is(failed[id], catalog.ErrDamaged) || errors.Is(failed[id], catalog.ErrImageNotFound), failed[id])
			o.named++
		case found[id] == truth[id]:
			o.right++
		default:
			o.older = append(o.older, id)
		}
	}
	return o
}

// salvaged says what salvage makes of a damaged store, in the same terms.
func (d *damaged) salvaged(t *testing.T, fs *vfs.MemFS) (o opened, faults []string, lostFrom string) {
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	from, err := pebble.OpenDamaged(t.Context(), "db", &pebble.Options{FS: fs, CacheSize: 8 << 20, MemTableSize: 1 << 20})
	if err != nil {
		return opened{refused: err}, nil, ""
	}
	to := memory.New(nil)
	report, err := catalog.Salvage(t.Context(), from, to, catalog.SalvageOptions{})
	require.NoError(t, err)
	faults, lostFrom = from.Faults(), from.LostFrom()
	require.NoError(t, from.Close())
	c, err := catalog.Open(t.Context(), to, &catalog.Options{Clock: ttl.NewManualClock(epoch)})
	require.NoError(t, err)
	found, failed := readContent(t, c, d.ids)
	require.Empty(t, failed)
	require.NoError(t, c.Close())
	truth := d.states[len(d.states)-1]
	told := slices.Concat(report.Lost, report.Stale)
	for _, id := range d.ids {
		switch {
		case named(told, id), named(told, "") && found[id] == "":
			o.named++
		case found[id] == truth[id]:
			o.right++
		default:
			o.older = append(o.older, id)
		}
	}
	for _, p := range told {
		o.problem = append(o.problem, p.String())
	}
	return o, faults, lostFrom
}

// TestEveryDamageOfEveryFile damages each file of a store in each way. No product that
// was acknowledged vanishes without a word: the store is refused with an error that is
// ErrDamagedStore and names the file, or each product is as it was or named as
// damaged, or the last writes are missing together, as a crash could have left a log that
// is cut off. Salvage saves what there is, and lists the rest.
func TestEveryDamageOfEveryFile(t *testing.T) {
	d := makeDamaged(t)
	kinds := map[string]bool{}
	for _, name := range d.files(t) {
		kind := kindOfFile(name)
		kinds[kind] = true
		size := len(contentOf(t, d.disk, d.disk.PathJoin("db", name)))
		for _, damage := range fileDamage {
			if size == 0 && damage != "missing" {
				continue
			}
			t.Run(fmt.Sprint(name, " ", damage), func(t *testing.T) {
				cutLog := kind == "log" && damage != "missing" // what a crash may leave
				o := d.opened(t, d.damageFile(t, name, damage))
				s, faults, lostFrom := d.salvaged(t, d.damageFile(t, name, damage))
				t.Logf("open: %v right %d named %d older %v", o.refused, o.right, o.named, o.older)
				t.Logf("salvage: %v right %d named %d older %v faults %v lost from %q", s.refused, s.right, s.named, s.older, faults, lostFrom)
				if o.refused != nil {
					require.ErrorIs(t, o.refused, pebble.ErrDamagedStore)
					require.True(t, namesFile(o.refused.Error(), name), o.refused)
				} else if len(o.older) > 0 {
					require.True(t, cutLog, "%s are not as they were", o.older)
				}
				switch {
				case s.refused != nil:
					require.ErrorIs(t, s.refused, pebble.ErrDamagedStore)
					require.True(t, namesFile(s.refused.Error(), name), s.refused)
					require.Contains(t, []string{"MANIFEST", "marker"}, kind)
				case len(s.older) > 0:
					require.True(t, cutLog || lostFrom != "", "%s are not as they were", s.older)
				}
			})
		}
	}
	for _, kind := range []string{"sst", "blob", "log", "MANIFEST", "OPTIONS", "marker"} {
		require.True(t, kinds[kind], kind)
	}
}
