package catalog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

var (
	damageSeed  = flag.Uint64("damage.seed", 0, "seed of the damage; 0: random")
	damageTimes = flag.Int("damage.times", 15, "flips of a bit in each file of a store, and half as many cuts")
)

// content is everything that an account reads: products and image bytes by ID.
type content map[string]string

func (c content) equal(other content) bool { return maps.Equal(c, other) }

// readContent returns what can be read, and the errors of the rest by ID, ""
// being the list.
func readContent(t *testing.T, c *catalog.Catalog, ids []string) (content, map[string]error) {
	found, failed := content{}, map[string]error{}
	for _, id := range ids {
		p, err := c.Get(t.Context(), acme, id)
		if errors.Is(err, catalog.ErrNotFound) {
			continue
		}
		if err != nil {
			failed[id] = err
			continue
		}
		text := string(p.AppendJSON(nil))
		for i, img := range p.Images {
			if !img.Uploaded() {
				continue
			}
			data, err := readImage(t, c, id, i)
			if err != nil {
				failed[id] = err
				break
			}
			text += fmt.Sprintf("%d %x", len(data), data[:min(len(data), 64)])
			if !bytes.Equal(data, faultImage(img.Width)) {
				text += "other bytes"
			}
		}
		if failed[id] == nil {
			found[id] = text
		}
	}
	var listed []string
	for p, err := range c.All(t.Context(), acme, catalog.AllOptions{}) {
		if err != nil {
			failed[""] = err
			return found, failed
		}
		listed = append(listed, p.ExternalID)
	}
	found[""] = strings.Join(listed, " ")
	return found, failed
}

func readImage(t *testing.T, c *catalog.Catalog, id string, i int) ([]byte, error) {
	r, err := c.OpenImage(t.Context(), acme, id, i)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

// damaged is a store whose files are damaged one at a time.
type damaged struct {
	disk *vfs.MemFS
	ids  []string
	// states are what it held after each write; the last is the truth, an
	// earlier one what a log that was cut off leaves.
	states []content
}

// makeDamaged makes a store that has every kind of file, and writes that are
// in the log alone.
func makeDamaged(t *testing.T) *damaged {
	d := &damaged{disk: vfs.NewCrashableMem()}
	clock := ttl.NewManualClock(epoch)
	open := func() *catalog.Catalog {
		c, err := openOn(d.disk, clock, catalog.Options{UseWindow: catalog.NoUseWindow})
		require.NoError(t, err)
		return c
	}
	c := open()
	write := func(id string, p catalog.Patch) {
		_, err := c.Upsert(t.Context(), acme, id, p)
		require.NoError(t, err)
		if !slices.Contains(d.ids, id) {
			d.ids = append(d.ids, id)
		}
	}
	for round := range 3 {
		for i := range 12 {
			write(fmt.Sprintf("p%02d", i), withImage(catalog.Patch{
				Title: catalog.Set(fmt.Sprint(round)), ValidForDays: catalog.Set(100 + round),
				Metadata: catalog.Set(json.RawMessage(fmt.Sprintf(`"%x"`, bytes.Repeat([]byte{byte(i)}, 600)))),
			}))
		}
		for i := range 3 {
			write(fmt.Sprintf("image%d", i), catalog.Patch{Images: imagesOf(faultImage(90+10*round+i), faultImage(8))})
		}
		write("long", withImage(catalog.Patch{Metadata: catalog.Set(json.RawMessage(fmt.Sprintf(`"%x"`, bytes.Repeat([]byte{byte(round)}, 20_000))))}))
		require.NoError(t, c.Delete(t.Context(), acme, "p00"))
		require.NoError(t, c.Close())
		c = open()
	}
	note := func() {
		found, failed := readContent(t, c, d.ids)
		require.Empty(t, failed)
		d.states = append(d.states, found)
	}
	note()
	for i := range 8 {
		// Long ones: see tornTail.
		metadata := fmt.Sprintf(`"%x"`, bytes.Repeat([]byte{byte(i)}, 8_000))
		write(fmt.Sprintf("p%02d", i+1), catalog.Patch{Title: catalog.Set("in the log"), Metadata: catalog.Set(json.RawMessage(metadata))})
		note()
	}
	live := d.disk
	d.disk = live.CrashClone(vfs.CrashCloneCfg{})
	require.NoError(t, c.Close())
	return d
}

func (d *damaged) files(t *testing.T) []string {
	names, err := d.disk.List("db")
	require.NoError(t, err)
	slices.Sort(names)
	return names
}

func contentOf(t *testing.T, fs vfs.FS, name string) []byte {
	f, err := fs.Open(name)
	require.NoError(t, err)
	data, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return data
}

// with returns a copy of the store in which a file has other bytes.
func (d *damaged) with(t *testing.T, name string, data []byte) *vfs.MemFS {
	fs := d.disk.CrashClone(vfs.CrashCloneCfg{})
	f, err := fs.Create(fs.PathJoin("db", name), vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	_, err = f.Write(data)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
	return fs
}

// tornTail is how much at the end of the log is taken for a write that a crash
// cut off when it can't be read: two of Pebble's blocks. Damage before that is
// told from it.
const tornTail = 64 << 10

// damageFigures say what came of the damage.
type damageFigures struct {
	refused, unreadable, harmless, older int
	sample                               error // of those that were met
}

// kindOfFile is the kind of a file of Pebble.
func kindOfFile(name string) string {
	switch {
	case strings.HasPrefix(name, "marker."):
		return "marker"
	case strings.Contains(name, "-"):
		return name[:strings.Index(name, "-")]
	}
	return strings.TrimPrefix(filepath.Ext(name), ".")
}

// require opens the damaged store and checks that what it reads is right, or
// an error; and that Check then finds something.
func (d *damaged) require(t *testing.T, fs vfs.FS, torn bool, f *damageFigures) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	c, err := openOn(fs, ttl.NewManualClock(epoch), catalog.Options{UseWindow: catalog.NoUseWindow})
	if err != nil {
		f.refused++
		f.sample = err
		return nil
	}
	defer func() { _ = c.Close() }()
	found, failed := readContent(t, c, d.ids)
	report, checkErr := c.Check(t.Context())
	if checkErr != nil {
		return fmt.Errorf("check does not read on: %w", checkErr)
	}
	for id, err := range failed {
		named := func(p catalog.Problem) bool { return p.Account == acme && p.ExternalID == id }
		if report.Unreadable == 0 && !slices.ContainsFunc(report.Problems, named) {
			return fmt.Errorf("check does not name %q, which can't be read: %w\n%v", id, err, report.Problems)
		}
		if !errors.Is(err, catalog.ErrDamaged) && !errors.Is(err, catalog.ErrImageNotFound) {
			return fmt.Errorf("not said to be damage: %w", err)
		}
	}
	sound := report.Sound()
	truth := d.states[len(d.states)-1]
	if len(failed) > 0 {
		f.unreadable++
		for _, f.sample = range failed {
		}
		if sound {
			return fmt.Errorf("check finds nothing wrong, reading does: %v", failed)
		}
	} else if found.equal(truth) {
		f.harmless++
	}
	for id, text := range found {
		if truth[id] != text && !slices.ContainsFunc(d.states, func(s content) bool { return torn && s[id] == text }) {
			return fmt.Errorf("%q is %.300s, not %.300s", id, text, truth[id])
		}
	}
	for id := range truth {
		if _, ok := found[id]; !ok && failed[id] == nil {
			return fmt.Errorf("%q is missing", id)
		}
	}
	if len(failed) == 0 && !found.equal(truth) {
		f.older++
		if !torn {
			return errors.New("acknowledged writes are missing")
		}
		if !slices.ContainsFunc(d.states, found.equal) {
			return errors.New("a state that never was")
		}
	}
	return nil
}

// TestCorruption flips bits in every file of a store, and cuts it off. What is
// read then is right or an error, and Check finds the damage. Only a log that is
// cut off, or damaged near its end, looks like one that a crash left: there the
// last writes are missing, whole and in order.
func TestCorruption(t *testing.T) {
	seed := *damageSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("replay with -damage.seed=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	d := makeDamaged(t)
	kinds := map[string]*damageFigures{}
	for _, name := range d.files(t) {
		data := contentOf(t, d.disk, d.disk.PathJoin("db", name))
		kind := kindOfFile(name)
		if kinds[kind] == nil {
			kinds[kind] = new(damageFigures)
		}
		fs := d.disk.CrashClone(vfs.CrashCloneCfg{})
		require.NoError(t, fs.Remove(fs.PathJoin("db", name)))
		if err := d.require(t, fs, kind == "log", kinds[kind]); err != nil {
			t.Errorf("%s is missing: %v", name, err)
		}
		if len(data) == 0 {
			continue
		}
		try := func(what string, changed []byte, torn bool) {
			err := d.require(t, d.with(t, name, changed), torn && kind == "log", kinds[kind])
			if err != nil {
				t.Errorf("%s, %d bytes, %s: %v", name, len(data), what, err)
			}
		}
		times := max(2, *damageTimes/faultRaceFactor)
		for range times {
			at, bit := rng.IntN(len(data)), rng.IntN(8)
			changed := bytes.Clone(data)
			changed[at] ^= 1 << bit
			try(fmt.Sprintf("bit %d of byte %d flipped", bit, at), changed, at >= len(data)-tornTail)
		}
		for range times / 2 {
			size := rng.IntN(len(data))
			try(fmt.Sprintf("cut to %d bytes", size), data[:size], true)
		}
	}
	for _, kind := range []string{"sst", "blob", "log", "MANIFEST", "OPTIONS", "marker"} {
		require.Contains(t, kinds, kind)
		f := kinds[kind]
		t.Logf("%s: store refused %d times, reads failed %d, unharmed %d, last writes missing %d; for example: %.200v",
			kind, f.refused, f.unreadable, f.harmless, f.older, f.sample)
	}
}
