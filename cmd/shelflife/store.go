package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net/url"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/backend/postgres"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
)

// storeFlags say where the store of a command is.
type storeFlags struct {
	Data  string `placeholder:"DIR" help:"Folder of the store."`
	Store string `placeholder:"URL" env:"SHELFLIFE_STORE" help:"Store in a database that several processes share: postgres://USER@HOST/DATABASE. Instead of --data. SHELFLIFE_STORE keeps it, and a password in it, from other users of the machine."`

	StoreConnections int `placeholder:"N" env:"SHELFLIFE_STORE_CONNECTIONS" help:"How many connections this process may have to the database of --store, 4 to 1000: half for calls, half for loops over many products. Those of all processes must fit into its max_connections. Default: 32."`
}

// Bounds of --store-connections: two for calls, one of which waits for another, and two
// for loops.
const minStoreConnections, maxStoreConnections = 4, 1000

// place returns the one place that the flags name.
func (f storeFlags) place() (place, error) {
	switch {
	case f.Data != "" && f.Store != "":
		return place{}, errors.New("--data and --store (or SHELFLIFE_STORE) name two stores: give one of them")
	case f.Store != "" && !strings.HasPrefix(f.Store, "postgres://") && !strings.HasPrefix(f.Store, "postgresql://"):
		return place{}, errors.New("--store (or SHELFLIFE_STORE) is no URL that begins with postgres://")
	case f.Data == "" && f.Store == "":
		return place{}, errors.New("--data or --store is missing (try --help)")
	case f.StoreConnections != 0 && f.Store == "":
		return place{}, errors.New("--store-connections (or SHELFLIFE_STORE_CONNECTIONS) is given, but no --store")
	case f.StoreConnections != 0 && (f.StoreConnections < minStoreConnections || f.StoreConnections > maxStoreConnections):
		return place{}, fmt.Errorf("--store-connections (or SHELFLIFE_STORE_CONNECTIONS) is not within %d and %d", minStoreConnections, maxStoreConnections)
	}
	if u, err := url.Parse(f.Store); err == nil && (u.Query().Has("pool_max_conns") || u.Query().Has("pool_min_conns")) {
		return place{}, errors.New("--store (or SHELFLIFE_STORE) sets pool_max_conns or pool_min_conns: --store-connections says how many there may be")
	}
	return place{dir: f.Data, url: f.Store, connections: f.StoreConnections}, nil
}

// besideAdmin returns an error if the flags name a store, where --admin names the one of
// a server.
func (f storeFlags) besideAdmin() error {
	switch {
	case f.Data != "":
		return errors.New("--data and --admin name two stores: give one of them")
	case f.Store != "":
		return errors.New("--store (or SHELFLIFE_STORE) and --admin name two stores: give one of them")
	}
	return nil
}

// place is where a store is: a folder, or a database. The URL may hold a
// password: it is in no log and no error.
type place struct {
	dir, url    string
	connections int // to the database, 0 for the default
}

// String names the place for logs.
func (p place) String() string {
	if p.url != "" {
		// One that can't be read is refused when it is opened.
		where, _ := postgres.Address(p.url)
		return "PostgreSQL at " + where
	}
	return p.dir
}

// openStore opens the catalog in a place, or creates it. The catalog's own cache
// is given an eighth of the engine's.
func openStore(ctx context.Context, at place, engine pebble.Options, o catalog.Options) (*catalog.Catalog, error) {
	var b backend.Backend
	var err error
	if at.url != "" {
		b, err = openDatabase(ctx, at, engine, engine.MustExist)
		if errors.Is(err, fs.ErrNotExist) {
			err = noStore(at)
		}
	} else {
		b, err = openEngine(ctx, at.dir, engine)
	}
	if err != nil {
		return nil, err
	}
	o.Logger = engine.Logger
	o.CacheBytes = engine.CacheSize / 8
	if o.ImageGraceBytes == 0 {
		o.ImageGraceBytes = imageGraceOn(at)
	}
	c, err := catalog.Open(ctx, b, &o)
	if err != nil {
		if reserve := (*pebble.ReserveError)(nil); errors.As(err, &reserve) {
			err = fmt.Errorf("%w; --disk-reserve sets the reserve", err)
		}
		return nil, errors.Join(err, b.Close())
	}
	return c, nil
}

// imageGraceOn returns how many image bytes may wait for the end of their grace
// where a store is: on a small volume they must not take the room of what lives.
// 0: the catalog's default.
func imageGraceOn(at place) int64 {
	const share, most = 16, 1 << 30
	if at.dir == "" {
		return 0
	}
	u, err := vfs.Default.GetDiskUsage(at.dir)
	if err != nil || u.TotalBytes == 0 {
		return 0
	}
	return int64(max(min(u.TotalBytes/share, most), 1))
}

func noStore(at place) error { return &noStoreError{at} }

// noStoreError says that there is no store in a place.
type noStoreError struct{ at place }

// Error implements error.
func (e *noStoreError) Error() string { return fmt.Sprintf("there is no store in %s", e.at) }

// openDatabase opens the engine's store in a database. All that an account owns
// lies together there.
func openDatabase(ctx context.Context, at place, engine pebble.Options, mustExist bool) (backend.Backend, error) {
	calls := at.connections / 2
	return postgres.Open(ctx, at.url, &postgres.Options{
		Connections: calls, Loops: at.connections - calls,
		Partition: encoding.AccountPartition{},
		MustExist: mustExist,
		CacheSize: int(engine.CacheSize / 8),
		Logger:    engine.Logger,
	})
}

// openForCheck opens the catalog in a place for reading. It creates, changes
// and removes nothing: what has expired is left in the store.
func openForCheck(ctx context.Context, at place) (*catalog.Catalog, error) {
	var b backend.Backend
	var err error
	if at.url != "" {
		b, err = openDatabaseForCheck(ctx, at)
	} else {
		b, err = openEngineForCheck(ctx, at.dir)
	}
	if err != nil {
		return nil, err
	}
	return openCatalogQuietly(ctx, b)
}

// openQuietly opens the catalog in a folder, in which a store must be, for writing,
// but leaves what has expired there.
func openQuietly(ctx context.Context, at place) (*catalog.Catalog, error) {
	b, err := openEngine(ctx, at.dir, pebble.Options{CacheSize: ownCache(), MustExist: true})
	if err != nil {
		return nil, err
	}
	return openCatalogQuietly(ctx, b)
}

// openCatalogQuietly opens the catalog on b, which is closed after an error. Nothing
// is removed in the background.
func openCatalogQuietly(ctx context.Context, b backend.Backend) (*catalog.Catalog, error) {
	o := catalog.Options{CacheBytes: -1}
	o.Sweeper.Grace = 100 * 365 * 24 * time.Hour
	o.Sweeper.LeapPause = math.MaxInt64 // whether a clock is right is not judged here
	c, err := catalog.Open(ctx, b, &o)
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return c, nil
}

// openDatabaseForCheck opens the engine's store in a database, which must be
// there.
func openDatabaseForCheck(ctx context.Context, at place) (backend.Backend, error) {
	b, err := openDatabase(ctx, at, pebble.Options{CacheSize: ownCache()}, true)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noStore(at)
	}
	if err != nil {
		return nil, err
	}
	if err := requireCatalog(ctx, b, at); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// openEngineForCheck opens the engine's store in dir, which must be there, for
// reading.
func openEngineForCheck(ctx context.Context, dir string) (*pebble.Store, error) {
	b, err := openEngine(ctx, dir, pebble.Options{CacheSize: ownCache(), ReadOnly: true})
	if err != nil {
		return nil, err
	}
	if err := requireCatalog(ctx, b, place{dir: dir}); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// requireCatalog returns an error where an engine's store holds no catalog.
func requireCatalog(ctx context.Context, b backend.Backend, at place) error {
	start, end := encoding.SpaceRange(encoding.SpaceMeta)
	for _, err := range b.Scan(ctx, backend.Range{Start: start, End: end}, backend.ScanOptions{KeysOnly: true}) {
		if damage := (*backend.DamageError)(nil); errors.As(err, &damage) {
			return nil // something is there
		}
		return err
	}
	return noStore(at)
}

// openEngine opens the engine's store in dir.
func openEngine(ctx context.Context, dir string, o pebble.Options) (*pebble.Store, error) {
	b, err := pebble.Open(ctx, dir, &o)
	return b, openingError(err, dir)
}

// lockedError says that another process has the store in a folder.
type lockedError struct{ dir string }

// Error implements error.
func (e *lockedError) Error() string {
	return fmt.Sprintf("the store in %s is in use by another process", e.dir)
}

// Unwrap returns pebble.ErrLocked.
func (e *lockedError) Unwrap() error { return pebble.ErrLocked }

// openingError says what keeps the store in dir from being opened.
func openingError(err error, dir string) error {
	switch {
	case errors.Is(err, pebble.ErrLocked):
		return &lockedError{dir}
	case errors.Is(err, pebble.ErrNoStore):
		return noStore(place{dir: dir})
	case errors.Is(err, pebble.ErrForeign):
		return fmt.Errorf("%w: choose an empty folder, or one that does not exist, for a new store", err)
	}
	return err
}

// openToFill opens a store for a command that writes into it, to which a signal may
// come meanwhile. Faults of the store are logged.
func openToFill(p *process, at place, reserve byteSize, mustExist bool) (*catalog.Catalog, error) {
	log := slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	engine := pebble.Options{CacheSize: ownCache(), DiskReserve: int64(reserve), MustExist: mustExist, Logger: log}
	return openStore(context.WithoutCancel(p.ctx), at, engine, catalog.Options{})
}
