package pebble

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrLocked is returned by Open for a directory that a Store, of this or of
// another process, has open.
var ErrLocked = errors.New("backend/pebble: the store is in use")

// ErrNoStore is returned by Open with Options.MustExist or Options.ReadOnly for
// a directory in which there is no store, or that is not there.
var ErrNoStore = errors.New("backend/pebble: there is no store")

// ErrForeign is returned by Open for a directory that holds something else than
// a store. Nothing in it was changed.
var ErrForeign = errors.New("backend/pebble: the directory holds other files and no store")

// ErrDamagedStore is returned by Open and OpenDamaged for a store that can't be opened
// since files of it are damaged or missing. The text names the file.
var ErrDamagedStore = errors.New("backend/pebble: the store is damaged")

// asDamagedStore marks err, with which the store in dir was not opened, as
// ErrDamagedStore if what it says is that, and names the file where it does not.
//
// Pebble v2.1.7: the text is unnecessary when a table of another length is a
// crdb.IsCorruptionError, and the names when Pebble's errors have them
// (TestEveryDamageOfEveryFile in package catalog).
func asDamagedStore(fsys vfs.FS, dir string, err error) error {
	if errors.Is(err, crdb.ErrDBNotPristine) {
		return fmt.Errorf("%w: the file %s* is missing: %w", ErrDamagedStore, formatMarker, err)
	}
	if err == nil || errors.Is(err, ErrDamagedStore) || !crdb.IsCorruptionError(err) && !errors.Is(err, fs.ErrNotExist) &&
		!strings.Contains(err.Error(), "object size mismatch") {
		return err
	}
	damaged := ErrDamagedStore
	if name := unparsedOptions(fsys, dir); name != "" {
		damaged = fmt.Errorf("%w: %s can't be read", damaged, name)
	}
	if logs, failed := damagedLogs(fsys, dir); failed == nil {
		for _, log := range logs {
			damaged = fmt.Errorf("%w: %s can't be read from byte %d on", damaged, log.name, log.at)
		}
	}
	return fmt.Errorf("%w: %w", damaged, err)
}

// unparsedOptions returns the name of the options that Pebble compares with its own, if
// it can't parse them.
func unparsedOptions(fsys vfs.FS, dir string) string {
	desc, err := crdb.Peek(dir, fsys)
	if err != nil || desc.OptionsFilename == "" {
		return ""
	}
	file, err := fsys.Open(fsys.PathJoin(dir, fsys.PathBase(desc.OptionsFilename)))
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
	if err == nil || !crdb.IsCorruptionError(err) {
		return ""
	}
	return fsys.PathBase(desc.OptionsFilename)
}

// engineError marks an error as Pebble's.
func engineError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("backend/pebble: %w", err)
}
