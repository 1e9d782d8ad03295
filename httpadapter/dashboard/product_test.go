package dashboard_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter/dashboard"
)

func TestProductPage(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	p := w.add("acme", "mug", catalog.Patch{
		Title: catalog.Set("Mug"), Description: catalog.Set("Holds tea."), ValidForDays: catalog.Set(30),
		Metadata: catalog.Set(json.RawMessage(`{"price":1.50,"tags":["a",{"deep":null}],"none":[],"flag":true}`)),
	})
	b := w.signedIn(acmeKey)
	body := b.get("product?id=mug").body
	for _, want := range []string{
		`<h1 dir="auto">Mug</h1>`, `Holds tea.`, `30 days left`, `each use keeps it for 30 days from then on`, `12 June 2026, 10:00:00 UTC`,
		`<bdi class="field">price</bdi> <bdi class="value number">1.50</bdi>`, `<bdi class="value word">null</bdi>`, `Empty list`,
		`&#34;price&#34;: 1.50,`, `PNG, 8 × 8, `, `<code>` + p.Version().String() + `</code>`, `13 May 2026, 10:00:00 UTC`,
	} {
		require.Contains(t, body, want)
	}
	w.clock.Advance(30e9)
	require.Equal(t, productLocation("mug", "used"), b.post("use", url.Values{"id": {"mug"}}).header.Get("Location"))
	require.Equal(t, w.clock.Now(), w.get("acme", "mug").LastUsedAt)
	require.Contains(t, b.get("product?id=mug&done=used").body, "The use was recorded")
	require.NotContains(t, b.get("product?id=mug&done=<b>").body, `role="status"`)
}

func TestUseOfAProductThatIsKeptForever(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.add("acme", "mug", catalog.Patch{})
	b := w.signedIn(acmeKey)
	body := b.get(b.post("use", url.Values{"id": {"mug"}}).header.Get("Location")).body
	require.Contains(t, body, "The use was recorded.")
	require.NotContains(t, body, "begins anew")
}

func TestTreesAreCut(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.add("acme", "many", catalog.Patch{Metadata: catalog.Set(json.RawMessage("[" + strings.Repeat("1,", 20000) + "2]"))})
	w.add("acme", "deep", catalog.Patch{Metadata: catalog.Set(json.RawMessage(strings.Repeat("[", 60) + strings.Repeat("]", 60)))})
	b := w.signedIn(acmeKey)
	body := b.get("product?id=many").body
	require.Less(t, strings.Count(body, "<li>"), 1100)
	require.Contains(t, body, "The rest is in the text.")
	require.Equal(t, http.StatusOK, b.get("product?id=deep").status)
}

func TestDelete(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	for _, id := range []string{"a", "b", "c", "d"} {
		w.add("acme", id, catalog.Patch{})
	}
	b := w.signedIn(acmeKey)
	asked := b.post("delete?q=x", url.Values{"id": {"a", "b", "c", "gone"}})
	require.Equal(t, http.StatusOK, asked.status)
	require.Contains(t, asked.body, "Delete these 3 products?")
	require.Contains(t, asked.body, "1 of those that you chose is gone already.")
	require.Equal(t, []string{"a", "b", "c"}, idsOf(asked.body))
	for _, id := range []string{"a", "b", "c"} {
		w.get("acme", id) // nothing has happened yet
	}
	form := url.Values{"confirmed": {"yes"}}
	for _, id := range []string{"a", "b", "c"} {
		form.Add("id", id)
		form.Add("version", w.get("acme", id).Version().String())
	}
	unconfirmed := url.Values{"id": form["id"], "version": form["version"]}
	require.Contains(t, b.post("delete", unconfirmed).body, "Delete these 3 products?", "the question is not passed by")
	w.get("acme", "a")
	w.add("acme", "b", catalog.Patch{Title: catalog.Set("Edited meanwhile")})
	require.NoError(t, w.catalog.Delete(t.Context(), "acme", "c"))
	a := b.post("delete", form)
	require.Equal(t, http.StatusOK, a.status)
	require.Contains(t, a.body, "1 deleted")
	require.Contains(t, a.body, "Edited meanwhile")
	require.Contains(t, a.body, "1 was gone already.")
	require.Equal(t, []string{"b", "d"}, idsOf(b.get("").body))

	form = url.Values{"confirmed": {"yes"}, "id": {"d"}, "version": {w.get("acme", "d").Version().String()}}
	require.Equal(t, "./?done=deleted&q=x", b.post("delete?q=x", form).header.Get("Location"))
	require.Equal(t, http.StatusNotFound, b.get("delete?id=d").status)
	require.Equal(t, "./?done=none&q=x", b.post("delete?q=x", nil).header.Get("Location"))
	require.Equal(t, http.StatusRequestEntityTooLarge, b.post("delete", url.Values{"id": make([]string, 101)}).status)
}

func TestImages(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.add("acme", "mug", catalog.Patch{})
	b := w.signedIn(acmeKey)
	a := b.get("image?id=mug&n=0")
	require.Equal(t, picture(8), a.body)
	for name, want := range map[string]string{
		"Content-Type": "image/png", "Content-Security-Policy": "default-src 'none'; sandbox", "Cross-Origin-Resource-Policy": "same-origin",
		"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff", "Content-Disposition": "",
	} {
		require.Equal(t, want, a.header.Get(name), name)
	}
	b.header = http.Header{"If-None-Match": {a.header.Get("ETag")}}
	require.Equal(t, http.StatusNotModified, b.get("image?id=mug&n=0").status)
	b.header = nil
	for _, ref := range []string{"image?id=mug&n=1", "image?id=mug&n=x", "image?id=no&n=0", "image"} {
		require.GreaterOrEqual(t, b.get(ref).status, 400, ref)
	}
	b = w.browser()
	require.Equal(t, http.StatusSeeOther, b.get("image?id=mug&n=0").status, "only under the session")
	b.header = http.Header{"X-Api-Key": {acmeKey}}
	require.Equal(t, http.StatusSeeOther, b.get("image?id=mug&n=0").status)
}

func TestImagesThatBrowsersDoNotShow(t *testing.T) {
	data, err := os.ReadFile("../../catalog/internal/imageheader/testdata/still.heic")
	require.NoError(t, err)
	w := newWorld(t, dashboard.Options{})
	_, err = w.catalog.Upsert(t.Context(), "acme", "photo", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{Upload: catalog.NewUpload(strings.NewReader(string(data)))}})})
	require.NoError(t, err)
	b := w.signedIn(acmeKey)
	body := b.get("product?id=photo").body
	require.Contains(t, body, `<span class="kind">HEIC</span><span class="note">64 × 40</span>`)
	require.NotContains(t, body, "<img")
	require.Equal(t, "attachment", b.get("image?id=photo&n=0").header.Get("Content-Disposition"))
}

func TestMounts(t *testing.T) {
	w := newWorld(t, dashboard.Options{Account: func(*http.Request) (string, error) { return "acme", nil }})
	w.add("acme", "mug", catalog.Patch{})
	h, err := dashboard.New(w.catalog, &w.options)
	require.NoError(t, err)
	stripped := http.NewServeMux()
	stripped.Handle("/a/b/", http.StripPrefix("/a/b", h))
	stripped.Handle("/bare/", http.StripPrefix("/bare/", h))
	stripped.Handle("/exact", http.StripPrefix("/exact", h))
	whole := http.NewServeMux()
	whole.Handle("/", h)
	for _, tc := range []struct {
		handler  http.Handler
		path     string
		status   int
		location string
	}{
		{whole, "/", 200, ""},
		{whole, "/product?id=mug", 200, ""},
		{stripped, "/a/b/", 200, ""},
		{stripped, "/a/b/product?id=mug", 200, ""},
		{stripped, "/a/b/style.css", 200, ""},
		{stripped, "/a/b/nowhere", 404, ""},
		{stripped, "/bare/", 200, ""},
		{stripped, "/bare/product?id=mug", 200, ""},
		{stripped, "/exact?q=a/b", 303, "./exact/"},
		{h, "/product?id=mug", 200, ""},
	} {
		r := httptest.NewRequest("GET", tc.path, nil)
		rec := httptest.NewRecorder()
		tc.handler.ServeHTTP(rec, r)
		require.Equal(t, tc.status, rec.Code, tc.path)
		require.Equal(t, tc.location, rec.Header().Get("Location"), tc.path)
		for _, m := range []string{`href="/`, `action="/`, `src="/`} {
			require.NotContains(t, rec.Body.String(), m, "every link is relative")
		}
	}
}

func TestErrorsKeepTheirCauseFromPeople(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.add("acme", "mug", catalog.Patch{})
	b := w.signedIn(acmeKey)
	require.NoError(t, w.catalog.Close())
	a := b.get("")
	require.Equal(t, http.StatusServiceUnavailable, a.status)
	require.Contains(t, a.body, a.header.Get("X-Request-ID"))
	require.NotContains(t, a.body, "closed")
	require.Contains(t, w.log.String(), a.header.Get("X-Request-ID"))
}
