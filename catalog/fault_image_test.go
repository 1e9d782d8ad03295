package catalog_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
)

// contract 5: bytes whose header can't be read keep no caller from changing or
// removing the product, and are removed themselves like all others.
func TestUnreadableImageHeader(t *testing.T) {
	large := append(pngOf(1, 4, 4), make([]byte, 600<<10)...) // several chunks
	for name, test := range map[string]struct {
		end  func(w *world)
		left bool
	}{
		"delete": {func(w *world) { require.NoError(w.t, w.c().Delete(w.t.Context(), acme, "p")) }, false},
		"edit": {func(w *world) {
			edited := w.upsert("p", catalog.Patch{Title: catalog.Set("still there")})
			require.Len(w.t, edited.Images, 2)
			w.create("p")
			require.Len(w.t, w.get("p").Images, 1)
			w.upsert("p", catalog.Patch{ValidForDays: catalog.Null[int]()})
		}, true},
		"delete account": {func(w *world) {
			removed, err := w.c().DeleteAccount(w.t.Context(), acme)
			require.NoError(w.t, err)
			require.Equal(w.t, 1, removed)
		}, false},
		"expiry":      {func(w *world) { w.clock.Advance(9*day + time.Minute) }, false},
		"replacement": {func(w *world) { w.clock.Advance(9 * day); w.create("p") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			onEveryStore(t, nil, func(t *testing.T, w *world) {
				p := catalog.Patch{Images: imagesOf(large, smallImage), ValidForDays: catalog.Set(9)}
				w.upsert("p", p)
				w.write(func(txn backend.Txn) error {
					for i, img := range storedRecord(t, txn, "p").Images {
						garbage := []byte("no header at all")[:16*i] // an empty one too
						if err := txn.Put(encoding.AppendBlobKey(nil, acme, img.Blob, 0), garbage); err != nil {
							return err
						}
					}
					return nil
				})
				test.end(w)
				w.sweepAll()
				w.clock.Advance(16 * time.Minute) // the readers' grace
				w.sweepAll()
				if test.left {
					w.get("p")
				} else {
					w.requireGone("p")
				}
				for _, key := range w.rawKeys() {
					require.NotEqual(t, encoding.SpaceBlob, key[0], "left behind: %x", key)
				}
			})
		})
	}
}

// The largest limit there is limits nothing: an image beside another fault is
// read to its end and found to be good.
func TestNoLimitOfImageBytes(t *testing.T) {
	configure := func(o *catalog.Options) { o.Limits.ImageBytes = math.MaxInt64 }
	onEveryStore(t, configure, func(t *testing.T, w *world) {
		for _, data := range [][]byte{smallImage, chunkImage} {
			p := uploads(data)
			p.Title = catalog.Set(strings.Repeat("x", 1001))
			_, err := w.c().Upsert(t.Context(), acme, "p", p)
			requireFaults(t, err, map[string]catalog.Code{"title": catalog.CodeValidationFailed})
			w.upsert("p", uploads(data))
			w.requireBytes(data, "p", 0)
		}
		// A bad one is still found.
		p := uploads([]byte("no image"))
		p.Title = catalog.Set(strings.Repeat("x", 1001))
		_, err := w.c().Upsert(t.Context(), acme, "p", p)
		requireFaults(t, err, map[string]catalog.Code{
			"title": catalog.CodeValidationFailed, "images.0.source.fileKey": catalog.CodeInvalidImage,
		})
	})
}
