package pebble

import (
	"errors"
	"io"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// owedName is the file that says since when the store may hold what was deleted
// from it, in the form of time.RFC3339, or owedNothing.
//
// While a store is open the file never says that nothing is owed: a crash may
// come at any time. Only Close writes that, and Open takes it back before Pebble
// writes anything. A store without the file may owe something since an unknown
// time, which counts from its opening.
const (
	owedName    = "erasure.state"
	owedNothing = "none"
)

// readOwed returns what the store owes: nothing, or something since a time, which
// is zero where it is not known. If nothing, the file is gone then.
func (f *folder) readOwed() (since time.Time, owed bool, err error) {
	name := f.fs.PathJoin(f.dir, owedName)
	file, err := f.fs.Open(name)
	if err != nil {
		return since, true, nil
	}
	text, err := io.ReadAll(io.LimitReader(file, 64))
	_ = file.Close() // only read
	if err != nil {
		return since, true, nil
	}
	content := strings.TrimSpace(string(text))
	if content != owedNothing {
		since, _ = time.Parse(time.RFC3339, content)
		return since, true, nil
	}
	// The directory is synced with the log that Pebble begins next.
	return since, false, f.fs.Remove(name)
}

// writeOwed replaces the file. Should a crash leave none, or half of one, more
// counts as owed than is.
func (f *folder) writeOwed(content string) error {
	file, err := f.fs.Create(f.fs.PathJoin(f.dir, owedName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = file.Write([]byte(content + "\n"))
	return errors.Join(err, file.Sync(), file.Close())
}
