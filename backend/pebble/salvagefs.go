package pebble

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"
)

// salvageFS shows a store's directory so that Pebble opens it for reading, whatever
// is wrong with files in it.
//
// It does not show the file of the options, which Pebble only compares with its
// own: a damaged one would keep it from opening. It shows the marker of the format
// where that is missing.
type salvageFS struct {
	vfs.FS
	// missing are the blob files that are not there, and are shown all the same, to
	// fail when they are opened.
	missing []string
	// hidden are the contents of tables in place of those on the disk.
	hidden map[string][]byte
	// cut is the log that ends before the rest of it, if it has a name. Those behind
	// it are not shown.
	cut damagedLog
}

var _ vfs.FS = salvageFS{}

var errMissing = errors.New("backend/pebble: the file is missing")

// Unwrap implements vfs.FS.
func (f salvageFS) Unwrap() vfs.FS { return f.FS }

// List implements vfs.FS.
func (f salvageFS) List(dir string) ([]string, error) {
	names, err := f.FS.List(dir)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		return strings.HasPrefix(name, "OPTIONS-") || f.cut.name != "" && logNumber(name) > f.cut.number
	})
	if slices.ContainsFunc(names, hasPrefix(manifestMarker)) && !slices.ContainsFunc(names, hasPrefix(formatMarker)) {
		// Its name is all that it says, and a newer format reads what an older one has.
		names = append(names, fmt.Sprintf("%s000001.%03d", formatMarker, formatMajorVersion))
	}
	names = append(names, f.missing...)
	for name := range f.hidden {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

func hasPrefix(prefix string) func(name string) bool {
	return func(name string) bool { return strings.HasPrefix(name, prefix) }
}

// Open implements vfs.FS.
func (f salvageFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	base := f.PathBase(name)
	if content, hidden := f.hidden[base]; hidden {
		return contentFile(base, content)
	}
	if slices.Contains(f.missing, base) {
		return nil, fmt.Errorf("%w: %s", errMissing, base)
	}
	file, err := f.FS.Open(name, opts...)
	if err == nil && base == f.cut.name {
		file = &cutFile{File: file, rest: io.LimitReader(file, f.cut.at)}
	}
	return file, err
}

// contentFile returns a file in memory.
func contentFile(name string, content []byte) (vfs.File, error) {
	mem := vfs.NewMem()
	file, err := mem.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	_, err = file.Write(bytes.Clone(content)) // which may be changed
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	return mem.Open(name)
}

// cutFile is a log of which the beginning is read.
type cutFile struct {
	vfs.File
	rest io.Reader
}

// Read implements vfs.File.
func (f *cutFile) Read(p []byte) (int, error) { return f.rest.Read(p) }

// emptyTable returns a table that holds nothing.
func emptyTable(o Options) ([]byte, error) {
	const name = "empty"
	mem := vfs.NewMem()
	file, err := mem.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	e := engineOptions(o)
	e.EnsureDefaults()
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(file), e.MakeWriterOptions(0, formatMajorVersion.MaxTableFormat()))
	if err := w.Close(); err != nil {
		return nil, err
	}
	written, err := mem.Open(name)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(written)
	return content, errors.Join(err, written.Close())
}

// damagedLog is a log that can't be read to its end.
type damagedLog struct {
	name   string
	number uint64
	at     int64 // where what can't be read begins
}

// logNumber returns the number of a log by its name, 0 for another file.
func logNumber(name string) uint64 {
	number, isLog := strings.CutSuffix(name, ".log")
	if !isLog {
		return 0
	}
	n, _ := strconv.ParseUint(number, 10, 64)
	return n
}

// damagedLogs returns the logs in dir that can't be read to their ends, in the order
// in which they were written. The last one may end as a crash leaves it.
func damagedLogs(fsys vfs.FS, dir string) (damaged []damagedLog, err error) {
	logs, err := wal.Scan(wal.Dir{FS: fsys, Dirname: dir})
	if err != nil {
		return nil, err
	}
	for i, log := range logs {
		r := log.OpenForRead()
		var at wal.Offset
		for err = nil; err == nil; {
			_, at, err = r.NextRecord()
		}
		if err := r.Close(); err != nil {
			return nil, err
		}
		asCrashed := i == len(logs)-1 && errors.Is(err, record.ErrUnexpectedEOF)
		if !errors.Is(err, io.EOF) && !asCrashed {
			name := log.Num.String() + ".log"
			damaged = append(damaged, damagedLog{name, uint64(log.Num), at.Physical})
		}
	}
	return damaged, nil
}
