package pebble

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelflife-db/shelflife/backend"
)

// A Damaged is a Store that is open for reading though files of it are missing, cut
// off or damaged. Reads of what is damaged fail with a *backend.DamageError; the
// rest is as it was last written, up to LostFrom.
type Damaged struct {
	*Store
	dir    string
	opts   Options
	view   salvageFS
	faults *faults
	// noLog is the newest log, if that is missing.
	noLog string
}

var (
	_ backend.Backend   = (*Damaged)(nil)
	_ backend.Uncoverer = (*Damaged)(nil)
)

// OpenDamaged opens the store in dir for reading, as [Open] does with
// Options.ReadOnly, also one that Open refuses: with tables or blob files that are
// missing or cut off, with a log that is damaged in its middle, with damaged
// options. It is for salvage alone. Nothing in the directory is made, changed or
// removed.
//
// A log is read up to where it is damaged. Commits are durable in their order, so
// what is seen then is an earlier state of the store: see [Damaged.LostFrom]. A
// store whose MANIFEST is damaged is out of reach, since nothing else says which
// files make it up.
func OpenDamaged(ctx context.Context, dir string, o *Options) (*Damaged, error) {
	d := &Damaged{dir: dir, faults: new(faults)}
	if o != nil {
		d.opts = *o
	}
	if d.opts.FS == nil {
		d.opts.FS = vfs.Default
	}
	d.opts.ReadOnly, d.opts.damaged = true, true
	d.view = salvageFS{FS: d.opts.FS, hidden: make(map[string][]byte)}
	if err := d.openCutting(ctx); err != nil {
		return nil, err
	}
	if err := d.lookForFiles(ctx); err != nil {
		return nil, err
	}
	if names, err := d.opts.FS.List(dir); err == nil && !slices.ContainsFunc(names, hasPrefix(formatMarker)) {
		d.faults.add(formatMarker, formatMarker+"* is missing")
	}
	if name := unreadOptions(d.opts.FS, dir); name != "" {
		d.faults.add(name, name+" can't be read")
	}
	// What can't be read of where that stands is no reason to give up.
	if d.noLog, _ = missingLog(d.opts.FS, dir); d.noLog != "" {
		d.faults.add(d.noLog, d.noLog+" is missing")
	}
	return d, nil
}

// open opens the store as the view shows it.
func (d *Damaged) open(ctx context.Context) (err error) {
	o := d.opts
	o.FS = d.view
	d.Store, err = Open(ctx, d.dir, &o)
	return err
}

// openCutting opens the store, with a log cut off where it is damaged if it does not
// open otherwise.
//
// Damaged logs are tried from the last to the first: Pebble reads those alone that
// hold what is in no table yet, and an older one, kept to be written over, costs
// nothing. Where a log is cut those behind it are hidden, since what they hold was
// written later.
func (d *Damaged) openCutting(ctx context.Context) error {
	first := d.open(ctx)
	if first == nil || errors.Is(first, ErrLocked) || errors.Is(first, ErrNoStore) || ctx.Err() != nil {
		return first
	}
	logs, err := damagedLogs(d.opts.FS, d.dir)
	if err != nil {
		return errors.Join(first, err)
	}
	for _, log := range slices.Backward(logs) {
		d.view.cut = log
		if d.open(ctx) == nil {
			d.faults.add(log.name, fmt.Sprintf("%s can't be read from byte %d on", log.name, log.at))
			return nil
		}
	}
	return first
}

// lookForFiles notes the files that are missing or have another length than they
// should. Where blob files are missing it opens the store again, with their names
// in the directory: of one without Pebble does not say that it is missing, it
// panics.
//
// Pebble v2.1.7: unnecessary when DB.reportCorruption takes a blob file of which it
// has no metadata (TestPebbleMissesBlobFilesLate).
func (d *Damaged) lookForFiles(ctx context.Context) error {
	version := d.turn.Load().db.DebugCurrentVersion()
	var blobs []string
	for f := range version.BlobFiles.All() {
		if name := f.Physical.FileNum.String() + ".blob"; d.look(name, f.Physical.Size) {
			blobs = append(blobs, name)
		}
	}
	for _, level := range version.Levels {
		for f := range level.All() {
			d.look(f.TableBacking.DiskFileNum.String()+".sst", f.TableBacking.Size)
		}
	}
	if len(blobs) == 0 {
		return nil
	}
	d.view.missing = blobs
	if err := d.Store.Close(); err != nil {
		return err
	}
	return d.open(ctx)
}

// look notes what is wrong with the length of a file, and reports whether it is
// missing.
func (d *Damaged) look(name string, size uint64) (missing bool) {
	info, err := d.opts.FS.Stat(d.opts.FS.PathJoin(d.dir, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.faults.add(name, name+" is missing")
		return true
	case err != nil:
		d.faults.add(name, name+" can't be read")
	case uint64(info.Size()) != size:
		d.faults.add(name, fmt.Sprintf("%s has %d bytes of %d", name, info.Size(), size))
	}
	return false
}

// unreadOptions returns the name of the file of the options in dir if Pebble, which
// compares them with its own, can't read it, else "".
func unreadOptions(fsys vfs.FS, dir string) string {
	found, err := crdb.Peek(dir, fsys)
	if err != nil || found.OptionsFilename == "" {
		return ""
	}
	name := fsys.PathBase(found.OptionsFilename)
	file, err := fsys.Open(fsys.PathJoin(dir, name))
	if err != nil {
		return ""
	}
	text, err := io.ReadAll(file)
	_ = file.Close() // only read
	if err == nil {
		o := engineOptions(Options{})
		o.EnsureDefaults()
		err = o.CheckCompatibility(dir, string(text))
	}
	if !crdb.IsCorruptionError(err) {
		return ""
	}
	return name
}

// LostFrom names the log that is missing or in whose middle damage begins, "" if
// none: what was written from there on is not shown, and can't be recovered.
func (d *Damaged) LostFrom() string {
	if d.noLog != "" {
		return d.noLog
	}
	return d.view.cut.name
}

// Faults describes, for people, what is known to be wrong with which file: from
// the beginning what is missing or has another length, and after Uncover also
// what was left out.
func (d *Damaged) Faults() []string { return d.faults.all() }

// Uncover implements backend.Uncoverer. The parts that it leaves out are whole
// tables, wherever in them the damage is.
func (d *Damaged) Uncover(ctx context.Context, damage []*backend.DamageError) (backend.Backend, error) {
	below := &Damaged{dir: d.dir, opts: d.opts, view: d.view, faults: d.faults}
	below.view.hidden = maps.Clone(d.view.hidden)
	found := false
	for _, damage := range damage {
		info := crdb.ExtractDataCorruptionInfo(damage.Cause)
		if info == nil || len(info.Bounds.End.Key) == 0 {
			continue // in a blob file: what it holds stands in no other
		}
		name := d.opts.FS.PathBase(info.Path)
		if _, hidden := below.view.hidden[name]; hidden {
			continue
		}
		empty, err := emptyTable(d.opts)
		if err != nil {
			return nil, err
		}
		below.view.hidden[name] = empty
		d.faults.add(name, name+" can't be read, or not all of it")
		found = true
	}
	if !found {
		return nil, backend.ErrNothingCovers
	}
	if err := below.open(ctx); err != nil {
		return nil, err
	}
	return below, nil
}

// faults are what is known to be wrong with files.
type faults struct {
	mu    sync.Mutex // guards the rest
	names map[string]struct{}
	texts []string
}

// add notes what is wrong with a file. The first text about one stays.
func (f *faults) add(name, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, known := f.names[name]; known {
		return
	}
	if f.names == nil {
		f.names = make(map[string]struct{})
	}
	f.names[name] = struct{}{}
	f.texts = append(f.texts, text)
}

func (f *faults) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.texts)
}
