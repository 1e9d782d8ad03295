package httpadapter_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
)

func TestMultipart(t *testing.T) {
	// contract 6: the JSON in a field data and one file part per fileKey,
	// parts in any order, data last too.
	e := newEnv(t, setup{})
	small, large := picture(t, 0), picture(t, 700<<10)
	for i, body := range []*form{
		newForm().data(fileBody("p0", "s", "l", "s")).file("s", small).file("l", large),
		newForm().file("s", small).data(fileBody("p1", "s", "l", "s")).file("l", large),
		newForm().file("l", large).file("s", small).data(fileBody("p2", "s", "l", "s")),
		// A file part is one by its name, with or without a file name.
		newForm().part(`form-data; name="l"`, "", large).part(`form-data; name=s`, "", small).data(fileBody("p3", "s", "l", "s")),
		// Parts that no fileKey names are ignored.
		newForm().file("other", []byte("no image")).file("s", small).file("l", large).data(fileBody("p4", "s", "l", "s")),
		newForm().part(`form-data; name="data"; filename="x.json"`, "", []byte(fileBody("p5", "s", "l", "s"))).file("s", small).file("l", large),
	} {
		id := fmt.Sprintf("p%d", i)
		e.post("/products", body).ok(201)
		for order, want := range [][]byte{small, large, small} {
			r := e.get(path(id, "images", fmt.Sprint(order))).ok(200)
			require.True(t, bytes.Equal(want, r.body), "%s image %d", id, order)
			require.Equal(t, "image/png", r.header.Get("Content-Type"))
		}
	}
	// Multipart without any file.
	e.post("/products", newForm().data(productBody("url"))).ok(201)
	requireClosed(t, e)
}

// requireEmpty checks that no upload is left in the spool directory.
func requireEmpty(t *testing.T, e *env) {
	t.Helper()
	left, err := os.ReadDir(e.spoolDir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// requireClosed checks that no upload takes up space, with a name or without.
// Where the system does not report them, it checks the names.
func requireClosed(t *testing.T, e *env) {
	t.Helper()
	requireEmpty(t, e)
	const open = "/proc/self/fd"
	files, err := os.ReadDir(open)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	require.NoError(t, err)
	for _, f := range files {
		if target, err := os.Readlink(filepath.Join(open, f.Name())); err == nil {
			require.False(t, strings.HasPrefix(target, e.spoolDir), target)
		}
	}
}

func TestMultipartFaults(t *testing.T) {
	e := newEnv(t, setup{})
	good := picture(t, 0)
	e.create("live")
	before := e.get("/products/live").etag()
	for _, tc := range []struct {
		rule  string
		body  *form
		code  string
		paths []string
	}{
		{"contract 6: two parts of one name", newForm().file("f", good).file("f", good).data(fileBody("live", "f")), "VALIDATION_FAILED", []string{"f"}},
		{"contract 6: two data", newForm().data(`{}`).data(fileBody("live", "f")).file("f", good), "VALIDATION_FAILED", []string{"data"}},
		{"contract 6: two parts that nobody names", newForm().file("x", nil).file("x", nil).data(productBody("live")), "VALIDATION_FAILED", []string{"x"}},
		{"contract 6: missing data", newForm().file("f", good), "VALIDATION_FAILED", []string{"data"}},
		{"one detail for three parts of one name", newForm().file("f", good).file("f", good).file("f", good).data(fileBody("live", "f")), "VALIDATION_FAILED", []string{"f"}},
		{"a file that has no name", newForm().part("form-data", "", good).data(fileBody("live", "f")), "MULTIPART_FILE_NOT_FOUND", []string{"images.0.source.fileKey"}},
		{"contract 6: fileKey that names no part", newForm().file("f", good).data(fileBody("live", "f", "g")), "MULTIPART_FILE_NOT_FOUND", []string{"images.1.source.fileKey"}},
		{"data is no file", newForm().data(fileBody("live", "data")), "MULTIPART_FILE_NOT_FOUND", []string{"images.0.source.fileKey"}},
		{"contract 6: not an image", newForm().file("f", make([]byte, 300<<10)).data(fileBody("live", "f")), "INVALID_IMAGE", []string{"images.0.source.fileKey"}},
		{"contract 6: empty file", newForm().file("f", nil).data(fileBody("live", "f")), "INVALID_IMAGE", []string{"images.0.source.fileKey"}},
		{"contract 6: header cut off", newForm().file("f", good[:20]).data(fileBody("live", "f", "f")), "INVALID_IMAGE", []string{"images.0.source.fileKey", "images.1.source.fileKey"}},
		{"contract 6: every fault at once", newForm().file("f", []byte("x")).data(`{"images":[{"fileKey":"f"},{"source":{"fileKey":"g"}}],"title":5}`), "VALIDATION_FAILED",
			[]string{"externalId", "images.0.fileKey", "images.1.source.fileKey", "title"}},
		{"contract 6: data is not JSON", newForm().data(`{`), "VALIDATION_FAILED", []string{""}},
		{"empty data", newForm().data(``), "VALIDATION_FAILED", []string{""}},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			e.post("/products", tc.body).fails(400, tc.code, tc.paths...)
			require.Equal(t, before, e.get("/products/live").etag(), "bad input changes nothing")
			requireClosed(t, e)
		})
	}
}

func TestMultipartMalformed(t *testing.T) {
	// contract 6: a missing boundary or a body cut off are VALIDATION_FAILED.
	e := newEnv(t, setup{})
	whole := newForm().file("f", picture(t, 10_000)).data(fileBody("a", "f"))
	text := string(whole.end())
	kind := whole.w.FormDataContentType()
	for _, contentType := range []string{"multipart/form-data", "multipart/form-data; boundary", `multipart/form-data; boundary=""`, "multipart/form-data; boundary=other"} {
		e.post("/products", text, "Content-Type", contentType).fails(400, "VALIDATION_FAILED", "")
	}
	end := len(text) - len("--\r\n")
	for _, cut := range []int{0, 1, 10, 200, 5000, len(text) / 2, end - 1, end} {
		e.post("/products", text[:cut], "Content-Type", kind).fails(400, "VALIDATION_FAILED", "")
	}
	e.post("/products", "rubbish", "Content-Type", kind).fails(400, "VALIDATION_FAILED", "")
	e.post("/products", strings.Repeat("x", 100_000), "Content-Type", kind).fails(400, "VALIDATION_FAILED", "")
	e.get("/products/a").fails(404, "PRODUCT_NOT_FOUND")
	// What stands around the parts means nothing.
	e.post("/products", "preamble\r\n"+text+"epilogue", "Content-Type", kind).ok(201)
	requireEmpty(t, e)
}

// contract 6: a body that ends anywhere before its last boundary is cut off, in
// the headers of a part too.
func TestMultipartCutAnywhere(t *testing.T) {
	e := newEnv(t, setup{})
	f := newForm().data(fileBody("a", "f")).file("f", picture(t, 0)).file("photo", []byte("of\na\r\nperson"))
	text, kind := string(f.end()), f.w.FormDataContentType()
	bare := strings.ReplaceAll(string(newForm().data(productBody("b")).end()), "\r\n", "\n")
	bareKind := `multipart/form-data; boundary="` + strings.TrimPrefix(bare[:strings.IndexByte(bare, '\n')], "--") + `"`
	for _, c := range []struct{ id, text, kind string }{{"a", text, kind}, {"b", bare, bareKind}} {
		end := strings.LastIndex(c.text, "--") + len("--") // the last line needs no break
		for cut := range end {
			e.post("/products", c.text[:cut], "Content-Type", c.kind).fails(400, "VALIDATION_FAILED", "")
		}
		e.get("/products/"+c.id).fails(404, "PRODUCT_NOT_FOUND")
		e.post("/products", c.text[:end], "Content-Type", c.kind).ok(201)
		e.post("/products", c.text, "Content-Type", c.kind).ok(200)
		// However the bytes come in.
		r := httptest.NewRequest(http.MethodPost, "/products", iotest.OneByteReader(strings.NewReader(c.text[:end])))
		r.Header = http.Header{"X-Api-Key": {"key-a"}, "Content-Type": {c.kind}}
		w := httptest.NewRecorder()
		e.server.Config.Handler.ServeHTTP(w, r)
		require.Equal(t, 200, w.Code, "%s", w.Body)
	}
	requireEmpty(t, e)
}

func TestSizeLimits(t *testing.T) {
	// contract 6: JSON body or data 1 MiB, one image 20 MiB, multipart request
	// 64 MiB, 64 parts. All are settable; these are small to be quick.
	e := newEnv(t, setup{
		limits:  catalog.Limits{ImageBytes: 600 << 10, MetadataBytes: 1 << 20},
		options: httpadapter.Options{MaxJSONBytes: 4096, MaxMultipartBytes: 2 << 20, MaxParts: 5},
	})
	json := func(size int) string {
		body := productBody("a")
		return body + strings.Repeat(" ", size-len(body))
	}
	parts := func(n int) *form {
		f := newForm()
		for i := range n - 1 {
			f.file(fmt.Sprint("f", i), nil)
		}
		return f.data(productBody("a"))
	}
	e.post("/products", json(4096)).ok(201)
	e.post("/products", json(4097)).fails(413, "PAYLOAD_TOO_LARGE")
	e.post("/products", newForm().data(json(4096))).ok(200)
	e.post("/products", newForm().data(json(4097))).fails(413, "PAYLOAD_TOO_LARGE")
	e.post("/products", newForm().file("f", picture(t, 600<<10)).data(fileBody("a", "f"))).ok(200)
	e.post("/products", newForm().file("f", picture(t, 600<<10+1)).data(fileBody("a", "f"))).fails(413, "PAYLOAD_TOO_LARGE")
	// A small file over the limit does not slip through the memory budget.
	tiny := newEnv(t, setup{limits: catalog.Limits{ImageBytes: 100}})
	tiny.post("/products", newForm().file("f", picture(t, 101)).data(fileBody("a", "f"))).fails(413, "PAYLOAD_TOO_LARGE")
	tiny.post("/products", newForm().file("f", picture(t, 100)).data(fileBody("a", "f"))).ok(201)

	// Parts that no fileKey names count.
	e.post("/products", newForm().file("f", make([]byte, 600<<10+1)).data(productBody("a"))).fails(413, "PAYLOAD_TOO_LARGE")
	e.post("/products", parts(5)).ok(200)
	e.post("/products", parts(6)).fails(413, "PAYLOAD_TOO_LARGE")
	full := newForm()
	for i := range 4 {
		full.file(fmt.Sprint("f", i), make([]byte, 520<<10))
	}
	e.post("/products", full.data(productBody("a"))).fails(413, "PAYLOAD_TOO_LARGE")
	// The size is judged before what is inside.
	e.post("/products", newForm().file("f", nil).file("f", make([]byte, 600<<10+1))).fails(413, "PAYLOAD_TOO_LARGE")
	requireClosed(t, e)
}

func TestSizeLimitsWithoutLength(t *testing.T) {
	// contract 6: sizes hold for bodies that do not announce theirs.
	e := newEnv(t, setup{options: httpadapter.Options{MaxJSONBytes: 1000, MaxMultipartBytes: 5000}})
	send := func(body, contentType string) *reply {
		req, err := http.NewRequest(http.MethodPost, e.server.URL+"/products", io.MultiReader(strings.NewReader(body)))
		require.NoError(t, err)
		req.Header = http.Header{"X-Api-Key": {"key-a"}, "Content-Type": {contentType}}
		return e.send(req)
	}
	send(productBody("a"), "application/json").ok(201)
	send(productBody("a", `"title":"`+strings.Repeat("x", 1000)+`"`), "application/json").fails(413, "PAYLOAD_TOO_LARGE")
	f := newForm().data(productBody("a")).file("f", make([]byte, 6000))
	send(string(f.end()), f.w.FormDataContentType()).fails(413, "PAYLOAD_TOO_LARGE")
	// An epilogue counts too.
	f = newForm().data(productBody("a"))
	send(string(f.end())+strings.Repeat("x", 6000), f.w.FormDataContentType()).fails(413, "PAYLOAD_TOO_LARGE")
}

// endless is a multipart body that is made while it is read.
func endless(t *testing.T, size int64) (io.Reader, string) {
	f := newForm().data(fileBody("a", "f")).file("f", picture(t, 0))
	head := bytes.Clone(f.buf.Bytes())
	tail := bytes.TrimPrefix(f.end(), head)
	return io.MultiReader(bytes.NewReader(head), io.LimitReader(zeros{}, size), bytes.NewReader(tail)), f.w.FormDataContentType()
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func TestMemoryDoesNotGrowWithFiles(t *testing.T) {
	// contract 6: uploads are streamed: a request's memory does not grow with
	// its files. What is allocated before the catalog gets the bytes is
	// measured: the request is refused for its JSON.
	e := newEnv(t, setup{})
	allocated := func(size int64) uint64 {
		body, kind := endless(t, size)
		r := httptest.NewRequest(http.MethodPost, "/products", body)
		r.Header = http.Header{"X-Api-Key": {"key-a"}, "Content-Type": {kind}, "If-None-Match": {`"x"`}}
		r.ContentLength = -1
		w := httptest.NewRecorder()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		e.serve(w, r)
		runtime.ReadMemStats(&after)
		require.Equal(t, 400, w.Code, "%s", w.Body)
		return after.TotalAlloc - before.TotalAlloc
	}
	small, large := allocated(1<<20), allocated(16<<20)
	require.Less(t, large, small+1<<20, "all that was ever allocated, freed or not")
}

func TestSpoolThatCannotBeWritten(t *testing.T) {
	// contract 6: INTERNAL: our fault, the log has it, the client gets no
	// internal text.
	e := newEnv(t, setup{options: httpadapter.Options{SpoolDir: "/nowhere/at/all"}})
	e.post("/products", newForm().file("f", picture(t, 0)).data(fileBody("a", "f"))).ok(201)
	r := e.post("/products", newForm().file("f", picture(t, 300<<10)).data(fileBody("a", "f")))
	r.fails(500, "INTERNAL")
	require.NotContains(t, string(r.body), "nowhere")
	require.Contains(t, e.log.String(), "/nowhere/at/all")
}

// A store that takes no writes is no reason to fill the disk with uploads.
func TestSpoolOfAStoreThatTakesNoWrites(t *testing.T) {
	e := newEnv(t, setup{options: httpadapter.Options{SpoolDir: "/nowhere/at/all"}})
	require.NoError(t, e.catalog.Close())
	e.post("/products", newForm().file("f", picture(t, 300<<10)).data(fileBody("a", "f"))).fails(503, "UNAVAILABLE")
	require.NotContains(t, e.log.String(), "/nowhere/at/all")
}

func TestConcurrentUploads(t *testing.T) {
	// Requests that are served at the same time do not see each other's files.
	e := newEnv(t, setup{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			id, content := fmt.Sprint("p", i), picture(t, 300<<10+i)
			r := e.post("/products", newForm().file("f", content).data(fileBody(id, "f")))
			assert.Equal(t, 201, r.status, "%s", r.body)
			assert.True(t, bytes.Equal(content, e.get(path(id, "images", "0")).body))
		})
	}
	wg.Wait()
	requireEmpty(t, e)
}

// FuzzMultipart checks that no body makes the handler panic, fail in another
// way than the client's, or leave a file behind.
func FuzzMultipart(f *testing.F) {
	good := newForm().data(fileBody("a", "f")).file("f", picture(f, 0))
	f.Add(good.end(), good.w.Boundary())
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n{}\r\n--b--\r\n"), "b")
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=data\r\n\r\n{}\r\n--b\r\n\r\n\r\n--b--"), "b")
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"../x\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=3D\r\n--b--\r\n"), "b")
	f.Add([]byte("--b--"), "b")
	f.Add([]byte(""), "")
	e := newEnv(f, setup{options: httpadapter.Options{MaxJSONBytes: 2000, MaxMultipartBytes: 20_000, MaxParts: 6}, limits: catalog.Limits{ImageBytes: 5000}})
	f.Fuzz(func(t *testing.T, body []byte, boundary string) {
		r := httptest.NewRequest(http.MethodPost, "/uses", bytes.NewReader(body))
		r.Header = http.Header{"X-Api-Key": {"key-a"}, "Content-Type": {"multipart/form-data; boundary=" + boundary}}
		w := httptest.NewRecorder()
		e.serve(w, r)
		switch w.Code {
		case 200, 201, 400, 404, 413, 415:
		default:
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		left, err := os.ReadDir(e.spoolDir)
		if err != nil || len(left) > 0 {
			t.Fatal(left, err)
		}
	})
}
