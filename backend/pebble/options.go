package pebble

import (
	"fmt"
	"log/slog"
	"math"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options tune a Store. The zero value is for a store that has a machine's
// disk, and some of its memory, to itself. No option changes what is stored:
// a store may be opened with other options each time.
type Options struct {
	// CacheSize is the memory in bytes for blocks of tables; the memtables are
	// charged to it too. It is taken as it is needed. At least three times
	// MemTableSize. Default: 256 MiB, or eight times MemTableSize if that is
	// more. It does not bound Pebble's memory for open files and commits.
	CacheSize int64
	// MemTableSize is how many bytes of writes are collected in memory, and in
	// the log, before they become a table: more makes fewer and larger tables,
	// and a longer opening after a crash. 256 KiB to 1 GiB. Default: an eighth of
	// CacheSize, but at most 32 MiB and a 64th of the volume, and at least 256 KiB.
	// It does not affect durability.
	MemTableSize int64
	// MaxOpenFiles bounds the table and blob files that are kept open. At least 16.
	// Default: 1000. It does not affect how many files the store may have.
	MaxOpenFiles int
	// Resources are a block cache and open files that the store shares with others,
	// for a process with many stores: then CacheSize and MaxOpenFiles must be zero,
	// for Resources have theirs, and MemTableSize is by default a 64th of their
	// cache, within the same bounds. The caller made them and closes them, before
	// or after the store. Default: nil, a cache and files of the store's own.
	Resources *Resources
	// DiskReserve is the free space in bytes below which Updates are refused
	// with backend.ErrUnavailable, before they change anything. Those with
	// UpdateOptions.Reclaim are admitted as long as the room lasts that is held for
	// them, see "Full disks", or down to half of it where none is. Both resume by
	// themselves when space comes back. Negative: the disk is not watched, no room is
	// held, and filling it up fails a write, from which the store heals once there is
	// room, see "Failing disks". Default: a tenth of the volume, at least 16 MiB or a
	// quarter of the volume, at most 256 MiB. It does not affect reads, and has no
	// effect on a file system that does not report its free space. What was deleted is
	// given back at once while less is free.
	DiskReserve int64
	// HangTimeout is how long the disk may leave all commits that wait for it
	// without an answer. Then, within two seconds, Updates are refused with
	// backend.ErrUnavailable, and those that wait end: with
	// backend.ErrUnknownOutcome where they have committed. Both resume by
	// themselves when the disk answers. A commit that Pebble holds up before it
	// is visible, as it does when the log is full, waits for that, as one in bulk does
	// for its tables, and so do Updates with backend.UpdateOptions.Patient. Whole seconds, rounded up;
	// negative: commits wait for as long as it takes. Default: 10 s. It does not
	// affect reads, which wait for the disk where they need it, nor Close.
	HangTimeout time.Duration
	// EraseWithin is how long the store's files may hold what was deleted: after
	// that no table, blob file or log has the values of removed keys, not even
	// where nothing else is written. Files are rewritten for that, more of them the
	// shorter the time is: "Room and erasure" in the package documentation says
	// what it costs. Keys, values that another has replaced, and what an open
	// snapshot shows are not affected. Default: 24 hours. At least a minute;
	// negative: deleted values stay until their room is needed, or [Store.Reclaim]
	// is called.
	EraseWithin time.Duration
	// ReadOnly opens a store for reading: nothing in its directory is created,
	// changed or removed, so that a store on a read-only or full volume can be
	// read. Updates fail with backend.ErrReadOnly. It shares the directory with
	// other readers, not with a Store that writes. A store must be there. Default:
	// false; then a store whose directory can't be written is opened so too, see
	// [Open].
	ReadOnly bool
	// MustExist has Open fail with ErrNoStore where there is no store, rather than
	// make one: for a directory whose volume may not be mounted. Default: false.
	MustExist bool
	// FS is the file system. Default: that of the operating system.
	FS vfs.FS
	// Logger gets Pebble's messages: failures as errors, trouble as warnings,
	// flushes and compactions at debug level. Default: silence.
	Logger *slog.Logger

	fitMemTable bool // MemTableSize is a default
	// damaged opens a store whose files need not all be there, see OpenDamaged.
	damaged bool

	// tick replaces the ticker that drives the watcher, in tests. Nothing heals
	// between two ticks then.
	tick <-chan time.Time
	// openTries is how often a file is tried to be opened where too many are, in
	// tests. Default: 0, as often as diskguard does by itself.
	openTries int
}

const (
	defaultMemTableSize = 32 << 20
	defaultDiskReserve  = 256 << 20
	defaultHangTimeout  = 10 * time.Second
	defaultEraseWithin  = 24 * time.Hour

	// cachePerMemTable is how many memtables a cache must have room for, and
	// sharedMemTables for how many there is room by default in one that is shared.
	cachePerMemTable = 3
	sharedMemTables  = 64

	minMemTableSize = 256 << 10
	maxMemTableSize = 1 << 30
	minEraseWithin  = time.Minute
)

// formatMajorVersion is the on-disk format of new stores; an older one is
// brought up to it when it is opened. It is the first with value separation,
// and includes DeleteSized and columnar blocks. Raising it makes stores
// unreadable for older releases.
const formatMajorVersion = crdb.FormatValueSeparation

const (
	blockSize      = 8 << 10
	indexBlockSize = 256 << 10
	filterBits     = 10

	// flushedTable is the size of the tables that a flush makes, and of their blob
	// files, which stay as they are: each is a file to be made, synced and named, and in
	// its turn a compaction, beside commits that wait for the same disk. Larger ones
	// would be more to write anew for what is garbage in them.
	flushedTable = 8 << 20
	// lowerTable is, doubled once for each level that is not empty, the size of the
	// tables that compactions make.
	lowerTable = 2 << 20

	// separateFrom is the size from which values live in blob files, so that
	// compactions do not copy them: that of image chunks, above any record. Nor do they
	// copy them to bring neighbours together, which Pebble would once those are
	// spread over several files: chunks are read one by one, and each is a block of its
	// own. Only what removes garbage writes a blob file anew, see blobRewrites.
	separateFrom = 16 << 10

	maxKeySize   = 32 << 10
	maxValueSize = 64 << 20

	// stallSublevels is the depth of level 0 at which Updates wait for
	// compactions. Pebble's own limit stalls inside a commit, where nothing can
	// cancel it, and is set out of reach.
	//
	// Pebble v2.1.7: unnecessary when a commit takes a context (DB.Apply, held
	// to its form in upstream_test.go).
	stallSublevels = 20
)

// withDefaults returns o with its defaults filled in, or an error that names
// the option which is out of range.
func (o *Options) withDefaults() (Options, error) {
	var v Options
	if o != nil {
		v = *o
	}
	if err := v.shareCache(); err != nil {
		return v, err
	}
	if v.MemTableSize == 0 {
		v.fitMemTable, v.MemTableSize = true, defaultMemTableSize
		switch {
		case v.Resources != nil:
			v.MemTableSize = max(minMemTableSize, min(v.MemTableSize, v.CacheSize/sharedMemTables))
		case v.CacheSize > 0:
			v.MemTableSize = max(minMemTableSize, min(v.MemTableSize, v.CacheSize/8))
		}
	}
	if v.MemTableSize < minMemTableSize || v.MemTableSize > maxMemTableSize {
		return v, fmt.Errorf("backend/pebble: MemTableSize %d is not within %d and %d", v.MemTableSize, minMemTableSize, maxMemTableSize)
	}
	if v.CacheSize == 0 {
		v.CacheSize = max(defaultCacheSize, 8*v.MemTableSize)
	}
	if v.CacheSize < cachePerMemTable*v.MemTableSize {
		return v, fmt.Errorf("backend/pebble: CacheSize %d is less than three times MemTableSize %d", v.CacheSize, v.MemTableSize)
	}
	if v.MaxOpenFiles == 0 {
		v.MaxOpenFiles = defaultMaxOpenFiles
	}
	if v.MaxOpenFiles < minOpenFiles || v.MaxOpenFiles > math.MaxInt32 {
		return v, fmt.Errorf("backend/pebble: MaxOpenFiles %d is not within %d and %d", v.MaxOpenFiles, minOpenFiles, math.MaxInt32)
	}
	if v.EraseWithin == 0 {
		v.EraseWithin = defaultEraseWithin
	}
	if v.EraseWithin > 0 && v.EraseWithin < minEraseWithin {
		return v, fmt.Errorf("backend/pebble: EraseWithin %v is less than %v", v.EraseWithin, minEraseWithin)
	}
	if v.HangTimeout == 0 {
		v.HangTimeout = defaultHangTimeout
	}
	if v.FS == nil {
		v.FS = vfs.Default
	}
	if v.Logger == nil {
		v.Logger = slog.New(slog.DiscardHandler)
	}
	return v, nil
}

// shareCache takes the size of the cache from Resources, if there are any.
func (o *Options) shareCache() error {
	switch {
	case o.Resources == nil:
		return nil
	case o.CacheSize != 0:
		return fmt.Errorf("backend/pebble: CacheSize %d is set beside Resources, which have their own", o.CacheSize)
	case o.MaxOpenFiles != 0:
		return fmt.Errorf("backend/pebble: MaxOpenFiles %d is set beside Resources, which have their own", o.MaxOpenFiles)
	}
	o.CacheSize = o.Resources.cacheSize
	return nil
}

// engineOptions are Pebble's options for o.
func engineOptions(o Options) *crdb.Options {
	e := &crdb.Options{
		Comparer:           crdb.DefaultComparer,
		Merger:             merger,
		FormatMajorVersion: formatMajorVersion,
		CacheSize:          o.CacheSize,
		MaxOpenFiles:       o.MaxOpenFiles,
		MemTableSize:       uint64(o.MemTableSize),
		// Writers wait for flushes when this many memtables are full.
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       2,
		L0StopWritesThreshold:       1 << 20,
	}
	e.ApplyCompressionSettings(func() crdb.DBCompressionSettings { return crdb.DBCompressionFastest })
	for i := range e.Levels {
		e.Levels[i].BlockSize = blockSize
		e.Levels[i].IndexBlockSize = indexBlockSize
		e.Levels[i].FilterPolicy = bloom.FilterPolicy(filterBits)
		e.Levels[i].FilterType = crdb.TableFilter
	}
	e.TargetFileSizes[0] = flushedTable
	for i := 1; i < len(e.TargetFileSizes); i++ {
		e.TargetFileSizes[i] = lowerTable << i
	}
	e.Experimental.ValueSeparationPolicy = separation
	o.Resources.share(e)
	return e
}

// separation says which values live in blob files, and when such a file is
// written anew without its garbage.
func separation() crdb.ValueSeparationPolicy {
	return crdb.ValueSeparationPolicy{
		Enabled:               true,
		MinimumSize:           separateFrom,
		MaxBlobReferenceDepth: math.MaxInt32, // see separateFrom
		TargetGarbageRatio:    garbageShare,  // but see blobRewrites
	}
}
