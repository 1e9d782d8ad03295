package httpadapter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// spoolMemory is how many bytes of the files of one request are kept in
// memory.
const spoolMemory = 256 << 10

// spool keeps the files of one request: the first small ones in memory, the
// others one after the other in a single temporary file. It is written by one
// goroutine; what it stored may be read by several.
type spool struct {
	dir string
	// ready is asked before anything is put on the disk: where that is full, what
	// could not be stored afterwards should not fill it further.
	ready func() error
	usage *usage
	free  int // of spoolMemory
	file  *os.File
	size  int64 // of file
	// named is set if the file could not be removed while open.
	named bool
}

func newSpool(dir string, ready func() error, u *usage) *spool {
	return &spool{dir: dir, ready: ready, usage: u, free: spoolMemory}
}

// section is one stored file. It is valid until its spool is closed.
type section struct {
	io.ReaderAt
	size int64
}

// add stores what r holds. More than limit bytes are an error that says so to
// the client; an error that is not r's is a *spoolError.
func (s *spool) add(r io.Reader, limit int64) (section, error) {
	var small bytes.Buffer
	n, err := io.CopyN(&small, r, min(int64(s.free), limit)+1)
	switch {
	case err != nil && err != io.EOF:
		return section{}, err
	case err == io.EOF:
		s.free -= int(n)
		return section{bytes.NewReader(small.Bytes()), n}, nil
	}
	start := s.size
	if _, err := s.Write(small.Bytes()); err != nil {
		return section{}, err
	}
	if _, err := io.Copy(s, io.LimitReader(r, limit+1-n)); err != nil {
		return section{}, err
	}
	size := s.size - start
	if size > limit {
		return section{}, errFileTooLarge
	}
	return section{io.NewSectionReader(spoolFile{s.file}, start, size), size}, nil
}

// spoolFile is the temporary file as its readers have it.
type spoolFile struct{ *os.File }

// ReadAt returns an error of its own once the request has ended: a reader that
// comes too late has met no failure of the disk.
func (f spoolFile) ReadAt(b []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(b, off)
	if errors.Is(err, os.ErrClosed) {
		err = errRequestEnded
	}
	return n, err
}

var errRequestEnded = fmt.Errorf("httpadapter: the request of the file has ended: %w", context.Canceled)

var errFileTooLarge = tooLarge("a file is too large")

// Write appends to the temporary file, making it at the first call.
func (s *spool) Write(b []byte) (int, error) {
	if s.file == nil {
		if err := s.open(); err != nil {
			return 0, &spoolError{err}
		}
	}
	if err := s.makeRoom(int64(len(b))); err != nil {
		return 0, err
	}
	n, err := s.file.WriteAt(b, s.size)
	s.size += int64(n)
	if err != nil {
		return n, &spoolError{err}
	}
	return n, nil
}

// lookEvery is how many bytes of an upload are written between two looks at the free
// space: many that come at once take no more than the margin above a store's reserve.
const lookEvery = 256 << 10

// makeRoom returns nil if n more bytes may go to the disk.
func (s *spool) makeRoom(n int64) error {
	if err := refusal(s.usage.spool.Grow(n)); err != nil {
		return err
	}
	if s.size > 0 && s.size/lookEvery == (s.size+n)/lookEvery {
		return nil
	}
	free, total, ok := diskSpace(s.dir)
	reserve := s.usage.budget.reserve
	if reserve == 0 {
		reserve = defaultSpoolReserve(total)
	}
	// What others write meanwhile goes to the reserve.
	if ok && free < reserve+n {
		s.usage.spool.ShrinkTo(s.usage.spool.Has() - n)
		return &spoolError{fmt.Errorf("%w: %d bytes are free, and %d are kept free", errSpoolReserve, free, reserve)}
	}
	return nil
}

// defaultSpoolReserve returns what uploads leave alone of a file system of that size:
// half as much again as a store on Pebble does by default (pebble.Options.DiskReserve),
// so that uploads are refused before writes are.
func defaultSpoolReserve(total int64) int64 {
	return min(max(total*3/20, 24<<20), total*3/8, 384<<20)
}

// errSpoolReserve says that uploads would take the last of the disk. It is
// answered like a disk that is full.
var errSpoolReserve = errors.New("the disk of the spool is nearly full")

// open makes the temporary file and removes its name at once, so that nothing
// is left behind even if the process dies.
func (s *spool) open() error {
	if err := s.ready(); err != nil {
		return err
	}
	f, err := os.CreateTemp(s.dir, "shelflife-upload-*")
	if err != nil {
		return err
	}
	s.file = f
	s.named = os.Remove(f.Name()) != nil
	return nil
}

// Close gives back memory and disk. Readers of the temporary file fail from
// now on. Calling it again does nothing.
func (s *spool) Close() error {
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	err := f.Close()
	if s.named {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	if err != nil {
		return &spoolError{err}
	}
	return nil
}

// spoolError says that files could not be kept: never the client's fault.
type spoolError struct{ cause error }

func (e *spoolError) Error() string { return "httpadapter: keeping uploaded files: " + e.cause.Error() }

func (e *spoolError) Unwrap() error { return e.cause }
