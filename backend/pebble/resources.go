package pebble

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"

	crdb "github.com/cockroachdb/pebble/v2"
)

// Resources are the block cache and the open files that several stores share, see
// Options.Resources: for a process that has many of them, one for each tenant say,
// and must bound what all take together. They are safe for concurrent use.
type Resources struct {
	cacheSize int64
	cache     *crdb.Cache
	files     *crdb.FileCache

	mu     sync.Mutex // guards the rest
	stores int        // that are open
	closed bool
}

// ResourcesOptions tune Resources. The zero value is for a process that has a
// machine, and some of its memory, to itself.
type ResourcesOptions struct {
	// CacheSize is the memory in bytes for blocks of the tables of all stores; their
	// memtables are charged to it too, with 256 KiB at least for each open store. It
	// is taken as it is needed. At least 768 KiB. Default: 256 MiB. It does not bound
	// Pebble's memory for open files and commits.
	CacheSize int64
	// MaxOpenFiles bounds the table and blob files that all stores together keep
	// open. At least 16. Default: 1000. Those that make place for others are closed
	// in the background: for a moment there may be up to 100 more for each processor.
	// Each store has five files open beside them: its directory twice, its lock, a
	// log and a manifest. It does not affect how many files the stores may have.
	MaxOpenFiles int
}

// Of a cache and of open files, a store's own or shared.
const (
	defaultCacheSize    = 256 << 20
	defaultMaxOpenFiles = 1000

	minCacheSize = 768 << 10 // three of the smallest memtables
	minOpenFiles = 16
)

// errResourcesClosed is why a store can't be opened.
var errResourcesClosed = errors.New("backend/pebble: Resources are closed")

// NewResources returns resources that stores can share. nil options are the
// default ones.
func NewResources(o *ResourcesOptions) (*Resources, error) {
	var v ResourcesOptions
	if o != nil {
		v = *o
	}
	if v.CacheSize == 0 {
		v.CacheSize = defaultCacheSize
	}
	if v.CacheSize < minCacheSize {
		return nil, fmt.Errorf("backend/pebble: ResourcesOptions.CacheSize %d is less than %d", v.CacheSize, minCacheSize)
	}
	if v.MaxOpenFiles == 0 {
		v.MaxOpenFiles = defaultMaxOpenFiles
	}
	if v.MaxOpenFiles < minOpenFiles || v.MaxOpenFiles > math.MaxInt32 {
		return nil, fmt.Errorf("backend/pebble: ResourcesOptions.MaxOpenFiles %d is not within %d and %d", v.MaxOpenFiles, minOpenFiles, math.MaxInt32)
	}
	return &Resources{
		cacheSize: v.CacheSize,
		cache:     crdb.NewCache(v.CacheSize),
		files:     crdb.NewFileCache(fileShards(v.MaxOpenFiles), v.MaxOpenFiles),
	}, nil
}

// fileShards returns into how many parts, each with a lock and files of its own,
// a cache of n files is cut. The parts are rounded up, so few files are not cut.
func fileShards(n int) int { return max(1, min(runtime.GOMAXPROCS(0), n/minOpenFiles)) }

// Close gives up the resources: no store can be opened with them any more. Those
// that are open keep them, and what they share is freed when the last is closed.
// So Close may come before or after the stores'. Calling it again does nothing.
func (r *Resources) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed = true
		r.freeUnused()
	}
	return nil
}

// take counts a store in, until give.
func (r *Resources) take() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errResourcesClosed
	}
	r.stores++
	return nil
}

// give counts a store out. Its Pebble is closed.
func (r *Resources) give() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stores--
	r.freeUnused()
}

// freeUnused is called with the lock held.
func (r *Resources) freeUnused() {
	if r.closed && r.stores == 0 {
		r.files.Unref()
		r.cache.Unref()
	}
}

// share has a store use what it has a part in.
func (r *Resources) share(e *crdb.Options) {
	if r != nil {
		e.Cache, e.FileCache = r.cache, r.files
	}
}
