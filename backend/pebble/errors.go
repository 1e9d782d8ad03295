package pebble

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	crdb "github.com/cockroachdb/pebble/v2"

	"github.com/shelflife-db/shelflife/backend"
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

// asDamagedStore marks err, with which a store was not opened, as ErrDamagedStore if
// that is what Pebble says with it.
func asDamagedStore(err error) error {
	if err == nil || errors.Is(err, ErrDamagedStore) || !crdb.IsCorruptionError(err) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamagedStore, err)
}

// diagnose returns err, with which Open did not open the store in dir, as an
// ErrDamagedStore that names the files, where some are known to be damaged. Where
// err is one of this package's it says so already. diagnose opens the store for reading,
// so nobody may have it locked.
//
// Pebble v2.1.7: unnecessary when each error of crdb.Open that says that a file is
// damaged is a crdb.IsCorruptionError, and names it (TestEveryDamageOfEveryFile in
// package catalog).
func diagnose(ctx context.Context, dir string, o Options, err error) error {
	for _, plain := range []error{ErrLocked, ErrNoStore, ErrForeign, ErrIncomplete, ErrDamagedStore, backend.ErrUnavailable} {
		if errors.Is(err, plain) {
			return err
		}
	}
	if errno := syscall.Errno(0); errors.As(err, &errno) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	d, failed := OpenDamaged(ctx, dir, &Options{FS: o.FS, CacheSize: diagnoseCache, MaxOpenFiles: minOpenFiles})
	if failed != nil {
		return err
	}
	texts := d.Faults()
	if d.Close() != nil || len(texts) == 0 {
		return err
	}
	return fmt.Errorf("%w: %s: %w", ErrDamagedStore, strings.Join(texts, "; "), err)
}

// diagnoseCache is the block cache for looking at a damaged store, in bytes.
const diagnoseCache = 1 << 20

// engineError marks an error as Pebble's.
func engineError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("backend/pebble: %w", err)
}
