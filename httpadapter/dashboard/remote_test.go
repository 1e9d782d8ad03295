package dashboard_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter/dashboard"
)

const remoteImage = `<img src="https://cdn.example/1.jpg" alt="web, image 1" loading="lazy" decoding="async" referrerpolicy="no-referrer">`

// remotePages are those with images of products.
var remotePages = []string{"./", "./?q=w", "./?show=all", "./product?id=web", "./edit?id=web", "./delete?id=web"}

// requireRemote requires that every page shows images of other servers, or that
// none does; insecure ones are shown by none.
func requireRemote(t *testing.T, b *browser, shown bool) {
	t.Helper()
	for _, ref := range remotePages {
		a := b.get(ref)
		require.Equal(t, shown, strings.Contains(a.body, remoteImage), ref)
		require.Equal(t, shown, strings.HasSuffix(a.header.Get("Content-Security-Policy"), "img-src 'self' https:"), ref)
		require.NotContains(t, a.body, `<img src="http:`)
	}
}

func (w *world) addRemote(id string) {
	w.t.Helper()
	w.add("acme", id, catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/1.jpg"}, {URL: "http://cdn.example/2.jpg"}})})
}

func TestRemoteImages(t *testing.T) {
	for policy, name := range map[dashboard.RemoteImages]string{dashboard.RemoteImagesShow: "show", dashboard.RemoteImagesOff: "off"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, dashboard.Options{RemoteImages: policy})
			w.addRemote("web")
			b := w.signedIn(acmeKey)
			requireRemote(t, b, policy == dashboard.RemoteImagesShow)
			require.NotContains(t, b.get("./").body, "./remote", "nobody is asked")
			require.Equal(t, http.StatusNotFound, b.post("remote", url.Values{"show": {"yes"}}).status)
			requireRemote(t, b, policy == dashboard.RemoteImagesShow)
		})
	}
}

// TestRemoteImagesAreAskedFor: a person is asked once, and on whichever page.
func TestRemoteImagesAreAskedFor(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.addRemote("web")
	b := w.signedIn(acmeKey)
	requireRemote(t, b, false)
	for _, ref := range remotePages[:5] {
		require.Contains(t, b.get(ref).body, ">Show them</button>", ref)
	}
	a := b.post("remote", url.Values{"show": {"yes"}, "back": {"./product?id=web"}})
	require.Equal(t, productLocation("web", "remote"), a.header.Get("Location"))
	cookie := a.header.Get("Set-Cookie")
	require.Regexp(t, `^shelflife_[0-9a-f]{8}_remote=[0-9a-f]{16}; HttpOnly; SameSite=Lax$`, cookie, "of this session, and of the folder of the dashboard")
	requireRemote(t, b, true)
	require.Contains(t, b.get("product?id=web&done=remote").body, "Images on other servers are shown until you sign out")
	require.Contains(t, b.get("edit?id=web").body, ">Hide them</button>")

	// Another account is asked anew, in the same browser too.
	w.auth = func(r *http.Request) (string, error) { return "other", nil }
	_, err := w.catalog.Upsert(t.Context(), "other", "web", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/1.jpg"}})})
	require.NoError(t, err)
	b.post("signin", url.Values{"key": {otherKey}})
	requireRemote(t, b, false)
	w.auth = nil
	b.post("signin", url.Values{"key": {acmeKey}})
	requireRemote(t, b, true)

	b.post("remote", url.Values{"back": {"./"}})
	requireRemote(t, b, false)
	b.post("remote", url.Values{"show": {"yes"}})
	requireRemote(t, b, true)
	b.post("signout", nil)
	b.post("signin", url.Values{"key": {acmeKey}})
	requireRemote(t, b, false)
}

// TestAnswersAboutRemoteImagesAreThePersons: no other site gives them, and they lead
// nowhere else.
func TestAnswersAboutRemoteImagesAreThePersons(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.addRemote("web")
	b := w.signedIn(acmeKey)
	require.Equal(t, "./?done=no-remote", b.post("remote", url.Values{"back": {"https://evil.example/"}}).header.Get("Location"))
	b.header = http.Header{"Sec-Fetch-Site": {"cross-site"}}
	require.Equal(t, http.StatusForbidden, b.post("remote", url.Values{"show": {"yes"}}).status)
	b.header = http.Header{"X-Forwarded-Proto": {"https"}}
	require.Contains(t, b.post("remote", url.Values{"show": {"yes"}}).header.Get("Set-Cookie"), "; Secure")
	require.Equal(t, http.StatusMethodNotAllowed, b.get("remote").status)
}

// TestARefusedFormIsNotLeftForImages: the form that was refused is not on the page
// that the answer leads to.
func TestARefusedFormIsNotLeftForImages(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.addRemote("web")
	b := w.signedIn(acmeKey)
	form := shownForm(t, b, "edit?id=web")
	require.NotContains(t, b.postForm("edit", with(form, "metadata", "{")...).body, "./remote")
}

// TestRemoteImagesOfAHostsOwnSignIn: the answer is remembered there too.
func TestRemoteImagesOfAHostsOwnSignIn(t *testing.T) {
	w := newWorld(t, dashboard.Options{Account: func(*http.Request) (string, error) { return "acme", nil }})
	w.addRemote("web")
	b := w.browser()
	requireRemote(t, b, false)
	require.Regexp(t, `^shelflife_remote=`, b.post("remote", url.Values{"show": {"yes"}}).header.Get("Set-Cookie"))
	requireRemote(t, b, true)
}
