package dashboard_test

import (
	"encoding/json"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter/dashboard"
)

// with returns fields with the first one of a name changed.
func with(fields []field, name, text string) []field {
	changed := append([]field(nil), fields...)
	for i := range changed {
		if changed[i].name == name {
			changed[i].text = text
			return changed
		}
	}
	return append(changed, field{name: name, text: text})
}

func TestEditChangesWhatTheFormChanged(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	before := w.add("acme", "mug", catalog.Patch{
		Title: catalog.Set("Mug"), Description: catalog.Set("one\ntwo"), ValidForDays: catalog.Set(30),
		Metadata: catalog.Set(json.RawMessage(`{"price":1.50,"big":12345678901234567890}`)),
	})
	b := w.signedIn(acmeKey)
	form := shownForm(t, b, "edit?id=mug")
	w.clock.Advance(time.Hour)
	a := b.postForm("edit", with(form, "title", "Cup")...)
	require.Equal(t, productLocation("mug", "saved"), a.header.Get("Location"), a.body)
	p := w.get("acme", "mug")
	require.Equal(t, "Cup", p.Title)
	require.Equal(t, before.ExpiresAt, p.ExpiresAt, "an edit of the title does not renew the lifetime")
	p.Title, p.UpdatedAt = before.Title, before.UpdatedAt
	require.Equal(t, string(before.AppendJSON(nil))[:200], string(p.AppendJSON(nil))[:200])
	require.Equal(t, before.Metadata, p.Metadata)

	form = shownForm(t, b, "edit?id=mug")
	require.Equal(t, http.StatusSeeOther, b.postForm("edit", with(with(form, "days", "31"), "metadata", "")...).status)
	p = w.get("acme", "mug")
	require.Equal(t, 31, p.ValidForDays)
	require.Nil(t, p.Metadata)

	form = shownForm(t, b, "edit?id=mug")
	require.Equal(t, http.StatusSeeOther, b.postForm("edit", with(form, "keep", "forever")...).status)
	require.Zero(t, w.get("acme", "mug").ValidForDays)
}

func TestTwoTabs(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.add("acme", "mug", catalog.Patch{Title: catalog.Set("Mug")})
	b := w.signedIn(acmeKey)
	one, two := shownForm(t, b, "edit?id=mug"), shownForm(t, b, "edit?id=mug")
	require.Equal(t, http.StatusSeeOther, b.postForm("edit", with(one, "title", "Cup")...).status)
	stored := w.get("acme", "mug")

	a := b.postForm("edit", with(two, "title", "Beaker")...)
	require.Equal(t, http.StatusConflict, a.status)
	require.Equal(t, stored, w.get("acme", "mug"), "nothing was overwritten")
	require.Contains(t, a.body, "\nBeaker</textarea>")
	require.Contains(t, a.body, `<div class="stored"><h2>Stored now</h2><p class="text" dir="auto">Cup</p></div>`)
	require.Equal(t, 1, strings.Count(a.body, "Stored now"), "only what differs is compared")

	version := regexp.MustCompile(`name="version" value="([^"]*)"`).FindStringSubmatch(a.body)[1]
	a = b.postForm("edit", with(with(two, "title", "Beaker"), "version", html.UnescapeString(version))...)
	require.Equal(t, productLocation("mug", "saved"), a.header.Get("Location"))
	require.Equal(t, "Beaker", w.get("acme", "mug").Title)
	require.Equal(t, http.StatusBadRequest, b.postForm("edit", with(two, "version", "none")...).status)
}

// TestAConflictOfImagesShowsThem: by what they look like, and what is said of them.
func TestAConflictOfImagesShowsThem(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.add("acme", "mug", catalog.Patch{})
	b := w.signedIn(acmeKey)
	form := shownForm(t, b, "edit?id=mug")
	w.add("acme", "mug", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{Upload: catalog.NewUpload(strings.NewReader(picture(9))), Classifications: json.RawMessage(`{"view":"new"}`)}})})
	body := b.postForm("edit", form...).body
	_, stored, ok := strings.Cut(body, "Stored now")
	require.True(t, ok)
	stored, _, _ = strings.Cut(stored, "</ol>")
	require.Regexp(t, `<img src="./image\?[^"]*" alt="mug, image 1"`, stored)
	require.Contains(t, stored, `&#34;view&#34;: &#34;new&#34;`)
	require.NotContains(t, stored, "upload://")
}

// TestAProductThatIsGoneWhenItIsSaved: what was typed is not lost with it.
func TestAProductThatIsGoneWhenItIsSaved(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.add("acme", "mug", catalog.Patch{ValidForDays: catalog.Set(1), Images: catalog.Set([]catalog.NewImage{
		{Upload: catalog.NewUpload(strings.NewReader(picture(8)))}, {URL: "https://cdn.example/1.jpg"},
	})})
	b := w.signedIn(acmeKey)
	form := with(shownForm(t, b, "edit?id=mug"), "title", "Typed for an hour")
	w.clock.Advance(24 * time.Hour)
	b = w.signedIn(acmeKey)
	a := b.postForm("edit?id=mug&q=m", form...)
	require.Equal(t, http.StatusNotFound, a.status)
	require.Contains(t, a.body, "expired or was deleted while you edited it")
	again := formOf(t, a.body)
	require.Contains(t, again, field{name: "title", text: "Typed for an hour"})
	require.NotContains(t, a.body, "upload://")
	action := one(t, a.body, "action", "new")
	require.Contains(t, action, "q=m")
	created := b.postForm(action, again...)
	require.Contains(t, created.header.Get("Location"), "done=created", created.body)
	p := w.get("acme", "mug")
	require.Equal(t, "Typed for an hour", p.Title)
	require.Equal(t, 1, p.ValidForDays)
	require.Len(t, p.Images, 1)
}

func TestWhatIsWrongStandsAtItsField(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.add("acme", "mug", catalog.Patch{Title: catalog.Set("Mug")})
	b := w.signedIn(acmeKey)
	form := shownForm(t, b, "edit?id=mug")
	for name, tc := range map[string]struct {
		fields []field
		at     string
	}{
		"title":           {with(form, "title", strings.Repeat("x", 1001)), `(?s)<div class="field wrong">\s*<label for="title">.*?<p class="fault">`},
		"description":     {with(form, "description", strings.Repeat("x", 20001)), `(?s)<div class="field wrong">\s*<label for="description">`},
		"metadata":        {with(form, "metadata", `{"a":1,"a":2}`), `(?s)<div class="field wrong">\s*<label for="metadata">`},
		"days":            {with(with(form, "keep", "days"), "days", "366"), `(?s)<fieldset class="field wrong">\s*<legend>Lifetime`},
		"no days":         {with(with(form, "keep", "days"), "days", "many"), `Must be a whole number of days, 1 to 365\.`},
		"days not chosen": {with(form, "days", "30"), `(?s)<fieldset class="field wrong">\s*<legend>Lifetime.*Choose &#34;Keep for&#34; too, or empty the number of days\.`},
		"classifications": {with(form, "classifications", "[]"), `(?s)<li class="imagerow wrong">.*?<p class="fault">`},
		"url":             {with(form, "urls", "https://cdn.example/1.jpg\nftp://x/"), `(?s)<div class="field wrong">\s*<label for="urls">.*?<p class="fault">ftp://x/: Must be`},
		"no image":        {append(with(form, "title", "x"), field{name: "image", text: "upload://gone"}), `(?s)<li class="imagerow wrong">`},
		"no image left":   {insertAfter(form, "image", field{name: "remove", text: "yes"}), `(?s)<fieldset class="field images wrong">`},
		"an empty file":   {append(with(form, "title", "x"), field{name: "files", file: "a.png", text: ""}), `<p class="fault">The file &#34;a\.png&#34; was not taken: it is empty\.`},
		"not an image":    {append(with(form, "title", "x"), field{name: "files", file: "<b>.png", text: "text"}), `(?s)<fieldset class="field images wrong">.*?<p class="fault">The file &#34;&lt;b&gt;\.png&#34; was not taken: not a JPEG`},
	} {
		t.Run(name, func(t *testing.T) {
			before := w.get("acme", "mug")
			a := b.postForm("edit", tc.fields...)
			require.Equal(t, http.StatusBadRequest, a.status)
			require.Regexp(t, tc.at, a.body)
			// The control itself says so, names what says why, and has the focus.
			control := regexp.MustCompile(`<[^>]* aria-describedby="(\S*-fault)[^"]*" aria-invalid="true" autofocus>`).FindAllStringSubmatch(a.body, -1)
			require.Len(t, control, 1)
			require.Contains(t, a.body, `<div id="`+control[0][1]+`"><p class="fault">`)
			require.Equal(t, 1, strings.Count(a.body, "autofocus"))
			require.Equal(t, before, w.get("acme", "mug"))
		})
	}
}

// TestFocusIsOnWhatIsWrongFirst: of several faults that which stands first on the page.
func TestFocusIsOnWhatIsWrongFirst(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.add("acme", "mug", catalog.Patch{})
	b := w.signedIn(acmeKey)
	form := with(with(shownForm(t, b, "edit?id=mug"), "keep", "days"), "days", "many")
	focused := func() string {
		t.Helper()
		m := regexp.MustCompile(`<[^>]*name="(\w+)"[^>]* autofocus>`).FindAllStringSubmatch(b.postForm("edit", form...).body, -1)
		require.Len(t, m, 1)
		return m[0][1]
	}
	require.Equal(t, "days", focused())
	form = with(form, "urls", "ftp://x/")
	require.Equal(t, "urls", focused())
	form = with(form, "classifications", "[]")
	require.Equal(t, "classifications", focused())
	form = with(form, "title", strings.Repeat("x", 1001))
	require.Equal(t, "title", focused())
}

// insertAfter returns fields with another one behind the first of a name.
func insertAfter(fields []field, name string, f field) []field {
	var out []field
	for _, g := range fields {
		out = append(out, g)
		if g.name == name {
			out = append(out, f)
		}
	}
	return out
}

func TestImagesOfAForm(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.add("acme", "mug", catalog.Patch{Images: catalog.Set([]catalog.NewImage{
		{URL: "https://cdn.example/0.jpg"}, {URL: "https://cdn.example/1.jpg", Classifications: json.RawMessage(`{"view":"back"}`)},
	})})
	b := w.signedIn(acmeKey)
	version := w.get("acme", "mug").Version().String()
	a := b.postForm("edit",
		field{name: "id", text: "mug"}, field{name: "version", text: version}, field{name: "keep", text: "forever"},
		field{name: "image", text: "https://cdn.example/0.jpg"}, field{name: "position", text: "2"}, field{name: "classifications", text: `{"view":"front"}`},
		field{name: "image", text: "https://cdn.example/1.jpg"}, field{name: "position", text: "1"}, field{name: "remove", text: "yes"},
		field{name: "files", file: "a.png", text: picture(5)}, field{name: "files", file: noFile},
		field{name: "urls", text: "https://cdn.example/2.jpg\r\n\r\n"}, field{name: "title", text: strings.Repeat("x", 1001)})
	require.Equal(t, http.StatusBadRequest, a.status)
	require.Contains(t, a.body, "a.png, 5 × 5, ", "the upload waits")
	require.NotContains(t, a.body, `<p class="soft about">`, "of what is elsewhere nothing is known")

	// The form as it was shown again, with the fault mended.
	form := with(formOf(t, a.body), "title", "Mug")
	a = b.postForm("edit", form...)
	require.Equal(t, productLocation("mug", "saved"), a.header.Get("Location"), a.body)
	images := w.get("acme", "mug").Images
	require.Len(t, images, 3)
	require.Equal(t, "https://cdn.example/0.jpg", images[0].SourceURL)
	require.JSONEq(t, `{"view":"front"}`, string(images[0].Classifications))
	require.Equal(t, 5, images[1].Width)
	require.Equal(t, "https://cdn.example/2.jpg", images[2].SourceURL)

	// What was uploaded is kept by an edit, and may be put first.
	require.Contains(t, b.get("edit?id=mug").body, `<p class="soft about">PNG, 5 × 5, `)
	form = shownForm(t, b, "edit?id=mug")
	n := 0
	for i := range form {
		if form[i].name == "position" {
			form[i].text = []string{"2", "1", "3"}[n]
			n++
		}
	}
	require.Equal(t, http.StatusSeeOther, b.postForm("edit", form...).status)
	after := w.get("acme", "mug").Images
	require.Equal(t, []string{images[1].SourceURL, images[0].SourceURL, images[2].SourceURL}, []string{after[0].SourceURL, after[1].SourceURL, after[2].SourceURL})
}

func TestAdd(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	b := w.signedIn(acmeKey)
	fields := []field{
		{name: "id", text: "a//b"}, {name: "title", text: "New"}, {name: "files", file: "a.png", text: picture(5)},
		{name: "keep", text: "days"}, {name: "days", text: "3"}, {name: "metadata", text: `{"a": 1}`},
	}
	require.Equal(t, http.StatusBadRequest, b.postForm("new", fields[1:]...).status)
	require.Regexp(t, `(?s)<fieldset class="field images wrong">`, b.postForm("new", fields[:2]...).body)
	a := b.postForm("new", fields...)
	require.Equal(t, productLocation("a//b", "created"), a.header.Get("Location"), a.body)
	p := w.get("acme", "a//b")
	require.Equal(t, 3, p.ValidForDays)
	require.True(t, p.Listed)
	a = b.postForm("new", with(fields, "title", "Another")...)
	require.Equal(t, http.StatusBadRequest, a.status)
	require.Contains(t, a.body, "Another product has this ID already.")
	require.Equal(t, p, w.get("acme", "a//b"))
}

func TestFormsHaveALimit(t *testing.T) {
	w := newWorld(t, dashboard.Options{MaxRequestBytes: 10 << 10})
	w.add("acme", "mug", catalog.Patch{})
	b := w.signedIn(acmeKey)
	a := b.postForm("edit", field{name: "id", text: "mug"}, field{name: "title", text: strings.Repeat("x", 20<<10)})
	require.Equal(t, http.StatusRequestEntityTooLarge, a.status)
	a = b.postForm("edit", field{name: "id", text: "mug"}, field{name: "files", file: "a.png", text: picture(5) + strings.Repeat("x", 20<<10)})
	require.Equal(t, http.StatusRequestEntityTooLarge, a.status, a.body)
	require.Equal(t, http.StatusBadRequest, b.do("POST", "edit", "text/plain", "id=mug").status)
}
