package rawpebble

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"time"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// EngineOptions repeats what backend/pebble sets when it is given no options,
// which it does not export. What it adds around Pebble (a guard over the file
// system, event listeners) is a part of what is measured and is not here.
func EngineOptions() *crdb.Options {
	o := &crdb.Options{
		Comparer:                    crdb.DefaultComparer,
		Merger:                      merger,
		FormatMajorVersion:          crdb.FormatValueSeparation,
		FS:                          vfs.Default,
		Logger:                      silent{},
		CacheSize:                   256 << 20,
		MaxOpenFiles:                1000,
		MemTableSize:                32 << 20,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       2,
		L0StopWritesThreshold:       1 << 20,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
	}
	o.ApplyCompressionSettings(func() crdb.DBCompressionSettings { return crdb.DBCompressionFastest })
	for i := range o.Levels {
		o.Levels[i].BlockSize = 8 << 10
		o.Levels[i].IndexBlockSize = 256 << 10
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		o.Levels[i].FilterType = crdb.TableFilter
	}
	o.TargetFileSizes[0] = 8 << 20
	for i := 1; i < len(o.TargetFileSizes); i++ {
		o.TargetFileSizes[i] = 2 << 20 << i
	}
	o.Experimental.ValueSeparationPolicy = func() crdb.ValueSeparationPolicy {
		return crdb.ValueSeparationPolicy{
			Enabled:               true,
			MinimumSize:           16 << 10,
			MaxBlobReferenceDepth: math.MaxInt32,
			RewriteMinimumAge:     5 * time.Minute,
			TargetGarbageRatio:    0.3,
		}
	}
	return o
}

// merger has the name that Pebble finds in a store of Shelflife, and adds.
var merger = &crdb.Merger{
	Name: "shelflife.v1",
	Merge: func(_, value []byte) (crdb.ValueMerger, error) {
		s := new(sum)
		return s, s.add(value)
	},
}

type sum uint64

func (s *sum) MergeNewer(value []byte) error { return s.add(value) }
func (s *sum) MergeOlder(value []byte) error { return s.add(value) }

func (s *sum) Finish(bool) ([]byte, io.Closer, error) {
	return binary.LittleEndian.AppendUint64(nil, uint64(*s)), nil, nil
}

func (s *sum) add(value []byte) error {
	if len(value) != 8 {
		return fmt.Errorf("rawpebble: merge operand of %d bytes", len(value))
	}
	*s += sum(binary.LittleEndian.Uint64(value))
	return nil
}

// silent is a Pebble logger.
type silent struct{}

var _ crdb.Logger = silent{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, args ...any) {
	// Pebble's contract is that this does not return.
	fatal(fmt.Errorf("rawpebble: "+format, args...))
}
