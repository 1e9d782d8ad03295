package catalog_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

// contract 6: title 1,000 and description 20,000 code points, not bytes.
func TestTextLimits(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.create("a")
		for _, ch := range []string{"x", "é", "🧦", "\u0301", "\x00"} {
			p := w.upsert("a", catalog.Patch{
				Title: catalog.Set(strings.Repeat(ch, 1000)), Description: catalog.Set(strings.Repeat(ch, 20_000)),
			})
			require.Equal(t, strings.Repeat(ch, 20_000), w.get("a").Description)
			_, err := w.c().Upsert(ctx, acme, "a", catalog.Patch{
				Title: catalog.Set(strings.Repeat(ch, 1001)), Description: catalog.Set(strings.Repeat(ch, 20_001)),
			})
			requireFaults(t, err, map[string]catalog.Code{
				"title": catalog.CodeValidationFailed, "description": catalog.CodeValidationFailed,
			})
			require.Equal(t, p, w.get("a"))
		}
		for _, bad := range []string{"\xff", "a\xc0\x80", "\xed\xa0\x80", "é"[:1]} {
			_, err := w.c().Upsert(ctx, acme, "a", catalog.Patch{Title: catalog.Set(bad), Description: catalog.Set(bad)})
			requireFaults(t, err, map[string]catalog.Code{
				"title": catalog.CodeValidationFailed, "description": catalog.CodeValidationFailed,
			})
		}
	})
}

// contract 1: validForDays is 1 to 365, or null.
func TestValidForDaysLimits(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		w.create("a")
		for _, days := range []int{1, 2, 364, 365} {
			require.Equal(t, days, w.upsert("a", catalog.Patch{ValidForDays: catalog.Set(days)}).ValidForDays)
		}
		for _, days := range []int{0, -1, 366, math.MaxInt, math.MinInt} {
			patch := withImage(catalog.Patch{ValidForDays: catalog.Set(days)})
			want := map[string]catalog.Code{"validForDays": catalog.CodeValidationFailed}
			_, err := w.c().Upsert(t.Context(), acme, "a", patch)
			requireFaults(t, err, want)
			_, err = w.c().UpsertInline(t.Context(), acme, "a", patch)
			requireFaults(t, err, want)
			_, err = w.c().CreateOneShot(t.Context(), acme, patch)
			requireFaults(t, err, want)
		}
		require.Equal(t, 365, w.get("a").ValidForDays)
	})
}

// contract 3 and 6: an image's URL is absolute, http or https, has a host, is
// at most 2,048 bytes long, and is kept as it was given.
func TestURLRules(t *testing.T) {
	const prefix = "https://a.example/"
	good := []string{
		"http://a", "https://a.example", "HTTPS://A.example/X", "https://a.example:8443/x?y=1&y=2#frag",
		"https://127.0.0.1/", "https://[::1]:80/", "https://a.example/%2F/../x//", "https://bücher.example/é", "https://a.example/a b",
		prefix + strings.Repeat("x", 2048-len(prefix)),
	}
	bad := []string{
		"a.example/x.jpg", "//a.example/x", "/x.jpg", "https:", "https://", "https:///x", "https:a.example", "http://:80/", "https://user@/x",
		"ftp://a.example/x", "file:///etc/passwd", "javascript:alert(1)", "data:image/png;base64,AAAA", "mailto:a@b.example", "upload:x",
		"UPLOAD://" + strings.Repeat("0", 32), " https://a.example", "https://a.example\n", "https://a.example/\x00", "https://a b/",
		"https://a.example:port/", "https://a.example:99999/", "https://user:pw@a.example/", "https://a..example/", "https://[::1", "https://a.example/%zz", "https://a.example/\xff",
		prefix + strings.Repeat("x", 2049-len(prefix)), prefix + strings.Repeat("é", 1024),
	}
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		for _, url := range good {
			p := w.upsert("a", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: url}})})
			require.Equal(t, url, p.Images[0].SourceURL)
			require.Equal(t, url, w.get("a").Images[0].SourceURL)
		}
		for _, url := range bad {
			_, err := w.c().Upsert(t.Context(), acme, "a", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: prefix}, {URL: url}})})
			require.Error(t, err, "%q", url)
			requireFaults(t, err, map[string]catalog.Code{"images.1.source.url": catalog.CodeValidationFailed})
		}
	})
}

// contract 3: exactly one source.
func TestExactlyOneSource(t *testing.T) {
	w := memoryWorld(t)
	staged := w.stage(smallImage).Ref
	url := "https://a.example"
	for i, img := range []catalog.NewImage{
		{},
		{Classifications: json.RawMessage(`{}`)},
		{URL: url, Upload: upload(smallImage)},
		{URL: url, Staged: staged},
		{Upload: upload(smallImage), Staged: staged},
		{URL: url, Upload: upload(smallImage), Staged: staged},
	} {
		patch := catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: url}, img})}
		want := map[string]catalog.Code{"images.1.source": catalog.CodeInvalidImageInput}
		_, err := w.c().Upsert(t.Context(), acme, fmt.Sprint(i), patch)
		requireFaults(t, err, want)
		requireFaults(t, w.c().Validate(acme, "a", patch), want)
	}
	w.requireStored(0, 0)
}

// contract 6: all limits are settable; they bind what is written from then on,
// not what is stored.
func TestLimitsAreSettable(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		before := w.upsert("a", fullPatch())
		w.opts.Limits = catalog.Limits{
			URLBytes: 20, TitleLength: 3, DescriptionLength: 4, MetadataBytes: 5, ClassificationBytes: 7, Nesting: 5, Images: 1,
			ImageBytes: int64(len(smallImage)), ImagePixels: 16,
		}
		w.reopen()
		require.Equal(t, w.opts.Limits, w.c().Limits())
		require.Equal(t, before, w.get("a"), "what is stored stays")
		w.upsert("a", catalog.Patch{ValidForDays: catalog.Set(30)})

		p := catalog.Patch{
			Title: catalog.Set("abc"), Description: catalog.Set("abcd"), Metadata: catalog.Set(json.RawMessage(`[[1]]`)),
			Images: catalog.Set([]catalog.NewImage{{URL: "https://a.example/12", Classifications: json.RawMessage(`{"a":1}`)}}),
		}
		w.upsert("b", p)
		w.upsert("c", uploads(smallImage))
		for _, tt := range []struct {
			patch catalog.Patch
			path  string
			code  catalog.Code
		}{
			{catalog.Patch{Title: catalog.Set("abcd")}, "title", catalog.CodeValidationFailed},
			{catalog.Patch{Description: catalog.Set("abcde")}, "description", catalog.CodeValidationFailed},
			{catalog.Patch{Metadata: catalog.Set(json.RawMessage(`[[12]]`))}, "metadata", catalog.CodeValidationFailed},
			{catalog.Patch{Metadata: catalog.Set(json.RawMessage(` [[1]] `))}, "", ""},
			{
				catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: "https://a.example/123"}})},
				"images.0.source.url", catalog.CodeValidationFailed,
			},
			{
				catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: "https://a", Classifications: json.RawMessage(`{"a":12}`)}})},
				"images.0.classifications", catalog.CodeValidationFailed,
			},
			{
				catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: "https://a"}, {URL: "https://a"}})},
				"images", catalog.CodeValidationFailed,
			},
			{uploads(append(append([]byte(nil), smallImage...), 0)), "images.0.source.fileKey", catalog.CodePayloadTooLarge},
			{uploads(pngOf(1, 17, 1)), "images.0.source.fileKey", catalog.CodeInvalidImage},
		} {
			_, err := w.c().Upsert(t.Context(), acme, "b", tt.patch)
			if tt.path == "" {
				require.NoError(t, err)
				continue
			}
			requireFaults(t, err, map[string]catalog.Code{tt.path: tt.code})
		}
	})
	onEveryStore(t, func(o *catalog.Options) { o.Limits.Nesting = 5 }, func(t *testing.T, w *world) {
		classified := func(raw string) catalog.Patch {
			return catalog.Patch{
				Metadata: catalog.Set(json.RawMessage(`[[[[1]]]]`)),
				Images:   catalog.Set([]catalog.NewImage{{URL: "https://a.example", Classifications: json.RawMessage(raw)}}),
			}
		}
		w.upsert("a", classified(`{"a":{}}`))
		_, err := w.c().Upsert(t.Context(), acme, "a", classified(`{"a":{"b":[]}}`))
		requireFaults(t, err, map[string]catalog.Code{"images.0.classifications": catalog.CodeValidationFailed})
	})
}

// InspectUpload tells what the header alone tells.
func TestInspectUpload(t *testing.T) {
	w := memoryWorld(t)
	require.NoError(t, w.c().InspectUpload(strings.NewReader(string(smallImage))))
	require.NoError(t, w.c().InspectUpload(strings.NewReader(string(chunkImage[:1000]))))
	requireFaults(t, w.c().InspectUpload(strings.NewReader("x")), map[string]catalog.Code{"": catalog.CodeInvalidImage})
}
