package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
)

// reclaimCmd is shelflife reclaim.
type reclaimCmd struct {
	Data string `required:"" placeholder:"DIR" help:"Folder of the store."`
}

// Help returns the details.
func (*reclaimCmd) Help() string {
	return `Removes what has expired, gives back the room of it and of everything that was deleted, and leaves nothing of that in the store's files. A server does all of it by itself in time; this does it now. Uploaded bytes stay for a quarter of an hour after they were replaced or deleted.

The store must not be in use by a server. It needs free disk space for the files that it writes anew, one after the other.`
}

// Run gives back room.
func (c *reclaimCmd) Run(p *process) (err error) {
	before := folderSize(c.Data)
	cat, err := openStore(p.ctx, place{dir: c.Data}, pebble.Options{CacheSize: ownCache(), MustExist: true}, catalog.Options{})
	if err != nil {
		return err
	}
	if err := errors.Join(cat.Reclaim(p.ctx), cat.Close()); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "%d bytes, %d before\n", folderSize(c.Data), before)
	return nil
}

// folderSize returns how many bytes the files of a folder have, as far as it can
// be read.
func folderSize(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return nil
	})
	return n
}
