package catalog_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

// contract 3: a version never names two edits, an ETag never two
// representations: not across delete, expiry and re-creation. The clock stands
// still or moves, and what is created is always the same.
func TestVersionsAndETagsNeverRepeat(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		versions := map[catalog.Version]string{}
		tags := map[string]string{}
		// note checks that p's tag changed if and only if its JSON did, and that
		// an edit made a new version.
		note := func(p *catalog.Product, what string, edit bool) {
			t.Helper()
			body := string(p.AppendJSON(nil))
			if edit {
				require.NotContains(t, versions, p.Version(), what)
			} else {
				require.Contains(t, versions, p.Version(), what)
			}
			versions[p.Version()] = what
			// The same text made by another edit is no other representation, but
			// one tag must not stand for two texts.
			if old, ok := tags[p.ETag()]; ok {
				require.Equal(t, old, body, what)
			}
			tags[p.ETag()] = body
		}
		patch := withImage(catalog.Patch{ValidForDays: catalog.Set(1)})
		for range 3 {
			note(w.upsert("a", patch), "created", true)
			require.NoError(t, w.c().Delete(ctx, acme, "a"))
			note(w.upsert("a", patch), "created after deletion", true)
			w.clock.Advance(day)
			note(w.upsert("a", patch), "created after expiry", true)
			w.clock.Advance(day)
			w.clock.Advance(time.Hour)
			w.sweep()
			note(w.upsert("a", patch), "created after removal", true)
			before := w.get("a")

			w.clock.Advance(time.Minute)
			used, err := w.c().Use(ctx, acme, "a")
			require.NoError(t, err)
			note(used, "used", false)
			require.NotEqual(t, before.ETag(), used.ETag(), "a use changes the representation")
			require.Equal(t, before.Version(), used.Version(), "a use never makes a condition fail")

			w.clock.Advance(time.Minute)
			renewed := w.upsert("a", catalog.Patch{ValidForDays: catalog.Set(1)})
			note(renewed, "renewed", false)
			require.NotEqual(t, used.ETag(), renewed.ETag(), "a renewal changes the representation")
			require.Equal(t, renewed.ETag(), w.upsert("a", catalog.Patch{}).ETag())
			require.Equal(t, renewed.ETag(), w.get("a").ETag())

			for _, p := range []catalog.Patch{
				{Title: catalog.Set("x")}, {Title: catalog.Set("")}, {Title: catalog.Set("x")},
				{Metadata: catalog.Set(json.RawMessage(`1`))}, {Metadata: catalog.Set(json.RawMessage(`1.0`))},
				{ValidForDays: catalog.Set(2)}, {ValidForDays: catalog.Null[int]()},
			} {
				note(w.upsert("a", p), "edited", true) // the clock stands still
			}
			require.NoError(t, w.c().Delete(ctx, acme, "a"))
		}
		w.reopen()
		note(w.upsert("a", patch), "created after reopening", true)
	})
}

func TestVersionText(t *testing.T) {
	w := memoryWorld(t)
	p := w.create("a")
	v, ok := catalog.ParseVersion(p.Version().String())
	require.True(t, ok)
	require.Equal(t, p.Version(), v)
	s := v.String()
	for _, bad := range []string{
		"", s + "A", s[1:], " " + s[1:], s[:len(s)-1] + "=", s[:len(s)-1] + "\n", "+" + s[1:], strings.ToUpper(s) + s, s[:len(s)-1] + "B",
	} {
		if bad == s {
			continue
		}
		_, ok := catalog.ParseVersion(bad)
		require.False(t, ok, "%q", bad)
	}
}

func TestETagText(t *testing.T) {
	w := memoryWorld(t)
	w.upsert("a", withImage(catalog.Patch{ValidForDays: catalog.Set(1)}))
	p, err := w.c().Use(t.Context(), acme, "a")
	require.NoError(t, err)
	tag := p.ETag()
	v, ok := catalog.ETagVersion(tag)
	require.True(t, ok)
	require.Equal(t, p.Version(), v)
	require.Regexp(t, `^"[\x21\x23-\x7e]+"$`, tag, "an entity tag of HTTP")

	inner := strings.Trim(tag, `"`)
	parts := strings.Split(inner, ".")
	require.Len(t, parts, 4)
	with := func(i int, s string) string {
		changed := append([]string(nil), parts...)
		changed[i] = s
		return `"` + strings.Join(changed, ".") + `"`
	}
	for _, bad := range []string{
		"", `"`, `""`, inner, `"` + inner, inner + `"`, "W/" + tag, tag + tag, " " + tag, `"` + parts[0] + `"`, `"` + inner + `."`,
		with(0, ""), with(0, parts[0][1:]), with(1, "0"), with(1, ""), with(1, "+2"), with(1, "02"), with(1, "3"), with(1, "1"), with(2, ""), with(2, "+"+parts[2]), with(2, "0"+parts[2]),
		with(2, strings.ToUpper(parts[2])), with(3, "-0"), with(3, "zzzzzzzzzzzzzzzz"), with(3, parts[3]+" "),
	} {
		_, ok := catalog.ETagVersion(bad)
		require.False(t, ok, "%q", bad)
	}
}

// TestETagFormat: when the JSON form of a product changes, so that the golden products
// do, etagFormat is raised, and both are noted here.
func TestETagFormat(t *testing.T) {
	golden, err := os.ReadFile("testdata/products.golden")
	require.NoError(t, err)
	w := memoryWorld(t)
	parts := strings.Split(w.create("p").ETag(), ".")
	require.Equal(t, []string{"2", "0112e8fb"}, []string{parts[1], fmt.Sprintf("%.4x", sha256.Sum256(golden))})
}
