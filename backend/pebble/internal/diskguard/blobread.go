package diskguard

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/blob"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// openBlob opens a file of separated values that Pebble is to read. Pebble
// panics on one that has no sound footer, in a goroutine of its own too: it does
// not know which file to report. So that is found here, and is to Pebble an
// error like any other.
//
// Pebble v2.1.7: unnecessary when DB.reportCorruption takes a blob file of which
// it has no metadata (TestPebblePanicsOnBlobFooter).
func openBlob(d *disk, name string, opts []vfs.OpenOption) (vfs.File, error) {
	f, err := d.real.Open(name, opts...)
	if err != nil {
		if !isOutOfFiles(err) { // which passes
			d.unreadable.Store(true)
		}
		return nil, err
	}
	r, err := sstable.NewSimpleReadable(f)
	if err == nil {
		// It reads the footer alone, and has nothing to close but f.
		_, err = blob.NewFileReader(context.Background(), r, blob.FileReaderOptions{})
	}
	if err != nil {
		d.unreadable.Store(true)
		_ = f.Close()
		if crdb.IsCorruptionError(err) {
			// Without what marks it as Pebble's own kind of error.
			err = fmt.Errorf("damaged: %v", err)
		}
		return nil, fmt.Errorf("blob file %s: %w", name, err)
	}
	return &blobFile{File: f, disk: d, name: name, values: r.Size() - blobFooter}, nil
}

// blobFooter is the length of the footer of a blob file.
const blobFooter = 38

// blobFile is a file of separated values that is read.
type blobFile struct {
	vfs.File
	disk   *disk
	name   string
	values int64 // the size without the footer
}

// ReadAt reads one block with its trailer, or the footer. Pebble panics in a
// goroutine of its own where it writes such a file anew and can't read it. That
// goroutine then never comes back from here.
//
// An error would not do: any makes Pebble leave a buffer in use and panic about
// that. Nor is it enough to know which file is being written anew, since others
// read it meanwhile and are to have their error; the goroutine is known by what
// is on its stack alone.
//
// Pebble v2.1.7: unnecessary when DB.runBlobFileRewriteLocked closes its rewriter
// after an error, and DB.reportCorruption takes a blob file of which it has no
// metadata. It does not work any more when blobFileRewriteCompaction is called
// otherwise (both: TestPebblePanicsInRewrite).
func (f *blobFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	if f.disk.rewrites.Load() == 0 {
		return n, err
	}
	cause := err
	if err == nil && n > block.TrailerLen && off+int64(n) <= f.values {
		handle := block.Handle{Offset: uint64(off), Length: uint64(n - block.TrailerLen)}
		cause = block.ValidateChecksum(block.ChecksumTypeCRC32c, p, handle)
	}
	if cause != nil && inRewrite() {
		f.disk.park(fmt.Errorf("blob file %s can't be written anew: %w", f.name, cause))
	}
	return n, err
}

// inRewrite reports whether the caller is about to write a blob file anew.
func inRewrite() bool {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		frame, more := frames.Next()
		if strings.Contains(frame.Function, "blobFileRewriteCompaction") {
			return true
		}
		if !more {
			return false
		}
	}
}
