package catalog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
)

// staged returns a patch with an image for each reference.
func staged(refs ...catalog.StagedRef) catalog.Patch {
	images := []catalog.NewImage{}
	for _, ref := range refs {
		images = append(images, catalog.NewImage{Staged: ref})
	}
	return catalog.Patch{Images: catalog.Set(images)}
}

var refusedStage = map[string]catalog.Code{"images.0.source": catalog.CodeInvalidImageInput}

// contract 7: StageImage takes in bytes ahead of the upsert that claims them.
func TestStagedImages(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		for _, data := range [][]byte{smallImage, chunkImage} {
			img := w.stage(data)
			require.NotEmpty(t, img.Ref)
			require.Equal(t, "image/png", img.ContentType)
			require.EqualValues(t, len(data), img.Size)
			require.Positive(t, img.Width)
			require.Positive(t, img.Height)
			require.Equal(t, w.now().Add(time.Hour), img.ExpiresAt)
			w.reopen() // durable

			w.clock.Advance(time.Hour - time.Millisecond)
			p := w.upsert("a", catalog.Patch{Images: catalog.Set([]catalog.NewImage{
				{Staged: img.Ref, Classifications: json.RawMessage(`{"n":1}`)}, {Staged: img.Ref},
			})})
			require.Equal(t, p.Images[0].SourceURL, p.Images[1].SourceURL)
			require.Equal(t, img.Width, p.Images[0].Width)
			w.requireBytes(data, "a", 1)
			w.requireStored(1, 1)
			w.requireBytes(data, "a", 0)
		}
	})
}

// Staged bytes are claimed by one product. Repeating the upsert that claimed
// them is no error: its answer may have been lost.
func TestStagedImagesAreClaimedOnce(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		ref := w.stage(chunkImage).Ref
		p := w.upsert("a", staged(ref))
		res, err := w.c().Upsert(ctx, acme, "a", staged(ref))
		require.NoError(t, err)
		require.Equal(t, catalog.Unchanged, res.Outcome)
		require.Equal(t, p, res.Product)
		w.clock.Advance(day)
		require.Equal(t, p, w.upsert("a", staged(ref)), "a retry is good for ever")

		// Moved within the product.
		p = w.upsert("a", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: "https://a.example"}, {Staged: ref}})})
		require.Equal(t, "upload://"+string(ref), p.Images[1].SourceURL)

		_, err = w.c().Upsert(ctx, acme, "b", staged(ref))
		requireFaults(t, err, refusedStage)
		_, err = w.c().Upsert(ctx, "other", "a", staged(ref))
		requireFaults(t, err, refusedStage)
		_, err = w.c().CreateOneShot(ctx, acme, staged(ref))
		requireFaults(t, err, refusedStage)

		// What the product has released can't be claimed again.
		w.upsert("a", withImage(catalog.Patch{}))
		_, err = w.c().Upsert(ctx, acme, "a", staged(ref))
		requireFaults(t, err, refusedStage)
		w.requireStored(1, 0)
		_, err = w.c().Upsert(ctx, acme, "a", staged(ref))
		requireFaults(t, err, refusedStage)
	})
}

// A later product of the same ID is another product: it has no claim on what
// the expired or deleted one held.
func TestStagedImagesAreNotInherited(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		ref := w.stage(smallImage).Ref
		patch := staged(ref)
		patch.ValidForDays = catalog.Set(1)
		w.upsert("a", patch)
		w.clock.Advance(day)
		for _, do := range []func() error{
			func() error { _, err := w.c().Upsert(ctx, acme, "a", patch); return err },
			func() error { _, err := w.c().UpsertInline(ctx, acme, "a", patch); return err },
			func() error {
				return w.c().UpsertMany(ctx, acme, []catalog.UpsertItem{{ExternalID: "a", Patch: patch}})[0].Err
			},
		} {
			requireFaults(t, do(), refusedStage)
			w.requireGone("a")
		}
		w.create("a")
		_, err := w.c().Upsert(ctx, acme, "a", patch)
		requireFaults(t, err, refusedStage)

		patch = staged(w.stage(smallImage).Ref)
		w.upsert("b", patch)
		require.NoError(t, w.c().Delete(ctx, acme, "b"))
		_, err = w.c().Upsert(ctx, acme, "b", patch)
		requireFaults(t, err, refusedStage)
		w.requireStored(1, 0)
	})
}

// Unclaimed bytes vanish by themselves, and can't be claimed from the instant
// at which they expire.
func TestStagedImagesExpire(t *testing.T) {
	lifetime := func(o *catalog.Options) { o.StageLifetime = time.Minute }
	onEveryStore(t, lifetime, func(t *testing.T, w *world) {
		img := w.stage(chunkImage)
		require.Equal(t, w.now().Add(time.Minute), img.ExpiresAt)
		w.clock.Advance(time.Minute)
		_, err := w.c().Upsert(t.Context(), acme, "a", staged(img.Ref))
		requireFaults(t, err, refusedStage)
		w.requireGone("a")
		w.requireStored(0, 0)
		require.Zero(t, w.check().Entries)
		_, err = w.c().Upsert(t.Context(), acme, "a", staged(img.Ref))
		requireFaults(t, err, refusedStage)
	})
}

// Every reference that names no staged image is a fault of its image.
func TestRefusedStagedRefs(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		good := w.stage(smallImage).Ref
		upper := catalog.StagedRef(strings.ToUpper(string(good))) + "A"
		none := catalog.StagedRef(strings.Repeat("0", 32))
		_, err := w.c().Upsert(t.Context(), acme, "a", staged("x", good, none, upper, "upload://"+good, good+" "))
		want := map[string]catalog.Code{}
		for _, i := range []string{"0", "2", "3", "4", "5"} {
			want["images."+i+".source"] = catalog.CodeInvalidImageInput
		}
		requireFaults(t, err, want)
		w.upsert("a", staged(good)) // still there
		w.requireStored(1, 1)
	})
}

// Several products that claim the same bytes at once: one gets them.
func TestStagedImagesAreClaimedByOneOfMany(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ref := w.stage(chunkImage).Ref
		const claimants = 8
		results := make(chan error, claimants)
		for i := range claimants {
			c, id := w.c(), string(rune('a'+i))
			go func() {
				_, err := c.Upsert(t.Context(), acme, id, staged(ref))
				results <- err
			}()
		}
		won := 0
		for range claimants {
			if err := <-results; err == nil {
				won++
			} else {
				requireFaults(t, err, refusedStage)
			}
		}
		require.Equal(t, 1, won)
		w.requireStored(1, 1)
	})
}

func TestStageOfNothing(t *testing.T) {
	c, err := catalog.Open(t.Context(), memory.New(nil), nil)
	require.NoError(t, err)
	defer c.Close()
	_, err = c.StageImage(t.Context(), acme, nil)
	requireFaults(t, err, map[string]catalog.Code{"": catalog.CodeInvalidImage})
}

// contract 7: bytes that StageImage refuses, or could not read, leave nothing
// behind.
func TestRefusedStages(t *testing.T) {
	limits := func(o *catalog.Options) {
		o.Limits = catalog.Limits{ImageBytes: int64(len(chunkImage)), ImagePixels: 300 * 400}
	}
	onEveryStore(t, limits, func(t *testing.T, w *world) {
		ctx := t.Context()
		for _, tt := range []struct {
			data []byte
			code catalog.Code
		}{
			{nil, catalog.CodeInvalidImage},
			{[]byte("text"), catalog.CodeInvalidImage},
			{chunkImage[:30], catalog.CodeInvalidImage},
			{pngOf(1, 301, 400), catalog.CodeInvalidImage},
			{append(append([]byte(nil), chunkImage...), 0), catalog.CodePayloadTooLarge},
		} {
			_, err := w.c().StageImage(ctx, acme, bytes.NewReader(tt.data))
			requireFaults(t, err, map[string]catalog.Code{"": tt.code})
			require.True(t, strings.HasPrefix(err.Error(), "shelflife: "))
		}
		cut := errors.New("the line is cut")
		_, err := w.c().StageImage(ctx, acme, iotest.TimeoutReader(bytes.NewReader(chunkImage)))
		require.ErrorIs(t, err, iotest.ErrTimeout)
		_, err = w.c().StageImage(ctx, acme, iotest.ErrReader(cut))
		require.ErrorIs(t, err, cut)
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		_, err = w.c().StageImage(cancelled, acme, bytes.NewReader(chunkImage))
		require.ErrorIs(t, err, context.Canceled)
		require.Zero(t, w.check().Blobs)
		require.Zero(t, w.check().Entries)
		w.stage(chunkImage)
		require.Equal(t, 1, w.check().Blobs)
		w.requireStored(0, 0)
	})
}

// Staging whatever the account: a name apart shares nothing.
func TestStagedImagesBelongToTheirAccount(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ref := w.stage(smallImage).Ref
		for _, account := range []string{"other", "acm", "acme\x00", "acme/"} {
			_, err := w.c().Upsert(t.Context(), account, "a", staged(ref))
			requireFaults(t, err, refusedStage)
		}
		w.upsert("a", staged(ref))
		w.requireStored(1, 1)
	})
}
