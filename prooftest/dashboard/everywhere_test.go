package dashboard

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter/dashboard"
)

func base64Of(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

// TestMounts does the whole flow wherever a host may put the dashboard. What the
// browser complains of, violations of the policy above all, fails the test.
func TestMounts(t *testing.T) {
	for name, tc := range map[string]struct {
		path  string
		mount func(http.Handler) http.Handler
	}{
		"root":     {"/", func(h http.Handler) http.Handler { return h }},
		"path":     {"/x/", atPath("/x/")},
		"stripped": {"/a/b/", func(h http.Handler) http.Handler { return atPath("/a/b/")(http.StripPrefix("/a/b", h)) }},
		"proxy": {"/shop/d/", func(h http.Handler) http.Handler {
			behind := httptest.NewServer(atPath("/d/")(h))
			t.Cleanup(behind.Close)
			to, err := url.Parse(behind.URL)
			require.NoError(t, err)
			proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host }}
			return atPath("/shop/")(http.StripPrefix("/shop", proxy))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, dashboard.Options{}, tc.path, tc.mount)
			withMug(s)
			b := open(t, desktop)
			s.signIn(b)
			require.Equal(t, tc.path, eval[string](b, `location.pathname`))
			b.await(`[...document.images].every((i) => i.naturalWidth > 0)`)
			flow(s, b)
		})
	}
}

func requireNoSidewaysScroll(b *tab) {
	b.t.Helper()
	widths := eval[[]int](b, `[document.scrollingElement.scrollWidth, innerWidth]`)
	require.LessOrEqual(b.t, widths[0], widths[1], "the page is wider than the screen")
}

// views are every page, in the states that it has.
var views = []struct{ name, ref string }{
	{"list", ""}, {"list-all", "?show=all"}, {"nothing", "?q=zz"}, {"past-the-end", "?from=zzz"}, {"all-chosen", "?choose=all"}, {"product", "product?id=mug"}, {"product-forever", "product?id=lamp"}, {"used", "product?id=mug&done=used"}, {"product-web", "product?id=web"},
	{"edit", "edit?id=mug"}, {"new", "new"}, {"delete", "delete?id=mug"}, {"account", "account"}, {"figures", "figures"}, {"ahead", "ahead"}, {"store", "store"}, {"failure", "product?id=none"},
}

// TestEveryPage looks at every page as axe does, at WCAG 2.2 AA, and for what
// would have to be scrolled sideways on the narrowest phone, light and dark.
func TestEveryPage(t *testing.T) {
	startChromium(t)
	path := os.Getenv("SHELFLIFE_AXE")
	if path == "" && os.Getenv(requireChromium) == "" {
		t.Skip("skipped: SHELFLIFE_AXE does not name axe.min.js of npm's axe-core")
	}
	axe, err := os.ReadFile(path)
	require.NoError(t, err)
	s := newSite(t, dashboard.Options{Store: true}, "/d/", atPath("/d/"))
	shelf(s)
	nothing := newSite(t, dashboard.Options{Store: true}, "/d/", atPath("/d/"))
	for name, l := range map[string]look{"desktop": desktop, "desktop-dark": desktop.inDark(), "phone": phone, "phone-dark": phone.inDark()} {
		t.Run(name, func(t *testing.T) {
			b := open(t, l)
			check := func(view string) {
				t.Helper()
				eval[bool](b, string(axe)+";true")
				require.Empty(t, eval[[]string](b, `axe.run({ preload: false, runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }).then((r) =>
					r.violations.flatMap((v) => v.nodes.map((n) => v.id + ": " + n.html + " " + n.failureSummary)))`), view)
				requireNoSidewaysScroll(b)
				b.shoot(view+"-"+name, true)
			}
			b.goTo(s.url)
			check("signin")
			b.fill("#key", "wrong")
			b.click("main form button")
			check("refused")
			s.signIn(b)
			for _, v := range views {
				b.goTo(s.url + v.ref)
				if v.name == "account" {
					awaitParts(b)
				}
				check(v.name)
			}
			// What can't be had of other servers has placeholders.
			b.goTo(s.url + "?show=all")
			b.click(".remote button")
			b.await(`!document.querySelector('img[src^="https:"]')`)
			check("remote")
			b.click(".remote button")
			// A form with faults, then one that was overtaken too.
			b.goTo(s.url + "edit?id=mug")
			b.fill("#days", "999")
			b.fill("#urls", "ftp://x/")
			b.fill("#metadata", "{")
			b.click(".edit .main")
			check("edit-faults")
			b.goTo(s.url + "edit?id=web")
			s.add("web", catalog.Patch{Title: catalog.Set("From the web, " + name)})
			b.fill("#title", "Mine")
			b.click(".edit .main")
			check("edit-conflict")
			s.add("short", catalog.Patch{})
			b.goTo(s.url + "edit?id=short")
			require.NoError(t, s.catalog.Delete(t.Context(), account, "short"))
			b.fill("#title", "Mine")
			b.click(".edit .main")
			require.Contains(t, b.text(".notice"), "expired or was deleted while you edited it")
			check("edit-gone")
			b.goTo(s.url + "import")
			chooseFile(b, importText(60))
			b.click(".stack .main")
			awaitImport(b)
			check("import-asks")
			b.goTo(s.url + "import")
			check("import")
			nothing.signIn(b)
			for _, v := range views {
				if !strings.Contains(v.ref, "=") || strings.HasPrefix(v.ref, "?show") {
					b.goTo(nothing.url + v.ref)
					if v.name == "account" {
						awaitParts(b)
					}
					check("empty-" + v.name)
				}
			}
			if l.width > 320 {
				release := s.store.hold()
				t.Cleanup(release)
				b.goTo(s.url + "import")
				b.fill("#lines", importText(1))
				b.click(".stack .main")
				check("import-running")
				release()
				b.goTo(s.url)
				eval[bool](b, `document.querySelectorAll(".pick input")[1].click();document.querySelectorAll(".pick input")[2].click();true`)
				check("chosen")
			}
		})
	}
}

// awaitParts waits for what the account's page fetches.
func awaitParts(b *tab) {
	b.t.Helper()
	b.await(`document.querySelectorAll(".parts .figures").length === 2 && !document.querySelector(".parts [href='./ahead']")`)
}

// shelf fills a site with what pages may have to show.
func shelf(s *site) {
	withMug(s)
	s.add("soap/lemon", catalog.Patch{Title: catalog.Set("Lemon soap"), ValidForDays: catalog.Set(10)})
	s.add("web", catalog.Patch{Title: catalog.Set("From the web"), Images: catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/a-rather-long-name-of-an-image-file.jpg"}})})
	s.add("a-product-without-a-title-and-with-an-id-that-is-rather-long", catalog.Patch{})
	s.add("words", catalog.Patch{Title: catalog.Set(strings.Repeat("Ein sehr langer Titel ", 8)), ValidForDays: catalog.Set(1)})
	_, err := s.catalog.UpsertInline(s.t.Context(), account, "inline", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/1.jpg"}})})
	require.NoError(s.t, err)
}
