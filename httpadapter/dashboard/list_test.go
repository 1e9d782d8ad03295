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
	require.Contains(t, body, `Looked at 1000 products, up to <bdi class="code">p0999</bdi>, and found none so far.`)
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
	require.Contains(t, body, `<span class="left">kept forever</span>`)
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

func TestRemoteImages(t *testing.T) {
	for policy, name := range map[dashboard.RemoteImages]string{dashboard.RemoteImagesAsk: "ask", dashboard.RemoteImagesShow: "show", dashboard.RemoteImagesOff: "off"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, dashboard.Options{RemoteImages: policy})
			w.add("acme", "web", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/1.jpg"}, {URL: "http://cdn.example/2.jpg"}})})
			b := w.signedIn(acmeKey)
			const image = `<img src="https://cdn.example/1.jpg" alt="web, image 1" loading="lazy" decoding="async" referrerpolicy="no-referrer">`
			for _, ref := range []string{"./", "product?id=web"} {
				a, asked := b.get(ref), b.get(ref+map[bool]string{true: "&remote=1", false: "?remote=1"}[strings.Contains(ref, "?")])
				require.Equal(t, name == "show", strings.Contains(a.body, image), ref)
				require.Equal(t, name == "show", strings.HasSuffix(a.header.Get("Content-Security-Policy"), "img-src 'self' https:"), ref)
				require.Equal(t, name == "ask", strings.Contains(a.body, "show them"), ref)
				require.Equal(t, name != "off", strings.Contains(asked.body, image), ref)
				require.NotContains(t, asked.body, `<img src="http:`)
			}
		})
	}
}
