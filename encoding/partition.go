package encoding

import (
	"bytes"
	"fmt"
	"slices"
)

// Partition is the number by which a store's description names the function that
// places its keys in parts. Numbers are part of the format: none is given twice.
type Partition int

const (
	PartitionNone    Partition = 0 // keys are not placed in parts
	PartitionAccount Partition = 1 // [AccountPartition]

	partitionNewest = PartitionAccount

	// MaxParts is the largest number of parts.
	MaxParts = 1 << 16
)

var partitionNames = [...]string{PartitionNone: "", PartitionAccount: "account"}

// PartitionNamed returns the function of which name is the
// backend.Partitioner.Name, "" being none. It is false for one that no store may
// have.
func PartitionNamed(name string) (p Partition, ok bool) {
	i := slices.Index(partitionNames[:], name)
	return Partition(max(i, 0)), i >= 0
}

// A PartitionError reports a store whose keys are placed by a function that this
// version does not know. It matches [ErrNewerSchema].
type PartitionError struct {
	Found Partition
}

// Error names the function by its number.
func (e *PartitionError) Error() string {
	return fmt.Sprintf("encoding: newer schema: partition function %d is not known", int(e.Found))
}

// Is reports whether target is [ErrNewerSchema].
func (e *PartitionError) Is(target error) bool { return target == ErrNewerSchema }

// AccountPartition is the rule by which an engine that places keys in parts (a
// backend.Partitioner) keeps all that an account owns in one: its products,
// their entries in the list, its blobs, and the expiry entries of both. So
// every operation on a product touches one part, and a large account is as
// large as its part. Meta entries, and keys that this package did not make, lie
// in part 0.
//
// It is part of the format: the same for ever.
type AccountPartition struct{}

// Name implements backend.Partitioner.
func (AccountPartition) Name() string { return partitionNames[PartitionAccount] }

// Part implements backend.Partitioner.
func (AccountPartition) Part(key []byte, parts int) int {
	prefix := accountPrefixOf(key)
	if prefix == nil {
		return 0
	}
	return accountPart(key, prefix, parts)
}

// RangePart implements backend.Partitioner: a range lies in one part if all its
// keys begin with the same account, or are meta entries.
func (AccountPartition) RangePart(start, end []byte, parts int) (part int, ok bool) {
	if parts == 1 {
		return 0, true
	}
	if end == nil || len(start) == 0 {
		return 0, false
	}
	if start[0] == SpaceMeta {
		return 0, bytes.Compare(end, []byte{SpaceMeta + 1}) <= 0
	}
	prefix := accountPrefixOf(start)
	if prefix == nil {
		return 0, false
	}
	// The prefix ends with the terminator: what follows its keys ends with that
	// plus one.
	after := append(bytes.Clone(prefix[:len(prefix)-1]), terminator+1)
	if bytes.Compare(end, after) > 0 {
		return 0, false
	}
	return accountPart(start, prefix, parts), true
}

// accountPrefixOf returns the beginning of key to the end of its account, nil
// where there is none.
func accountPrefixOf(key []byte) []byte {
	head := accountHead(key)
	if head == 0 || len(key) < head {
		return nil
	}
	_, rest, ok := cutComponent(key[head:])
	if !ok {
		return nil
	}
	return key[:len(key)-len(rest)]
}

// accountHead returns where the account begins in a key, 0 if it has none.
func accountHead(key []byte) int {
	if len(key) == 0 {
		return 0
	}
	switch key[0] {
	case SpaceProduct, SpaceListed, SpaceBlob:
		return 1
	case SpaceExpiry:
		return expiryHeadLen
	}
	return 0
}

// accountPart hashes the account as it stands in the key: FNV-1a, folded, as its
// low bits alone spread short names badly.
func accountPart(key, prefix []byte, parts int) int {
	h := fnvOffset
	for _, b := range prefix[accountHead(key) : len(prefix)-2] {
		h = (h ^ uint64(b)) * fnvPrime
	}
	h ^= h >> 32
	h *= 0x9E3779B97F4A7C15
	return int((h >> 32) % uint64(max(parts, 1)))
}
