package catalog_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/backendtest"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
)

// contract 5: what an image reader reads, and where it seeks, is that of a
// bytes.Reader over the bytes that were uploaded.
func TestImageReaderIsABytesReader(t *testing.T) {
	const chunk = 256 << 10
	// A PNG may be followed by anything: so sizes around the chunks' ends.
	png := pngOf(1, 4, 4)
	sizes := []int{len(png), chunk - 1, chunk, chunk + 1, 2*chunk + 17}
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		rng := seededRand(t)
		for _, size := range sizes {
			data := make([]byte, size)
			for i := range data {
				data[i] = byte(rng.Uint32())
			}
			copy(data, png)
			p := w.upsert("p", catalog.Patch{Images: imagesOf(png, data)})
			r, err := w.c().OpenImage(t.Context(), acme, "p", 1)
			require.NoError(t, err)
			info := catalog.ImageInfo{ContentType: "image/png", Size: int64(size), Width: 4, Height: 4, SHA256: sha256.Sum256(data)}
			require.Equal(t, info, r.Info())
			require.Equal(t, info.Size, p.Images[1].Size)
			require.NoError(t, iotest.TestReader(r, data))

			model := bytes.NewReader(data)
			_, err = r.Seek(0, io.SeekStart)
			require.NoError(t, err)
			for range 60 {
				if rng.IntN(2) == 0 {
					whence, offset := rng.IntN(4), int64(rng.IntN(2*size)-size)
					want, wantErr := model.Seek(offset, whence)
					got, err := r.Seek(offset, whence)
					require.Equal(t, wantErr == nil, err == nil, "Seek(%d, %d): %v", offset, whence, err)
					if wantErr == nil {
						require.Equal(t, want, got)
					}
					continue
				}
				n := rng.IntN(size)
				want, wantErr := io.ReadAll(io.LimitReader(model, int64(n)))
				got, err := io.ReadAll(io.LimitReader(r, int64(n)))
				require.Equal(t, wantErr, err)
				require.True(t, bytes.Equal(want, got))
			}
			require.NoError(t, r.Close())
			require.NoError(t, r.Close())
			_, err = r.Read(make([]byte, 1))
			require.ErrorIs(t, err, fs.ErrClosed)
			_, err = r.Seek(0, io.SeekStart)
			require.ErrorIs(t, err, fs.ErrClosed)
		}
	})
}

// contract 6 and 7: what OpenImage finds, and what it does not.
func TestOpenImageErrors(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		png := pngOf(1, 4, 4)
		w.upsert("p", catalog.Patch{Images: catalog.Set([]catalog.NewImage{
			{URL: "https://cdn.example/1.jpg"}, {Upload: catalog.NewUpload(bytes.NewReader(png))},
		})})
		for order, want := range map[int]error{-1: catalog.ErrImageNotFound, 0: catalog.ErrImageNotFound, 1: nil, 2: catalog.ErrImageNotFound, math.MaxInt: catalog.ErrImageNotFound} {
			_, err := w.c().OpenImage(ctx, acme, "p", order)
			require.ErrorIs(t, err, want, "order %d", order)
			require.NotErrorIs(t, err, catalog.ErrNotFound)
		}
		for _, names := range [][2]string{{acme, "q"}, {"other", "p"}} {
			_, err := w.c().OpenImage(ctx, names[0], names[1], 1)
			require.ErrorIs(t, err, catalog.ErrNotFound)
		}
		_, err := w.c().OpenImage(ctx, acme, "..", 1)
		requireFaults(t, err, map[string]catalog.Code{"externalId": catalog.CodeValidationFailed})

		ctx, cancel := context.WithCancel(ctx)
		r, err := w.c().OpenImage(ctx, acme, "p", 1)
		require.NoError(t, err)
		cancel()
		_, err = r.Read(make([]byte, 1))
		require.ErrorIs(t, err, context.Canceled, "the context bounds the reader")
	})
}

// contract 5: an open image reads as it was when opened while its product is
// replaced again and again.
func TestImageReadersBesideReplacements(t *testing.T) {
	versions := make([][]byte, 4)
	for i := range versions {
		versions[i] = append(pngOf(uint64(i), 4, 4), bytes.Repeat([]byte{byte(i)}, 600<<10)...)
	}
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.upsert("p", catalog.Patch{Images: imagesOf(versions[0])})
		readers, done := w.c(), make(chan error, 1)
		go func() {
			for range 25 {
				r, err := readers.OpenImage(ctx, acme, "p", 0)
				if err != nil {
					done <- err
					return
				}
				got, err := io.ReadAll(r)
				if err != nil || sha256.Sum256(got) != r.Info().SHA256 || int64(len(got)) != r.Info().Size {
					done <- fmt.Errorf("read %d bytes: %w", len(got), err)
					return
				}
			}
			done <- nil
		}()
		for i := range 12 {
			w.upsert("p", catalog.Patch{Images: imagesOf(versions[i%len(versions)])})
			w.sweep()
		}
		require.NoError(t, <-done)
	})
}

// ctx bounds a reader, though it has the bytes in memory.
func TestImageReaderHeedsItsContext(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		w.upsert("p", uploads(chunkImage))
		ctx, cancel := context.WithCancel(t.Context())
		r, err := w.c().OpenImage(ctx, acme, "p", 0)
		require.NoError(t, err)
		defer r.Close()
		_, err = r.Read(make([]byte, 10))
		require.NoError(t, err)
		cancel()
		_, err = r.Read(make([]byte, 10))
		require.ErrorIs(t, err, context.Canceled)
	})
}

// blobCounter counts what is asked about image bytes.
type blobCounter struct {
	backend.Backend
	asked int
}

func (b *blobCounter) Get(ctx context.Context, key []byte, fn func([]byte) error) (bool, error) {
	if key[0] == encoding.SpaceBlob {
		b.asked++
	}
	return b.Backend.Get(ctx, key, fn)
}

func (b *blobCounter) GetMany(ctx context.Context, keys [][]byte, fn func(int, []byte) error) error {
	if len(keys) > 0 && keys[0][0] == encoding.SpaceBlob {
		b.asked++
	}
	return b.Backend.GetMany(ctx, keys, fn)
}

// An image is not a request to a far store for each of its chunks, and what is not
// asked for is not read.
func TestImageReadsAhead(t *testing.T) {
	counter := &blobCounter{Backend: memory.New(&memory.Options{Shared: true})}
	c, err := catalog.Open(t.Context(), backendtest.Clocked(counter, time.Now), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	image := pngOf(1, 900, 900) // ten chunks
	_, err = c.Upsert(t.Context(), acme, "p", catalog.Patch{Images: imagesOf(image)})
	require.NoError(t, err)
	const chunk = 256 << 10
	for name, read := range map[string]struct {
		most int
		do   func(r *catalog.ImageReader) ([]byte, []byte, error)
	}{
		"written": {3, func(r *catalog.ImageReader) ([]byte, []byte, error) {
			var out bytes.Buffer
			_, err := r.WriteTo(&out)
			return out.Bytes(), image, err
		}},
		"read at once": {3, func(r *catalog.ImageReader) ([]byte, []byte, error) {
			out := make([]byte, len(image))
			_, err := io.ReadFull(r, out)
			return out, image, err
		}},
		"read in pieces": {3, func(r *catalog.ImageReader) ([]byte, []byte, error) {
			var out []byte
			for {
				piece := make([]byte, 100_000)
				n, err := r.Read(piece)
				out = append(out, piece[:n]...)
				if err != nil {
					if err == io.EOF {
						err = nil
					}
					return out, image, err
				}
			}
		}},
		"a part": {1, func(r *catalog.ImageReader) ([]byte, []byte, error) {
			_, err := r.Seek(5*chunk+7, io.SeekStart)
			out := make([]byte, 100)
			_, err2 := io.ReadFull(r, out)
			return out, image[5*chunk+7:][:100], errors.Join(err, err2)
		}},
		"the rest": {3, func(r *catalog.ImageReader) ([]byte, []byte, error) { // one, then the others together
			_, err := r.Seek(3*chunk+7, io.SeekStart)
			out, err2 := io.ReadAll(r)
			return out, image[3*chunk+7:], errors.Join(err, err2)
		}},
		"back and forth": {4, func(r *catalog.ImageReader) ([]byte, []byte, error) {
			var got, want []byte
			var err error
			for _, at := range []int{0, 2 * chunk, chunk + 5, 3*chunk + 1, 9 * chunk} {
				_, err1 := r.Seek(int64(at), io.SeekStart)
				piece := make([]byte, 10)
				_, err2 := io.ReadFull(r, piece)
				got, want, err = append(got, piece...), append(want, image[at:][:10]...), errors.Join(err, err1, err2)
			}
			return got, want, err
		}},
	} {
		r, err := c.OpenImage(t.Context(), acme, "p", 0)
		require.NoError(t, err, name)
		counter.asked = 0
		got, want, err := read.do(r)
		require.NoError(t, err, name)
		require.True(t, bytes.Equal(want, got), "%s: other bytes", name)
		require.LessOrEqual(t, counter.asked, read.most, name)
		require.NoError(t, r.Close())
	}
}
