package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
)

// defaultCache is the cache of commands that have no flag for it.
const defaultCache = 256 << 20

// openStore opens the catalog in dir, or creates it. The catalog's own cache
// is given an eighth of the engine's.
func openStore(ctx context.Context, dir string, engine pebble.Options, o catalog.Options) (*catalog.Catalog, error) {
	b, err := openEngine(ctx, dir, engine)
	if err != nil {
		return nil, err
	}
	o.Logger = engine.Logger
	o.CacheBytes = engine.CacheSize / 8
	c, err := catalog.Open(ctx, b, &o)
	if err != nil {
		if reserve := (*pebble.ReserveError)(nil); errors.As(err, &reserve) {
			err = fmt.Errorf("%w; --disk-reserve sets the reserve", err)
		}
		return nil, errors.Join(err, b.Close())
	}
	return c, nil
}

func noStore(dir string) error { return fmt.Errorf("there is no store in %s", dir) }

// requireStore returns an error where there is no store in dir.
func requireStore(dir string) error {
	switch found, err := crdb.Peek(dir, vfs.Default); {
	case errors.Is(err, fs.ErrNotExist), err == nil && !found.Exists:
		return noStore(dir)
	case err != nil:
		return fmt.Errorf("looking for a store in %s: %w", dir, err)
	}
	return nil
}

// openForCheck opens the catalog in dir for reading. It creates nothing, and
// what has expired is left in the store.
func openForCheck(ctx context.Context, dir string) (*catalog.Catalog, error) {
	b, err := openEngineForCheck(ctx, dir)
	if err != nil {
		return nil, err
	}
	o := catalog.Options{CacheBytes: -1}
	o.Sweeper.Grace = 100 * 365 * 24 * time.Hour
	o.Sweeper.LeapPause = math.MaxInt64 // whether a clock is right is not judged here
	c, err := catalog.Open(ctx, b, &o)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return c, nil
}

// openEngineForCheck opens the engine's store in dir, which must be there.
func openEngineForCheck(ctx context.Context, dir string) (*pebble.Store, error) {
	if err := requireStore(dir); err != nil {
		return nil, err
	}
	b, err := openEngine(ctx, dir, pebble.Options{CacheSize: defaultCache})
	if err != nil {
		return nil, err
	}
	start, end := encoding.SpaceRange(encoding.SpaceMeta)
	found := false
	for _, err = range b.Scan(ctx, backend.Range{Start: start, End: end}, backend.ScanOptions{KeysOnly: true}) {
		if damage := (*backend.DamageError)(nil); errors.As(err, &damage) {
			err = nil // something is there
		}
		found = err == nil
		break
	}
	if err == nil && !found {
		err = noStore(dir)
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// openEngine opens the engine's store in dir.
func openEngine(ctx context.Context, dir string, o pebble.Options) (*pebble.Store, error) {
	b, err := pebble.Open(ctx, dir, &o)
	if errors.Is(err, pebble.ErrLocked) {
		return nil, fmt.Errorf("the store in %s is in use by another process", dir)
	}
	return b, err
}
