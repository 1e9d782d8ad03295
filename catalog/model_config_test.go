package catalog_test

import (
	"context"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

func inMemory() func() (backend.Backend, error) {
	store := memory.New(nil)
	return func() (backend.Backend, error) { return store.Handle(), nil }
}

func inSharedMemory() func() (backend.Backend, error) {
	store := memory.New(&memory.Options{Shared: true, Shards: 4})
	return func() (backend.Backend, error) { return store.Handle(), nil }
}

func onPebble(memTable int64) func() func() (backend.Backend, error) {
	return func() func() (backend.Backend, error) {
		fs := vfs.NewMem()
		return func() (backend.Backend, error) {
			return pebble.Open(context.Background(), "db", &pebble.Options{FS: fs, CacheSize: 3 * memTable, MemTableSize: memTable})
		}
	}
}

var (
	tinyTables  = onPebble(256 << 10)
	largeTables = onPebble(8 << 20)
	tinyIndex   = ttl.IndexOptions{Span: 10 * time.Minute, MaxEntries: 3}
	// lateSweeper leaves much in the store that has expired.
	lateSweeper = ttl.SweeperOptions{Grace: 90 * day, BatchSize: 2}
)

// modelConfigs are the stores and options that must not make a difference.
var modelConfigs = []modelConfig{
	{"memory", 1, inMemory, catalog.Options{}, false},
	{"memory-nocache", 1, inMemory, catalog.Options{CacheBytes: -1}, false},
	{"memory-nowindow-tinyindex", 1, inMemory, catalog.Options{UseWindow: catalog.NoUseWindow, Index: tinyIndex}, false},
	{"memory-buffered-tinycache", 1, inMemory, catalog.Options{Durability: catalog.Buffered, CacheBytes: 5000}, false},
	{"memory-late-fulloverlay", 1, inMemory, catalog.Options{Sweeper: lateSweeper, UseCapacity: 2, UseWindow: time.Hour}, false},
	{"shared", 2, inSharedMemory, catalog.Options{}, false},
	{"shared-tinyindex-nograce", 2, inSharedMemory, catalog.Options{Index: tinyIndex, ImageGrace: -1}, false},
	{"shared-late-buffered", 2, inSharedMemory, catalog.Options{Sweeper: lateSweeper, Durability: catalog.Buffered}, false},
	{"shared-clocked", 2, inSharedMemory, catalog.Options{}, true},
	{"shared-clocked-late", 2, inSharedMemory, catalog.Options{Sweeper: lateSweeper}, true},
	{"pebble-tiny", 1, tinyTables, catalog.Options{}, false},
	{"pebble-tiny-nocache-nowindow", 1, tinyTables, catalog.Options{CacheBytes: -1, UseWindow: catalog.NoUseWindow}, false},
	{"pebble-tiny-tinyindex-nograce", 1, tinyTables, catalog.Options{Index: tinyIndex, ImageGrace: -1, CacheBytes: 5000}, false},
	{"pebble-large", 1, largeTables, catalog.Options{}, false},
	{"pebble-large-late-nocache", 1, largeTables, catalog.Options{Sweeper: lateSweeper, CacheBytes: -1, UseWindow: time.Minute}, false},
	{"pebble-large-buffered", 1, largeTables, catalog.Options{Durability: catalog.Buffered, UseCapacity: 2}, false},
}
