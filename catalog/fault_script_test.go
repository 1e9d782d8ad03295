package catalog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

var faultStride = flag.Int("fault.stride", 1, "the fault script fails every nth operation of the file system")

// faultMode is what one operation of the file system does wrong.
type faultMode struct {
	name string
	hits func(errorfs.OpKind) bool // the operations that are counted
	err  error                     // nil: see short and slow
	// heals says that the store goes on by itself.
	heals bool
}

func anyOp(errorfs.OpKind) bool     { return true }
func writeOp(k errorfs.OpKind) bool { return k.ReadOrWrite() == errorfs.OpIsWrite }
func dataOp(k errorfs.OpKind) bool {
	return k == errorfs.OpFileWrite || k == errorfs.OpFileWriteAt
}

var faultModes = []faultMode{
	{"error", anyOp, syscall.EIO, false},
	{"no space", writeOp, syscall.ENOSPC, true},
	{"short write", dataOp, nil, false},
	{"slow", anyOp, nil, false},
}

// oneFault makes the operation at an index go wrong.
type oneFault struct {
	faultMode
	index int64
	seen  atomic.Int64
	// hit is the operation that went wrong.
	hit   atomic.Pointer[errorfs.Op]
	short atomic.Bool // the next write is
}

func (f *oneFault) String() string { return f.name }

func (f *oneFault) MaybeError(op errorfs.Op) error {
	if !f.hits(op.Kind) || f.seen.Add(1)-1 != f.index {
		return nil
	}
	f.hit.Store(&op)
	switch f.name {
	case "short write":
		f.short.Store(true)
	case "slow":
		time.Sleep(5 * time.Millisecond)
	}
	return f.err
}

// shortFS writes half of what it is given where the fault says so.
type shortFS struct {
	vfs.FS
	fault *oneFault
}

func (s shortFS) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return shortFile{f, s.fault}, nil
}

func (s shortFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return s.wrap(s.FS.Create(name, c))
}

func (s shortFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return s.wrap(s.FS.ReuseForWrite(oldname, newname, c))
}

func (s shortFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	return s.wrap(s.FS.OpenReadWrite(name, c, o...))
}

type shortFile struct {
	vfs.File
	fault *oneFault
}

func (f shortFile) Write(p []byte) (int, error) {
	if !f.fault.short.Swap(false) {
		return f.File.Write(p)
	}
	n, err := f.File.Write(p[:len(p)/2])
	return n, errors.Join(err, io.ErrShortWrite)
}

func (f shortFile) WriteAt(p []byte, off int64) (int, error) {
	if !f.fault.short.Swap(false) {
		return f.File.WriteAt(p, off)
	}
	n, err := f.File.WriteAt(p[:len(p)/2], off)
	return n, errors.Join(err, io.ErrShortWrite)
}

// An opener opens a catalog on the store of a fault script.
type opener func(ttl.Clock, catalog.Options) (*catalog.Catalog, error)

func onDisk(fs vfs.FS) opener {
	return func(clock ttl.Clock, o catalog.Options) (*catalog.Catalog, error) { return openOn(fs, clock, o) }
}

// faultScript is a fixed sequence of calls on a store whose disk or server may
// fail, and what must be there after it.
type faultScript struct {
	t     *testing.T
	clock *ttl.ManualClock
	c     *catalog.Catalog
	// may holds, for each product, the states that it may be in: "" is gone.
	may map[string]map[string]bool
	// failed says that a call has failed.
	failed bool
	// heals says that the store must heal from the fault, and healed how often it
	// was waited for that.
	heals  bool
	healed int
}

// shown is a product without what a use that waits may not keep.
func shown(t *testing.T, p *catalog.Product) string {
	var members map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(p.AppendJSON(nil), &members))
	delete(members, "lastUsedAt")
	delete(members, "expiresAt")
	text, err := json.Marshal(members)
	require.NoError(t, err)
	return string(text)
}

// requireTyped checks that an error is one that the package promises, or names
// the fault itself: a read that failed.
func requireTyped(t *testing.T, err error) {
	t.Helper()
	for _, want := range []error{
		catalog.ErrUnavailable, catalog.ErrUnknownOutcome, catalog.ErrClosed, backend.ErrUnavailable, syscall.EIO, syscall.ENOSPC, syscall.EDQUOT, io.ErrShortWrite,
	} {
		if errors.Is(err, want) {
			return
		}
	}
	require.NoError(t, err, "an error of no known kind")
}

// wrote notes how a write of id was answered; p is nil for a delete. unknown
// are the states that it may have made where that is not known.
func (s *faultScript) wrote(id string, p *catalog.Product, err error, unknown ...string) {
	state := ""
	if p != nil {
		state = shown(s.t, p)
	}
	switch {
	case err == nil:
		s.may[id] = map[string]bool{state: true}
	case errors.Is(err, catalog.ErrUnknownOutcome):
		requireTyped(s.t, err)
		s.failed = true
		for _, u := range unknown {
			s.may[id][u] = true
		}
	default:
		requireTyped(s.t, err)
		s.failed = true
	}
}

// heal waits for a store that must heal, as far as it was opened for writing.
func (s *faultScript) heal() {
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for waited := false; s.heals; waited = true {
		err := s.c.Ready()
		if err == nil || errors.Is(err, backend.ErrReadOnly) {
			if err == nil && waited {
				s.healed++
			}
			return
		}
		require.NotErrorIs(s.t, err, backend.ErrStopped)
		<-poll.C
	}
}

// anything stands for a state that the script can't know: an edit whose
// outcome is not known.
const anything = "anything"

func (s *faultScript) upsert(id string, p catalog.Patch) {
	s.heal()
	if s.may[id] == nil {
		s.may[id] = map[string]bool{"": true}
	}
	if s.may[id][anything] {
		return
	}
	res, err := s.c.Upsert(s.t.Context(), acme, id, p)
	var bad *catalog.ValidationError
	if s.failed && errors.As(err, &bad) {
		return // the product that it was to edit is not there
	}
	s.wrote(id, res.Product, err, anything)
}

// bulk creates products in one step.
func (s *faultScript) bulk(ids ...string) {
	s.heal()
	var items []catalog.UpsertItem
	for _, id := range ids {
		s.may[id] = map[string]bool{"": true}
		items = append(items, catalog.UpsertItem{ExternalID: id, Patch: withImage(catalog.Patch{ValidForDays: catalog.Set(30)})})
	}
	for i, res := range s.c.UpsertMany(s.t.Context(), acme, items) {
		s.wrote(ids[i], res.Product, res.Err, anything)
	}
}

func (s *faultScript) remove(id string) {
	s.heal()
	err := s.c.Delete(s.t.Context(), acme, id)
	if errors.Is(err, catalog.ErrNotFound) {
		require.True(s.t, s.may[id][""] || s.may[id][anything])
		return
	}
	s.wrote(id, nil, err, "")
}

func (s *faultScript) use(id string) {
	p, err := s.c.Use(s.t.Context(), acme, id)
	s.saw(id, p, err)
}

// saw checks what a read or a use answered.
func (s *faultScript) saw(id string, p *catalog.Product, err error) {
	s.t.Helper()
	state := ""
	switch {
	case errors.Is(err, catalog.ErrNotFound):
	case err != nil:
		requireTyped(s.t, err)
		return
	default:
		state = shown(s.t, p)
	}
	require.True(s.t, s.may[id][state] || s.may[id][anything], "%s: %q, not one of %q", id, state, s.may[id])
}

// read compares everything that can be read with what may be there. Errors are
// clear ones.
func (s *faultScript) read() {
	for id := range s.may {
		p, err := s.c.Get(s.t.Context(), acme, id)
		s.saw(id, p, err)
		if err != nil {
			continue
		}
		for i, img := range p.Images {
			if !img.Uploaded() {
				continue
			}
			r, err := s.c.OpenImage(s.t.Context(), acme, id, i)
			if err != nil {
				s.lost(id, err)
				continue
			}
			data, err := io.ReadAll(r)
			if err == nil {
				require.True(s.t, bytes.Equal(data, faultImage(img.Width)), "other bytes")
			} else {
				s.lost(id, err)
			}
			require.NoError(s.t, r.Close())
		}
	}
	for p, err := range s.c.All(s.t.Context(), acme, catalog.AllOptions{Unlisted: true}) {
		if err != nil {
			requireTyped(s.t, err)
			break
		}
		s.saw(p.ExternalID, p, nil)
	}
}

// lost checks the error of an image of a product that was there just before. The store
// may have healed since, and taken the product's write back: one that it did not
// acknowledge.
func (s *faultScript) lost(id string, err error) {
	s.t.Helper()
	if errors.Is(err, catalog.ErrNotFound) || errors.Is(err, catalog.ErrImageGone) {
		s.saw(id, nil, catalog.ErrNotFound)
		return
	}
	requireTyped(s.t, err)
}

// faultImage is told by its width; one is stored in line, the other apart.
func faultImage(width int) []byte { return pngOf(uint64(width), width, width) }

// run makes the calls. It ends early when the catalog can't be opened.
func (s *faultScript) run(on opener) {
	t := s.t
	open := func() bool {
		c, err := on(s.clock, catalog.Options{CacheBytes: -1, UseWindow: catalog.NoUseWindow})
		if err != nil {
			requireTyped(t, errors.Join(err))
			return false
		}
		s.c = c
		catalog.EagerBulk(c)
		return true
	}
	closed := func() {
		if err := s.c.Close(); err != nil {
			requireTyped(t, err)
			s.failed = true
		}
	}
	if !open() {
		return
	}
	s.upsert("url", withImage(catalog.Patch{Title: catalog.Set("1")}))
	s.upsert("small", catalog.Patch{Images: imagesOf(faultImage(8)), ValidForDays: catalog.Set(30)})
	for i := range 3 {
		s.upsert(fmt.Sprint("large", i), catalog.Patch{Images: imagesOf(faultImage(120 + i))})
	}
	s.bulk("bulk1", "bulk2", "bulk3")
	s.upsert("mortal", withImage(catalog.Patch{ValidForDays: catalog.Set(1)}))
	s.upsert("url", catalog.Patch{Title: catalog.Set("2"), Metadata: catalog.Set(json.RawMessage(`{"a":1}`))})
	s.use("small")
	s.read()
	s.upsert("large0", catalog.Patch{Images: imagesOf(faultImage(130))})
	s.remove("large1")
	closed()
	if !open() {
		return
	}
	s.read()
	s.clock.Advance(day + time.Hour)
	if s.may["mortal"] != nil {
		s.may["mortal"] = map[string]bool{"": true}
	}
	if _, err := s.c.Sweep(t.Context()); err != nil {
		requireTyped(t, err)
	}
	if err := s.c.Reclaim(t.Context()); err != nil {
		requireTyped(t, err)
	}
	s.upsert("mortal", withImage(catalog.Patch{Title: catalog.Set("again")}))
	for i := range 3 {
		s.upsert(fmt.Sprint("later", i), catalog.Patch{Images: imagesOf(faultImage(140 + i))})
	}
	s.read()
	closed()
}

// requireIntact opens a store that works again and compares.
func (s *faultScript) requireIntact(on opener) {
	c, err := on(s.clock, catalog.Options{})
	require.NoError(s.t, err)
	s.c = c
	for id := range s.may {
		p, err := c.Get(s.t.Context(), acme, id)
		if !errors.Is(err, catalog.ErrNotFound) {
			require.NoError(s.t, err)
		}
		s.saw(id, p, err)
	}
	s.read()
	report, err := c.Check(s.t.Context())
	require.NoError(s.t, err)
	require.Empty(s.t, report.Problems)
	_, err = c.Upsert(s.t.Context(), acme, "afterwards", withImage(catalog.Patch{}))
	require.NoError(s.t, err)
	require.NoError(s.t, c.Close())
}

// TestFaultScript fails every single operation of the file system once while a
// script of calls runs, reopening and recovery included. No call lies about
// what it did, errors are typed, reads go on or fail clearly, and on a disk that
// works again, and after a crash besides, everything acknowledged is there.
func TestFaultScript(t *testing.T) {
	for _, mode := range faultModes {
		t.Run(mode.name, func(t *testing.T) {
			hits, failed, healed := 0, 0, 0
			stride := int64(*faultStride * faultRaceFactor)
			if testing.Short() {
				stride *= 3
			}
			for index := int64(0); ; index += stride {
				seen, refused, heals := runFault(t, mode, index)
				if !seen {
					require.Greater(t, index, int64(50))
					t.Logf("%d faults, %d of them failed a write, the store healed %d times", hits, failed, healed)
					require.Equal(t, mode.heals, healed > 0)
					return
				}
				hits++
				healed += heals
				if refused {
					failed++
				}
			}
		})
	}
}

// runFault runs the script with one fault, and reports whether the fault came,
// whether a write failed, and how often the store healed.
func runFault(t *testing.T, mode faultMode, index int64) (seen, refused bool, healed int) {
	mem := vfs.NewCrashableMem()
	fault := &oneFault{faultMode: mode, index: index}
	s := &faultScript{t: t, clock: ttl.NewManualClock(epoch), may: map[string]map[string]bool{}, heals: mode.heals}
	defer func() {
		if op := fault.hit.Load(); t.Failed() && op != nil {
			t.Logf("%s of operation %d, kind %d on %s", mode.name, index, op.Kind, op.Path)
		}
	}()
	s.run(onDisk(errorfs.Wrap(shortFS{mem, fault}, fault)))
	seen = fault.hit.Load() != nil
	crashed := mem.CrashClone(vfs.CrashCloneCfg{})
	s.requireIntact(onDisk(mem))
	s.requireIntact(onDisk(crashed))
	return seen, s.failed, s.healed
}
