package pebble

import (
	"encoding/binary"
	"fmt"
	"io"

	crdb "github.com/cockroachdb/pebble/v2"
)

// merger adds 64-bit little-endian integers, wrapping around. Nothing merges
// yet. It stands here since Pebble writes the name of the merger into the store
// and refuses any other from then on: a store that was made without could never
// have counters.
var merger = &crdb.Merger{
	Name: "shelflife.v1",
	Merge: func(_, value []byte) (crdb.ValueMerger, error) {
		s := new(sum)
		return s, s.add(value)
	},
}

// sum is the merger's state. Addition commutes, so that newer and older
// operands are the same to it.
type sum uint64

func (s *sum) MergeNewer(value []byte) error { return s.add(value) }
func (s *sum) MergeOlder(value []byte) error { return s.add(value) }

func (s *sum) Finish(bool) ([]byte, io.Closer, error) {
	return binary.LittleEndian.AppendUint64(nil, uint64(*s)), nil, nil
}

func (s *sum) add(value []byte) error {
	if len(value) != 8 {
		return fmt.Errorf("backend/pebble: merge operand of %d bytes, want 8", len(value))
	}
	*s += sum(binary.LittleEndian.Uint64(value))
	return nil
}
