package catalog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

// withoutCompactions is a file system on which no compaction begins.
type withoutCompactions struct{ vfs.FS }

func (f withoutCompactions) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if category == "pebble-compaction" {
		return nil, errors.New("not now")
	}
	return f.FS.Create(name, category)
}

// salvageRounds is a store whose tables lie above one another: the first round in the
// lowest level, the second in a table above it, the third above that, and the last in
// the log. A product belongs to the round that wrote it last.
type salvageRounds struct {
	damaged
	// truth is what it holds, and round who wrote it last; a product that is deleted
	// is in round alone.
	truth content
	round map[string]int
	// alive are the products that it held after each round.
	alive [4]map[string]bool
	// tables are those of the rounds.
	tables [3]string
}

func makeSalvageRounds(t *testing.T) *salvageRounds {
	t.Helper()
	s := &salvageRounds{round: map[string]int{}}
	s.disk = vfs.NewCrashableMem()
	clock := ttl.NewManualClock(epoch)
	var c *catalog.Catalog
	write := func(round int, id string) {
		patch := catalog.Patch{
			Title: catalog.Set(fmt.Sprint("round ", round)), ValidForDays: catalog.Set(100 + round),
			Metadata: catalog.Set(json.RawMessage(fmt.Sprintf(`"%s %x"`, id, bytes.Repeat([]byte{byte(round)}, 400)))),
		}
		if strings.HasSuffix(id, "9") {
			patch.Images = imagesOf(faultImage(100+10*round), faultImage(8+round))
		} else {
			patch = withImage(patch)
		}
		_, err := c.Upsert(t.Context(), acme, id, patch)
		require.NoError(t, err)
		s.round[id] = round
	}
	ids := func(every, from int) (ids []string) {
		for i := from; i < 60; i += every {
			ids = append(ids, fmt.Sprintf("p%02d", i))
		}
		return ids
	}
	s.ids = ids(1, 0)
	for round, written := range [][]string{ids(1, 0), ids(3, 1), ids(5, 2), ids(10, 3)} {
		disk := vfs.FS(s.disk)
		if round > 0 {
			disk = withoutCompactions{s.disk}
		}
		var err error
		c, err = openOn(disk, clock, catalog.Options{UseWindow: catalog.NoUseWindow})
		require.NoError(t, err)
		for _, id := range written {
			write(round, id)
		}
		if deleted := map[int][]string{1: ids(14, 7), 2: ids(14, 0)}[round]; deleted != nil {
			for _, id := range deleted {
				require.NoError(t, c.Delete(t.Context(), acme, id))
				s.round[id] = round
			}
		}
		s.alive[round] = map[string]bool{}
		for _, id := range s.ids {
			_, err := c.Get(t.Context(), acme, id)
			s.alive[round][id] = err == nil
		}
		if round == 0 {
			require.NoError(t, c.Reclaim(t.Context()))
		}
		if round < 3 {
			known := s.files(t)
			require.NoError(t, c.Close())
			// The largest holds the products; another may hold how far a sweep has come.
			size := 0
			for _, name := range s.files(t) {
				if !strings.HasSuffix(name, ".sst") || round > 0 && slices.Contains(known, name) {
					continue
				}
				if n := len(contentOf(t, s.disk, s.disk.PathJoin("db", name))); n > size {
					s.tables[round], size = name, n
				}
			}
			require.NotZero(t, size)
		}
	}
	var failed map[string]error
	s.truth, failed = readContent(t, c, s.ids)
	require.Empty(t, failed)
	live := s.disk
	s.disk = live.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, c.Close())
	return s
}

// salvaged salvages a damaged store, checks the new one, and returns what it holds.
func (s *salvageRounds) salvaged(t *testing.T, fs vfs.FS, o catalog.SalvageOptions) (catalog.SalvageReport, content) {
	t.Helper()
	from, err := pebble.OpenDamaged(t.Context(), "db", &pebble.Options{FS: fs, CacheSize: 8 << 20, MemTableSize: 1 << 20})
	require.NoError(t, err)
	to := memory.New(nil)
	report, err := catalog.Salvage(t.Context(), from, to, o)
	require.NoError(t, err)
	require.NoError(t, from.Close())
	c, err := catalog.Open(t.Context(), to, &catalog.Options{Clock: ttl.NewManualClock(epoch)})
	require.NoError(t, err)
	found, failed := readContent(t, c, s.ids)
	require.Empty(t, failed)
	checked, err := c.Check(t.Context())
	require.NoError(t, err)
	require.True(t, checked.Sound(), checked.Problems)
	require.Equal(t, report.Products, checked.Products)
	require.Equal(t, report.Images, checked.Blobs)
	require.NoError(t, c.Close())
	return report, found
}

func named(problems []catalog.Problem, id string) bool {
	return slices.ContainsFunc(problems, func(p catalog.Problem) bool { return p.ExternalID == id })
}

// TestSalvageWithoutATable takes the table of each round away, cuts it off or breaks
// its footer. What later rounds wrote is copied, for it lies above; what earlier ones
// wrote is old, or deleted, as far as one can know: it is listed, and copied only if
// that is asked for.
func TestSalvageWithoutATable(t *testing.T) {
	s := makeSalvageRounds(t)
	for round, table := range s.tables {
		data := contentOf(t, s.disk, s.disk.PathJoin("db", table))
		for i, what := range []string{"missing", "cut off", "footer"} {
			if testing.Short() && i != round%3 {
				continue // each kind of damage once, and damage to each table
			}
			t.Run(fmt.Sprint(round, what), func(t *testing.T) {
				var fs *vfs.MemFS
				switch what {
				case "missing":
					fs = s.disk.CrashClone(vfs.CrashCloneCfg{})
					require.NoError(t, fs.Remove(fs.PathJoin("db", table)))
				case "cut off":
					fs = s.with(t, table, data[:len(data)/2])
				case "footer":
					changed := bytes.Clone(data)
					changed[len(changed)-20] ^= 1
					fs = s.with(t, table, changed)
				}
				report, found := s.salvaged(t, fs, catalog.SalvageOptions{})
				withStale, foundStale := s.salvaged(t, fs, catalog.SalvageOptions{IncludeStale: true})
				require.True(t, named(report.Lost, ""), "the stretch")
				require.Len(t, withStale.Stale, len(report.Stale))
				require.Equal(t, report.Products+len(report.Stale), withStale.Products)
				for _, id := range s.ids {
					last := s.round[id]
					alive := s.truth[id] != ""
					switch {
					case last > round: // above the table
						require.Equal(t, s.truth[id], found[id], id)
						require.Equal(t, s.truth[id], foundStale[id], id)
						require.False(t, named(report.Stale, id) || named(report.Lost, id), id)
						continue
					case found[id] != "":
						t.Errorf("%s, of round %d, is copied", id, last)
					}
					below := round > 0 && s.alive[round-1][id]
					require.Equal(t, below, named(report.Stale, id), id)
					require.Equal(t, below, named(withStale.Stale, id), id)
					require.Equal(t, below, foundStale[id] != "", id)
					if last < round && alive {
						require.Equal(t, s.truth[id], foundStale[id], "it is not as old as it could be")
					}
				}
			})
		}
	}
}

// TestSalvageWithoutSeveralTables: what was written is told from what is old though
// there is further damage below the damage.
func TestSalvageWithoutSeveralTables(t *testing.T) {
	s := makeSalvageRounds(t)
	fs := s.disk.CrashClone(vfs.CrashCloneCfg{})
	for _, table := range s.tables[1:] {
		require.NoError(t, fs.Remove(fs.PathJoin("db", table)))
	}
	report, found := s.salvaged(t, fs, catalog.SalvageOptions{IncludeStale: true})
	for _, id := range s.ids {
		require.NotEmpty(t, found[id], id)
		if s.round[id] == 3 {
			require.Equal(t, s.truth[id], found[id], id)
		}
		require.Equal(t, s.round[id] < 3, named(report.Stale, id), id)
	}
	require.NoError(t, fs.Remove(fs.PathJoin("db", s.tables[0])))
	report, found = s.salvaged(t, fs, catalog.SalvageOptions{IncludeStale: true})
	require.Empty(t, report.Stale)
	require.Equal(t, 6, report.Products)
	require.Len(t, found, 6+1)
}

// TestSalvageWithoutABlobFile: products whose images lay in a file that is missing or
// cut off are copied without them, and all others whole.
func TestSalvageWithoutABlobFile(t *testing.T) {
	s := makeSalvageRounds(t)
	blobs := slices.DeleteFunc(s.files(t), func(name string) bool { return !strings.HasSuffix(name, ".blob") })
	require.NotEmpty(t, blobs)
	for _, what := range []string{"missing", "cut off"} {
		fs := s.disk.CrashClone(vfs.CrashCloneCfg{})
		for _, name := range blobs {
			if what == "cut off" {
				data := contentOf(t, s.disk, s.disk.PathJoin("db", name))
				fs = s.with(t, name, data[:len(data)/2])
				break
			}
			require.NoError(t, fs.Remove(fs.PathJoin("db", name)))
		}
		report, found := s.salvaged(t, fs, catalog.SalvageOptions{})
		require.NotEmpty(t, report.Lost)
		require.Empty(t, report.Stale)
		for _, id := range s.ids {
			require.Equal(t, s.truth[id] != found[id], named(report.Lost, id), id)
			require.Equal(t, s.truth[id] == "", found[id] == "", id)
		}
	}
}
