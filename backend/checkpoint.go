package backend

import (
	"context"
	"errors"
	"io"
	"time"
)

// A Checkpointer is a Backend that can make a copy of itself while it is in use.
// It is optional: a database has tools of its own for that.
type Checkpointer interface {
	// Checkpoint makes a copy of one state: of everything that was acknowledged
	// before the call, also with UpdateOptions.Buffered, and of a prefix of what is
	// committed during it. Commits go on meanwhile. A copy that can't be made leaves
	// nothing behind and says nothing of the store, which goes on. Only one
	// Checkpoint is open at a time; further calls wait until ctx ends.
	Checkpoint(ctx context.Context) (Checkpoint, error)
}

// A Checkpoint is a copy of a Backend. While it is open the room of what is removed
// from the Backend is not given back. It ends with the Backend: then its methods fail
// with ErrClosed.
type Checkpoint interface {
	// Open opens the copy for reading. What it returns is closed before the
	// Checkpoint is.
	Open(ctx context.Context) (Backend, error)
	// Write writes the copy to w, in a form from which the engine makes a Backend
	// again, and in which anything missing or changed is found. taken is when, for the
	// reader of it. w is not used after Write has returned; its errors
	// are returned as they are.
	Write(ctx context.Context, w io.Writer, taken time.Time) (BackupInfo, error)
	// Close removes the copy.
	Close() error
}

// BackupInfo says what a backup holds.
type BackupInfo struct {
	Taken time.Time // by the clock of the store, in whole milliseconds
	Files int
	Bytes int64 // of the whole backup
}

// NewCheckpoint calls b, if it is a Checkpointer, or the one that b decorates,
// as [Reclaim] does. Where there is none it fails with errors.ErrUnsupported.
func NewCheckpoint(ctx context.Context, b Backend) (Checkpoint, error) {
	c, ok := find[Checkpointer](b)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return c.Checkpoint(ctx)
}

// A Restored is a Backend that knows whether it was made of a backup. It is
// optional.
type Restored interface {
	// WasRestored reports whether the Backend was made of a backup, and
	// SettleRestored was not called since.
	WasRestored() bool
	// SettleRestored is called when the user of the Backend has marked, durably, that
	// time went back. After an error WasRestored still reports true, here or when the
	// Backend is opened next.
	SettleRestored() error
}

// FindRestored returns b as a Restored, or the one that b decorates, nil if
// there is none.
func FindRestored(b Backend) Restored {
	r, _ := find[Restored](b)
	return r
}
