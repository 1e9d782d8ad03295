package pebble

import (
	"context"
	"fmt"
	"log/slog"

	crdb "github.com/cockroachdb/pebble/v2"

	"github.com/shelflife-db/shelflife/backend/pebble/internal/diskguard"
)

// engineLogger is Pebble's logger.
type engineLogger struct {
	log  *slog.Logger
	fail *diskguard.Failure
}

var _ crdb.Logger = engineLogger{}

func (l engineLogger) Infof(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("backend/pebble: " + fmt.Sprintf(format, args...))
	}
}

func (l engineLogger) Errorf(format string, args ...any) {
	l.log.Warn("backend/pebble: " + fmt.Sprintf(format, args...))
}

// Fatalf stops the store. It returns, where Pebble's own logger exits the
// process: the goroutine may be that of any caller, and hold any lock. Every caller in
// Pebble goes on to return an error or to finish what it was doing, in memory,
// since diskguard.FS lets nothing reach the disk any more.
//
// Pebble v2.1.7: unnecessary when Pebble returns what it could not write
// (TestPebbleExitsOnFailedWrites).
func (l engineLogger) Fatalf(format string, args ...any) {
	fatal := fatalError{text: "engine: " + fmt.Sprintf(format, args...)}
	for _, a := range args {
		if err, ok := a.(error); ok {
			fatal.cause = err
		}
	}
	l.fail.Fail(fatal)
}

// fatalError is what Pebble would have ended the process for. Whether it passes
// goes by its cause.
type fatalError struct {
	text  string
	cause error
}

func (e fatalError) Error() string { return e.text }
func (e fatalError) Unwrap() error { return e.cause }

// signal wakes a goroutine that may wait for something that has happened.
type signal chan struct{}

func (s signal) poke() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// listener returns Pebble's event listener. Its functions are called with
// Pebble's locks held and must be quick.
func (e *engine) listener() *crdb.EventListener {
	log, g, fail := e.log, e.guard, e.fail
	changed := func() {
		e.levelsChanged.Store(true)
		e.changed.poke()
		g.Nudge()
	}
	l := &crdb.EventListener{
		BackgroundError: func(err error) {
			if fail.Failed() || isDone(g.Stopping()) {
				return
			}
			log.Warn("backend/pebble: background work failed, it will be tried again", "error", err)
		},
		// Reads of the damaged part return the error themselves; the rest of
		// the store is usable.
		DataCorruption: func(i crdb.DataCorruptionInfo) {
			log.Error("backend/pebble: data corruption", "path", i.Path, "error", i.Details)
		},
		BlobFileRewriteBegin: func(crdb.BlobFileRewriteInfo) { g.RewriteBegins() },
		BlobFileRewriteEnd: func(i crdb.BlobFileRewriteInfo) {
			g.RewriteEnds()
			e.blobs.ended(i)
			e.changed.poke()
		},
		WALCreated: func(i crdb.WALCreateInfo) {
			if i.Err == nil {
				e.newestLog.Store(&i.Path)
			}
		},
		TableDeleted:    func(crdb.TableDeleteInfo) { e.changed.poke() },
		BlobFileDeleted: func(crdb.BlobFileDeleteInfo) { e.changed.poke() },

		FlushEnd:        func(crdb.FlushInfo) { changed() },
		CompactionEnd:   func(crdb.CompactionInfo) { changed() },
		WriteStallBegin: func(i crdb.WriteStallBeginInfo) { log.Warn("backend/pebble: writes stall", "reason", i.Reason) },
	}
	l.EnsureDefaults(nil)
	return l
}
