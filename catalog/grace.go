package catalog

import (
	"context"
	"log/slog"
	"time"
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
		entries := make([]dueEntry, 0, len(excess))
		for _, b := range excess {
			entries = append(entries, dueEntry{Expiry: blobExpiry(b.Account, b.ID, b.Deadline)})
		}
		// As the sweeper does it when the grace is over: only what still waits as it
		// was released is removed, and what a crash brings back the sweeper removes.
		if err := (expirer{c}).handle(ctx, entries); err != nil {
			c.released.Return(excess)
			if ctx.Err() == nil {
				c.opts.Logger.Warn("shelflife: image bytes that no product has could not be removed early", slog.Any("error", err))
			}
			return err
		}
	}
}
