package pebble

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"runtime"
	"slices"
	"sync/atomic"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"golang.org/x/sync/errgroup"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble/internal/diskguard"
	"github.com/shelflife-db/shelflife/backend/pebble/internal/scopelock"
)

// loadsDir returns the directory of tables that are about to be ingested. It is
// within the store's own, since they are linked into that.
func (f *folder) loadsDir() string { return f.fs.PathJoin(f.dir, "loads") }

// removeLoads removes what a crash, or an Update that failed, has left of them.
func (f *folder) removeLoads() error {
	dir := f.loadsDir()
	if _, err := f.fs.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return f.fs.RemoveAll(dir)
}

// loads turns Updates with UpdateOptions.Bulk into tables, which Pebble ingests.
//
// # An ingestion, step by step
//
//  1. What the transaction wrote is sorted into tables, of one region of the keys each,
//     under its scopes: of what it has read nothing may change before it commits. The
//     tables lie beside the store, and a failure, that of a full disk above all, is
//     none of the store. Their own sync is within this step, so that the next ones
//     have little left to wait for.
//  2. The log is synced, while others go on.
//  3. The commitGate is closed, so that no commit is applied from here until step 6.
//  4. The log is synced again, for the commits that came between: what is before
//     the ingestion must be durable before that is. It is little.
//  5. Pebble links the tables into the store, gives them their place among the
//     commits, and makes that durable: all of them or none. A table that can't be
//     linked ends the ingestion with nothing changed.
//  6. The position behind the ingestion is durable, and is that of the commit.
type loads struct {
	*engine
	durable *durability
	scopes  *scopelock.Table
	gate    commitGate
	made    atomic.Bool
	named   atomic.Uint64
	// unfit says that the file system can't do it.
	unfit atomic.Bool
}

// A loadEntry is a key and its value; of those with the same key the last counts.
type loadEntry struct {
	key, value []byte
	order      int
}

// begin has a transaction collect what it puts for an ingestion.
func (l *loads) begin(t *txn) {
	if !l.unfit.Load() {
		t.bulk = arenas.Get().(*arena)
		t.writes = t.bulk.writes[:0]
	}
}

// byRegion returns the writes of each region of the keys, in the order of the regions
// and each in the order of writing. They lie in entries, which lie in the memory of space.
func byRegion(space []loadEntry, writes []write) (entries []loadEntry, regions [][]loadEntry) {
	var next [256]int
	for i := range writes {
		next[region(writes[i].key)]++
	}
	at := 0
	for r, n := range next {
		next[r], at = at, at+n
	}
	begin := next
	entries = slices.Grow(space[:0], len(writes))[:len(writes)]
	for i := range writes {
		r := region(writes[i].key)
		entries[next[r]] = loadEntry{writes[i].key, writes[i].value, i}
		next[r]++
	}
	for r := range next {
		if begin[r] < next[r] {
			regions = append(regions, entries[begin[r]:next[r]])
		}
	}
	return entries, regions
}

// sorted returns the last write of each key, in ascending order of the keys, in the
// memory of entries. Those of a region mostly come in that order.
func sorted(entries []loadEntry) []loadEntry {
	if !slices.IsSortedFunc(entries, compareEntries) {
		slices.SortFunc(entries, compareEntries)
	}
	last := entries[:0]
	for i, e := range entries {
		if i+1 == len(entries) || !bytes.Equal(e.key, entries[i+1].key) {
			last = append(last, e)
		}
	}
	return last
}

func compareEntries(a, b loadEntry) int {
	if c := bytes.Compare(a.key, b.key); c != 0 {
		return c
	}
	return cmp.Compare(a.order, b.order)
}

// region returns what tells the table of a key: its first byte.
func region(key []byte) byte {
	if len(key) == 0 {
		return 0
	}
	return key[0]
}

// load commits t under the scopes of h by an ingestion, and returns its position.
// done is false where it is to be committed in the ordinary way.
func (l *loads) load(ctx context.Context, w diskguard.Wait, h scopelock.Holds, t *txn) (pos uint64, done bool, err error) {
	var regions [][]loadEntry
	t.bulk.entries, regions = byRegion(t.bulk.entries, t.writes)
	paths, err := l.build(ctx, regions)
	defer func() { l.remove(paths) }()
	if err != nil {
		return 0, false, l.unable(err)
	}
	if err := ctx.Err(); err != nil {
		return 0, false, err
	}
	if err := l.durable.syncWithin(w); err != nil {
		return 0, false, err
	}
	if err := l.gate.shut(w); err != nil {
		return 0, false, err
	}
	defer l.gate.open()
	if err := l.durable.syncWithin(w); err != nil {
		return 0, false, err
	}
	l.scopes.Begin(h)
	changed, err := l.ingest(paths)
	if err != nil && changed {
		return 0, false, err
	}
	mark, marked := l.durable.mark(crdb.NoSync)
	if marked != nil {
		return 0, false, marked
	}
	mark.close()
	if err == nil {
		// All that has this position or one before was applied before the gate was
		// closed, and is durable, or is the ingestion.
		l.durable.upTo.Raise(mark.pos)
		paths = nil
	}
	l.scopes.Applied(h, mark.pos)
	if err != nil {
		return 0, false, l.unable(err)
	}
	return mark.pos, true, nil
}

// unable returns the error of an Update that can't be ingested for err and has
// changed nothing, nil where it is to be committed in the ordinary way.
func (l *loads) unable(err error) error {
	if failed := l.fail.Unavailable(); failed != nil {
		return failed
	}
	if diskguard.Passes(err) {
		l.guard.Nudge()
		return fmt.Errorf("%w: no room to load in bulk: %w", backend.ErrUnavailable, err)
	}
	if !l.unfit.Swap(true) {
		l.log.Warn("backend/pebble: tables can't be ingested, bulk loads are committed through the log", "error", err)
	}
	return nil
}

// ingest has Pebble take the tables. changed says that it may have, though there is
// an error.
func (l *loads) ingest(paths []string) (changed bool, err error) {
	l.hang.Applies.Begin()
	defer l.hang.Applies.End()
	l.permits.load()
	linked := l.guard.Linked()
	func() {
		defer l.fail.OnPanic(&err)
		err = l.db.Ingest(context.Background(), paths)
	}()
	var not *diskguard.NotLinkedError
	switch {
	case l.fail.Failed():
		return true, l.fail.Unknown()
	case err == nil:
		return true, nil
	case l.guard.Linked() == linked, errors.As(err, &not):
		return false, err
	}
	l.fail.Fail(err)
	return true, l.fail.Unknown()
}

const (
	// tableWriters is how many goroutines at most write the tables of an ingestion, no
	// more than may run at once: compressing them is most of what a load costs while its
	// scopes are held.
	tableWriters = 4
	// leastTable is how many bytes of keys and values a table has at least, but for the
	// last, where a region is cut into several so that there is one for each writer.
	leastTable = 1 << 20
)

// build sorts the regions and writes the tables, and returns the paths of all of them,
// of which some may not have been begun where it fails or ctx ends.
func (l *loads) build(ctx context.Context, regions [][]loadEntry) (paths []string, err error) {
	l.hang.Applies.Begin()
	defer l.hang.Applies.End()
	if !l.made.Load() {
		if err := l.folder.fs.MkdirAll(l.folder.loadsDir(), privateDir); err != nil {
			return nil, err
		}
		l.made.Store(true)
	}
	writers := min(tableWriters, runtime.GOMAXPROCS(0))
	sorting := new(errgroup.Group)
	sorting.SetLimit(writers)
	for i := range regions {
		sorting.Go(func() error {
			regions[i] = sorted(regions[i])
			return nil
		})
	}
	_ = sorting.Wait() // sorting has no error
	writing, ctx := errgroup.WithContext(ctx)
	writing.SetLimit(writers)
	for _, entries := range regions {
		for table := range cut(entries, writers) {
			path := l.folder.fs.PathJoin(l.folder.loadsDir(), fmt.Sprintf("%d.load", l.named.Add(1)))
			paths = append(paths, path)
			writing.Go(func() error {
				if ctx.Err() != nil {
					return nil // another has failed, or the caller sees to it
				}
				return l.write(path, table)
			})
		}
	}
	return paths, writing.Wait()
}

// cut cuts the entries of a region into those of its tables: as many as may be written
// at once, of about the same size but for the last, or of leastTable if that is more.
func cut(entries []loadEntry, writers int) iter.Seq[[]loadEntry] {
	size := func(e loadEntry) int { return len(e.key) + len(e.value) }
	all := 0
	for _, e := range entries {
		all += size(e)
	}
	full := max(leastTable, (all+writers-1)/writers)
	return func(yield func([]loadEntry) bool) {
		begin, bytes := 0, 0
		for i, e := range entries {
			if bytes += size(e); bytes < full && i+1 < len(entries) {
				continue
			}
			if !yield(entries[begin : i+1]) {
				return
			}
			begin, bytes = i+1, 0
		}
	}
}

// write writes one table, durably.
func (l *loads) write(path string, entries []loadEntry) (err error) {
	f, err := l.guard.CreateLoad(path)
	if err != nil {
		return err
	}
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(f), l.tables)
	defer func() { err = errors.Join(err, w.Close()) }()
	for i := range entries {
		if err := w.Set(entries[i].key, entries[i].value); err != nil {
			return err
		}
	}
	return nil
}

// remove removes tables that were not ingested. What stays is removed when the store
// is opened next.
func (l *loads) remove(paths []string) {
	for _, path := range paths {
		_ = l.guard.Remove(path)
	}
}
