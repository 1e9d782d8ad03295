package dashboard_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/productjson"
	"github.com/shelflife-db/shelflife/httpadapter/dashboard"
)

func TestAccount(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.add("acme", "mug", catalog.Patch{ValidForDays: catalog.Set(3)})
	w.add("acme", "lamp", catalog.Patch{ValidForDays: catalog.Set(3)})
	w.add("acme", "late", catalog.Patch{ValidForDays: catalog.Set(200)})
	w.add("acme", "forever", catalog.Patch{})
	w.add("other", "theirs", catalog.Patch{ValidForDays: catalog.Set(3)})
	w.clock.Advance(1)
	b := w.signedIn(acmeKey)
	require.Contains(t, b.get("account").body, `data-load="./figures"`)
	figures := b.get("figures").body
	for _, want := range []string{"<dt>In all</dt><dd>4</dd>", "<dt>Kept for a limited time</dt><dd>3</dd>", "4, 4 of them uploaded"} {
		require.Contains(t, figures, want)
	}
	ahead := b.get("ahead").body
	require.Equal(t, 28, strings.Count(ahead, "<rect "))
	require.Contains(t, ahead, "<title>15 May: 2</title>")
	require.Equal(t, 1, strings.Count(ahead, `height="100.0"`))
	require.Equal(t, 27, strings.Count(ahead, `height="0.0"`))
	require.NotContains(t, ahead, "there are more")

	require.NotContains(t, b.get("account").body, "./store")
	require.Equal(t, http.StatusNotFound, b.get("store").status, "figures of all accounts are for hosts that say so")
	o := w.options
	o.Store, o.SessionKey = true, []byte(strings.Repeat("k", 32))
	w.url = w.serve(o)
	b = w.signedIn(acmeKey)
	require.Contains(t, b.get("account").body, "./store")
	store := b.get("store").body
	require.Contains(t, store, "It works: products can be read and changed.")
	require.Contains(t, figures, "Counted in less than a millisecond.")
}

func TestAStoreThatIsNotMeasuredYet(t *testing.T) {
	w := newWorld(t, dashboard.Options{Store: true})
	b := w.signedIn(acmeKey)
	require.Equal(t, 2, strings.Count(b.get("store").body, "Not measured yet"))
	w.add("acme", "mug", catalog.Patch{})
	body := b.get("store").body
	require.Equal(t, 2, strings.Count(body, "<dd>About "), body)
}

func TestTheLookAheadIsBounded(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.addMany(10_001, "p%05d", catalog.Patch{ValidForDays: catalog.Set(1)})
	ahead := w.signedIn(acmeKey).get("ahead").body
	require.Contains(t, ahead, "Only the first 10,000 products")
	require.Contains(t, ahead, ": 10,000</title>")
}

func TestExport(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	ids := w.addMany(450, "p%03d", catalog.Patch{})
	res, err := w.catalog.CreateOneShot(t.Context(), "acme", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/1.jpg"}})})
	require.NoError(t, err)
	w.add("other", "theirs", catalog.Patch{})
	a := w.signedIn(acmeKey).get("export")
	require.Equal(t, `attachment; filename="products.ndjson"`, a.header.Get("Content-Disposition"))
	var got []string
	for line := range strings.Lines(a.body) {
		u, err := productjson.Decode([]byte(line), productjson.Options{RequireExternalID: true})
		require.NoError(t, err)
		id, _ := u.ExternalID.Get()
		got = append(got, id)
	}
	require.Equal(t, append([]string{res.Product.ExternalID}, ids...), got)
}
