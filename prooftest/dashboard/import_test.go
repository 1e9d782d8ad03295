package dashboard

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// importText is an input in which some is refused.
func importText(good int) string {
	var text strings.Builder
	for i := range good {
		fmt.Fprintf(&text, "{\"externalId\":\"tea-%03d\",\"title\":\"Tea %d\",\"images\":[{\"source\":{\"url\":\"https://cdn.example/%d.jpg\"}}]}\n", i, i, i)
	}
	text.WriteString(`{"externalId":"mug","title":"Harbour mug, mended"}
{"externalId":"cup"}
{"externalId":"a-product-with-an-id-that-is-rather-long-and-has-no-place-to-break-on-a-phone","title":7,"validForDays":0,"images":[{"source":{"url":"ftp://x/"}},{}]}
<script>alert(1)</script>
`)
	return text.String()
}

// chooseFile puts a file into the form for importing.
func chooseFile(b *tab, text string) {
	b.t.Helper()
	path := filepath.Join(b.t.TempDir(), "products.ndjson")
	require.NoError(b.t, os.WriteFile(path, []byte(text), 0o600))
	b.do(chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{path}))
}

// awaitImport waits until an import has ended what it does, which the page shows by
// itself: by its script, or without one by loading itself again.
func awaitImport(b *tab) {
	b.t.Helper()
	b.await(`document.readyState === "complete" && document.querySelector("#job:not([data-running])") !== null`)
}

// TestImport imports a file with and without scripts, and comes back to it later.
func TestImport(t *testing.T) {
	for name, l := range map[string]look{"script": desktop, "no script": phone.withoutScript()} {
		t.Run(name, func(t *testing.T) {
			s := plainSite(t)
			withMug(s)
			b := open(t, l)
			s.signIn(b)
			b.click(`nav a[href="./import"]`)
			chooseFile(b, importText(60))
			b.click(".stack .main")
			awaitImport(b)
			require.Contains(t, b.text("#job-said"), "Nothing is written yet.")
			require.Equal(t, "60 1 0 3", tilesOf(b))
			require.False(t, s.lives("tea-000"))
			requireNoSidewaysScroll(b)

			// The page is left, and found again.
			b.goTo(s.url)
			b.click(`nav a[href="./import"]`)
			b.click(".jobs a")
			require.Equal(t, "60 1 0 3", tilesOf(b))
			require.Equal(t, 3, b.count(".results > li"))
			require.Contains(t, b.text(".results > li:last-child"), "<script>alert(1)</script>")
			requireNoSidewaysScroll(b)

			b.click(`button[value="write"]`)
			awaitImport(b)
			require.Contains(t, b.text("#job-said"), "Imported, but for what was refused.")
			require.Equal(t, "60 1 0 3", tilesOf(b))
			require.Equal(t, "Tea 59", s.get("tea-059").Title)
			require.Equal(t, "Harbour mug, mended", s.get("mug").Title)
			b.click(`.chips a[href$="show=all"]`)
			b.click(`.results a`)
			require.Equal(t, "Tea 0", b.text("h1"))
		})
	}
}

func tilesOf(b *tab) string {
	b.t.Helper()
	return eval[string](b, `[...document.querySelectorAll(".tiles dd")].map((d) => d.textContent).join(" ")`)
}

// TestRunningImportIsFollowed: while an import is at work its page shows how far it
// is, by the script alone, keeps the focus, and can stop it.
func TestRunningImportIsFollowed(t *testing.T) {
	s := plainSite(t)
	b := open(t, desktop)
	s.signIn(b)
	release := s.store.hold()
	t.Cleanup(release)
	b.goTo(s.url + "import")
	b.fill("#lines", importText(3))
	b.click(".stack .main")
	require.Equal(t, 1, b.count("#job[data-running] progress"))
	b.do(chromedp.Focus(chromedp.CSS("#job-stop")))
	b.await(`performance.getEntriesByType("resource").filter((e) => e.name === location.href).length >= 2`) // it is looked at again
	require.Equal(t, "job-stop", eval[string](b, `document.activeElement.id`), "the focus stays")
	release()
	b.await(`!document.querySelector("#job[data-running]")`)
	require.Contains(t, b.text("#job-said"), "Nothing is written yet.")
	require.True(t, eval[bool](b, `document.getElementById("job").contains(document.activeElement)`))
	require.False(t, s.lives("tea-000"))

	release = s.store.hold()
	t.Cleanup(release)
	b.goTo(s.url + "import")
	b.fill("#lines", importText(3))
	b.click(".stack .main")
	b.click("#job-stop")
	release()
	awaitImport(b)
	require.Contains(t, b.text("#job-said"), "Stopped. Nothing was written.")
}

// TestImportsThatAreRefused: what is no input at all is told at once, and kept.
func TestImportsThatAreRefused(t *testing.T) {
	s := plainSite(t)
	b := open(t, desktop)
	s.signIn(b)
	b.goTo(s.url + "import")
	b.fill("#lines", "id,title\n1,<b>")
	b.click(".stack .main")
	require.Contains(t, b.text(".notice.bad"), "Nothing was imported. The input begins with neither { nor [")
	require.Equal(t, "id,title\n1,<b>", eval[string](b, `document.getElementById("lines").value`))
	b.shoot("import-refused", true)
}
