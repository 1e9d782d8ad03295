package dashboard_test

import (
	"encoding/base64"
	"errors"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/httpadapter/dashboard"
)

func TestSignIn(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.add("acme", "mug", catalog.Patch{})
	b := w.browser()
	a := b.get("product?id=mug")
	require.Equal(t, http.StatusSeeOther, a.status)
	require.Equal(t, "./signin?next=.%2Fproduct%3Fid%3Dmug", a.header.Get("Location"))
	require.Contains(t, b.get("signin?next=.%2Fproduct%3Fid%3Dmug").body, `name="next" value="./product?id=mug"`)

	for _, wrong := range []string{"", "  ", "not-a-key", strings.Repeat("k", 1025), "a\x00b"} {
		a = b.post("signin", url.Values{"key": {wrong}})
		require.Equal(t, http.StatusUnauthorized, a.status, "%q", wrong)
		require.Contains(t, a.body, `class="fault"`)
		require.NotContains(t, a.body, "not-a-key")
		require.Empty(t, a.header.Values("Set-Cookie"))
	}
	require.Equal(t, http.StatusUnauthorized, b.post("signin?key="+acmeKey, url.Values{}).status, "a key in the URL is none")

	a = b.post("signin", url.Values{"key": {acmeKey}, "next": {"./product?id=mug"}})
	require.Equal(t, http.StatusSeeOther, a.status)
	require.Equal(t, "./product?id=mug", a.header.Get("Location"))
	cookies := a.header.Values("Set-Cookie")
	require.Len(t, cookies, 1)
	require.Regexp(t, `^shelflife_[0-9a-f]{8}=[\w-]+; HttpOnly; SameSite=Lax$`, cookies[0], "without a Path: the browser takes the mount")
	sealed := strings.SplitN(strings.TrimPrefix(cookies[0], "shelflife_"), "=", 2)[1]
	sealed, _, _ = strings.Cut(sealed, ";")
	plain, err := base64.RawURLEncoding.DecodeString(sealed)
	require.NoError(t, err)
	require.NotContains(t, string(plain), acmeKey)
	require.NotContains(t, string(plain), "acme")
	require.Contains(t, b.get("product?id=mug").body, ">mug<")

	a = b.post("signout", nil)
	require.Equal(t, "./signin", a.header.Get("Location"))
	require.Contains(t, a.header.Get("Set-Cookie"), "Max-Age=0")
	require.Equal(t, http.StatusSeeOther, b.get("").status)
	require.NotContains(t, w.log.String(), acmeKey)
}

func TestNextIsAPageOfTheDashboard(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	for next, want := range map[string]string{
		"./product?id=a%2F%2Fb":  "./product?id=a%2F%2Fb",
		"./":                     "./",
		"https://evil.example/":  "./",
		"//evil.example/product": "./",
		"/product":               "./",
		"./image?id=a":           "./",
		"./use":                  "./",
		"./../x":                 "./",
		"javascript:alert(1)":    "./",
	} {
		a := w.browser().post("signin", url.Values{"key": {acmeKey}, "next": {next}})
		require.Equal(t, want, a.header.Get("Location"), next)
	}
}

func TestSecureBehindTLS(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	b := w.browser()
	b.header.Set("X-Forwarded-Proto", "https")
	require.Contains(t, b.post("signin", url.Values{"key": {acmeKey}}).header.Get("Set-Cookie"), "; Secure")
}

func TestKeysAreAskedAboutAgain(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	b := w.signedIn(acmeKey)
	require.Len(t, w.asked, 1)
	w.clock.Advance(59 * time.Second)
	require.Equal(t, http.StatusOK, b.get("").status)
	require.Len(t, w.asked, 1)

	w.clock.Advance(time.Second)
	a := b.get("")
	require.Equal(t, http.StatusOK, a.status)
	require.Len(t, w.asked, 2)
	require.NotEmpty(t, a.header.Get("Set-Cookie"))
	require.Equal(t, http.StatusOK, b.get("").status)
	require.Len(t, w.asked, 2, "the new cookie says so")

	asked := w.asked[1]
	require.Equal(t, []string{acmeKey}, asked.Header.Values("X-API-Key"))
	require.Empty(t, asked.Header.Get("Cookie"))
	require.Equal(t, http.NoBody, asked.Body)

	w.clock.Advance(time.Minute)
	w.auth = func(*http.Request) (string, error) { return "", httpadapter.ErrAuthUnavailable }
	require.Equal(t, http.StatusServiceUnavailable, b.get("").status)
	w.auth = nil
	require.Equal(t, http.StatusOK, b.get("").status, "what could not be asked ended no session")

	w.clock.Advance(time.Minute)
	w.auth = func(*http.Request) (string, error) {
		return "", errors.Join(httpadapter.ErrInvalidKey, errors.New("revoked"))
	}
	a = b.get("product?id=mug")
	require.Equal(t, "./signin?ended=1&next=.%2Fproduct%3Fid%3Dmug", a.header.Get("Location"))
	w.auth = nil
	require.Equal(t, http.StatusSeeOther, b.get("").status, "the session has ended")
	require.Contains(t, b.get("signin?ended=1").body, "Your session has ended")
}

func TestAKeyThatMovedToAnotherAccountEndsTheSession(t *testing.T) {
	w := newWorld(t, dashboard.Options{Recheck: -1})
	b := w.signedIn(acmeKey)
	require.Equal(t, http.StatusOK, b.get("").status)
	require.Len(t, w.asked, 2, "a negative Recheck asks each time")
	w.auth = func(*http.Request) (string, error) { return "other", nil }
	require.Equal(t, http.StatusSeeOther, b.get("").status)
}

func TestImagesDoNotProlongASession(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.add("acme", "mug", catalog.Patch{})
	b := w.signedIn(acmeKey)
	w.clock.Advance(2 * time.Minute)
	a := b.get("image?id=mug&n=0")
	require.Equal(t, http.StatusOK, a.status)
	require.Empty(t, a.header.Get("Set-Cookie"), "it would bring back a session that was ended meanwhile")
}

func TestSessionsEnd(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	b := w.signedIn(acmeKey)
	w.clock.Advance(12*time.Hour + time.Second)
	require.Equal(t, http.StatusSeeOther, b.get("").status)
}

func TestAlteredSessions(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	b := w.signedIn(acmeKey)
	base, err := url.Parse(w.url)
	require.NoError(t, err)
	cookie := b.client.Jar.Cookies(base)[0]
	good := cookie.Value
	for i := range good {
		altered := []byte(good)
		altered[i] = 'A' + (altered[i]+1)%26
		cookie.Value = string(altered)
		b.client.Jar.SetCookies(base, []*http.Cookie{cookie})
		require.Equal(t, http.StatusSeeOther, b.get("").status, "byte %d", i)
	}
	cookie.Value = good
	b.client.Jar.SetCookies(base, []*http.Cookie{cookie})
	require.Equal(t, http.StatusOK, b.get("").status)
}

func TestServersShareSessionsByTheirKey(t *testing.T) {
	w := newWorld(t, dashboard.Options{SessionKey: []byte(strings.Repeat("k", 32))})
	b := w.signedIn(acmeKey)
	b.url = w.serve(w.options)
	require.Equal(t, http.StatusOK, b.get("").status)
	// Browsers send the cookies of a host to all of its ports.
	own := w.options
	own.SessionKey = nil
	b.url = w.serve(own)
	require.Equal(t, http.StatusSeeOther, b.get("").status)
	require.Equal(t, http.StatusSeeOther, b.post("signin", url.Values{"key": {otherKey}}).status)
	require.Contains(t, b.get("").body, ">other<")
	b.url = w.url
	require.Contains(t, b.get("").body, ">acme<", "one server's session is not overwritten by another's")
}

func TestHostsWithASignInOfTheirOwn(t *testing.T) {
	account, err := "acme", error(nil)
	w := newWorld(t, dashboard.Options{Account: func(*http.Request) (string, error) { return account, err }})
	w.add("acme", "mug", catalog.Patch{})
	b := w.browser()
	a := b.get("")
	require.Equal(t, http.StatusOK, a.status)
	require.Contains(t, a.body, "product?id=mug")
	require.NotContains(t, a.body, "signout")
	require.Empty(t, a.header.Get("Set-Cookie"))
	require.Equal(t, http.StatusNotFound, b.get("signin").status)
	for want, e := range map[int]error{401: httpadapter.ErrMissingKey, 403: httpadapter.ErrForbidden, 503: errors.New("secret")} {
		err = e
		a := b.get("")
		require.Equal(t, want, a.status)
		require.NotContains(t, a.body, "secret")
		require.NotContains(t, a.body, "product?id=mug")
	}
	account, err = strings.Repeat("a", 256), nil
	require.Equal(t, http.StatusServiceUnavailable, b.get("").status)
}

func TestOptions(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	auth := func(*http.Request) (string, error) { return "a", nil }
	for says, o := range map[string]*dashboard.Options{
		"exactly one":    nil,
		"Account is req": {Authenticate: auth, Account: auth},
		"32 bytes":       {Authenticate: auth, SessionKey: make([]byte, 31)},
		"RemoteImages":   {Authenticate: auth, RemoteImages: 3},
		"TrustedOrigins": {Authenticate: auth, TrustedOrigins: []string{"shop.example"}},
	} {
		_, err := dashboard.New(w.catalog, o)
		require.ErrorContains(t, err, says)
	}
}

// TestSignInRemembersWhatFits: whichever page a session ends at, one can sign in
// there again.
func TestSignInRemembersWhatFits(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	for _, ref := range []string{"product?id=mug", "./?from=b" + strings.Repeat("&back=%F0%9F%98%80", 500)} {
		b := w.browser()
		page := b.get(b.get(ref).header.Get("Location"))
		require.Equal(t, http.StatusOK, page.status)
		next := html.UnescapeString(regexp.MustCompile(`name="next" value="([^"]*)"`).FindStringSubmatch(page.body)[1])
		a := b.post("signin", url.Values{"next": {next}, "key": {acmeKey}})
		require.Equal(t, http.StatusSeeOther, a.status, a.body)
		require.Equal(t, map[bool]string{true: "./", false: "./" + ref}[strings.HasPrefix(ref, "./")], a.header.Get("Location"))
	}
}
