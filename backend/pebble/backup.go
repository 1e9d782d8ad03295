package pebble

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"regexp"
	"time"

	"github.com/shelflife-db/shelflife/backend"
)

// A backup is, one after the other:
//
//	backupMagic
//	4 bytes  the length of the header, big endian
//	header   a backupHeader as JSON
//	files    the bytes of each, in the header's order
//	32 bytes the SHA-256 of all that stands before
//
// and nothing behind. So it can be written and read as a stream, and a byte that is
// missing, changed or added is told.
const backupMagic = "shelflife backup 1\n"

// maxBackupHeader bounds the header: a million files.
const maxBackupHeader = 64 << 20

// backupHeader says what a backup holds.
type backupHeader struct {
	Taken int64        `json:"taken"` // in milliseconds since 1970
	Files []backupFile `json:"files"`
}

// backupFile is a file of a store.
type backupFile struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// backupName matches the files that make up a store whose memtable is empty. Others
// have no place in a backup.
var backupName = regexp.MustCompile(`^(\d{6,}\.(sst|blob)|(MANIFEST|OPTIONS)-\d{6,}|marker\.[a-z-]+\.\d{6}\.[A-Za-z0-9-]+)$`)

// ErrDamagedBackup is returned by Restore and VerifyBackup for what is not a backup, is
// only a part of one, or was changed.
var ErrDamagedBackup = errors.New("backend/pebble: not an intact backup")

// writeBackup writes a backup whose files copy writes.
func writeBackup(w io.Writer, h backupHeader, copyFile func(name string, w io.Writer) error) (backend.BackupInfo, error) {
	all := newTally()
	out := io.MultiWriter(w, all)
	header, err := json.Marshal(h)
	if err != nil {
		return backend.BackupInfo{}, err
	}
	if len(header) > maxBackupHeader {
		return backend.BackupInfo{}, fmt.Errorf("backend/pebble: a backup of %d files: %w", len(h.Files), errors.ErrUnsupported)
	}
	begin := binary.BigEndian.AppendUint32([]byte(backupMagic), uint32(len(header)))
	if _, err := out.Write(append(begin, header...)); err != nil {
		return backend.BackupInfo{}, err
	}
	for _, f := range h.Files {
		before := all.n
		if err := copyFile(f.Name, out); err != nil {
			return backend.BackupInfo{}, err
		}
		if got := all.n - before; got != f.Size {
			return backend.BackupInfo{}, fmt.Errorf("backend/pebble: %s has %d bytes, and had %d before", f.Name, got, f.Size)
		}
	}
	if _, err := w.Write(all.sum.Sum(nil)); err != nil {
		return backend.BackupInfo{}, err
	}
	return h.info(all.n + sha256.Size), nil
}

// info returns what callers hear of a backup of so many bytes.
func (h backupHeader) info(bytes int64) backend.BackupInfo {
	return backend.BackupInfo{Taken: time.UnixMilli(h.Taken).UTC(), Files: len(h.Files), Bytes: bytes}
}

// tally sums and counts what is written to it.
type tally struct {
	sum hash.Hash
	n   int64
}

func newTally() *tally { return &tally{sum: sha256.New()} }

// Write implements io.Writer. It never fails.
func (t *tally) Write(p []byte) (int, error) {
	t.sum.Write(p)
	t.n += int64(len(p))
	return len(p), nil
}

// readBackup reads a backup, whose files take receives, each to its end. It has
// not been told to be intact before readBackup has returned nil. Errors of r and of
// take are returned as they are.
func readBackup(r io.Reader, take func(name string, r io.Reader) error) (backend.BackupInfo, error) {
	all := newTally()
	in := &summed{io.TeeReader(bufio.NewReaderSize(r, 256<<10), all), all}
	h, err := readBackupHeader(in)
	if err != nil {
		return backend.BackupInfo{}, err
	}
	for _, f := range h.Files {
		part := &io.LimitedReader{R: in, N: f.Size}
		if err := take(f.Name, part); err != nil {
			return backend.BackupInfo{}, err
		}
		if part.N > 0 {
			return backend.BackupInfo{}, fmt.Errorf("%w: it ends within %s", ErrDamagedBackup, f.Name)
		}
	}
	want := in.sum.Sum(nil)
	got := make([]byte, sha256.Size)
	if err := in.full(got); err != nil {
		return backend.BackupInfo{}, err
	}
	if !bytes.Equal(want, got) {
		return backend.BackupInfo{}, fmt.Errorf("%w: it does not have the sum that it should", ErrDamagedBackup)
	}
	switch n, err := in.Read(got[:1]); {
	case n > 0:
		return backend.BackupInfo{}, fmt.Errorf("%w: something stands behind its end", ErrDamagedBackup)
	case err != io.EOF:
		return backend.BackupInfo{}, err
	}
	return h.info(in.n), nil
}

// readBackupHeader reads what stands before the files.
func readBackupHeader(in *summed) (h backupHeader, err error) {
	begin := make([]byte, len(backupMagic)+4)
	if err := in.full(begin); err != nil {
		return h, err
	}
	if !bytes.HasPrefix(begin, []byte(backupMagic)) {
		return h, fmt.Errorf("%w: it does not begin as one", ErrDamagedBackup)
	}
	size := binary.BigEndian.Uint32(begin[len(backupMagic):])
	if size > maxBackupHeader {
		return h, fmt.Errorf("%w: its header has %d bytes", ErrDamagedBackup, size)
	}
	var header bytes.Buffer // which grows with what comes
	if _, err := io.CopyN(&header, in, int64(size)); err != nil {
		return h, in.ended(err)
	}
	if err := json.Unmarshal(header.Bytes(), &h); err != nil {
		return h, fmt.Errorf("%w: its header can't be read: %w", ErrDamagedBackup, err)
	}
	seen := make(map[string]bool, len(h.Files))
	for _, f := range h.Files {
		if !backupName.MatchString(f.Name) || f.Size < 0 || seen[f.Name] {
			return h, fmt.Errorf("%w: a file %q of %d bytes", ErrDamagedBackup, f.Name, f.Size)
		}
		seen[f.Name] = true
	}
	return h, nil
}

// summed is a reader that sums and counts what goes through it.
type summed struct {
	io.Reader
	*tally
}

// full fills p.
func (s *summed) full(p []byte) error {
	_, err := io.ReadFull(s, p)
	return s.ended(err)
}

// ended returns err, or what says that the backup ends too early.
func (s *summed) ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends after %d bytes", ErrDamagedBackup, s.n)
	}
	return err
}
