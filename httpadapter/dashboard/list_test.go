package dashboard_test

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter/dashboard"
)

// linkOf returns the reference of the link with a text, "" if there is none.
func linkOf(body, text string) string {
	m := regexp.MustCompile(`<a class="button[^"]*" href="([^"]*)"[^>]*>` + text + `</a>`).FindStringSubmatch(body)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}

func idsOf(body string) []string {
	var ids []string
	for _, m := range regexp.MustCompile(`name="id" value="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		ids = append(ids, html.UnescapeString(m[1]))
	}
	return ids
}

// addMany adds n products named by format.
func (w *world) addMany(n int, format string, p catalog.Patch) []string {
	w.t.Helper()
	p.Images = catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/1.jpg"}})
	var items []catalog.UpsertItem
	var ids []string
	for i := range n {
		id := fmt.Sprintf(format, i)
		ids = append(ids, id)
		items = append(items, catalog.UpsertItem{ExternalID: id, Patch: p})
	}
	for _, r := range w.catalog.UpsertMany(w.t.Context(), "acme", items) {
		require.NoError(w.t, r.Err)
	}
	return ids
}

func TestPagingBothWays(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	ids := w.addMany(48*3+5, "a/product with a long name %04d", catalog.Patch{})
	b := w.signedIn(acmeKey)
	var refs, seen []string
	pages := map[string][]string{}
	for ref := "./"; ref != ""; {
		a := b.get(ref)
		require.Equal(t, http.StatusOK, a.status)
		refs = append(refs, ref)
		pages[ref] = idsOf(a.body)
		seen = append(seen, pages[ref]...)
		ref = linkOf(a.body, "Next")
	}
	require.Equal(t, ids, seen)
	require.Len(t, refs, 4)
	for i := len(refs) - 1; i > 0; i-- {
		body := b.get(refs[i]).body
		require.Equal(t, refs[i-1], linkOf(body, "Previous"))
		require.Equal(t, "./", linkOf(body, "First"))
	}
	require.Empty(t, linkOf(b.get("./").body, "Previous"))
}

func TestTheWayBackHasAnEnd(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.addMany(48*30, strings.Repeat("a long prefix ", 15)+"%05d", catalog.Patch{})
	b := w.signedIn(acmeKey)
	pages, body := 1, b.get("./").body
	for next := linkOf(body, "Next"); next != ""; next = linkOf(body, "Next") {
		require.Less(t, len(next), 8<<10)
		body = b.get(next).body
		pages++
	}
	require.Equal(t, 30, pages)
	back := 0
	for previous := linkOf(body, "Previous"); previous != ""; previous = linkOf(body, "Previous") {
		body = b.get(previous).body
		back++
		require.Less(t, back, 30, "it has an end")
	}
	require.Greater(t, back, 5)
	require.Less(t, back, 29)
	first := fmt.Sprintf(strings.Repeat("a long prefix ", 15)+"%05d", 0)
	require.NotEqual(t, first, idsOf(body)[0], "no page is called the one before that is not")
	require.Contains(t, body, "The way back from here is not remembered")
	body = b.get(linkOf(body, "First")).body
	require.Equal(t, first, idsOf(body)[0])
	require.NotContains(t, body, "The way back")
}

func TestSearch(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	for _, id := range []string{"mug", "mug-blue", "Mug", "50%", "50%25"} {
		w.add("acme", id, catalog.Patch{})
	}
	b := w.signedIn(acmeKey)
	require.Equal(t, []string{"mug", "mug-blue"}, idsOf(b.get("?q=mug").body))
	require.Equal(t, []string{"50%25"}, idsOf(b.get("?q=50%2525").body))
	require.Contains(t, b.get("?q=zz").body, `begins with <bdi class="code">zz</bdi>`)
	require.Equal(t, http.StatusOK, b.get("?q="+strings.Repeat("%F0%9F%98%80", 100)+"&from=%FF").status)
}

func TestChoosingAllOfAPage(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.addMany(60, "p%03d", catalog.Patch{})
	b := w.signedIn(acmeKey)
	body := b.get("?q=p").body
	require.NotContains(t, body, " checked>")
	body = b.get(linkOf(body, `<span class="sr">Choose </span>All on this page`)).body
	require.Equal(t, 48, strings.Count(body, " checked>"))
	require.Equal(t, "./?q=p", linkOf(body, `<span class="sr">Choose </span>None`))
	require.NotContains(t, b.get(linkOf(body, "Next")).body, " checked>", "of this page alone")
}

// TestListsWithoutProducts: a list in which nothing is to be seen says why, and leads
// to where something is.
func TestListsWithoutProducts(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	b := w.signedIn(acmeKey)
	for ref, want := range map[string]string{
		"./": "Nothing is listed yet.", "?show=all": "There are no products yet.", "?show=unlisted": "There are no unlisted products.", "?show=soon": "No product expires within 7 days.",
	} {
		require.Contains(t, b.get(ref).body, want, ref)
	}
	w.add("acme", "mug", catalog.Patch{})
	for ref, want := range map[string]struct{ says, link string }{
		"?from=zzz":               {"Nothing comes after here.", "./"},
		"?from=zzz&show=all":      {"Nothing comes after here among the products.", "./?show=all"},
		"?from=zzz&show=unlisted": {"Nothing comes after here among the unlisted products.", "./?show=unlisted"},
		"?from=zzz&show=soon":     {"Nothing comes after here among the products that expire within 7 days.", "./?show=soon"},
		"?from=mx&q=m":            {`Nothing comes after here among the listed products with an ID that begins with <bdi class="code">m</bdi>.`, "./?q=m"},
		"?q=zz":                   {`None of the listed products has an ID that begins with <bdi class="code">zz</bdi>.`, "./?q=zz&show=all"},
		"?q=zz&show=all":          {`None of the products has an ID that begins with <bdi class="code">zz</bdi>.`, "./"},
		"?q=zz&show=soon":         {`None of the products that expire within 7 days has an ID that begins with <bdi class="code">zz</bdi>.`, "./"},
	} {
		body := b.get(ref).body
		require.NotContains(t, body, "Nothing is listed yet", ref)
		require.Contains(t, body, want.says, ref)
		require.Contains(t, body, `<p><a href="`+html.EscapeString(want.link)+`">`, ref)
		require.NotContains(t, body, "The way back", ref)
	}
}

func TestFilters(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.add("acme", "forever", catalog.Patch{})
	w.add("acme", "soon", catalog.Patch{ValidForDays: catalog.Set(7)})
	w.add("acme", "later", catalog.Patch{ValidForDays: catalog.Set(8)})
	_, err := w.catalog.UpsertInline(t.Context(), "acme", "inline", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/1.jpg"}})})
	require.NoError(t, err)
	w.clock.Advance(1)
	b := w.signedIn(acmeKey)
	for show, want := range map[string][]string{
		"": {"forever", "later", "soon"}, "all": {"forever", "inline", "later", "soon"}, "unlisted": {"inline"}, "soon": {"soon"}, "other": {"forever", "later", "soon"},
	} {
		require.Equal(t, want, idsOf(b.get("?show="+show).body), show)
	}
}

func TestFiltersDoBoundedWork(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.addMany(2500, "p%04d", catalog.Patch{})
	wanted := w.addMany(60, "p9%02d", catalog.Patch{ValidForDays: catalog.Set(1)})
	b := w.signedIn(acmeKey)
	body := b.get("?show=soon").body
	require.Empty(t, idsOf(body))
	require.Contains(t, body, `Looked at 1,000 products, up to <bdi class="code">p0999</bdi>, and found none so far.`)
	var found []string
	steps := 0
	for next := linkOf(body, "Continue"); next != ""; {
		body = b.get(next).body
		found = append(found, idsOf(body)...)
		if next = linkOf(body, "Continue"); next == "" {
			next = linkOf(body, "Next")
		}
		steps++
	}
	require.Equal(t, wanted, found)
	require.Equal(t, 3, steps, "to 2000, to the first page of finds, to the end")
}

func TestLifetimesInAList(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.add("acme", "a", catalog.Patch{ValidForDays: catalog.Set(10)})
	w.add("acme", "b", catalog.Patch{})
	b := w.signedIn(acmeKey)
	body := b.get("").body
	require.Contains(t, body, `<span class="left">10 days left</span>`)
	require.Contains(t, body, `<rect class="ahead" width="100.0"`)
	require.Contains(t, body, `<span class="left">Kept forever</span>`)
	const day = 24 * 3600 * 1e9
	w.clock.Advance(5 * day)
	body = w.signedIn(acmeKey).get("").body
	require.Contains(t, body, `<div class="life soon" data-expires="1779530400000" data-span="864000000">`)
	require.Contains(t, body, `<rect class="ahead" width="50.0"`)
	w.clock.Advance(5*day - 90e9)
	b = w.signedIn(acmeKey)
	body = b.get("").body
	require.Contains(t, body, `<div class="life last"`)
	require.Contains(t, body, `<span class="left">90 seconds left</span>`)
	w.clock.Advance(90e9)
	require.Equal(t, []string{"b"}, idsOf(b.get("").body))
}
