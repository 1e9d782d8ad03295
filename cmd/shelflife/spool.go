package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shelflife-db/shelflife/ttl"
)

const (
	// spoolName is the folder of uploads in that of the store.
	spoolName = "spool"
	// spoolFiles is how the names of the files begin that the adapter makes in it.
	spoolFiles = "shelflife-upload-"
	// probeEvery is how long an answer about the folder holds: any client may ask.
	probeEvery = time.Second
	// probeBytes is what an attempt writes: a block, which takes room.
	probeBytes = 4 << 10
)

// spool is the folder where uploads wait until they are stored.
type spool struct {
	dir   string
	clock ttl.Clock
	log   *slog.Logger

	state atomic.Pointer[spoolState]
	mu    sync.Mutex // held by the one attempt that is made at a time
}

// spoolState is what came of an attempt.
type spoolState struct {
	at  time.Duration
	err error
}

// openSpool makes the folder, if it is missing, and finds out whether it can be
// written to: dir, or if that is "" the one in the folder of the open store.
func openSpool(dir, store string, clock ttl.Clock, log *slog.Logger) (*spool, error) {
	own := dir == ""
	if own {
		dir = filepath.Join(store, spoolName)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, spoolError(err)
	}
	if own {
		// No other process uses it while the store is open. What a crash has left is of
		// no use: only where files can't be removed while they are open is it more
		// than nothing.
		left, err := os.ReadDir(dir)
		if err != nil {
			return nil, spoolError(err)
		}
		for _, f := range left {
			if !strings.HasPrefix(f.Name(), spoolFiles) {
				continue
			}
			if err := os.Remove(filepath.Join(dir, f.Name())); err != nil {
				return nil, spoolError(err)
			}
		}
	}
	s := &spool{dir: dir, clock: clock, log: log}
	if err := s.ready(); err != nil {
		return nil, err
	}
	return s, nil
}

func spoolError(err error) error {
	return fmt.Errorf("uploads can't be kept: %w (another folder can be chosen with --spool-dir)", err)
}

// ready returns nil if uploads can be kept, as of a moment ago.
func (s *spool) ready() error {
	last := s.state.Load()
	fresh := last != nil && s.clock.Elapsed()-last.at < probeEvery
	// A disk that hangs must not hold up every caller.
	if fresh || !s.mu.TryLock() {
		if last == nil {
			return nil // the first attempt, of openSpool, has not ended
		}
		return last.err
	}
	defer s.mu.Unlock()
	now := &spoolState{err: s.probe()}
	now.at = s.clock.Elapsed()
	s.state.Store(now)
	switch {
	case now.err != nil && last != nil && last.err == nil:
		s.log.Error("uploads can't be kept", "error", now.err)
	case now.err == nil && last != nil && last.err != nil:
		s.log.Info("uploads can be kept again")
	}
	return now.err
}

// probe writes a file and removes it.
func (s *spool) probe() (err error) {
	defer func() {
		if err != nil {
			err = spoolError(err)
		}
	}()
	f, err := os.CreateTemp(s.dir, spoolFiles+"*")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, probeBytes))
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}
