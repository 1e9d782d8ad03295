package pebble

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

// heldCompactions hold up the first compaction, when its table is made, and fail all
// others, one of which could replace that table.
type heldCompactions struct {
	vfs.FS
	once    sync.Once
	first   string        // the table
	started chan struct{} // closed when it is about to be made
	release chan struct{}
}

func (h *heldCompactions) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if category == "pebble-compaction" {
		isFirst := false
		h.once.Do(func() {
			h.first, isFirst = h.PathBase(name), true
			close(h.started)
		})
		if !isFirst {
			return nil, syscall.EIO
		}
		<-h.release
	}
	return h.FS.Create(name, category)
}

// TestCloseFinishesCompactions: a compaction that runs when the store closes is
// part of it afterwards, and not to be begun again.
func TestCloseFinishesCompactions(t *testing.T) {
	fs := &heldCompactions{FS: vfs.NewMem(), started: make(chan struct{}), release: make(chan struct{})}
	o := Options{FS: fs, MemTableSize: minMemTableSize}
	s, err := Open(t.Context(), "d", &o)
	require.NoError(t, err)
	for n := range 20 { // overlapping tables, so that they can't just be moved
		require.NoError(t, s.Update(t.Context(), nil, backend.UpdateOptions{Buffered: true}, func(_ context.Context, x backend.Txn) error {
			for i := range 50 {
				if err := x.Put(fmt.Append(nil, i), fmt.Append(nil, n)); err != nil {
					return err
				}
			}
			return nil
		}))
		require.NoError(t, s.turn.Load().db.Flush())
	}
	<-fs.started
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	<-s.turn.Load().guard.Stopping()
	close(fs.release)
	require.NoError(t, <-closed)

	o, err = o.withDefaults()
	require.NoError(t, err)
	e := engineOptions(o)
	e.FS, e.ReadOnly = fs, true // nothing is compacted
	e.Logger = engineLogger{o.Logger, s.turn.Load().fail}
	db, err := crdb.Open("d", e)
	require.NoError(t, err)
	levels, err := db.SSTables()
	require.NoError(t, err)
	var tables []string
	for _, level := range levels {
		for _, table := range level {
			tables = append(tables, fmt.Sprintf("%s.sst", table.FileNum))
		}
	}
	require.Contains(t, tables, fs.first)
	require.NoError(t, db.Close())
}

// TestCompactionsLeaveChunks: compactions of keys whose values lie in many blob files
// do not write those values again.
func TestCompactionsLeaveChunks(t *testing.T) {
	s, err := Open(t.Context(), "d", &Options{FS: vfs.NewMem(), MemTableSize: minMemTableSize})
	require.NoError(t, err)
	const rounds, chunks = 30, 4
	key := func(round, i int) []byte { return fmt.Appendf(nil, "%d-%02d", i, round) } // each table spans all before
	value := func(round, i int) []byte { return bytes.Repeat([]byte{byte(round), byte(i)}, separateFrom/2) }
	db := s.turn.Load().db
	for round := range rounds {
		require.NoError(t, s.Update(t.Context(), nil, backend.UpdateOptions{Buffered: true}, func(_ context.Context, x backend.Txn) error {
			for i := range chunks {
				if err := x.Put(key(round, i), value(round, i)); err != nil {
					return err
				}
			}
			return nil
		}))
		require.NoError(t, db.Flush())
	}
	require.NoError(t, db.Compact(t.Context(), []byte("0"), []byte("9"), false))
	total := db.Metrics().Total()
	require.NotZero(t, total.BlobBytesFlushed)
	require.Positive(t, total.TablesCompacted)
	require.Equal(t, total.BlobBytesFlushed, total.BlobBytesCompacted, "Pebble counts flushes there too")
	for round := range rounds {
		for i := range chunks {
			found, err := s.Get(t.Context(), key(round, i), func(got []byte) error {
				require.True(t, bytes.Equal(value(round, i), got))
				return nil
			})
			require.NoError(t, err)
			require.True(t, found)
		}
	}
	require.NoError(t, s.Close())
}
