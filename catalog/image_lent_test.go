package catalog_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
)

// handingOn is a hash that hands on what it is given, which may take its time.
type handingOn struct {
	hash.Hash
	to io.Writer
}

func (h handingOn) Write(p []byte) (int, error) { return h.to.Write(p) }

// limited is a writer that takes so many bytes and then returns err, or takes less
// without one.
type limited struct {
	bytes.Buffer
	limit int
	err   error
}

func (l *limited) Write(p []byte) (int, error) {
	if take := l.limit - l.Len(); take < len(p) {
		_, _ = l.Buffer.Write(p[:take])
		return take, l.err
	}
	return l.Buffer.Write(p)
}

// A writer that is memory is lent the chunks, and gets what any other does, from
// wherever the reader is.
func TestWriteToMemory(t *testing.T) {
	const chunk = 256 << 10
	image := append(pngOf(5, 4, 4), bytes.Repeat([]byte("shelf"), chunk/2)...) // two chunks and a half
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		w.upsert("p", catalog.Patch{Images: imagesOf(image)})
		for _, at := range []int{0, 1, chunk - 1, chunk, chunk + 1, len(image) - 1, len(image), len(image) + 9} {
			want := image[min(at, len(image)):]
			for range 2 { // the second time nothing is summed up
				var buffer bytes.Buffer
				var text strings.Builder
				var handedOn bytes.Buffer
				sum := sha256.New()
				for _, to := range []io.Writer{&buffer, &text, sum, io.Discard, handingOn{sha256.New(), &handedOn}} {
					r, err := w.c().OpenImage(t.Context(), acme, "p", 0)
					require.NoError(t, err)
					// With part of a chunk in the reader's memory, too.
					_, err = io.ReadFull(r, make([]byte, min(at, len(image))))
					require.NoError(t, err)
					_, err = r.Seek(int64(at), io.SeekStart)
					require.NoError(t, err)
					n, err := r.WriteTo(to)
					require.NoError(t, err)
					require.EqualValues(t, len(want), n)
					n, err = r.WriteTo(to)
					require.NoError(t, err)
					require.Zero(t, n, "nothing is left")
					require.NoError(t, r.Close())
				}
				require.True(t, bytes.Equal(want, buffer.Bytes()))
				require.True(t, string(want) == text.String())
				require.True(t, bytes.Equal(want, handedOn.Bytes()))
				wantSum := sha256.Sum256(want)
				require.Equal(t, wantSum[:], sum.Sum(nil))
			}
		}
		failed := errors.New("full")
		for _, own := range []error{failed, nil} {
			to := &limited{limit: chunk + 7, err: own}
			r, err := w.c().OpenImage(t.Context(), acme, "p", 0)
			require.NoError(t, err)
			n, err := r.WriteTo(to)
			if own == nil {
				own = io.ErrShortWrite
			}
			require.Equal(t, own, err, "the writer's error is returned as it is")
			require.EqualValues(t, chunk+7, n)
			rest, err := io.ReadAll(r)
			require.NoError(t, err)
			require.True(t, bytes.Equal(image[chunk+7:], rest), "the reader stands where the writer stopped")
			require.NoError(t, r.Close())
			_, err = r.WriteTo(to)
			require.Error(t, err)
		}
	})
}

// A writer that hands on what it is given holds nothing of the store while it waits,
// not even one that is a hash.
func TestWriterThatWaitsHoldsNothing(t *testing.T) {
	store, err := pebble.Open(t.Context(), t.TempDir(), nil)
	require.NoError(t, err)
	c, err := catalog.Open(t.Context(), store, nil)
	require.NoError(t, err)
	_, err = c.Upsert(t.Context(), acme, "p", catalog.Patch{Images: imagesOf(smallImage)})
	require.NoError(t, err)
	r, err := c.OpenImage(t.Context(), acme, "p", 0)
	require.NoError(t, err)
	in, out := io.Pipe()
	written := make(chan error, 1)
	go func() {
		_, err := r.WriteTo(handingOn{sha256.New(), out})
		written <- err
	}()
	_, err = in.Read(make([]byte, 1)) // it stands still in the middle
	require.NoError(t, err)
	require.NoError(t, c.Close())
	got, err := io.ReadAll(io.LimitReader(in, int64(len(smallImage)-1)))
	require.NoError(t, err)
	require.True(t, bytes.Equal(smallImage[1:], got), "and what it has is its own")
	require.NoError(t, <-written)
}

// lateReader fails, and writes to what it was given afterwards: as one does that gives
// up at a deadline while a read of its goes on.
type lateReader struct {
	data   []byte
	given  []byte
	failed error
}

func (r *lateReader) Read(p []byte) (int, error) {
	if len(r.data) == 0 {
		r.given = p
		return 0, r.failed
	}
	n := copy(p, r.data)
	r.data = r.data[n:]
	return n, nil
}

// What a reader that has failed still writes to is no other upload's memory.
func TestReadersThatFailKeepTheirMemory(t *testing.T) {
	w := behindGlass(t, catalog.Options{})
	image := append(pngOf(7, 4, 4), bytes.Repeat([]byte{7}, 200_000)...)
	failed := errors.New("gave up")
	for range 20 {
		late := &lateReader{data: image[:100_000], failed: failed}
		_, err := w.c().Upsert(t.Context(), acme, "late", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{Upload: catalog.NewUpload(late)}})})
		require.ErrorIs(t, err, failed)
		spoilt := readerFunc(func(p []byte) (int, error) {
			clear(late.given) // of the one before
			return 0, io.EOF
		})
		patch := catalog.Patch{Images: catalog.Set([]catalog.NewImage{{Upload: catalog.NewUpload(io.MultiReader(bytes.NewReader(image), spoilt))}})}
		_, err = w.c().Upsert(t.Context(), acme, "p", patch)
		require.NoError(t, err)
		w.requireBytes(image, "p", 0)
	}
}

// checksummed says of a backend that it notices itself what its storage changes.
type checksummed struct{ backend.Backend }

func (b checksummed) Properties() backend.Properties {
	p := b.Backend.Properties()
	p.Checksums = true
	return p
}

// A chunk is compared with its checksum before anything of it is given away. Where the
// engine has checksums of its own that is done once.
func TestChunksAreVerified(t *testing.T) {
	const chunk = 256 << 10
	image := append(pngOf(6, 4, 4), make([]byte, 2*chunk)...)
	ways := map[string]func(*catalog.ImageReader) ([]byte, error){
		"read": func(r *catalog.ImageReader) ([]byte, error) { return io.ReadAll(r) },
		"read at once": func(r *catalog.ImageReader) ([]byte, error) {
			p := make([]byte, len(image))
			n, err := io.ReadFull(r, p)
			return p[:n], err
		},
		"lent": func(r *catalog.ImageReader) ([]byte, error) {
			var b bytes.Buffer
			_, err := r.WriteTo(&b)
			return b.Bytes(), err
		},
	}
	for name, read := range ways {
		t.Run(name, func(t *testing.T) {
			for _, once := range []bool{false, true} {
				w := behindGlass(t, catalog.Options{})
				if once {
					w.decorate(func(b backend.Backend) backend.Backend { return checksummed{b} })
				}
				w.upsert("p", catalog.Patch{Images: imagesOf(image)})
				key := encoding.AppendBlobKey(nil, acme, w.world.storedBlob("p", 0), 2)
				var sound []byte
				_, err := w.store.Handle().Get(t.Context(), key, func(v []byte) error {
					sound = bytes.Clone(v)
					return nil
				})
				require.NoError(t, err)
				changed := bytes.Clone(sound)
				changed[77] ^= 1
				put := func(value []byte) { // beside the open catalog
					scopes := []backend.Scope{{Group: encoding.AccountScope(acme)}}
					err := w.store.Handle().Update(t.Context(), scopes, backend.UpdateOptions{}, func(_ context.Context, txn backend.Txn) error {
						return txn.Put(key, value)
					})
					require.NoError(t, err)
				}
				reads := func() ([]byte, error) {
					r, err := w.c().OpenImage(t.Context(), acme, "p", 0)
					require.NoError(t, err)
					defer r.Close()
					return read(r)
				}
				requireDamage := func() {
					t.Helper()
					got, err := reads()
					require.ErrorIs(t, err, catalog.ErrDamaged)
					require.True(t, bytes.Equal(image[:chunk], got[:chunk]))
				}

				put(changed)
				requireDamage()
				requireDamage()
				put(sound)
				got, err := reads()
				require.NoError(t, err)
				require.True(t, bytes.Equal(image, got))

				put(changed)
				if once {
					// The engine has promised that this does not happen.
					got, err := reads()
					require.NoError(t, err)
					require.NotEqual(t, image[chunk+77], got[chunk+77])
				} else {
					requireDamage()
				}
				// What is no chunk of that length is never taken for one.
				put(sound[:len(sound)-1])
				requireDamage()
				put(append(bytes.Clone(sound), 0))
				requireDamage()
				put(sound)
			}
		})
	}
}
