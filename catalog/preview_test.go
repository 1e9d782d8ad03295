package catalog_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
)

// TestPreviewSaysWhatUpsertDoes asks both of each patch, one behind the other, and
// looks whether the preview left everything as it was.
func TestPreviewSaysWhatUpsertDoes(t *testing.T) {
	c, err := catalog.Open(t.Context(), memory.New(nil), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	image := []catalog.NewImage{{URL: "https://cdn.example/1.jpg"}}
	upload := func() []catalog.NewImage {
		return []catalog.NewImage{{Upload: catalog.NewUpload(strings.NewReader(string(pngOf(1, 3, 3))))}}
	}
	_, err = c.Upsert(t.Context(), "a", "uploaded", catalog.Patch{Images: catalog.Set(upload())})
	require.NoError(t, err)
	kept, err := c.Get(t.Context(), "a", "uploaded")
	require.NoError(t, err)
	_, err = c.UpsertInline(t.Context(), "a", "unlisted", catalog.Patch{Images: catalog.Set(image)})
	require.NoError(t, err)

	for _, step := range []struct {
		name, id string
		patch    func() catalog.Patch
	}{
		{"no image", "mug", func() catalog.Patch { return catalog.Patch{Title: catalog.Set("Mug")} }},
		{"creates", "mug", func() catalog.Patch { return catalog.Patch{Images: catalog.Set(image), ValidForDays: catalog.Set(3)} }},
		{"renews", "mug", func() catalog.Patch { return catalog.Patch{ValidForDays: catalog.Set(3)} }},
		{"edits", "mug", func() catalog.Patch { return catalog.Patch{Title: catalog.Set("Mug")} }},
		{"says nothing new", "mug", func() catalog.Patch { return catalog.Patch{Title: catalog.Set("Mug"), Images: catalog.Set(image)} }},
		{"metadata", "mug", func() catalog.Patch { return catalog.Patch{Metadata: catalog.Set(json.RawMessage(` {"a": 1}`))} }},
		{"the same, with spaces", "mug", func() catalog.Patch { return catalog.Patch{Metadata: catalog.Set(json.RawMessage(`{"a":1 }`))} }},
		{"an upload", "mug", func() catalog.Patch { return catalog.Patch{Images: catalog.Set(upload())} }},
		{"another's upload", "mug", func() catalog.Patch {
			return catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: kept.Images[0].SourceURL}})}
		}},
		{"its own upload", "uploaded", func() catalog.Patch {
			return catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: kept.Images[0].SourceURL}})}
		}},
		{"lists", "unlisted", func() catalog.Patch { return catalog.Patch{} }},
		{"a reserved ID", "_anon_x", func() catalog.Patch { return catalog.Patch{Images: catalog.Set(image)} }},
		{"several faults", "\x00", func() catalog.Patch {
			return catalog.Patch{Title: catalog.Null[string](), ValidForDays: catalog.Set(0)}
		}},
	} {
		before, _ := c.Get(t.Context(), "a", step.id)
		want, previewed := c.Preview(t.Context(), "a", step.id, step.patch())
		after, _ := c.Get(t.Context(), "a", step.id)
		require.Equal(t, before, after, step.name)
		got, err := c.Upsert(t.Context(), "a", step.id, step.patch())
		require.Equal(t, got.Outcome, want, step.name)
		var faults, expected *catalog.ValidationError
		require.Equal(t, errors.As(err, &expected), errors.As(previewed, &faults), step.name)
		if expected != nil {
			require.Equal(t, expected.Fields, faults.Fields, step.name)
		} else {
			require.NoError(t, previewed, step.name)
		}
	}
}
