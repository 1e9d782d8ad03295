package catalog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

// Sizes on both sides of what travels in a commit and of one chunk.
var (
	smallImage = pngOf(1, 4, 4)
	chunkImage = pngOf(2, 300, 400) // more than one chunk of 256 KiB
)

func TestImageSizesOfTheTests(t *testing.T) {
	require.Less(t, len(smallImage), 1<<10)
	require.Greater(t, len(chunkImage), 256<<10)
}

// contract 1: what is known of uploaded bytes, and their bytes.
func TestUploadedImages(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		p := w.upsert("a", uploads(smallImage, chunkImage))
		require.Equal(t, p, w.get("a"))
		for i, data := range [][]byte{smallImage, chunkImage} {
			img := p.Images[i]
			require.Regexp(t, `^upload://.+`, img.SourceURL)
			require.True(t, img.Uploaded())
			require.Equal(t, i, img.Order)
			require.Equal(t, "image/png", img.ContentType)
			require.EqualValues(t, len(data), img.Size)
			w.requireBytes(data, "a", i)
		}
		require.Equal(t, 4, p.Images[0].Width)
		require.Equal(t, 400, p.Images[1].Height)
		require.NotEqual(t, p.Images[0].SourceURL, p.Images[1].SourceURL)
		w.reopen()
		w.requireBytes(chunkImage, "a", 1)
		w.requireStored(1, 2)
	})
}

// contract 3: one fileKey (an Upload) may serve several images; its bytes are
// stored once.
func TestOneUploadForSeveralImages(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		for _, data := range [][]byte{smallImage, chunkImage} {
			id := fmt.Sprint(len(data))
			up := upload(data)
			p := w.upsert(id, catalog.Patch{Images: catalog.Set([]catalog.NewImage{
				{Upload: up, Classifications: json.RawMessage(`{"n":1}`)},
				{URL: "https://a.example/"},
				{Upload: up},
			})})
			require.Equal(t, p.Images[0].SourceURL, p.Images[2].SourceURL)
			require.JSONEq(t, `{"n":1}`, string(p.Images[0].Classifications))
			require.Nil(t, p.Images[2].Classifications)
			w.requireBytes(data, id, 0)
			w.requireBytes(data, id, 2)
			// Letting go of one of them keeps the bytes, of the last not.
			w.upsert(id, catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: p.Images[2].SourceURL}})})
			w.requireStored(1, 1)
			w.requireBytes(data, id, 0)
			w.upsert(id, withImage(catalog.Patch{}))
			w.requireStored(1, 0)
			require.NoError(t, w.c().Delete(t.Context(), acme, id))
		}
	})
}

// contract 3: an upload:// reference keeps the bytes that this product now
// holds, wherever it moves them; any other reference is refused.
func TestReferencesToUploadedImages(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		p := w.upsert("a", uploads(smallImage, chunkImage))
		first, second := p.Images[0].SourceURL, p.Images[1].SourceURL
		other := w.upsert("other", uploads(pngOf(7, 5, 5)))
		res, err := w.c().Upsert(ctx, "another account", "a", uploads(pngOf(8, 5, 5)))
		require.NoError(t, err)
		stranger := res.Product.Images[0].SourceURL
		staged := string(w.stage(pngOf(9, 5, 5)).Ref)

		// Swapped, doubled, with classifications and a URL between.
		p = w.upsert("a", catalog.Patch{Images: catalog.Set([]catalog.NewImage{
			{URL: second, Classifications: json.RawMessage(`{"k":1}`)}, {URL: "https://a.example/"}, {URL: first}, {URL: first},
		})})
		require.Equal(t, []string{second, "https://a.example/", first, first}, sourcesOf(p))
		require.Equal(t, "image/png", p.Images[0].ContentType)
		require.EqualValues(t, len(chunkImage), p.Images[0].Size)
		w.requireBytes(chunkImage, "a", 0)
		w.requireBytes(smallImage, "a", 3)

		for name, url := range map[string]string{
			"of another product": other.Images[0].SourceURL,
			"of another account": stranger,
			"of a staged image":  "upload://" + staged,
			"of nothing":         "upload://" + strings.Repeat("0", 32),
			"too short":          first[:len(first)-1],
			"too long":           first + "0",
			"in upper case":      "upload://" + strings.ToUpper(strings.TrimPrefix(first, "upload://")) + "A",
			"without an ID":      "upload://",
			"with a path":        first + "/",
		} {
			want := map[string]catalog.Code{"images.1.source.url": catalog.CodeValidationFailed}
			patch := catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: first}, {URL: url}})}
			_, err := w.c().Upsert(ctx, acme, "a", patch)
			requireFaults(t, err, want)
			_, err = w.c().UpsertInline(ctx, acme, "a", patch)
			requireFaults(t, err, want)
			require.Equal(t, p, w.get("a"), name)
		}

		// A replaced image is no image of this product any more, though its bytes
		// are still there for its readers.
		w.upsert("a", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: second}})})
		_, err = w.c().Upsert(ctx, acme, "a", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: first}})})
		requireFaults(t, err, map[string]catalog.Code{"images.0.source.url": catalog.CodeValidationFailed})

		// A product that is created has none, whatever stood there before.
		_, err = w.c().Upsert(ctx, acme, "new", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: second}})})
		requireFaults(t, err, map[string]catalog.Code{"images.0.source.url": catalog.CodeValidationFailed})
		require.NoError(t, w.c().Delete(ctx, acme, "a"))
		_, err = w.c().Upsert(ctx, acme, "a", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: second}})})
		requireFaults(t, err, map[string]catalog.Code{"images.0.source.url": catalog.CodeValidationFailed})
		w.requireStored(2, 2)
	})
}

func sourcesOf(p *catalog.Product) []string {
	out := []string{}
	for _, img := range p.Images {
		out = append(out, img.SourceURL)
	}
	return out
}

// contract 1 and 3: equal bytes at the same position change nothing; elsewhere
// they are a change.
func TestEqualBytes(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		p := w.upsert("a", uploads(smallImage, chunkImage))
		res, err := w.c().Upsert(t.Context(), acme, "a", uploads(smallImage, chunkImage))
		require.NoError(t, err)
		require.Equal(t, catalog.Unchanged, res.Outcome)
		require.Equal(t, p, res.Product)
		w.requireStored(1, 2)

		res, err = w.c().Upsert(t.Context(), acme, "a", uploads(chunkImage, smallImage))
		require.NoError(t, err)
		require.Equal(t, catalog.Edited, res.Outcome)
		w.requireBytes(chunkImage, "a", 0)
		w.requireBytes(smallImage, "a", 1)
		w.requireStored(1, 2)

		// The same bytes in another product are its own.
		other := w.upsert("b", uploads(chunkImage))
		require.NotEqual(t, res.Product.Images[0].SourceURL, other.Images[0].SourceURL)
		require.NoError(t, w.c().Delete(t.Context(), acme, "a"))
		w.requireStored(1, 1)
		w.requireBytes(chunkImage, "b", 0)
	})
}

// contract 6: what is no acceptable image is refused with the path of every
// image that it was for, and leaves nothing behind.
func TestRefusedUploadsLeaveNothing(t *testing.T) {
	limits := func(o *catalog.Options) {
		o.Limits = catalog.Limits{ImageBytes: 400 << 10, ImagePixels: 120_000}
	}
	tooLarge := append(append([]byte(nil), chunkImage...), make([]byte, 400<<10+1-len(chunkImage))...)
	tests := []struct {
		name   string
		images func() []catalog.NewImage
		want   map[string]catalog.Code
	}{
		{
			"text", func() []catalog.NewImage { return []catalog.NewImage{{Upload: upload([]byte("no image"))}} },
			map[string]catalog.Code{"images.0.source.fileKey": catalog.CodeInvalidImage},
		},
		{
			"empty", func() []catalog.NewImage { return []catalog.NewImage{{Upload: upload(nil)}} },
			map[string]catalog.Code{"images.0.source.fileKey": catalog.CodeInvalidImage},
		},
		{
			"an SVG", func() []catalog.NewImage {
				return []catalog.NewImage{{Upload: upload([]byte(`<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>`))}}
			},
			map[string]catalog.Code{"images.0.source.fileKey": catalog.CodeInvalidImage},
		},
		{
			"a header cut off", func() []catalog.NewImage { return []catalog.NewImage{{Upload: upload(smallImage[:20])}} },
			map[string]catalog.Code{"images.0.source.fileKey": catalog.CodeInvalidImage},
		},
		{
			"a zero side", func() []catalog.NewImage {
				zero := append([]byte(nil), smallImage...)
				zero[16], zero[17], zero[18], zero[19] = 0, 0, 0, 0
				return []catalog.NewImage{{Upload: upload(zero)}}
			},
			map[string]catalog.Code{"images.0.source.fileKey": catalog.CodeInvalidImage},
		},
		{
			"too many pixels", func() []catalog.NewImage { return []catalog.NewImage{{Upload: upload(pngOf(3, 121, 1000))}} },
			map[string]catalog.Code{"images.0.source.fileKey": catalog.CodeInvalidImage},
		},
		{
			"too many bytes", func() []catalog.NewImage { return []catalog.NewImage{{Upload: upload(tooLarge)}} },
			map[string]catalog.Code{"images.0.source.fileKey": catalog.CodePayloadTooLarge},
		},
		{
			"bad ones behind good ones", func() []catalog.NewImage {
				return []catalog.NewImage{
					{Upload: upload(chunkImage)}, {Upload: upload([]byte("x"))}, {Upload: upload(smallImage)}, {Upload: upload([]byte("y"))},
				}
			},
			map[string]catalog.Code{"images.1.source.fileKey": catalog.CodeInvalidImage, "images.3.source.fileKey": catalog.CodeInvalidImage},
		},
		{
			"too large behind another fault", func() []catalog.NewImage {
				return []catalog.NewImage{{URL: "ftp://x"}, {Upload: upload(tooLarge)}}
			},
			map[string]catalog.Code{"images.0.source.url": catalog.CodeValidationFailed, "images.1.source.fileKey": catalog.CodePayloadTooLarge},
		},
		{
			"one that serves two images", func() []catalog.NewImage {
				up := upload([]byte("x"))
				return []catalog.NewImage{{Upload: up}, {URL: "https://a.example"}, {Upload: up}}
			},
			map[string]catalog.Code{"images.0.source.fileKey": catalog.CodeInvalidImage, "images.2.source.fileKey": catalog.CodeInvalidImage},
		},
		{
			"without a reader", func() []catalog.NewImage {
				return []catalog.NewImage{{Upload: catalog.NewUpload(nil)}, {Upload: upload(chunkImage)}}
			},
			map[string]catalog.Code{"images.0.source.fileKey": catalog.CodeInvalidImageInput},
		},
		{
			"good ones beside a fault of another kind", func() []catalog.NewImage {
				return []catalog.NewImage{{Upload: upload(chunkImage)}, {URL: "upload://" + strings.Repeat("1", 32)}}
			},
			map[string]catalog.Code{"images.1.source.url": catalog.CodeValidationFailed},
		},
	}
	onEveryStore(t, limits, func(t *testing.T, w *world) {
		before := w.create("a")
		for _, tt := range tests {
			for _, id := range []string{"a", "new"} {
				_, err := w.c().Upsert(t.Context(), acme, id, catalog.Patch{Images: catalog.Set(tt.images())})
				requireFaults(t, err, tt.want)
			}
		}
		require.Equal(t, before, w.get("a"))
		w.requireGone("new")
		require.Zero(t, w.check().Blobs, "discarded at once, without waiting for the sweeper")

		exact := tooLarge[:400<<10]
		w.upsert("a", uploads(exact))
		w.requireBytes(exact, "a", 0)
		w.upsert("a", uploads(pngOf(3, 120, 1000)))
		w.requireStored(1, 1)
	})
}

// contract 3: an upsert that is refused, fails or changes nothing leaves none
// of its bytes behind.
func TestUnusedUploadsAreDiscarded(t *testing.T) {
	broken := errors.New("the line is cut")
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		p := w.upsert("a", uploads(chunkImage))
		for name, conds := range map[string][]catalog.Condition{
			"create only": {catalog.CreateOnly()}, "old version": {catalog.IfVersion(catalog.Version{})},
		} {
			_, err := w.c().Upsert(ctx, acme, "a", uploads(pngOf(5, 300, 400)), conds...)
			require.ErrorIs(t, err, catalog.ErrPreconditionFailed, name)
		}
		_, err := w.c().Upsert(ctx, acme, "_anon_x", uploads(chunkImage))
		require.Error(t, err)
		_, err = w.c().Upsert(ctx, acme, "a", uploads(chunkImage))
		require.NoError(t, err)
		_, err = w.c().UpsertInline(ctx, acme, "a", uploads(chunkImage))
		require.NoError(t, err)

		// The reader's error passes through, whether it comes early or late.
		for _, r := range []io.Reader{
			iotest.ErrReader(broken),
			io.MultiReader(strings.NewReader(string(chunkImage[:len(chunkImage)-10])), iotest.ErrReader(broken)),
		} {
			_, err = w.c().Upsert(ctx, acme, "a", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{Upload: catalog.NewUpload(r)}})})
			require.ErrorIs(t, err, broken)
			require.True(t, strings.HasPrefix(err.Error(), "shelflife: "))
		}
		many := w.c().UpsertMany(ctx, acme, []catalog.UpsertItem{
			{ExternalID: "a", Patch: uploads(pngOf(5, 300, 400)), Conditions: []catalog.Condition{catalog.CreateOnly()}},
		})
		require.ErrorIs(t, many[0].Err, catalog.ErrPreconditionFailed)
		require.Equal(t, p.Images, w.get("a").Images)
		require.Equal(t, 1, w.check().Blobs, "discarded at once")
		w.requireStored(1, 1)
	})
}

// pausing reads data and calls pause once it has given half of it.
type pausing struct {
	bytes.Reader
	pause func()
}

func pausingUpload(data []byte, pause func()) *catalog.Upload {
	r := &pausing{pause: pause}
	r.Reset(data)
	return catalog.NewUpload(struct{ io.Reader }{r})
}

func (r *pausing) Read(p []byte) (int, error) {
	if r.pause != nil && r.Len() <= int(r.Size())/2 {
		r.pause()
		r.pause = nil
	}
	return r.Reader.Read(p[:min(len(p), 32<<10)])
}

// An upload that stands still for longer than staged bytes are kept goes on as
// long as they are there; else the image is at fault whose bytes are gone.
func TestUploadsThatStandStill(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		wait := func() { w.clock.Advance(time.Hour + time.Second) } // not due for the sweeper yet
		lose := func() { wait(); w.sweepAll() }
		large := pngOf(6, 400, 600) // a chunk is staged when half of it has come
		patch := func(first, second *catalog.Upload) catalog.Patch {
			return catalog.Patch{Images: catalog.Set([]catalog.NewImage{{Upload: first}, {Upload: second}})}
		}
		w.upsert("a", patch(pausingUpload(large, wait), upload(chunkImage)))
		w.upsert("b", patch(upload(chunkImage), pausingUpload(large, wait)))
		w.requireBytes(chunkImage, "b", 0)
		w.requireBytes(large, "b", 1)

		_, err := w.c().Upsert(t.Context(), acme, "c", patch(pausingUpload(large, lose), upload(chunkImage)))
		requireFaults(t, err, map[string]catalog.Code{"images.0.source.fileKey": catalog.CodeInvalidImageInput})
		_, err = w.c().Upsert(t.Context(), acme, "c", patch(upload(chunkImage), pausingUpload(smallImage, lose)))
		requireFaults(t, err, map[string]catalog.Code{"images.0.source.fileKey": catalog.CodeInvalidImageInput})
		require.ErrorContains(t, err, "stood still")
		w.requireGone("c")
		w.requireStored(2, 4)
	})
}

// An image that was cut off on its way, as in the body of a request, is not a bad
// one: its reader failed.
func TestUploadsThatAreCutOff(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		for _, n := range []int{0, 5, 20, len(chunkImage) - 1} {
			cut := func() io.Reader {
				return io.MultiReader(bytes.NewReader(chunkImage[:n]), iotest.ErrReader(io.ErrUnexpectedEOF))
			}
			if n < 1000 {
				require.ErrorIs(t, w.c().InspectUpload(cut()), io.ErrUnexpectedEOF)
			}
			_, err := w.c().StageImage(t.Context(), acme, cut())
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			_, err = w.c().Upsert(t.Context(), acme, "a", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{Upload: catalog.NewUpload(cut())}})})
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		}
		w.requireStored(0, 0)
	})
}

// contract 1: 1 to 32 images, in order.
func TestImageCount(t *testing.T) {
	list := func(n int) catalog.Patch {
		images := make([]catalog.NewImage, n)
		for i := range images {
			images[i].URL = fmt.Sprintf("https://cdn.example/%d.jpg", i)
		}
		return catalog.Patch{Images: catalog.Set(images)}
	}
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		p := w.upsert("a", list(32))
		require.Len(t, p.Images, 32)
		for i, img := range w.get("a").Images {
			require.Equal(t, fmt.Sprintf("https://cdn.example/%d.jpg", i), img.SourceURL)
			require.Equal(t, i, img.Order)
			require.False(t, img.Uploaded())
			require.Empty(t, img.ContentType)
		}
		_, err := w.c().Upsert(t.Context(), acme, "a", list(33))
		requireFaults(t, err, map[string]catalog.Code{"images": catalog.CodeValidationFailed})
		many := make([]catalog.NewImage, 33)
		for i := range many {
			many[i].Upload = upload(chunkImage)
		}
		_, err = w.c().Upsert(t.Context(), acme, "a", catalog.Patch{Images: catalog.Set(many)})
		requireFaults(t, err, map[string]catalog.Code{"images": catalog.CodeValidationFailed})
		require.Equal(t, p, w.get("a"))
	})
}

// contract 3: an edit becomes visible with its image bytes in one instant:
// a caller that sees the new product can read all of its new bytes, and the old
// one's stay readable for a caller that saw that one.
func TestEditsAreVisibleWithTheirBytes(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		const edits = 6
		images := make([][]byte, edits)
		for i := range images {
			images[i] = pngOf(uint64(i), 100+i, 100)
		}
		patch := func(i int) catalog.Patch {
			p := uploads(images[i], images[i])
			p.Title = catalog.Set(fmt.Sprint(i))
			return p
		}
		w.upsert("a", patch(0))
		reader, writer := w.c(), w.c()
		done := make(chan error, 1)
		go func() {
			for i := 1; i < edits; i++ {
				if _, err := writer.Upsert(ctx, acme, "a", patch(i)); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
		for running := true; running; {
			select {
			case err := <-done:
				require.NoError(t, err)
				running = false
			default:
			}
			p, err := reader.Get(ctx, acme, "a")
			require.NoError(t, err)
			var n int
			_, err = fmt.Sscan(p.Title, &n)
			require.NoError(t, err)
			for i := range p.Images {
				require.Equal(t, 100+n, p.Images[i].Width, "the title of one edit with an image of another")
				r, err := reader.OpenImage(ctx, acme, "a", i)
				require.NoError(t, err)
				data, err := io.ReadAll(r)
				require.NoError(t, err)
				require.EqualValues(t, r.Info().Size, len(data))
			}
		}
		require.Equal(t, fmt.Sprint(edits-1), w.get("a").Title)
		w.clock.Advance(time.Second)
		w.requireStored(1, 2)
	})
}
