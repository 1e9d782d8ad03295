package catalog_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
)

func TestDefaultLimits(t *testing.T) {
	want := catalog.Limits{
		URLBytes: 2048, TitleLength: 1000, DescriptionLength: 20_000, MetadataBytes: 65_536, ClassificationBytes: 8192,
		Nesting: 64, Images: 32, ImageBytes: 20 << 20, ImagePixels: 100_000_000,
	}
	require.Equal(t, want, catalog.Limits{}.WithDefaults())
	for _, o := range []*catalog.Options{nil, {}} {
		c, err := catalog.Open(t.Context(), memory.New(nil), o)
		require.NoError(t, err)
		require.Equal(t, want, c.Limits())
		require.NoError(t, c.Close())
	}
	want.Images = 5
	require.Equal(t, want, catalog.Limits{Images: 5}.WithDefaults())
}

func TestRefusedOptions(t *testing.T) {
	for name, o := range map[string]catalog.Options{
		"Durability":                 {Durability: 2},
		"UseWindow":                  {UseWindow: time.Hour + 1},
		"UseWindow (short)":          {UseWindow: time.Millisecond - 1},
		"UseCapacity":                {UseCapacity: -1},
		"StageLifetime":              {StageLifetime: -1},
		"Limits.URLBytes":            {Limits: catalog.Limits{URLBytes: -1}},
		"Limits.TitleLength":         {Limits: catalog.Limits{TitleLength: -1}},
		"Limits.DescriptionLength":   {Limits: catalog.Limits{DescriptionLength: -1}},
		"Limits.MetadataBytes":       {Limits: catalog.Limits{MetadataBytes: -1}},
		"Limits.ClassificationBytes": {Limits: catalog.Limits{ClassificationBytes: -1}},
		"Limits.Nesting":             {Limits: catalog.Limits{Nesting: 10_001}},
		"Limits.Images":              {Limits: catalog.Limits{Images: 1025}},
		"Limits.ImageBytes":          {Limits: catalog.Limits{ImageBytes: -1}},
		"Limits.ImagePixels":         {Limits: catalog.Limits{ImagePixels: -1}},
	} {
		b := memory.New(nil)
		c, err := catalog.Open(t.Context(), b, &o)
		require.ErrorContains(t, err, "shelflife: open: option "+strings.Fields(name)[0]+":")
		require.Nil(t, c)
		require.NoError(t, b.Ready(), "after an error the backend is still the caller's")
		require.NoError(t, b.Close())
	}
}

// A store must not be made that can't be opened again.
func TestTooManyShards(t *testing.T) {
	for _, shards := range []int{encoding.MaxShards, encoding.MaxShards + 1} {
		store := memory.New(&memory.Options{Shards: shards})
		c, err := catalog.Open(t.Context(), store, nil)
		if shards > encoding.MaxShards {
			require.ErrorContains(t, err, "257 shards, more than 256")
			require.NoError(t, store.Close())
			continue
		}
		require.NoError(t, err)
		require.NoError(t, c.Close())
	}
}

func TestOptionsAtTheirBounds(t *testing.T) {
	for name, o := range map[string]catalog.Options{
		"Buffered":             {Durability: catalog.Buffered},
		"the longest window":   {UseWindow: time.Hour},
		"the shortest window":  {UseWindow: time.Millisecond},
		"no window":            {UseWindow: catalog.NoUseWindow},
		"no cache":             {CacheBytes: -1},
		"a tiny cache":         {CacheBytes: 1},
		"any cache":            {CacheBytes: math.MaxInt64},
		"no grace for readers": {ImageGrace: -1},
		"grace for any bytes":  {ImageGraceBytes: math.MaxInt64},
		"the most images":      {Limits: catalog.Limits{Images: 1024}},
		"one pending use":      {UseCapacity: 1},
	} {
		given := o
		c, err := catalog.Open(t.Context(), memory.New(nil), &o)
		require.NoError(t, err, name)
		require.Equal(t, given, o, "the caller's options are not changed")
		res, err := c.Upsert(t.Context(), acme, "a", withImage(catalog.Patch{}))
		require.NoError(t, err)
		_, err = c.Use(t.Context(), acme, "a")
		require.NoError(t, err)
		p, err := c.Get(t.Context(), acme, "a")
		require.NoError(t, err)
		require.False(t, p.LastUsedAt.IsZero())
		require.Equal(t, res.Product.Version(), p.Version())
		require.NoError(t, c.Close())
	}
}
