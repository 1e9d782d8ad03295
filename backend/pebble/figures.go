package pebble

import (
	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shelflife-db/shelflife/backend"
)

// Figures implements backend.Measured. Those of Pebble and of the volume are at most
// a second old, and older while the disk hangs; of a store that was opened for
// reading they are those of its opening.
func (s *Store) Figures() []backend.Figure {
	if s.closed.Load() {
		return nil
	}
	o := s.turn.Load()
	m, u := o.gate.metrics.Load(), o.gate.usage.Load()
	if m == nil {
		m = new(crdb.Metrics) // Pebble could not be asked even once
	}
	if u == nil {
		u = new(vfs.DiskUsage)
	}
	garbage := uint64(0)
	if b := m.BlobFiles; b.ValueSize > b.ReferencedValueSize {
		garbage = b.ValueSize - b.ReferencedValueSize
	}
	written := uint64(0)
	for i := range m.Levels {
		l := &m.Levels[i]
		written += l.TableBytesFlushed + l.TableBytesCompacted + l.BlobBytesFlushed + l.BlobBytesCompacted
	}
	l0 := &m.Levels[0]
	return []backend.Figure{
		gauge("disk_free_bytes", "Free space of the volume; 0 if it is not known.", u.AvailBytes),
		gauge("disk_size_bytes", "Size of the volume; 0 if it is not known.", u.TotalBytes),
		gauge("disk_reserve_bytes", "Free space below which writes are refused; 0 if the disk is not watched.", max(s.opts.DiskReserve, 0)),
		gauge("disk_short", "1 if writes are refused for want of free space, 2 if deletions are too.", o.gate.level()),
		gauge("disk_hangs", "1 if the disk does not answer, so that writes are refused.", hangs(o)),
		counter("heals_total", "How often the store has recovered from a failed write.", s.Generation()),
		gauge("writes_wait_for_compactions", "1 if writes wait until level 0 is less deep.", stalled(o)),
		counter("write_waits_total", "How often writes had to begin to wait for compactions.", o.gate.stalls.Load()),

		gauge("table_bytes", "Size of the tables.", m.Table.Local.LiveSize),
		gauge("blob_bytes", "Size of the blob files, which hold image bytes.", m.BlobFiles.LiveSize),
		gauge("blob_garbage_bytes", "What the blob files hold, before compression, and nothing refers to.", garbage),
		gauge("log_bytes", "Size of the write-ahead logs.", m.WAL.PhysicalSize),
		gauge("memtable_bytes", "Memory of what was written and is in no table yet.", m.MemTable.Size),
		gauge("obsolete_bytes", "Size of tables and blob files that are about to be removed, or that open snapshots and loops hold.",
			m.Table.ObsoleteSize+m.Table.ZombieSize+m.BlobFiles.ObsoleteSize+m.BlobFiles.ZombieSize),
		gauge("tombstones", "Deletions that the tables still hold, approximately.", m.Keys.TombstoneCount),

		gauge("read_amplification", "How many sorted runs a read may have to look into.", m.ReadAmp()),
		gauge("l0_sublevels", "Depth of level 0; writes wait from 20 on.", l0.Sublevels),
		gauge("l0_files", "Tables in level 0.", l0.TablesCount),
		gauge("compaction_debt_bytes", "What is to be compacted until the tables are at rest.", m.Compact.EstimatedDebt),
		gauge("compactions_running", "Compactions at work.", m.Compact.NumInProgress),
		counter("compactions_total", "Compactions that have ended.", m.Compact.Count),
		counter("flushes_total", "Memtables written to tables.", m.Flush.Count),
		counter("log_in_bytes_total", "What was committed, as it went into the log.", m.WAL.BytesIn),
		counter("written_bytes_total", "What was written to tables and blob files, by flushes and compactions.", written),

		gauge("block_cache_bytes", "Memory of the block cache in use, also for other stores that share it.", m.BlockCache.Size),
		counter("block_cache_hits_total", "Blocks that were found in the block cache.", m.BlockCache.Hits),
		counter("block_cache_misses_total", "Blocks that had to be read.", m.BlockCache.Misses),
		gauge("snapshots", "Open snapshots.", m.Snapshots.Count),
	}
}

type integer interface {
	~int | ~int32 | ~int64 | ~uint64
}

func gauge[N integer](name, help string, value N) backend.Figure {
	return backend.Figure{Name: name, Help: help, Value: float64(value)}
}

func counter[N integer](name, help string, value N) backend.Figure {
	return backend.Figure{Name: name, Help: help, Counter: true, Value: float64(value)}
}

// hangs returns 1 if the disk of an opening hangs.
func hangs(o *turn) int {
	if o.hang.Err() != nil {
		return 1
	}
	return 0
}

// stalled returns 1 if Updates of an opening wait for compactions.
func stalled(o *turn) int {
	if o.gate.stall.Load() != nil {
		return 1
	}
	return 0
}
