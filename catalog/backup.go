package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/shelflife-db/shelflife/backend"
)

// BackupInfo says what a backup holds.
type BackupInfo struct {
	backend.BackupInfo
	// Products and Blobs are those of the copy, as CheckReport has them: also what
	// has expired, or waits for the end of a grace.
	Products, Blobs int
}

// Backup writes a copy of the store to w while it is in use: everything that was
// acknowledged before the call, uses included, and a prefix of what comes during
// it. It returns nil when all of the copy has been opened and checked, and was
// written. After an error what w has got is of no use: the engine's Restore
// refuses it.
//
// The copy is made on the disk of the store, where it shares the store's files.
// What is deleted or written anew meanwhile keeps its room until Backup returns, so
// w is better a file than a slow network. Reads and writes go on: Backup works half of
// the time and rests in between, for their sake. Only one Backup
// runs at a time; others wait. Like Check it reads the whole store, twice. Close has
// it end with ErrClosed, and waits for a call of w that has not returned.
//
// An error matches errors.ErrUnsupported where the backend has no such copy, as a
// database with tools of its own, and ErrDamaged where the copy is not sound: see
// Check and Salvage. Errors of w are returned as they are, and say nothing of the
// store.
func (c *Catalog) Backup(ctx context.Context, w io.Writer) (BackupInfo, error) {
	ctx, call := c.begin(ctx, OpBackup)
	var info BackupInfo
	err := c.long(ctx, func(ctx context.Context) (err error) {
		info, err = c.backup(ctx, w)
		return err
	})
	return info, call.end(c.wrap("backup", "", err))
}

func (c *Catalog) backup(ctx context.Context, w io.Writer) (info BackupInfo, err error) {
	// Some wait in memory, for no longer than Options.UseWindow. In the records they
	// are in the copy. That they stay in the overlay does no harm: they are folded
	// twice.
	if err := c.foldUses(ctx, c.uses.Unfolded(), false); err != nil {
		return info, err
	}
	taken := c.opts.Clock.Now()
	copied, err := backend.NewCheckpoint(ctx, c.backend)
	if err != nil {
		return info, err
	}
	defer func() { err = errors.Join(err, copied.Close()) }()
	pace := newPace(c.opts.Clock)
	report, err := c.checkCopy(ctx, copied, pace)
	if err != nil {
		return info, err
	}
	info.Products, info.Blobs = report.Products, report.Blobs
	if info.BackupInfo, err = copied.Write(ctx, pacedWriter{w, ctx, pace}, taken); err != nil {
		return info, err
	}
	c.backedUp.Store(&taken)
	return info, nil
}

// checkCopy opens a copy and checks it.
func (c *Catalog) checkCopy(ctx context.Context, copied backend.Checkpoint, pace *pace) (report CheckReport, err error) {
	b, err := copied.Open(ctx)
	if err != nil {
		return report, err
	}
	// As the clock is read: a copy has expired no further than its store.
	view, err := open(ctx, b, &Options{Clock: c.opts.Clock, CacheBytes: -1})
	if err != nil {
		return report, errors.Join(err, b.Close())
	}
	defer func() { err = errors.Join(err, view.Close()) }()
	if report, err = view.check(ctx, pace); err != nil {
		return report, err
	}
	if !report.Sound() {
		return report, fmt.Errorf("%w: the copy has faults, such as: %s", ErrDamaged, report.Problems[0])
	}
	return report, nil
}
