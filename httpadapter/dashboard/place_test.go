package dashboard_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter/dashboard"
)

// attributesOf returns the values of an attribute on a page.
func attributesOf(body, name string) (values []string) {
	for _, m := range regexp.MustCompile(` `+name+`="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		values = append(values, html.UnescapeString(m[1]))
	}
	return values
}

// one returns the one reference on a page that leads to the page name.
func one(t *testing.T, body, attribute, name string) string {
	t.Helper()
	found := map[string]bool{}
	for _, ref := range attributesOf(body, attribute) {
		if ref == "./"+name || strings.HasPrefix(ref, "./"+name+"?") {
			found[ref] = true
		}
	}
	require.Len(t, found, 1, name)
	for ref := range found {
		return ref
	}
	return ""
}

const crumb = `<p class="crumb"><a href="`

// crumbOf returns where a product's page leads back to.
func crumbOf(t *testing.T, body string) string {
	t.Helper()
	_, after, ok := strings.Cut(body, crumb)
	require.True(t, ok)
	ref, _, _ := strings.Cut(after, `"`)
	return html.UnescapeString(ref)
}

// TestThePlaceInTheListIsKept: whatever is done with a product leads back to the page
// of the list that it was opened from.
func TestThePlaceInTheListIsKept(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	ids := w.addMany(48*3+5, "p%03d", catalog.Patch{ValidForDays: catalog.Set(3)})
	b := w.signedIn(acmeKey)
	second := linkOf(b.get("?q=p&show=soon").body, "Next")
	list := linkOf(b.get(second).body, "Next")
	body := b.get(list).body
	require.Equal(t, ids[96:144], idsOf(body))
	refs := attributesOf(body, "href")
	product := ""
	for _, ref := range refs {
		if strings.HasPrefix(ref, "./product?") && strings.Contains(ref, "id=p100") {
			product = ref
		}
	}
	body = b.get(product).body
	require.Equal(t, list, crumbOf(t, body))

	used := b.post(one(t, body, "action", "use"), url.Values{"id": {"p100"}}).header.Get("Location")
	require.Equal(t, list, crumbOf(t, b.get(used).body))
	edit := b.get(one(t, body, "href", "edit")).body
	require.Equal(t, product, one(t, edit, "href", "product"), "to cancel")
	action := one(t, edit, "action", "edit")
	form := formOf(t, edit)
	require.Equal(t, product, one(t, b.postForm(action, with(form, "metadata", "{")...).body, "href", "product"))
	saved := b.postForm(action, with(form, "title", "A")...).header.Get("Location")
	require.Contains(t, saved, "done=saved")
	require.Equal(t, list, crumbOf(t, b.get(saved).body))
	unchanged := b.postForm(action, formOf(t, b.get(one(t, body, "href", "edit")).body)...).header.Get("Location")
	require.Contains(t, unchanged, "done=unchanged")
	require.Equal(t, list, crumbOf(t, b.get(unchanged).body))

	ask := b.get(one(t, body, "href", "delete")).body
	require.Equal(t, product, linkOf(ask, "Keep"))
	form2 := url.Values{"confirmed": {"yes"}, "id": {"p100"}, "version": {w.get("acme", "p100").Version().String()}}
	deleted := b.post(one(t, ask, "action", "delete"), form2).header.Get("Location")
	require.Equal(t, idsOf(b.get(list).body), idsOf(b.get(deleted).body))
	require.Contains(t, b.get(deleted).body, "Deleted.")
	require.Equal(t, list, linkOf(b.get(product).body, "To the products"), "it is gone")

	// Many at once, and one that is new.
	body = b.get(list).body
	ask = b.post(one(t, body, "action", "delete"), url.Values{"id": {"p101", "p102"}}).body
	require.Equal(t, list, linkOf(ask, "Keep"))
	form2 = url.Values{"confirmed": {"yes"}}
	for _, id := range []string{"p101", "p102"} {
		form2.Add("id", id)
		form2.Add("version", w.get("acme", id).Version().String())
	}
	deleted = b.post(one(t, ask, "action", "delete"), form2).header.Get("Location")
	require.Equal(t, idsOf(b.get(list).body), idsOf(b.get(deleted).body))
	page := b.get(one(t, body, "href", "new")).body
	require.Equal(t, list, linkOf(page, "Cancel"))
	created := b.postForm(one(t, page, "action", "new"), field{name: "id", text: "p1000"}, field{name: "keep", text: "forever"}, field{name: "urls", text: "https://cdn.example/1.jpg"}).header.Get("Location")
	require.Contains(t, created, "done=created")
	require.Equal(t, list, crumbOf(t, b.get(created).body))
}

// TestThePlaceIsOneOfTheList: what a URL says about it leads nowhere else, whatever
// it says.
func TestThePlaceIsOneOfTheList(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.add("acme", "mug", catalog.Patch{})
	b := w.signedIn(acmeKey)
	for query, want := range map[string]string{
		"":                                     "./",
		"&q=//evil.example/&show=evil":         "./?q=%2F%2Fevil.example%2F",
		"&back=https://evil.example/":          "./",
		"&from=https://evil.example/&back=//x": "./?back=%2F%2Fx&from=https%3A%2F%2Fevil.example%2F",
		"&list=https://evil.example/&done=x&evil=1":                       "./",
		"&q=" + strings.Repeat("x", 300):                                  "./?q=" + strings.Repeat("x", 255),
		"&from=b" + strings.Repeat("&back="+strings.Repeat("x", 99), 100): "./?" + strings.Repeat("back="+strings.Repeat("x", 99)+"&", 5) + "from=b",
	} {
		a := b.get("product?id=mug" + query)
		if got := crumbOf(t, a.body); strings.HasPrefix(query, "&from=b") {
			// The page itself may know more; what it leads to is bounded.
			require.Equal(t, want, crumbOf(t, b.get(one(t, b.get(one(t, a.body, "href", "edit")).body, "href", "product")).body))
		} else {
			require.Equal(t, want, got, query)
		}
		require.True(t, strings.HasPrefix(b.post("delete?"+query, nil).header.Get("Location"), "./?"))
	}
	require.Equal(t, http.StatusOK, b.get("product?id=mug&from=%FF&q=%00").status)
}
