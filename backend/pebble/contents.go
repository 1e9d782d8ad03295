package pebble

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelflife-db/shelflife/backend/pebble/internal/diskguard"
)

// folderState says what is in a directory.
type folderState int

const (
	folderEmpty folderState = iota // or not there, or what an interrupted creation leaves
	folderStore
)

// examine looks at what is in dir before anything is made there. ErrForeign says
// that it is something else than a store; another error that it is a store which
// is damaged.
func examine(fsys vfs.FS, dir string) (folderState, error) {
	names, err := fsys.List(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return folderEmpty, nil
	case err != nil:
		return folderEmpty, err
	case slices.Contains(names, restoringName):
		return folderEmpty, ErrIncomplete
	case slices.ContainsFunc(names, hasPrefix(manifestMarker)):
		return folderStore, nil
	}
	if err := refuseHeadless(names); err != nil {
		return folderEmpty, err
	}
	for _, name := range names {
		if !ownName.MatchString(name) && !isSocket(fsys, fsys.PathJoin(dir, name)) {
			return folderEmpty, fmt.Errorf("%w (%q)", ErrForeign, name)
		}
	}
	return folderEmpty, nil
}

// ownName matches what may stand in a directory in which a store is to be made:
// what every fresh volume has, what the commands put beside a store, and what
// Pebble makes before a store has its first marker.
var ownName = regexp.MustCompile(`^(lost\+found|spool|checkpoint|LOCK|ballast|erasure\.state|newest\.log\.state|marker\..*|MANIFEST-\d+|OPTIONS-\d+|.*\.dbtmp)$`)

func isSocket(fsys vfs.FS, path string) bool {
	info, err := fsys.Stat(path)
	return err == nil && info.Mode()&fs.ModeSocket != 0
}

// dataName matches the files that a store has only when it has its marker, too.
var dataName = regexp.MustCompile(`^\d{6,}\.(sst|blob|log)$`)

// refuseWithoutLog returns an error that is ErrDamagedStore where the newest log is
// missing, see package diskguard.
//
// Pebble v2.1.7: unnecessary when crdb.Open refuses a store whose log is missing
// (TestPebbleMissesNoLog).
func refuseWithoutLog(fsys vfs.FS, dir string) error {
	log, err := missingLog(fsys, dir)
	if err == nil && log != "" {
		err = fmt.Errorf("%w: the log %s is missing, which has the last writes", ErrDamagedStore, log)
	}
	return err
}

// missingLog returns the name of the newest log if it is missing, else "". Where there
// is a later one, a program that does not note logs has had the store open since, a tool
// of Pebble's: it has read the log.
func missingLog(fsys vfs.FS, dir string) (string, error) {
	log, err := diskguard.NewestLog(fsys, dir)
	if err != nil || log == "" {
		return "", err
	}
	names, err := fsys.List(dir)
	if err != nil || slices.ContainsFunc(names, func(name string) bool { return logNumber(name) >= logNumber(log) }) {
		return "", err
	}
	return log, nil
}

// refuseHeadless returns an error where there are tables, but nothing says which
// of them make up the store: Pebble would begin a new one and remove them.
//
// Pebble v2.1.7: unnecessary when crdb.Open refuses tables without a manifest
// (TestPebbleRemovesHeadlessTables).
func refuseHeadless(names []string) error {
	tables := 0
	for _, name := range names {
		if dataName.MatchString(name) {
			tables++
		}
	}
	if tables > 0 {
		return fmt.Errorf("%w: there are %d tables and logs, but the file marker.manifest.* is missing", ErrDamagedStore, tables)
	}
	return nil
}
