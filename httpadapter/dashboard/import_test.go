package dashboard_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/httpadapter/dashboard"
	"github.com/shelflife-db/shelflife/ttl"
)

const webImage = `"images":[{"source":{"url":"https://cdn.example/1.jpg"}}]`

func upsertLine(id string) string {
	return fmt.Sprintf(`{"externalId":%q,%s}`, id, webImage)
}

// await looks at the page of an import until it has ended what it does, and returns
// the page, which holds text then.
func (b *browser) await(ref, text string) (a answer) {
	b.w.t.Helper()
	eventually(b.w.t, func() bool {
		a = b.get(ref)
		return !strings.Contains(a.body, "data-running")
	})
	require.Contains(b.w.t, a.body, text)
	return a
}

// eventually waits until holds does, on the goroutine of the test.
func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	clock := ttl.SystemClock()
	for began := clock.Elapsed(); !holds(); {
		require.Less(t, clock.Elapsed()-began, 2*time.Minute)
		pause := clock.NewTimer(5 * time.Millisecond)
		<-pause.C()
	}
}

// The sayings of a job's page by which tests know where it is.
const (
	saysChecked  = "Nothing is written yet. "
	saysImported = ">Imported"
	saysRefused  = "Nothing was imported. "
)

// startImport sends a file and returns the reference of the import.
func (b *browser) startImport(fields ...field) string {
	b.w.t.Helper()
	a := b.postForm("import", fields...)
	require.Equal(b.w.t, http.StatusSeeOther, a.status, a.body)
	return a.header.Get("Location")
}

func file(text string) field { return field{name: "file", file: "products.ndjson", text: text} }

func (b *browser) answerImport(ref, do string) answer {
	b.w.t.Helper()
	u, err := url.Parse(ref)
	require.NoError(b.w.t, err)
	return b.post("job", url.Values{"id": {u.Query().Get("id")}, "do": {do}})
}

// tiles returns the counts of a job's page.
func tiles(t *testing.T, page string) (counts []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`<dd>(\d+)</dd>`).FindAllStringSubmatch(page, -1) {
		counts = append(counts, m[1])
	}
	require.Len(t, counts, 4, page)
	return counts
}

func TestImport(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.add("acme", "old", catalog.Patch{Title: catalog.Set("Old")})
	b := w.signedIn(acmeKey)
	text := strings.Join([]string{
		"\ufeff" + upsertLine("mug"), ``,
		`{"externalId":"old","title":"New"}`,
		`{"externalId":"old"}`,
		`{"externalId":"cup"}`,
		`{"externalId":"<script>alert(1)</script>","title":7}`,
		`<script>alert(2)</script>`,
		"{\"externalId\":\"\xff\"}",
		upsertLine("a//b"),
	}, "\r\n")
	job := b.startImport(file(text))
	b.await(job, saysChecked)
	a := b.get(job + "&show=all")
	require.Equal(t, []string{"2", "2", "0", "4"}, tiles(t, a.body))
	require.Contains(t, a.body, "Import the other 4")
	require.Contains(t, a.body, "A product needs at least one image")
	require.NotContains(t, a.body, "<script>alert")
	require.Contains(t, a.body, "&lt;script&gt;alert(2)", "a line without an ID is shown")
	require.Equal(t, "Old", w.get("acme", "old").Title, "nothing was written")
	_, err := w.catalog.Get(t.Context(), "acme", "mug")
	require.ErrorIs(t, err, catalog.ErrNotFound)
	require.Equal(t, 4, strings.Count(b.get(job).body, `<li class="bad">`))

	require.Equal(t, job, b.answerImport(job, "write").header.Get("Location"))
	a = b.await(job, saysImported)
	require.Equal(t, []string{"2", "1", "1", "4"}, tiles(t, a.body))
	require.Equal(t, "New", w.get("acme", "old").Title)
	require.Contains(t, b.get(job+"&show=all").body, `<a href="./product?id=a%2F%2Fb">`)
	b.answerImport(job, "write")
	require.Equal(t, []string{"2", "1", "1", "4"}, tiles(t, b.get(job).body), "it is written once")

	a = b.get(strings.Replace(job, "job", "refusals", 1))
	require.Equal(t, "application/x-ndjson; charset=utf-8", a.header.Get("Content-Type"))
	var got []string
	lines := bufio.NewScanner(strings.NewReader(a.body))
	for lines.Scan() {
		var v struct {
			Line       int
			ExternalID string
			Faults     []struct{ Path, Code, Message string }
			Text       string
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &v), lines.Text())
		require.NotEmpty(t, v.Faults)
		got = append(got, fmt.Sprintf("%d %s %s %s", v.Line, v.ExternalID, v.Faults[0].Code, v.Text))
	}
	require.Equal(t, []string{
		`5 cup PRODUCT_IMAGES_REQUIRED {"externalId":"cup"}`,
		`6 <script>alert(1)</script> VALIDATION_FAILED {"externalId":"<script>alert(1)</script>","title":7}`,
		`7  VALIDATION_FAILED <script>alert(2)</script>`,
		"8  VALIDATION_FAILED {\"externalId\":\"\uFFFD\"}",
	}, got)

	require.Equal(t, "./import", b.answerImport(job, "forget").header.Get("Location"))
	require.Equal(t, http.StatusNotFound, b.get(job).status)
}

func TestImportOfPastedLinesAndArrays(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	b := w.signedIn(acmeKey)
	job := b.startImport(field{name: "lines", text: "[\n" + upsertLine("a") + ",\n{\"externalId\":\"b\",\"colour\":1}\n]"}, field{name: "file", file: noFile}, field{name: "strict", text: "yes"})
	a := b.await(job, saysChecked)
	require.Contains(t, a.body, "Pasted lines")
	require.Contains(t, a.body, "Element 2, line 3")
	require.Contains(t, a.body, `<bdi class="code">colour</bdi>: Is not a known name`)
	require.Contains(t, b.get("import").body, `<bdi>Pasted lines</bdi></a> <span class="soft">Waits for your answer`)
}

func TestImportsThatAreNone(t *testing.T) {
	w := newWorld(t, dashboard.Options{MaxRequestBytes: 8 << 10})
	b := w.signedIn(acmeKey)
	for name, tc := range map[string]struct {
		fields []field
		status int
		says   string
	}{
		"nothing":      {[]field{{name: "lines"}, {name: "file", file: noFile}}, 400, "Choose a file that is not empty, or paste lines."},
		"an empty one": {[]field{file("")}, 400, "Choose a file that is not empty"},
		"both":         {[]field{file(upsertLine("a")), {name: "lines", text: upsertLine("b")}}, 400, "not both"},
		"too large":    {[]field{file(strings.Repeat("x", 9<<10))}, 413, "more than the 8 KiB"},
		"a table":      {[]field{{name: "lines", text: "id,<title>\n1,2"}}, 400, "The input begins with neither { nor ["},
		"packed":       {[]field{file("\x1f\x8b\x08\x00")}, 400, "compressed by gzip"},
		"UTF-16":       {[]field{file("\xff\xfe{\x00")}, 400, "UTF-16"},
	} {
		t.Run(name, func(t *testing.T) {
			a := b.postForm("import", tc.fields...)
			require.Equal(t, tc.status, a.status, a.body)
			require.Contains(t, a.body, tc.says)
		})
	}
	require.Contains(t, b.postForm("import", field{name: "lines", text: "id,<title>"}).body, "\nid,&lt;title&gt;</textarea>", "what was pasted is shown again")
	require.NotContains(t, b.get("import").body, "Earlier imports")
	require.Equal(t, http.StatusBadRequest, b.post("import", url.Values{"lines": {"{}"}}).status)

	// What turns out to be none while it is read.
	for text, says := range map[string]string{
		"[" + upsertLine("a") + `,{"externalId":"b`: "The JSON array is cut off",
		"[" + upsertLine("a") + `] x`:               "Something stands behind the JSON array",
		strings.Repeat("{}\n", 2000):                "More is wrong with it than is kept here",
	} {
		a := b.await(b.startImport(file(text)), saysRefused)
		require.Contains(t, a.body, says)
		require.NotContains(t, a.body, `value="write"`)
	}
	require.Contains(t, b.await(b.startImport(file(" \n\n")), "nothing in it to import").body, "There is nothing in it")
}

func TestImportsHaveBounds(t *testing.T) {
	w := newWorld(t, dashboard.Options{Imports: dashboard.ImportOptions{Entries: 3, AccountJobs: 2, Jobs: 3, Keep: time.Hour}})
	b := w.signedIn(acmeKey)
	three := strings.Join([]string{upsertLine("a"), upsertLine("b"), upsertLine("c")}, "\n")
	require.Contains(t, b.await(b.startImport(file(three+"\n"+upsertLine("d"))), saysRefused).body, "more than 3 entries")
	first := b.startImport(file(three))
	b.await(first, saysChecked)
	second := b.startImport(file(three))
	b.await(second, saysChecked)
	third := b.startImport(file(three))
	b.await(third, saysChecked)
	require.Equal(t, http.StatusNotFound, b.get(first).status, "the eldest has made room")
	require.Equal(t, http.StatusOK, b.get(second).status)

	// Another account sees none of them, and its imports push none out that waits.
	other := w.signedIn(otherKey)
	require.Equal(t, http.StatusNotFound, other.get(second).status)
	require.Equal(t, http.StatusNotFound, other.get(strings.Replace(second, "job", "refusals", 1)).status)
	require.Equal(t, http.StatusNotFound, other.answerImport(second, "write").status)
	require.NotContains(t, other.get("import").body, "Earlier imports")
	other.await(other.startImport(file(three)), saysChecked)
	require.Equal(t, http.StatusServiceUnavailable, other.postForm("import", file(three)).status)
	b.answerImport(second, "write")
	b.await(second, saysImported)
	other.startImport(file(three)) // in the place of the one that is over
	require.Equal(t, http.StatusNotFound, b.get(second).status)
	require.Equal(t, http.StatusOK, b.get(third).status)

	w.clock.Advance(time.Hour)
	require.Equal(t, http.StatusNotFound, b.get(third).status, "kept for so long")
	require.NotContains(t, b.get("import").body, "Earlier imports")
}

// TestImportIntoAStoreThatFails: what was not written is not said to be.
func TestImportIntoAStoreThatFails(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	b := w.signedIn(acmeKey)
	job := b.startImport(file(upsertLine("a")))
	b.await(job, saysChecked)
	require.NoError(t, w.catalog.Close())
	b.answerImport(job, "write")
	a := b.await(job, "The import failed before anything was written. The store can&#39;t do that now.")
	require.Equal(t, []string{"0", "0", "0", "0"}, tiles(t, a.body))
	require.Contains(t, w.log.String(), "dashboard: import failed")
	require.Equal(t, http.StatusServiceUnavailable, b.postForm("import", file(upsertLine("a"))).status)
}

func TestImportOptions(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	for name, o := range map[string]dashboard.ImportOptions{"Jobs": {Jobs: -1}, "AccountJobs": {AccountJobs: -1}, "Entries": {Entries: -1}, "Keep": {Keep: -1}} {
		options := w.options
		options.Imports = o
		_, err := dashboard.New(w.catalog, &options)
		require.ErrorContains(t, err, "Options.Imports."+name)
	}
}

// TestImportPages looks at many results.
func TestImportPages(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	b := w.signedIn(acmeKey)
	var text strings.Builder
	for i := range 120 {
		fmt.Fprintf(&text, "%s\n{\"externalId\":\"bad%03d\",\"title\":\"%s\"}\n", upsertLine(fmt.Sprintf("good%03d", i)), i, strings.Repeat("x", 5000))
	}
	job := b.startImport(file(text.String()))
	a := b.await(job, saysChecked)
	require.Equal(t, []string{"120", "0", "0", "120"}, tiles(t, a.body))
	require.Contains(t, a.body, "Page 1 of 3")
	for page, want := range map[string]string{"&show=all&page=1": "good000 bad000 50", "&show=all&page=5": "good100 bad100 40", "&page=2": "bad050 bad051 50", "&page=3": "bad100 bad101 20"} {
		ids := regexp.MustCompile(`<bdi>((?:good|bad)\d+)</bdi>`).FindAllStringSubmatch(b.get(job+page).body, -1)
		require.Equal(t, want, fmt.Sprint(ids[0][1], " ", ids[1][1], " ", len(ids)), page)
	}
	for _, page := range []string{"&page=0", "&page=6", "&page=x", "&page=-99999999999"} {
		require.Equal(t, http.StatusOK, b.get(job+page).status, page)
	}
	require.Equal(t, 120, strings.Count(b.get(strings.Replace(job, "job", "refusals", 1)).body, "\n"))
}

// TestClosedDashboard: what is at work ends, files go, and other pages are there.
func TestClosedDashboard(t *testing.T) {
	budget, err := httpadapter.NewBudget(nil)
	require.NoError(t, err)
	dir := t.TempDir()
	w := newWorld(t, dashboard.Options{Budget: budget, SpoolDir: dir})
	b := w.signedIn(acmeKey)
	job := b.startImport(file(upsertLine("a")))
	b.await(job, saysChecked)
	require.NotZero(t, budget.Stats().Spool)
	require.NoError(t, w.pages.Close())
	require.NoError(t, w.pages.Close())
	require.Zero(t, budget.Stats().Spool, "nothing is held")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
	require.Equal(t, http.StatusNotFound, b.get(job).status)
	require.Equal(t, http.StatusServiceUnavailable, b.postForm("import", file(upsertLine("a"))).status)
	require.Equal(t, http.StatusOK, b.get("").status)
}

// TestFormsCountInTheBudget: what an account may have at once, its forms may have.
func TestFormsCountInTheBudget(t *testing.T) {
	budget, err := httpadapter.NewBudget(&httpadapter.BudgetOptions{Memory: 16 << 20, AccountMemory: 8 << 20, AccountUploads: 1, Spool: 4 << 10, AccountSpool: 2 << 10, Wait: time.Millisecond})
	require.NoError(t, err)
	w := newWorld(t, dashboard.Options{Budget: budget})
	w.add("acme", "mug", catalog.Patch{})
	b := w.signedIn(acmeKey)
	form := shownForm(t, b, "edit?id=mug")
	claim, err := budget.Claim("acme")
	require.NoError(t, err)
	require.NoError(t, claim.Await(t.Context(), true, 1))
	a := b.postForm("edit", with(form, "title", "Cup")...)
	require.Equal(t, http.StatusTooManyRequests, a.status, "one upload at a time")
	require.Equal(t, "2", a.header.Get("Retry-After"))
	require.Contains(t, a.body, "Nothing was changed")
	require.Equal(t, http.StatusSeeOther, b.post("use", url.Values{"id": {"mug"}}).status, "is no upload")
	// A request gives back what it held when its answer may have arrived already.
	eventually(t, func() bool { return claim.Grow(8<<20-1) == nil })
	require.Equal(t, http.StatusTooManyRequests, b.post("use", url.Values{"id": {"mug"}}).status)
	claim.Close()
	idle := func() { t.Helper(); eventually(t, func() bool { return budget.Stats() == httpadapter.BudgetStats{} }) }

	idle()
	long := append(form, field{name: "description", text: strings.Repeat("x", 1<<20)}, field{name: "metadata", text: strings.Repeat("x", 1<<20)})
	require.Equal(t, http.StatusTooManyRequests, b.postForm("edit", long...).status, "texts count as they come")
	idle()
	require.Equal(t, http.StatusTooManyRequests, b.postForm("import", file(strings.Repeat(upsertLine("a")+"\n", 100))).status, "of the disk, too")
	idle()
	require.Equal(t, http.StatusSeeOther, b.postForm("edit", with(form, "title", "Cup")...).status)
	idle()
	require.Equal(t, http.StatusRequestEntityTooLarge, b.post("use", url.Values{"id": {strings.Repeat("x", 300<<10)}}).status)
	idle()
}

// TestMisspeltNamesAreRefused: unless a person says otherwise, names that are not
// known are no silent change of nothing; what the export says is known.
func TestMisspeltNamesAreRefused(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.add("acme", "mug", catalog.Patch{Title: catalog.Set("Mug")})
	b := w.signedIn(acmeKey)
	require.Contains(t, b.get("import").body, `name="strict" value="yes" checked`)
	refused := b.postForm("import", field{name: "lines", text: "no import"}, field{name: "file", file: noFile})
	require.Contains(t, refused.body, `name="strict" value="yes">`, "what was chosen is kept")
	export := b.get("export").body
	job := b.startImport(field{name: "lines", text: export + `{"externalId":"mug","titel":"Cup"}`}, field{name: "file", file: noFile}, field{name: "strict", text: "yes"})
	body := b.await(job, saysChecked).body
	require.Equal(t, []string{"0", "0", "1", "1"}, tiles(t, body))
	require.Contains(t, body, "titel")
}
