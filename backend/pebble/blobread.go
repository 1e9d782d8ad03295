package pebble

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
func (g *guardFS) openBlob(name string, opts []vfs.OpenOption) (vfs.File, error) {
	f, err := g.FS.Open(name, opts...)
	if err != nil {
		if !isOutOfFiles(err) { // which passes
			g.unreadable.Store(true)
		}
		return nil, err
	}
	r, err := sstable.NewSimpleReadable(f)
	if err == nil {
		// It reads the footer alone, and has nothing to close but f.
		_, err = blob.NewFileReader(context.Background(), r, blob.FileReaderOptions{})
	}
	if err != nil {
		g.unreadable.Store(true)
		_ = f.Close()
		if crdb.IsCorruptionError(err) {
			// Without what marks it as Pebble's own kind of error.
			err = fmt.Errorf("damaged: %v", err)
		}
		return nil, fmt.Errorf("blob file %s: %w", name, err)
	}
	return &blobFile{File: f, g: g, name: name, values: r.Size() - blobFooter}, nil
}

// blobFooter is the length of the footer of a blob file.
const blobFooter = 38

// blobFile is a file of separated values that is read.
type blobFile struct {
	vfs.File
	g      *guardFS
	name   string
	values int64 // the size without the footer
}

// ReadAt reads one block with its trailer, or the footer. Pebble panics in a
// goroutine of its own where it writes such a file anew and can't read it. That
// goroutine then never comes back from here.
func (f *blobFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	if f.g.rewrites.Load() == 0 {
		return n, err
	}
	cause := err
	if err == nil && n > block.TrailerLen && off+int64(n) <= f.values {
		handle := block.Handle{Offset: uint64(off), Length: uint64(n - block.TrailerLen)}
		cause = block.ValidateChecksum(block.ChecksumTypeCRC32c, p, handle)
	}
	if cause != nil && inRewrite() {
		f.g.park(fmt.Errorf("blob file %s can't be written anew: %w", f.name, cause))
	}
	return n, err
}

// inRewrite tells whether the caller is about to write a blob file anew.
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

// park keeps its goroutine for good.
func (g *guardFS) park(cause error) {
	g.unreadable.Store(true)
	if g.parked.cause.CompareAndSwap(nil, &cause) {
		g.fail.log.Error("backend/pebble: a damaged file is left as it is until the store is opened again", "error", cause)
		close(g.parked.set)
	}
	select {}
}

// err returns why a goroutine of Pebble is parked, nil if none is.
func (p *parking) err() error {
	if cause := p.cause.Load(); cause != nil {
		return *cause
	}
	return nil
}
