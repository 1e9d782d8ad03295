package diskguard

import (
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A Keeper keeps the tables and blob files of one store as long as an earlier
// opening of it, which has failed, is still read: the opening that took its place
// removes what it needs no more, of which the earlier one knows nothing. It is
// safe for concurrent use.
type Keeper struct {
	fs vfs.FS

	mu      sync.Mutex // guards the rest; nothing is locked below it
	holders int
	files   []string // to be removed when there are none
}

// NewKeeper returns a Keeper that holds no files yet.
func NewKeeper(fs vfs.FS) *Keeper { return &Keeper{fs: fs} }

// Hold has files kept until Release.
func (k *Keeper) Hold() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.holders++
}

// Release ends one Hold, and removes what was kept if that was the last. That
// fails without consequence: the next opening removes what is not in use.
func (k *Keeper) Release() {
	k.mu.Lock()
	k.holders--
	var files []string
	if k.holders == 0 {
		files, k.files = k.files, nil
	}
	k.mu.Unlock()
	for _, name := range files {
		_ = k.fs.Remove(name)
	}
}

// keep reports whether it has taken over the removal of a file. The caller has
// made sure that the store on the disk refers to it no more: nothing ever brings
// it back, and its name is not given again while it is there.
func (k *Keeper) keep(name string) bool {
	if !strings.HasSuffix(name, ".sst") && !strings.HasSuffix(name, ".blob") {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.holders > 0 {
		k.files = append(k.files, name)
	}
	return k.holders > 0
}
