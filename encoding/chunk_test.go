package encoding

import (
	"bytes"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGoldenChunks(t *testing.T) {
	chunks := map[string][]byte{"empty": {}, "text": []byte("image bytes"), "zeros": make([]byte, 40)}
	stored := checkGolden(t, "chunks.golden", []goldenCase{
		{"empty", AppendChunkTrailer(nil, sampleBlob, 1)},
		{"text", AppendChunkTrailer(slices.Clone(chunks["text"]), sampleBlob, 1)},
		{"zeros", AppendChunkTrailer(slices.Clone(chunks["zeros"]), sampleBlob, 0x01020304)},
	})
	for name, n := range map[string]uint32{"empty": 1, "text": 1, "zeros": 0x01020304} {
		require.Len(t, stored[name], len(chunks[name])+ChunkTrailer)
		got, err := DecodeChunk(stored[name], sampleBlob, n)
		require.NoError(t, err)
		require.True(t, bytes.Equal(chunks[name], got), name)
	}
}

// TestDecodeChunkTellsChanges: every change of a byte, every byte too few or too
// many, and every chunk in another's place is told.
func TestDecodeChunkTellsChanges(t *testing.T) {
	r := newRand(t)
	for _, size := range []int{0, 1, 3, 300, 5000} {
		chunk := make([]byte, size)
		for i := range chunk {
			chunk[i] = byte(r.Uint32())
		}
		good := AppendChunkTrailer(slices.Clone(chunk), sampleBlob, 7)
		got, err := DecodeChunk(good, sampleBlob, 7)
		require.NoError(t, err)
		require.True(t, bytes.Equal(chunk, got))
		require.Equal(t, len(got), cap(got), "appending to it must not reach the trailer")
		refused := func(value []byte, what string, at int) {
			_, err := DecodeChunk(value, sampleBlob, 7)
			require.ErrorIs(t, err, ErrCorrupt, "%s at %d of %d", what, at, len(good))
		}
		eachChange(r, good, refused)
		_, err = DecodeChunk(good, sampleBlob, 8)
		require.ErrorIs(t, err, ErrCorrupt, "another number")
		_, err = DecodeChunk(good, BlobID{1}, 7)
		require.ErrorIs(t, err, ErrCorrupt, "another blob")
	}
}

func FuzzDecodeChunk(f *testing.F) {
	f.Add([]byte("image bytes"), 3, byte(1), uint32(1), uint32(0))
	f.Add([]byte{}, 0, byte(0), uint32(0), uint32(1))
	f.Fuzz(func(t *testing.T, chunk []byte, at int, flip byte, n, shift uint32) {
		_, _ = DecodeChunk(chunk, sampleBlob, n)
		value := AppendChunkTrailer(slices.Clone(chunk), sampleBlob, n)
		got, err := DecodeChunk(value, sampleBlob, n)
		require.NoError(t, err)
		require.True(t, bytes.Equal(chunk, got))
		if at = place(at, len(value)); flip != 0 {
			value[at] ^= flip
			_, err = DecodeChunk(value, sampleBlob, n)
			require.ErrorIs(t, err, ErrCorrupt)
			value[at] ^= flip
		}
		_, err = DecodeChunk(slices.Delete(slices.Clone(value), at, at+1), sampleBlob, n)
		require.Error(t, err)
		_, err = DecodeChunk(slices.Insert(slices.Clone(value), at, flip), sampleBlob, n)
		require.Error(t, err)
		if shift != 0 {
			_, err = DecodeChunk(value, sampleBlob, n+shift)
			require.ErrorIs(t, err, ErrCorrupt)
		}
	})
}
