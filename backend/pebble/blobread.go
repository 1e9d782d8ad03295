package pebble

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/blob"
	"github.com/cockroachdb/pebble/v2/vfs"
)

var errDamaged = errors.New("damaged blob file")

// openForReading opens what Pebble is to read. Pebble panics where a blob file
// has no sound footer, in a goroutine of its own too: it does not know which
// file to report. So that is found here, and is to Pebble an error like any
// other.
func openForReading(fs vfs.FS, name string, opts []vfs.OpenOption) (vfs.File, error) {
	f, err := fs.Open(name, opts...)
	if err != nil || !strings.HasSuffix(name, ".blob") {
		return f, err
	}
	r, err := sstable.NewSimpleReadable(f)
	if err == nil {
		// It reads the footer alone, and has nothing to close but f.
		_, err = blob.NewFileReader(context.Background(), r, blob.FileReaderOptions{})
	}
	if err != nil {
		_ = f.Close()
		// Without what marks it as Pebble's own kind of error.
		return nil, fmt.Errorf("%w: %s: %v", errDamaged, name, err)
	}
	return f, nil
}
