package catalog_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
)

// Nothing is read from a chunk of an image that has changed in the store, or that
// stands in another's place; the other chunks are read. Salvage copies the product
// without that image, and Check names it.
func TestDamagedChunk(t *testing.T) {
	const chunk = 256 << 10
	image := append(pngOf(3, 4, 4), make([]byte, 2*chunk)...)
	for name, change := range map[string]func(rng *rand.Rand, chunks [3][]byte) []byte{
		"a flip":          func(rng *rand.Rand, c [3][]byte) []byte { c[1][rng.IntN(len(c[1]))] ^= 1 << rng.IntN(8); return c[1] },
		"a byte left out": func(_ *rand.Rand, c [3][]byte) []byte { return c[1][1:] },
		"a byte more":     func(_ *rand.Rand, c [3][]byte) []byte { return append(c[1], 0) },
		"nothing":         func(*rand.Rand, [3][]byte) []byte { return nil },
		"the one before":  func(_ *rand.Rand, c [3][]byte) []byte { return c[0] },
		"its bytes alone": func(_ *rand.Rand, c [3][]byte) []byte { return c[1][:chunk] },
		"that of another one": func(_ *rand.Rand, c [3][]byte) []byte {
			return encoding.AppendChunkTrailer(c[1][:chunk], encoding.BlobID{}, 2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			rng := seededRand(t)
			w := behindGlass(t, catalog.Options{})
			w.upsert("p", catalog.Patch{Images: imagesOf(image, smallImage)})
			blob := w.world.storedBlob("p", 0)
			key := func(n uint32) []byte { return encoding.AppendBlobKey(nil, acme, blob, n) }
			var chunks [3][]byte
			for i := range chunks {
				_, err := w.store.Handle().Get(t.Context(), key(uint32(1+i)), func(v []byte) error {
					chunks[i] = bytes.Clone(v)
					return nil
				})
				require.NoError(t, err)
			}
			sound := bytes.Clone(chunks[1])
			w.write(func(txn backend.Txn) error { return txn.Put(key(2), change(rng, chunks)) })

			r, err := w.c().OpenImage(t.Context(), acme, "p", 0)
			require.NoError(t, err)
			for range 2 { // the second time too
				_, err = r.Seek(0, io.SeekStart)
				require.NoError(t, err)
				got, err := io.ReadAll(r)
				require.ErrorIs(t, err, catalog.ErrDamaged)
				require.True(t, bytes.Equal(image[:chunk], got), "%d bytes", len(got))
			}
			_, err = r.Seek(2*chunk, io.SeekStart)
			require.NoError(t, err)
			got, err := io.ReadAll(r)
			require.NoError(t, err)
			require.True(t, bytes.Equal(image[2*chunk:], got))
			require.NoError(t, r.Close())
			require.ErrorIs(t, w.c().Damage(), catalog.ErrDamaged)

			report, err := w.c().Check(t.Context())
			require.NoError(t, err)
			require.Len(t, report.Problems, 1, "%v", report.Problems)
			require.Equal(t, "p", report.Problems[0].ExternalID)
			require.Contains(t, report.Problems[0].What, "chunk 2: encoding: corrupt chunk")
			to := memory.New(nil)
			salvaged, err := catalog.Salvage(t.Context(), w.store.Handle(), to, catalog.SalvageOptions{})
			require.NoError(t, err)
			require.Len(t, salvaged.Lost, 1)
			require.Equal(t, 1, salvaged.Images)
			w.write(func(txn backend.Txn) error { return txn.Put(key(2), sound) })
		})
	}
}

// storedBlob returns the ID under which the bytes of an image are stored.
func (w *world) storedBlob(id string, image int) (blob encoding.BlobID) {
	w.raw(func(b backend.Backend) { blob = storedRecord(w.t, b, id).Images[image].Blob })
	return blob
}

// Image bytes that fit into a chunk are one: readers rely on it, and Check says so.
func TestSmallImageInTwoChunks(t *testing.T) {
	w := behindGlass(t, catalog.Options{})
	w.upsert("p", catalog.Patch{Images: imagesOf(smallImage)})
	blob := w.world.storedBlob("p", 0)
	key := func(n uint32) []byte { return encoding.AppendBlobKey(nil, acme, blob, n) }
	read := func(n uint32) (value []byte) {
		_, err := w.store.Handle().Get(t.Context(), key(n), func(v []byte) error {
			value = bytes.Clone(v)
			return nil
		})
		require.NoError(t, err)
		return value
	}
	before := [...][]byte{read(0), read(1)}
	var h encoding.BlobHeader
	require.NoError(t, encoding.DecodeBlobHeader(before[0], &h))
	const size = 20
	h.ChunkSize, h.Chunks = size, 2
	w.write(func(txn backend.Txn) error {
		for n, value := range [][]byte{
			encoding.AppendBlobHeader(nil, &h),
			encoding.AppendChunkTrailer(bytes.Clone(smallImage[:size]), blob, 1),
			encoding.AppendChunkTrailer(bytes.Clone(smallImage[size:]), blob, 2),
		} {
			if err := txn.Put(key(uint32(n)), value); err != nil {
				return err
			}
		}
		return nil
	})
	r, err := w.c().OpenImage(t.Context(), acme, "p", 0)
	require.NoError(t, err)
	_, err = io.ReadAll(r)
	require.ErrorIs(t, err, catalog.ErrDamaged)
	report, err := w.c().Check(t.Context())
	require.NoError(t, err)
	require.Len(t, report.Problems, 1, "%v", report.Problems)
	require.Contains(t, report.Problems[0].What, "in 2 chunks, not in one")
	w.write(func(txn backend.Txn) error {
		if err := txn.Delete(key(2), 0); err != nil {
			return err
		}
		return errors.Join(txn.Put(key(0), before[0]), txn.Put(key(1), before[1]))
	})
}
