package catalog_test

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

func TestSmoke(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		p := w.upsert("shirt/1", catalog.Patch{
			Title:        catalog.Set("Red"),
			Images:       catalog.Set([]catalog.NewImage{{URL: "https://a.example/x.jpg"}, {Upload: catalog.NewUpload(bytes.NewReader(pngOf(1, 10, 10)))}}),
			Metadata:     catalog.Set(json.RawMessage(`{ "price": 19.90 }`)),
			ValidForDays: catalog.Set(30),
		})
		t.Logf("%s %s", p.AppendJSON(nil), p.ETag())
		w.clock.Advance(time.Second * 3)
		big := pngOf(2, 600, 600)
		p = w.upsert("shirt/1", catalog.Patch{
			Images: catalog.Set([]catalog.NewImage{{URL: p.Images[1].SourceURL}, {Upload: catalog.NewUpload(bytes.NewReader(big))}}),
		})
		t.Logf("%s %s", p.AppendJSON(nil), p.ETag())
		r, err := w.c().OpenImage(ctx, acme, "shirt/1", 1)
		require.NoError(t, err)
		b, err := io.ReadAll(r)
		require.NoError(t, err)
		require.True(t, bytes.Equal(b, big))
		w.clock.Advance(29 * day)
		u, err := w.c().Use(ctx, acme, "shirt/1")
		require.NoError(t, err)
		require.Equal(t, w.now(), u.LastUsedAt)
		require.Equal(t, w.get("shirt/1"), u)
		w.reopen()
		require.Equal(t, w.get("shirt/1"), u)
		for i := range 30 {
			_ = i
			_, err := w.c().CreateOneShot(ctx, acme, withImage(catalog.Patch{}))
			require.NoError(t, err)
		}
		w.create("z")
		page, err := w.c().List(ctx, acme, catalog.ListOptions{Limit: 1})
		require.NoError(t, err)
		require.Equal(t, []string{"shirt/1"}, ids(page.Products))
		require.True(t, page.HasMore)
		page, err = w.c().List(ctx, acme, catalog.ListOptions{Limit: 1, Cursor: page.NextCursor})
		require.NoError(t, err)
		require.Equal(t, []string{"z"}, ids(page.Products))
		require.False(t, page.HasMore)
		w.clock.Advance(7*day + time.Minute)
		w.sweep()
		w.requireSound()
		s, err := w.c().Stats(ctx, acme)
		require.NoError(t, err)
		require.Equal(t, 2, s.Products)
		n, err := w.c().DeleteAccount(ctx, acme)
		require.NoError(t, err)
		require.Equal(t, 2, n)
		w.clock.Advance(16 * time.Minute)
		w.sweep()
		rep, err := w.c().Check(ctx)
		require.NoError(t, err)
		t.Logf("%+v", rep)
	})
}
