package catalog

import (
	"context"
	"log/slog"
	"time"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/imagegrace"
	"github.com/shelflife-db/shelflife/encoding"
)

const (
	// graceBatch is how many images are removed early in one Update.
	graceBatch = 64
	// graceRetry is how long one that failed is left alone.
	graceRetry = time.Second
)

// endGraceEarly removes image bytes before their grace is over where more of them
// wait than Options.ImageGraceBytes, until ctx is done.
func (c *Catalog) endGraceEarly(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.released.Over():
		}
		for c.removeExcess(ctx) != nil {
			retry := c.opts.Clock.NewTimer(graceRetry)
			select {
			case <-ctx.Done():
				retry.Stop()
				return
			case <-retry.C():
			}
		}
	}
}

// removeExcess removes what the budget has no room for.
func (c *Catalog) removeExcess(ctx context.Context) error {
	for {
		excess := c.released.Excess(c.now.Now(), graceBatch)
		if len(excess) == 0 {
			return nil
		}
		if err := c.removeReleased(ctx, excess); err != nil {
			c.released.Return(excess)
			if ctx.Err() == nil {
				c.noteDamage(wrap("remove image bytes", "", err))
				c.opts.Logger.Warn("shelflife: image bytes that no product has could not be removed early", slog.Any("error", err))
			}
			return err
		}
	}
}

// removeReleased removes those of the blobs that still wait as they were released.
func (c *Catalog) removeReleased(ctx context.Context, blobs []imagegrace.Blob) error {
	scopes := make([]backend.Scope, 0, len(blobs))
	for _, b := range blobs {
		scopes = append(scopes, blobScope(b.Account, b.ID))
	}
	// As the sweeper does it, which removes what a crash brings back.
	o := backend.UpdateOptions{Buffered: true, Reclaim: true}
	return c.update(ctx, scopes, o, func(t *tx) error {
		for _, b := range blobs {
			err := t.expireBlob(blobExpiry(b.Account, b.ID, b.Deadline), b.ID)
			if err != nil && !encoding.IsUnreadable(err) { // those are left to the sweeper, which reports them
				return err
			}
		}
		return nil
	})
}
