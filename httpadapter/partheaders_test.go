package httpadapter_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

func TestPartLabels(t *testing.T) {
	// contract 6: a request's memory does not grow with its files: what is kept
	// of a part's headers is bounded.
	e := newEnv(t, setup{})
	const most = 1024
	x := strings.Repeat("x", most)
	named := func(name string) string { return `form-data; name="` + name + `"` }
	file := func(name, filename string) string { return named(name) + `; filename="` + filename + `"` }
	e.post("/products", newForm().part(file(x, x), "a/"+x[2:], picture(t, 0)).data(fileBody("a", x))).ok(201)
	for _, tc := range []struct {
		body  *form
		paths []string
	}{
		{newForm().part(named(x+"x"), "", nil), []string{""}},
		{newForm().part(named(x+"x"), "", nil).part(named(x+"y"), "", nil), []string{""}},
		{newForm().part(file("f", x+"x"), "", nil), []string{"f"}},
		{newForm().part(named("f"), "a/"+x, nil), []string{"f"}},
		{newForm().part(named("f"), "a/"+x, nil).part(file("f", x+"x"), "", nil), []string{"f", "f", "f"}}, // three reasons
	} {
		e.post("/products", tc.body.data(productBody("a"))).fails(400, "VALIDATION_FAILED", tc.paths...)
	}
}

func TestPartHeaders(t *testing.T) {
	// The headers of a part have a limit of their own, whatever they are and
	// wherever the part stands.
	e := newEnv(t, setup{})
	fill := strings.Repeat("x", 1000)
	headers := func(kib int) string {
		var b strings.Builder
		for i := range kib {
			fmt.Fprintf(&b, "X-%020d: %s\r\n", i, fill)
		}
		return b.String()
	}
	send := func(preamble, first, second string) *reply {
		return e.post("/products", preamble+"--b\r\n"+first+"Content-Disposition: form-data; name=f\r\n\r\n"+strings.Repeat(fill, 50)+
			"\r\n--b\r\n"+second+"Content-Disposition: form-data; name=data\r\n\r\n"+productBody("a")+"\r\n--b--\r\nepilogue "+strings.Repeat(fill, 50),
			"Content-Type", "multipart/form-data; boundary=b")
	}
	send("", "", "").ok(201)
	send("", headers(15), headers(15)).ok(200)
	send(strings.Repeat(fill+"\r\n", 15), "", "").ok(200)
	for _, r := range []*reply{
		send("", headers(25), ""), send("", "", headers(25)), send("", strings.Repeat("X:\r\n", 6000), ""),
		send("", strings.Repeat("X:\r\n", 1000)+strings.Repeat("\r", 20_000), ""),
		send("", "X-Long: "+strings.Repeat(fill, 25)+"\r\n", ""), send("", "", strings.Repeat(fill, 25)+"\r\n"), send(strings.Repeat(fill+"\r\n", 25), "", ""),
		send("", strings.Repeat("X: x\r\n folded\r\n", 2000), ""),
	} {
		r.fails(413, "PAYLOAD_TOO_LARGE")
	}
	requireClosed(t, e)
}

// counting counts what is read.
type counting struct {
	io.Reader
	n int
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += n
	return n, err
}

func TestPartHeadersAreNotBuffered(t *testing.T) {
	e := newEnv(t, setup{})
	body := &counting{Reader: io.MultiReader(strings.NewReader("--b\r\nContent-Disposition: form-data; name=f; filename="), io.LimitReader(letters{}, 9<<20))}
	r := httptest.NewRequest(http.MethodPost, "/products", body)
	r.Header = http.Header{"X-Api-Key": {"key-a"}, "Content-Type": {"multipart/form-data; boundary=b"}}
	r.ContentLength = -1
	w := httptest.NewRecorder()
	readBefore := 0
	var before, after runtime.MemStats
	// What is read behind the answer is dropped.
	answer := &onHeader{ResponseWriter: w, call: func() {
		readBefore = body.n
		runtime.ReadMemStats(&after)
	}}
	runtime.ReadMemStats(&before)
	e.serve(answer, r)
	require.Equal(t, 413, w.Code)
	require.LessOrEqual(t, readBefore, 20<<10)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

// onHeader calls call ahead of the header of an answer.
type onHeader struct {
	http.ResponseWriter
	call func()
}

func (w *onHeader) WriteHeader(status int) {
	w.call()
	w.ResponseWriter.WriteHeader(status)
}

type letters struct{}

func (letters) Read(b []byte) (int, error) {
	copy(b, bytes.Repeat([]byte("x"), len(b)))
	return len(b), nil
}

func TestPartsWithoutAName(t *testing.T) {
	// contract 6: parts that no fileKey names are ignored here but count
	// against the limits; a part without a name is such a one.
	good := picture(t, 0)
	e := newEnv(t, setup{limits: catalog.Limits{ImageBytes: int64(len(good))}})
	for i, disposition := range []string{"form-data", `form-data; name=""`, `attachment; name="f"`, `form-data; name="f`, "", ";"} {
		id := fmt.Sprint("p", i)
		body := newForm().part(disposition, "", good).file("g", good).part(disposition, "text/plain", []byte("x")).data(fileBody(id, "g"))
		e.post("/products", body).ok(201)
		e.post("/products", newForm().part(disposition, "", append(picture(t, 0), 0)).data(productBody(id))).fails(413, "PAYLOAD_TOO_LARGE")
		many := newForm().data(productBody(id))
		for range 64 {
			many.part(disposition, "", nil)
		}
		e.post("/products", many).fails(413, "PAYLOAD_TOO_LARGE")
	}
	requireClosed(t, e)
}
