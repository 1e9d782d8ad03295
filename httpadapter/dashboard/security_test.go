package dashboard_test

import (
	"encoding/json"
	"fmt"
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

// inline matches what the policy of the pages would not let run or show.
var inline = regexp.MustCompile(`(?i)<style|\sstyle\s*=|\son[a-z]+\s*=\s*["']|<script(?:[^>]*)>[^<]|javascript:|<script>`)

const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; img-src 'self'"

// everyPage are the pages of the product mug.
var everyPage = []string{
	"", "?show=all", "?show=unlisted", "?show=soon", "?q=m", "?q=zz", "?from=zzz", "?choose=all", "product?id=mug", "product?id=mug&done=used&q=<script>", "edit?id=mug", "new", "delete?id=mug",
	"account", "figures", "ahead", "store", "product?id=none", "nowhere",
}

func TestHeadersOfEveryPage(t *testing.T) {
	w := newWorld(t, dashboard.Options{Store: true})
	w.add("acme", "mug", catalog.Patch{Title: catalog.Set("Mug"), Metadata: catalog.Set(json.RawMessage(`{"a":[1,{"b":null}]}`))})
	b := w.signedIn(acmeKey)
	for _, ref := range append([]string{"signin"}, everyPage...) {
		a := b.get(ref)
		require.Equal(t, policy, a.header.Get("Content-Security-Policy"), ref)
		require.Equal(t, "same-origin", a.header.Get("Referrer-Policy"), ref)
		require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"), ref)
		require.Equal(t, "same-origin", a.header.Get("Cross-Origin-Resource-Policy"), ref)
		require.Equal(t, "no-store", a.header.Get("Cache-Control"), ref)
		require.Equal(t, "text/html; charset=utf-8", a.header.Get("Content-Type"), ref)
		require.NotEmpty(t, a.header.Get("X-Request-ID"), ref)
		require.NotRegexp(t, inline, a.body, ref)
		require.NotContains(t, a.body, acmeKey, ref)
		for name, values := range a.header {
			require.NotContains(t, strings.Join(values, ","), acmeKey, "%s of %s", name, ref)
		}
		head := b.do("HEAD", ref, "", "")
		require.Equal(t, a.status, head.status, ref)
		require.Empty(t, head.body)
	}
	require.NotContains(t, w.log.String(), acmeKey)
}

func TestAssets(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	b := w.browser() // without a session
	page := b.get("signin").body
	refs := regexp.MustCompile(`(?:href|src)="\./([^"]+\?v=[0-9a-f]+)"`).FindAllStringSubmatch(page, -1)
	require.Len(t, refs, 3)
	size := 0
	for _, m := range refs {
		a := b.get(m[1])
		require.Equal(t, http.StatusOK, a.status)
		require.Equal(t, "public, max-age=31536000, immutable", a.header.Get("Cache-Control"))
		require.NotContains(t, a.header.Get("Content-Type"), "html")
		name, _, _ := strings.Cut(m[1], "?")
		require.Equal(t, "no-cache", b.get(name).header.Get("Cache-Control"))
		size += len(a.body)
	}
	require.Less(t, size, 100<<10)
}

func TestFormsOfOtherSites(t *testing.T) {
	w := newWorld(t, dashboard.Options{TrustedOrigins: []string{"https://shop.example"}})
	p := w.add("acme", "mug", catalog.Patch{})
	b := w.signedIn(acmeKey)
	confirmed := url.Values{"id": {"mug"}, "version": {p.Version().String()}, "confirmed": {"yes"}}
	for _, header := range []http.Header{
		{"Sec-Fetch-Site": {"cross-site"}},
		{"Sec-Fetch-Site": {"same-site"}},
		{"Origin": {"https://evil.example"}},
		{"Origin": {"null"}},
	} {
		b.header = header
		for ref, form := range map[string]url.Values{
			"delete": confirmed, "use": {"id": {"mug"}}, "signin": {"key": {otherKey}}, "signout": nil, "edit": {}, "new": {}, "remote": {"show": {"yes"}},
		} {
			a := b.post(ref, form)
			require.Equal(t, http.StatusForbidden, a.status, "%s %v", ref, header)
			require.Empty(t, a.header.Get("Set-Cookie"))
		}
	}
	require.Zero(t, w.get("acme", "mug").LastUsedAt)
	b.header = http.Header{"Origin": {"https://shop.example"}}
	require.Equal(t, "./?done=deleted", b.post("delete", confirmed).header.Get("Location"))
}

func TestWhatChangesIsNoGet(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	p := w.add("acme", "mug", catalog.Patch{})
	b := w.signedIn(acmeKey)
	require.Equal(t, http.StatusMethodNotAllowed, b.get("use?id=mug").status)
	require.Equal(t, "POST", b.get("use?id=mug").header.Get("Allow"))
	require.Equal(t, http.StatusMethodNotAllowed, b.do("DELETE", "product?id=mug", "", "").status)
	require.Equal(t, http.StatusOK, b.get("delete?confirmed=yes&id=mug&version="+p.Version().String()).status)
	require.Zero(t, w.get("acme", "mug").LastUsedAt)
	require.Equal(t, http.StatusMethodNotAllowed, b.get("signout").status)
	require.Equal(t, http.StatusOK, b.get("").status, "still signed in")
}

func TestOtherAccounts(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	p := w.add("other", "theirs", catalog.Patch{Title: catalog.Set("A secret thing"), ValidForDays: catalog.Set(3)})
	w.add("acme", "ours", catalog.Patch{})
	b := w.signedIn(acmeKey)
	for _, show := range []string{"", "all", "unlisted", "soon"} {
		require.NotContains(t, b.get("?show="+show).body, "secret")
	}
	for _, ref := range []string{"product?id=theirs", "edit?id=theirs", "delete?id=theirs", "image?id=theirs&n=0"} {
		require.Equal(t, http.StatusNotFound, b.get(ref).status, ref)
	}
	require.Equal(t, http.StatusNotFound, b.post("use", url.Values{"id": {"theirs"}}).status)
	require.Equal(t, http.StatusNotFound, b.postForm("edit", field{name: "id", text: "theirs"}, field{name: "version", text: p.Version().String()}, field{name: "title", text: "x"}).status)
	b.post("delete", url.Values{"id": {"theirs"}, "version": {p.Version().String()}, "confirmed": {"yes"}})
	require.Equal(t, p, w.get("other", "theirs"))
}

// hostile are texts that must be shown as what they are.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `{{.}}`, `</textarea><script>alert(1)</script>`,
	`javascript:alert(1)`, `a//b`, `a/../b`, `/lead/`, `50%`, `%2F%00`, `?q=1&id=2`, `#frag`, `+ +`, `a;b`, "😀👩‍👩‍👧", "\u202Egnp.exe", "עברית", " both ends ",
}

func TestHostileTexts(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	for i, text := range hostile {
		w.add("acme", text, catalog.Patch{
			Title: catalog.Set(text + "\x00\x1b\r\n\t" + text), Description: catalog.Set("\n" + text),
			Metadata: catalog.Set(json.RawMessage(quote(text) + strings.Repeat(" ", i))),
			Images: catalog.Set([]catalog.NewImage{
				{Upload: catalog.NewUpload(strings.NewReader(picture(8))), Classifications: json.RawMessage(`{` + quote(text) + `:` + quote(text) + `}`)},
				{URL: "https://cdn.example/" + url.PathEscape(text)},
			}),
		})
	}
	b := w.signedIn(acmeKey)
	list := b.get("").body
	links := regexp.MustCompile(`class="face" href="\./([^"]+)"`).FindAllStringSubmatch(list, -1)
	require.Len(t, links, len(hostile))
	seen := map[string]bool{}
	for _, m := range links {
		ref := html.UnescapeString(m[1])
		u, err := url.Parse(ref)
		require.NoError(t, err)
		id := u.Query().Get("id")
		seen[id] = true
		for _, ref := range []string{ref, "edit?" + u.RawQuery, "delete?" + u.RawQuery, "?show=all&q=" + url.QueryEscape(id)} {
			a := b.get(ref)
			require.Equal(t, http.StatusOK, a.status, ref)
			require.NotRegexp(t, regexp.MustCompile(`<script>|<img src=x|</textarea><script|{{`), strings.ReplaceAll(a.body, "{{.}}", ""), ref)
			require.Contains(t, html.UnescapeString(a.body), id, ref)
		}
		require.Equal(t, http.StatusOK, b.get("image?n=0&"+u.RawQuery).status)

		// A form that is sent as a browser sends what it was shown changes nothing.
		p := w.get("acme", id)
		a := b.postForm("edit", shownForm(t, b, "edit?"+u.RawQuery)...)
		require.Equal(t, productLocation(id, "unchanged"), a.header.Get("Location"), "%q: %s", id, a.body)
		require.Equal(t, p, w.get("acme", id))

		require.Equal(t, http.StatusSeeOther, b.post("use", url.Values{"id": {id}}).status)
		a = b.post("delete", url.Values{"id": {id}, "version": {p.Version().String()}, "confirmed": {"yes"}})
		require.Equal(t, "./?done=deleted", a.header.Get("Location"))
		require.Equal(t, http.StatusNotFound, b.get(ref).status)
	}
	require.Len(t, seen, len(hostile))
	require.NotContains(t, w.log.String(), acmeKey)
}

func productLocation(id, done string) string {
	return "./product?" + url.Values{"id": {id}, "done": {done}}.Encode()
}

func quote(text string) string {
	data, err := json.Marshal(text)
	if err != nil {
		panic(err) // of a string
	}
	return string(data)
}

var (
	inputs    = regexp.MustCompile(`(?s)<input ([^>]*)>|<textarea ([^>]*)>(.*?)</textarea>`)
	attribute = regexp.MustCompile(`([a-z-]+)="([^"]*)"`)
)

// shownForm returns the fields of a page's form as a browser sends them when
// nothing is touched.
func shownForm(t *testing.T, b *browser, ref string) []field {
	t.Helper()
	return formOf(t, b.get(ref).body)
}

// formOf is shownForm of a page.
func formOf(t *testing.T, page string) []field {
	t.Helper()
	_, form, ok := strings.Cut(page, `enctype="multipart/form-data"`)
	require.True(t, ok, page)
	var fields []field
	for _, m := range inputs.FindAllStringSubmatch(form, -1) {
		attributes := map[string]string{}
		for _, a := range attribute.FindAllStringSubmatch(m[1]+m[2], -1) {
			attributes[a[1]] = asParsed(a[2])
		}
		switch checked := strings.HasSuffix(m[1], " checked"); {
		case m[2] != "":
			text := asParsed(m[3])
			text = strings.TrimPrefix(text, "\n") // which browsers drop
			fields = append(fields, field{name: attributes["name"], text: strings.ReplaceAll(text, "\n", "\r\n")})
		case attributes["type"] == "file":
			fields = append(fields, field{name: attributes["name"], file: noFile})
		case attributes["type"] != "checkbox" && attributes["type"] != "radio" || checked:
			fields = append(fields, field{name: attributes["name"], text: attributes["value"]})
		}
	}
	require.Greater(t, len(fields), 5, fmt.Sprint(fields))
	return fields
}

// asParsed returns text as a browser has it after reading a page.
func asParsed(text string) string {
	return html.UnescapeString(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n"))
}
