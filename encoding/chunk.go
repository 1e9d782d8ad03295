package encoding

import (
	"encoding/binary"
	"hash/crc32"
)

// ChunkTrailer is how many bytes a stored chunk is longer than what it holds.
const ChunkTrailer = 4

// castagnoli is CRC32C, which processors compute. It detects every change of up to
// 32 bits in a row, and all but one in four billion of the others.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendChunkTrailer completes the stored form of a chunk, which is the n-th value
// of a blob (see [AppendBlobKey]): to its bytes it appends a checksum of them, of
// the blob's ID and of n, so that no chunk is taken for another.
func AppendChunkTrailer(chunk []byte, id BlobID, n uint32) []byte {
	return binary.BigEndian.AppendUint32(chunk, chunkSum(chunk, id, n))
}

// DecodeChunk returns the bytes of the chunk that is stored as value, which they
// are a part of. It fails with [ErrCorrupt].
func DecodeChunk(value []byte, id BlobID, n uint32) (chunk []byte, err error) {
	size := len(value) - ChunkTrailer
	if size < 0 {
		return nil, corrupt("chunk", "length")
	}
	chunk = value[:size:size]
	if binary.BigEndian.Uint32(value[size:]) != chunkSum(chunk, id, n) {
		return nil, corrupt("chunk", "checksum")
	}
	return chunk, nil
}

// CopyChunk is [DecodeChunk] into dst, which has the length of the chunk. It verifies
// the copy. Where it fails, dst holds anything.
func CopyChunk(dst, value []byte, id BlobID, n uint32) error {
	if len(value) != len(dst)+ChunkTrailer {
		return corrupt("chunk", "length")
	}
	copy(dst, value)
	if binary.BigEndian.Uint32(value[len(dst):]) != chunkSum(dst, id, n) {
		return corrupt("chunk", "checksum")
	}
	return nil
}

// UncheckedChunk is [DecodeChunk] of the value of a chunk of size bytes that it has
// verified before: it compares no checksum.
func UncheckedChunk(value []byte, size int) (chunk []byte, err error) {
	if len(value) != size+ChunkTrailer {
		return nil, corrupt("chunk", "length")
	}
	return value[:size:size], nil
}

func chunkSum(chunk []byte, id BlobID, n uint32) uint32 {
	var place [len(id) + blobNumberLen]byte
	copy(place[:], id[:])
	binary.BigEndian.PutUint32(place[len(id):], n)
	return crc32.Update(crc32.Checksum(chunk, castagnoli), castagnoli, place[:])
}
