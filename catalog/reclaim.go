package catalog

import (
	"context"

	"github.com/shelflife-db/shelflife/backend"
)

// Reclaim removes what has expired, and has the backend give back the room of it
// and of everything that was deleted, and leave nothing of that where it keeps
// its data; the background would do both in time. Image bytes stay for
// Options.ImageGrace after they were released, and so does what an open reader
// or a running loop over All still shows. It can take as long as writing the
// files concerned anew. On a backend that holds nothing back, such as package
// memory, it only removes what has expired.
func (c *Catalog) Reclaim(ctx context.Context) error {
	ctx, call := c.begin(ctx, OpReclaim)
	return call.end(wrap("reclaim", "", c.long(ctx, c.reclaim)))
}

func (c *Catalog) reclaim(ctx context.Context) error {
	if _, err := c.sweep(ctx); err != nil {
		return err
	}
	return backend.Reclaim(ctx, c.backend)
}
