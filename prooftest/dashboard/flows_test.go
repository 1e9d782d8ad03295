package dashboard

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

func (s *site) get(id string) *catalog.Product {
	s.t.Helper()
	p, err := s.catalog.Get(s.t.Context(), account, id)
	require.NoError(s.t, err)
	return p
}

func (s *site) lives(id string) bool {
	s.t.Helper()
	_, err := s.catalog.Get(s.t.Context(), account, id)
	if err != nil {
		require.ErrorIs(s.t, err, catalog.ErrNotFound)
	}
	return err == nil
}

// flow is what people come for: to find a product, look at it, use, edit and
// delete it.
func flow(s *site, b *tab) {
	b.t.Helper()
	require.Equal(b.t, "Products", b.text("h1"))
	b.fill("#q", "mug")
	b.click(".search button")
	require.Equal(b.t, 1, b.count(".card"))
	b.click(".card .face")
	require.Equal(b.t, "Harbour mug", b.text("h1"))

	b.click("form[action^='./use'] button")
	require.Contains(b.t, b.text(".notice"), "The use was recorded")
	require.False(b.t, s.get("mug").LastUsedAt.IsZero())

	b.click(".actions a")
	b.fill("#title", "Blue mug")
	file := filepath.Join(b.t.TempDir(), "side.png")
	require.NoError(b.t, os.WriteFile(file, drawing(3), 0o600))
	b.do(chromedp.SetUploadFiles(chromedp.CSS("#files"), []string{file}))
	b.click(".edit .main")
	require.Equal(b.t, "Saved.", b.text(".notice"))
	require.Equal(b.t, "Blue mug", s.get("mug").Title)
	require.Len(b.t, s.get("mug").Images, 2)
	require.Equal(b.t, 2, b.count(".gallery img"))

	b.click(".actions .danger")
	require.Equal(b.t, "Delete this product?", b.text("h1"))
	require.True(b.t, s.lives("mug"))
	b.click("main button.danger")
	require.Equal(b.t, "Deleted.", b.text(".notice"))
	require.False(b.t, s.lives("mug"))
}

func withMug(s *site) {
	s.add("lamp", catalog.Patch{Title: catalog.Set("Lamp")})
	s.add("mug", catalog.Patch{Title: catalog.Set("Harbour mug"), ValidForDays: catalog.Set(30), Metadata: catalog.Set(json.RawMessage(`{"price":9.50}`))})
}

func TestWithoutScript(t *testing.T) {
	s := plainSite(t)
	withMug(s)
	b := open(t, desktop.withoutScript())
	s.signIn(b)
	flow(s, b)
	// Many at once: the bar is there when something is chosen.
	for _, id := range []string{"a", "b"} {
		s.add(id, catalog.Patch{})
	}
	b.goTo(s.url)
	b.do(chromedp.Click(chromedp.CSS("[value=a]")), chromedp.Click(chromedp.CSS("[value=b]")))
	b.click(".bulk .all")
	require.Equal(t, 3, b.count(".pick :checked"), "all of the page")
	b.click(".bulk .none")
	require.Zero(t, b.count(".pick :checked"))
	b.do(chromedp.Click(chromedp.CSS("[value=a]")), chromedp.Click(chromedp.CSS("[value=b]")))
	b.click(".bulk .danger")
	require.Equal(t, "Delete these 2 products?", b.text("h1"))
	b.click("main button.danger")
	require.False(t, s.lives("a") || s.lives("b"))
	require.True(t, s.lives("lamp"))
}

func TestChoosing(t *testing.T) {
	s := plainSite(t)
	withMug(s)
	b := open(t, desktop)
	s.signIn(b)
	require.False(t, eval[bool](b, `document.querySelector(".bulk").checkVisibility()`))
	b.do(chromedp.Click(chromedp.CSS("[value=lamp]")), chromedp.Click(chromedp.CSS("[value=mug]")))
	require.Equal(t, "2 chosen", b.text(".bulk .chosen"))
	for range 2 { // again after all were chosen
		b.do(chromedp.Focus(chromedp.CSS(".bulk .none")), chromedp.KeyEvent("\r"))
		b.await(`!document.querySelector(".bulk").checkVisibility()`)
		require.Contains(t, eval[string](b, `document.activeElement.textContent`), "Lamp", "the focus does not go with the bar")
		b.do(chromedp.Focus(chromedp.CSS("[value=mug]")), chromedp.KeyEvent(" "))
		require.Equal(t, "1 chosen", b.text(".bulk .chosen"))
		b.do(chromedp.Focus(chromedp.CSS(".bulk .all")), chromedp.KeyEvent("\r"))
		require.Equal(t, "2 chosen", b.text(".bulk .chosen"))
	}
	require.Equal(t, s.url, eval[string](b, `location.href`), "without a look at the server")
}

// TestRemoteImages: a person is asked once, and where an image can't be had there is
// a placeholder, which without a script the stylesheet makes. There is no such
// server: the browser finds that out itself.
func TestRemoteImages(t *testing.T) {
	for name, l := range map[string]look{"script": desktop, "no script": desktop.withoutScript()} {
		t.Run(name, func(t *testing.T) {
			s := plainSite(t)
			withMug(s)
			s.add("web", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: "https://cdn.invalid/1.jpg"}})})
			b := open(t, l)
			s.signIn(b)
			require.Equal(t, "cdn.invalid", b.text(".blank .note"))
			b.goTo(s.url + "product?id=web")
			b.click(".remote button")
			require.Equal(t, "/d/product?id=web", eval[string](b, `location.pathname + location.search.replace(/done=\w+&/, "")`))
			for _, ref := range []string{"", "?q=w", "product?id=web", "edit?id=web", "delete?id=web"} {
				b.goTo(s.url + ref)
				if l.noScript {
					b.await(`[...document.images].every((i) => i.complete)`)
					require.Contains(t, eval[string](b, `getComputedStyle(document.querySelector('img[src^="https:"]'), "::after").content`), "can't be shown")
				} else {
					b.await(`!document.querySelector('img[src^="https:"]') && document.querySelector(".blank .kind").textContent === "Can't be shown"`)
				}
				b.shoot("broken-"+strings.ReplaceAll(name, " ", "-")+"-"+strings.Trim(strings.SplitN(ref, "=", 2)[0], "?id"), true)
			}
			b.goTo(s.url)
			b.click(".remote button")
			require.Equal(t, "cdn.invalid", b.text(".blank .note"))
		})
	}
}

// TestHowItLooks: what stands side by side is aligned, whatever is above it.
func TestHowItLooks(t *testing.T) {
	s := plainSite(t)
	shelf(s)
	b := open(t, look{width: 1920, height: 900})
	s.signIn(b)
	require.Equal(t, eval[float64](b, `document.querySelector(".brand").getBoundingClientRect().left`), eval[float64](b, `document.querySelector("h1").getBoundingClientRect().left`), "the header begins where the page does")
	rows := eval[map[string][]float64](b, `(() => { const rows = {}; for (const c of document.querySelectorAll(".card")) { const top = c.getBoundingClientRect().top;
		(rows[top] ||= []).push(c.querySelector(".bar").getBoundingClientRect().top) } return rows })()`)
	for _, bars := range rows {
		for _, at := range bars {
			require.InDelta(t, bars[0], at, 0.5, "bars of a row")
		}
	}
	s.add("tree", catalog.Patch{Metadata: catalog.Set(json.RawMessage(`{"tags":["a","b"]}`))})
	b.goTo(s.url + "product?id=tree")
	require.Equal(t, "tags List, 2 items", b.text(".tree summary"))
	require.Less(t, eval[float64](b, `document.querySelector(".tree summary").getBoundingClientRect().height`), 30.0, "on one line")
	b.setLook(phone)
	b.goTo(s.url)
	for _, height := range eval[[]float64](b, `[...document.querySelectorAll(".chips a")].map((a) => a.getBoundingClientRect().height)`) {
		require.Less(t, height, 40.0, "on one line")
	}
}

func TestTwoTabs(t *testing.T) {
	s := plainSite(t)
	withMug(s)
	b := open(t, desktop)
	s.signIn(b)
	b.goTo(s.url + "edit?id=mug")
	s.add("mug", catalog.Patch{Title: catalog.Set("Edited elsewhere")})
	b.fill("#title", "Mine")
	b.click(".edit .main")
	require.Contains(t, b.text(".notice"), "Someone else edited this product")
	require.Equal(t, "Edited elsewhere", b.text(".stored .text"))
	require.Equal(t, "Mine", get(b, chromedp.Value(chromedp.CSS("#title"))))
	require.Equal(t, "Edited elsewhere", s.get("mug").Title)
	b.shoot("conflict", true)
	b.click(".edit .main")
	require.Equal(t, "Mine", s.get("mug").Title)
}

func TestRevokedKeyEndsTheSession(t *testing.T) {
	s := plainSite(t)
	withMug(s)
	b := open(t, desktop)
	s.signIn(b)
	s.revoked.Store(true)
	b.goTo(s.url + "product?id=mug")
	require.Equal(t, "Harbour mug", b.text("h1"), "it is believed for a minute")
	s.clock.Advance(time.Minute)
	b.goTo(s.url + "product?id=mug")
	require.Contains(t, b.text(".notice"), "Your session has ended")
	b.shoot("ended", false)
	s.revoked.Store(false)
	b.fill("#key", key)
	b.click("main form button")
	require.Equal(t, "Harbour mug", b.text("h1"), "it goes on where it ended")
}

func TestAProductThatExpiresWhileItIsLookedAt(t *testing.T) {
	s := plainSite(t)
	s.add("mug", catalog.Patch{Title: catalog.Set("Harbour mug"), ValidForDays: catalog.Set(1)})
	s.clock.Advance(24*time.Hour - 3*time.Second)
	b := open(t, desktop)
	s.signIn(b)
	b.await(`document.querySelector(".card.expired .left")?.textContent === "Expired"`)
	b.goTo(s.url + "product?id=mug")
	b.do(chromedp.Focus(chromedp.CSS(".actions a")))
	require.Regexp(t, "^([0-3] seconds? left|Expired)$", b.text(".life .left")) // the time of the page goes on
	b.await(`!document.querySelector(".gone").hidden`)
	require.Equal(t, "Expired", b.text(".life .left"))
	require.Equal(t, "It expired 14 May 2026, 10:00:00 UTC.", b.text(".until"))
	require.Zero(t, barWidth(b))
	require.Equal(t, 1, b.count("form[action^='./use'] button[disabled]"))
	require.Zero(t, b.count(".actions a"))
	require.True(t, eval[bool](b, `document.activeElement.matches(".gone")`), "the focus does not go with what is gone")
	b.shoot("expired", true)
	s.clock.Advance(3 * time.Second)
	b.goTo(s.url + "product?id=mug")
	require.Equal(t, "There is no such product", b.text("h1"))
}

// barWidth returns the length of the first bar on a page, as it is painted.
func barWidth(b *tab) float64 {
	b.t.Helper()
	return eval[float64](b, `document.querySelector(".life .ahead").getBoundingClientRect().width`)
}

func TestBars(t *testing.T) {
	s := plainSite(t)
	s.add("mug", catalog.Patch{ValidForDays: catalog.Set(10)})
	s.clock.Advance(5 * 24 * time.Hour)
	b := open(t, desktop)
	s.signIn(b)
	for _, ref := range []string{"", "product?id=mug", "delete?id=mug"} {
		b.goTo(s.url + ref)
		whole := eval[float64](b, `document.querySelector(".life .track").getBoundingClientRect().width`)
		require.InDelta(t, 0.5, barWidth(b)/whole, 0.01, ref)
	}
}

func TestSearchAsOneTypes(t *testing.T) {
	s := plainSite(t)
	withMug(s)
	b := open(t, desktop)
	s.signIn(b)
	b.do(chromedp.Focus(chromedp.CSS("#q")), chromedp.KeyEvent("mu"))
	b.await(`document.querySelectorAll(".card").length === 1`)
	// What was found is chosen, opened and come back to as in any list.
	b.do(chromedp.Click(chromedp.CSS(".pick input")))
	require.Equal(t, "1 chosen", b.text(".bulk .chosen"))
	b.click(".face")
	b.click(".crumb a")
	require.Equal(t, "?q=mu", eval[string](b, `location.search`))
	require.Equal(t, 1, b.count(".card"))
	b.click(".title .button")
	b.click(".sticky a.button")
	require.Equal(t, "?q=mu", eval[string](b, `location.search`))
	b.do(chromedp.Focus(chromedp.CSS("#q")), chromedp.Evaluate[chromedp.Void](`document.activeElement.setSelectionRange(2, 2)`), chromedp.KeyEvent("x"))
	b.await(`document.querySelectorAll(".empty").length === 1`)
	require.Equal(t, "mux", eval[string](b, `document.activeElement.value`), "the focus stays")
	require.Equal(t, "?q=mux", eval[string](b, `location.search`))
	require.Contains(t, b.text(".empty"), "has an ID that begins with mux")
}

func TestByKeyboard(t *testing.T) {
	s := plainSite(t)
	withMug(s)
	b := open(t, desktop)
	b.goTo(s.url)
	// The field gets the focus by itself, which may be after the page is there.
	b.await(`document.activeElement.id === "key"`)
	b.do(chromedp.KeyEvent(key))
	b.await(`document.activeElement.value === ` + quote(key))
	b.follow(chromedp.KeyEvent("\r"))
	require.Equal(t, "Products", b.text("h1"))
	b.do(chromedp.KeyEvent("\t"))
	require.Equal(t, "Skip to the content", eval[string](b, `document.activeElement.textContent`))
	tabTo := func(selector string) {
		t.Helper()
		for range 60 {
			if eval[bool](b, `document.activeElement.matches(`+quote(selector)+`)`) {
				// What has the focus must be seen to have it.
				require.NotEqual(t, "none", eval[string](b, `getComputedStyle(document.activeElement).outlineStyle`))
				return
			}
			b.do(chromedp.KeyEvent("\t"))
		}
		require.FailNow(t, "not reached by the keyboard", selector)
	}
	tabTo(`.face[href$="id=mug"]`)
	b.follow(chromedp.KeyEvent("\r"))
	tabTo(`.actions a`)
	b.follow(chromedp.KeyEvent("\r"))
	tabTo(`#title`)
	b.do(chromedp.KeyEvent(" for tea"))
	tabTo(`.edit .main`)
	b.follow(chromedp.KeyEvent("\r"))
	require.Contains(t, s.get("mug").Title, " for tea")
	// From what was said the next stop is the way back.
	b.await(`document.activeElement.matches(".notice")`)
	b.do(chromedp.KeyEvent("\t"))
	require.Equal(t, "← Products", eval[string](b, `document.activeElement.textContent`))
	b.follow(chromedp.KeyEvent("\r"))
	tabTo(`[value=mug]`)
	b.do(chromedp.KeyEvent(" "))
	tabTo(`.bulk .danger`)
	b.follow(chromedp.KeyEvent("\r"))
	require.Equal(t, "Delete this product?", b.text("h1"))
	tabTo(`main button.danger`)
	b.follow(chromedp.KeyEvent("\r"))
	require.Equal(t, "Deleted.", b.text(".notice"))
	require.False(t, s.lives("mug"))
	tabTo(`nav a[href="./account"]`)
	b.follow(chromedp.KeyEvent("\r"))
	require.Equal(t, "Account", b.text("h1"))
	tabTo(`.who button`)
	b.follow(chromedp.KeyEvent("\r"))
	require.Equal(t, "Sign in", b.text("h1"))
}

// TestSigningOut: behind it there is nothing to be seen any more, by the browser's
// own way back neither; before it the export is what the link says.
func TestSigningOut(t *testing.T) {
	s := plainSite(t)
	withMug(s)
	b := open(t, desktop)
	s.signIn(b)
	b.click(`nav a[href="./account"]`)
	require.Equal(t, []string{"lamp", "mug"}, eval[[]string](b, `fetch(document.querySelector("a[download]").href).then((a) => a.text()).then((t) => t.trim().split("\n").map((l) => JSON.parse(l).externalId))`))
	b.click(".who button")
	require.Equal(t, "Sign in", b.text("h1"))
	b.follow(chromedp.NavigateBack())
	require.Equal(t, "Sign in", b.text("h1"))
	b.goTo(s.url + "product?id=mug")
	require.Equal(t, "Sign in", b.text("h1"))
	require.False(t, eval[bool](b, `document.cookie.includes("shelflife")`))
}

func TestImagesArePutInOrder(t *testing.T) {
	s := plainSite(t)
	var images []catalog.NewImage
	for _, name := range []string{"a", "b", "c"} {
		images = append(images, catalog.NewImage{URL: "https://cdn.example/" + name + ".jpg"})
	}
	s.add("mug", catalog.Patch{Images: catalog.Set(images)})
	order := func() (out string) {
		for _, i := range s.get("mug").Images {
			out += strings.TrimSuffix(strings.TrimPrefix(i.SourceURL, "https://cdn.example/"), ".jpg")
		}
		return out
	}
	b := open(t, desktop)
	s.signIn(b)
	b.goTo(s.url + "edit?id=mug")
	// By keys: the focus stays on what was pressed.
	b.do(chromedp.Focus(chromedp.CSS(`[aria-label="Move down: image 1"]`)), chromedp.KeyEvent("\r"), chromedp.KeyEvent("\r"))
	require.Equal(t, "Move down: image 1", eval[string](b, `document.activeElement.getAttribute("aria-label")`))
	b.click(".edit .main")
	require.Equal(t, "bca", order())
	// By dragging the last above the first.
	b.goTo(s.url + "edit?id=mug")
	eval[int](b, `(() => { const rows = document.querySelectorAll(".imagerow"), d = new DataTransfer();
		const send = (row, type, y) => row.dispatchEvent(new DragEvent(type, { dataTransfer: d, bubbles: true, cancelable: true, clientY: y }));
		send(rows[2], "dragstart"); send(rows[0], "dragover", rows[0].getBoundingClientRect().top + 1); send(rows[2], "dragend"); return 0 })()`)
	b.click(".edit .main")
	require.Equal(t, "abc", order())
	// Dropped files become files of the form, and so do pasted ones.
	b.goTo(s.url + "edit?id=mug")
	eval[int](b, `(() => { const d = new DataTransfer(); d.items.add(new File([Uint8Array.from(atob(`+quote(base64Of(drawing(2)))+`), (c) => c.charCodeAt(0))], "dropped.png", { type: "image/png" }));
		document.dispatchEvent(new DragEvent("drop", { dataTransfer: d, bubbles: true, cancelable: true })); return 0 })()`)
	eval[int](b, `(() => { const d = new DataTransfer(); d.items.add(new File([Uint8Array.from(atob(`+quote(base64Of(drawing(3)))+`), (c) => c.charCodeAt(0))], "pasted.png", { type: "image/png" }));
		document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: d, bubbles: true, cancelable: true })); return 0 })()`)
	require.Equal(t, "dropped.png, pasted.png", b.text(".add .state"))
	// Whoever types days means them.
	b.do(chromedp.Focus(chromedp.CSS("#days")), chromedp.KeyEvent("30"))
	b.click(".edit .main")
	require.Len(t, s.get("mug").Images, 5)
	require.Equal(t, "image/png", s.get("mug").Images[4].ContentType)
	require.Equal(t, 30, s.get("mug").ValidForDays)
}

func TestFaultsAreShownAndUploadsKept(t *testing.T) {
	s := plainSite(t)
	withMug(s)
	b := open(t, desktop)
	s.signIn(b)
	b.goTo(s.url + "edit?id=mug")
	b.do(chromedp.Focus(chromedp.CSS("#metadata")), chromedp.KeyEvent("x"))
	b.await(`document.querySelector("#metadata ~ .state").textContent.startsWith("Not JSON yet")`)
	file := filepath.Join(t.TempDir(), "side.png")
	require.NoError(t, os.WriteFile(file, drawing(3), 0o600))
	b.do(chromedp.SetUploadFiles(chromedp.CSS("#files"), []string{file}))
	b.click(".edit .main")
	require.Contains(t, b.text(".notice"), "Nothing was saved")
	require.Equal(t, 1, b.count(".wrong #metadata"))
	require.Contains(t, b.text(".imagerow:last-child .source"), "side.png")
	b.shoot("faults", true)
	b.fill("#metadata", `{"price": 10.50}`)
	b.click(".edit .main")
	require.Equal(t, `{"price":10.50}`, string(s.get("mug").Metadata))
	require.Len(t, s.get("mug").Images, 2)
}

// TestFocusAfterActions: what was done is said where the focus is, and so is the
// first thing that has to be mended.
func TestFocusAfterActions(t *testing.T) {
	for name, l := range map[string]look{"script": desktop, "no script": desktop.withoutScript()} {
		t.Run(name, func(t *testing.T) {
			s := plainSite(t)
			withMug(s)
			b := open(t, l)
			s.signIn(b)
			// The browser gives the focus to what asks for it a moment after the page is there.
			awaitFocus := func(selector string) {
				t.Helper()
				b.await(`document.activeElement.matches(` + quote(selector) + `)`)
			}
			b.goTo(s.url + "product?id=mug")
			b.click("form[action^='./use'] button")
			awaitFocus(".notice[role=status]")
			b.click(".actions a")
			for _, fault := range []struct{ field, text, says string }{
				{"#metadata", "{", "metadata-fault"}, {"[name=classifications]", "[]", "image-1-fault"}, {"#description", strings.Repeat("x", 20_001), "description-fault"},
			} {
				if fault.field == "[name=classifications]" {
					b.do(chromedp.Click(chromedp.CSS(".imagerow summary")))
				}
				b.fill(fault.field, fault.text)
				b.click(".edit .main")
				awaitFocus(fault.field)
				require.Equal(t, "true", eval[string](b, `document.activeElement.getAttribute("aria-invalid")`))
				require.Contains(t, strings.Fields(eval[string](b, `document.activeElement.getAttribute("aria-describedby")`)), fault.says)
				require.NotEmpty(t, b.text("#"+fault.says))
			}
			b.fill("#description", "mended")
			b.fill("#metadata", "{}")
			b.fill("[name=classifications]", "{}")
			b.click(".edit .main")
			require.Equal(t, "Saved.", b.text(".notice"))
			awaitFocus(".notice[role=status]")

			b.goTo(s.url + "edit?id=mug")
			s.add("mug", catalog.Patch{Title: catalog.Set("Edited elsewhere")})
			b.fill("#title", "Mine")
			b.click(".edit .main")
			awaitFocus(".notice[role=alert]")

			b.goTo(s.url + "delete?id=mug")
			b.click("main button.danger")
			awaitFocus(".notice[role=status]")

			b.goTo(s.url + "import")
			b.fill("#lines", "no import")
			b.click(".stack .main")
			awaitFocus("#import-fault")
			require.Contains(t, eval[string](b, `document.getElementById("lines").getAttribute("aria-describedby")`), "import-fault")
			b.fill("#lines", importText(1))
			b.click(".stack .main")
			awaitFocus("#job-said")
		})
	}
}

// hostile are IDs and texts that must be shown as what they are.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</textarea><script>alert(1)</script>`, `a//b`, `a/../b`, `50%2F`, `?q=1#x`, "😀 \u202Egnp", strings.Repeat("long", 60),
}

func TestHostileProducts(t *testing.T) {
	s := plainSite(t)
	for _, text := range hostile {
		s.add(text, catalog.Patch{Title: catalog.Set(strings.Repeat(text, 3)), Description: catalog.Set(strings.Repeat("x\x01", 8<<10)), Metadata: catalog.Set(json.RawMessage(quote(strings.Repeat(text, 200))))})
	}
	b := open(t, phone)
	s.signIn(b)
	require.Equal(t, len(hostile), b.count(".card"))
	requireNoSidewaysScroll(b)
	b.shoot("hostile-list", true)
	for range hostile {
		b.goTo(s.url)
		b.click(".card .face")
		id := eval[string](b, `new URL(location.href).searchParams.get("id")`)
		require.Contains(t, hostile, id)
		require.Equal(t, strings.Repeat(id, 3), eval[string](b, `document.querySelector("h1").textContent`))
		requireNoSidewaysScroll(b)
		b.follow(chromedp.Evaluate[chromedp.Void](`document.querySelector(".actions a").click()`))
		requireNoSidewaysScroll(b)
		b.fill("#description", "mended")
		b.follow(chromedp.Evaluate[chromedp.Void](`document.querySelector(".edit .main").click()`))
		require.Equal(t, "mended", s.get(id).Description)
		require.Equal(t, strings.Repeat(id, 3), s.get(id).Title)
		b.follow(chromedp.Evaluate[chromedp.Void](`document.querySelector(".actions .danger").click()`))
		b.click("main button.danger")
		require.False(t, s.lives(id))
	}
}
