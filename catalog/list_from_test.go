package catalog_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
)

func openFor(t *testing.T, ids ...string) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Open(t.Context(), memory.New(nil), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	for _, id := range ids {
		_, err := c.Upsert(t.Context(), "a", id, catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: "https://a.example/x"}})})
		require.NoError(t, err)
	}
	return c
}

func TestListFrom(t *testing.T) {
	// contract 5: a first ID, inclusive, instead of a cursor.
	c := openFor(t, "A", "a", "a/b", "b", "z")
	for _, tc := range []struct {
		from, prefix string
		want         []string
	}{
		{"", "", []string{"A", "a", "a/b", "b", "z"}},
		{"a", "", []string{"a", "a/b", "b", "z"}},
		{"a\x00", "", []string{"a/b", "b", "z"}},
		{"_anon_x", "", []string{"a", "a/b", "b", "z"}},
		{"zz", "", nil},
		{"a/", "a", []string{"a/b"}},
		{"A", "a", []string{"a", "a/b"}},
		{"b", "a", nil},
	} {
		page, err := c.List(t.Context(), "a", catalog.ListOptions{From: tc.from, Prefix: tc.prefix})
		require.NoError(t, err)
		var listed, all []string
		for _, p := range page.Products {
			listed = append(listed, p.ExternalID)
		}
		for p, err := range c.All(t.Context(), "a", catalog.AllOptions{From: tc.from, Prefix: tc.prefix}) {
			require.NoError(t, err)
			all = append(all, p.ExternalID)
		}
		require.Equal(t, tc.want, listed, "%q", tc)
		require.Equal(t, tc.want, all, "%q", tc)
	}
	page, err := c.List(t.Context(), "a", catalog.ListOptions{Limit: 1})
	require.NoError(t, err)
	for _, o := range []catalog.ListOptions{
		{From: "a", Cursor: page.NextCursor}, {From: "\xff"}, {From: strings.Repeat("x", 256)}, {MaxBytes: -1},
	} {
		_, err := c.List(t.Context(), "a", o)
		var invalid *catalog.ValidationError
		require.ErrorAs(t, err, &invalid)
		require.Len(t, invalid.Fields, 1)
	}
	for _, err := range c.All(t.Context(), "a", catalog.AllOptions{From: "\xff"}) {
		require.Error(t, err)
	}
}

func TestListMaxBytes(t *testing.T) {
	// The pages are the longest that fit, and hasMore is exact.
	c := openFor(t, "a", "b", "c", "d", "e")
	one := func() int {
		p, err := c.Get(t.Context(), "a", "a")
		require.NoError(t, err)
		return len(p.AppendJSON(nil))
	}()
	for limit, perPage := range map[int]int{1: 1, one: 1, 2 * one: 1, 2*one + 1: 2, 3*one + 2: 3, 5*one + 3: 4, 5*one + 4: 5, 1 << 20: 5} {
		var ids string
		for cursor, more := "", true; more; {
			page, err := c.List(t.Context(), "a", catalog.ListOptions{MaxBytes: limit, Cursor: cursor})
			require.NoError(t, err)
			require.LessOrEqual(t, len(page.Products), perPage)
			if page.HasMore {
				require.Len(t, page.Products, perPage, "MaxBytes %d", limit)
			}
			for _, p := range page.Products {
				ids += p.ExternalID
			}
			cursor, more = page.NextCursor, page.HasMore
		}
		require.Equal(t, "abcde", ids)
	}
}
