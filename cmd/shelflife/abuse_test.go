package main

import (
	"bufio"
	"bytes"
	big "encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Bounds on what a server uses while it is abused: little more than when it is
// idle, for each of the connections that abuse it.
const (
	abuseConnections = 200
	abuseMemory      = 192 << 20
	abuseGoroutines  = 4*abuseConnections + 100
	abuseFiles       = 2*abuseConnections + 100
)

// TestAbuse is at a server over real sockets with all that comes to mind, and
// looks at what it uses meanwhile and afterwards.
func TestAbuse(t *testing.T) {
	data := filepath.Join(t.TempDir(), "store")
	spool := filepath.Join(data, spoolName)
	s := startMeasured(t, "--data", data, "--cache-size", "8MiB", "--api-key", testAccount+"="+testKey, "--api-key", "other=other-key")
	require.Equal(t, http.StatusCreated, s.do("POST", "/products", upsertBody("kept")).status)
	idle := s.figures()
	t.Logf("idle: %v", idle)
	within := func(what string) {
		t.Helper()
		f := s.figures()
		t.Logf("%s: %v", what, f)
		require.Less(t, f.Memory, idle.Memory+abuseMemory)
		require.Less(t, f.Peak, idle.Peak+abuseMemory+1)
		require.Less(t, f.Goroutines, idle.Goroutines+abuseGoroutines)
		require.Less(t, f.Files, idle.Files+abuseFiles)
		require.Equal(t, http.StatusOK, s.do("GET", "/products/kept", "").status, "others are served")
	}
	for _, abuse := range []struct {
		name string
		run  func(*testing.T, *measured, func(string))
	}{
		{"many connections", manyConnections},
		{"bodies without end", endlessBodies},
		{"JSON and headers", hugeInput},
		{"parts", manyParts},
		{"images", lyingImages},
		{"IDs", trickyIDs},
		{"foreign marks", foreignMarks},
		{"broken requests", brokenRequests},
	} {
		t.Run(abuse.name, func(t *testing.T) {
			abuse.run(t, s, within)
			within("after " + abuse.name)
		})
	}
	http.DefaultClient.CloseIdleConnections()
	require.Eventually(t, func() bool {
		f := s.figures()
		return f.Goroutines <= idle.Goroutines+5 && f.Files <= idle.Files+5
	}, patience, 50*time.Millisecond, "everything is given back")
	t.Logf("at the end: %v", s.figures())
	left, err := os.ReadDir(spool)
	require.NoError(t, err)
	require.Empty(t, left, "files of uploads")
	for _, line := range s.logged() {
		require.NotContains(t, line, "panic")
		require.NotContains(t, line, `"status":500`)
	}
	s.stop()
	status, out, errs := execute(t, nil, "check", "--data", data)
	require.Equal(t, exitOK, status, "%s%s", out, errs)
}

// dial connects to the server.
func (m *measured) dial(t *testing.T) net.Conn {
	t.Helper()
	at, err := url.Parse(m.url)
	require.NoError(t, err)
	c, err := net.Dial("tcp", at.Host)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

const head = "POST /products HTTP/1.1\r\nHost: x\r\nX-API-Key: " + testKey + "\r\nContent-Type: application/json\r\n"

// manyConnections: some say nothing, some half a request, some a byte at a
// time.
func manyConnections(t *testing.T, s *measured, within func(string)) {
	var all []net.Conn
	for range abuseConnections {
		all = append(all, s.dial(t))
	}
	within(fmt.Sprint(len(all), " idle connections"))
	for _, c := range all {
		_, err := io.WriteString(c, head+"Content-Length: 900000\r\n\r\n{")
		require.NoError(t, err)
	}
	within("as many bodies that have begun")
	for range 3 {
		for _, c := range all {
			_, err := io.WriteString(c, " ")
			require.NoError(t, err)
		}
		time.Sleep(time.Second) // the pace of the abuse
	}
	within("a byte a second on each")
	for _, c := range all {
		require.NoError(t, c.Close())
	}
}

// endless is a body of size bytes, made as it is read.
type endless struct {
	left int64
	sent atomic.Int64
	text string
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) {
		n += copy(p[n:], e.text)
	}
	e.left -= int64(n)
	e.sent.Add(int64(n))
	return n, nil
}

// post sends a body without saying how long it is, and returns the answer: ""
// where the server hung up.
func (m *measured) post(path, contentType string, body io.Reader) answer {
	r, err := http.NewRequest("POST", m.url+path, body)
	require.NoError(m.t, err)
	r.ContentLength = -1
	r.Header.Set("X-API-Key", m.key)
	r.Header.Set("Content-Type", contentType)
	a, _ := send(r)
	return a
}

const (
	boundary  = "xxBOUNDARYxx"
	multipart = "multipart/form-data; boundary=" + boundary
)

func part(name, content string) string {
	return "--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"; filename=\"f\"\r\n\r\n" + content + "\r\n"
}

const dataWithFile = `{"externalId":"abused","images":[{"source":{"fileKey":"f"}}]}`

func endlessBodies(t *testing.T, s *measured, within func(string)) {
	const huge = 10 << 30
	refused := func(a answer, body *endless, most int64) {
		t.Helper()
		require.Contains(t, []int{0, http.StatusRequestEntityTooLarge}, a.status, a.body)
		t.Logf("%d of %d MiB taken, status %d", body.sent.Load()>>20, int64(huge)>>20, a.status)
		require.Less(t, body.sent.Load(), most)
	}
	body := &endless{left: huge, text: strings.Repeat(" ", 4096)}
	refused(s.post("/products", "application/json", body), body, 16<<20)
	// The image is over its limit long before the request is.
	body = &endless{left: huge, text: strings.Repeat("x", 4096)}
	begin := part("data", dataWithFile) + strings.TrimSuffix(part("f", "GIF89a"), "\r\n")
	refused(s.post("/products", multipart, io.MultiReader(strings.NewReader(begin), body)), body, 96<<20)
	within("10 GiB offered")
	// A part that no file key names, and an end that never comes.
	body = &endless{left: huge, text: strings.Repeat("x", 4096)}
	refused(s.post("/products", multipart, io.MultiReader(strings.NewReader(strings.TrimSuffix(part("other", ""), "\r\n")), body)), body, 96<<20)
}

func hugeInput(t *testing.T, s *measured, within func(string)) {
	r, err := http.NewRequest("GET", s.url+"/products", nil)
	require.NoError(t, err)
	r.Header.Set("X-API-Key", s.key)
	r.Header.Set("X-Long", strings.Repeat("x", 1<<20))
	a, err := send(r)
	require.True(t, err != nil || a.status == http.StatusRequestHeaderFieldsTooLarge, a.status)

	for _, deep := range []string{
		`{"metadata":` + strings.Repeat(`[`, 5000) + strings.Repeat(`]`, 5000) + `,` + upsertBody("deep")[1:],
		`{"metadata":` + strings.Repeat(`{"a":`, 5000) + `1` + strings.Repeat(`}`, 5000) + `,` + upsertBody("deep")[1:],
		strings.Repeat(`[`, 500_000),
		strings.Repeat(`{"a":`, 150_000),
		`{"title":"` + strings.Repeat(`\u0000`, 100_000) + `"}`,
		`{"validForDays":1` + strings.Repeat("0", 500_000) + `}`,
		`{"validForDays":1e999999999}`,
	} {
		require.Equal(t, http.StatusBadRequest, s.do("POST", "/products", deep).status, "%.40s", deep)
	}
	var members strings.Builder
	for i := range 40_000 {
		fmt.Fprintf(&members, `"m%d":[],`, i)
	}
	require.Equal(t, http.StatusCreated, s.do("POST", "/products", "{"+members.String()+upsertBody("unknown")[1:]).status, "names that are ignored")
}

func manyParts(t *testing.T, s *measured, within func(string)) {
	post := func(body string) int { return s.post("/products", multipart, strings.NewReader(body)).status }
	end := "--" + boundary + "--\r\n"
	many := part("data", dataWithFile)
	for i := range 1500 {
		many += part(fmt.Sprint("f", i), "x")
	}
	require.Equal(t, http.StatusRequestEntityTooLarge, post(many+end))
	long := "--" + boundary + "\r\nContent-Disposition: form-data; name=\"f\"\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\nx\r\n"
	require.Contains(t, []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge}, post(part("data", dataWithFile)+long+end))
	var lines strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&lines, "X-%d: y\r\n", i)
	}
	headers := "--" + boundary + "\r\nContent-Disposition: form-data; name=\"f\"\r\n" + lines.String() + "\r\nx\r\n"
	require.Contains(t, []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge}, post(part("data", dataWithFile)+headers+end))
	require.Equal(t, http.StatusBadRequest, post(part("data", dataWithFile)+part("data", dataWithFile)+end))
	require.Equal(t, http.StatusBadRequest, post(strings.Repeat("--"+boundary+"\r\n", 1000)))
}

// pngClaiming is a PNG header of a size, with nothing behind it.
func pngClaiming(width, height uint32) string {
	b := []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
	b = big.BigEndian.AppendUint32(b, width)
	b = big.BigEndian.AppendUint32(b, height)
	return string(append(b, 8, 6, 0, 0, 0, 0, 0, 0, 0))
}

const tinyGIF = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

func lyingImages(t *testing.T, s *measured, within func(string)) {
	post := func(image string) answer {
		return s.post("/products", multipart, strings.NewReader(part("data", dataWithFile)+part("f", image)+"--"+boundary+"--\r\n"))
	}
	for name, image := range map[string]string{
		"png of 65,535²":   pngClaiming(65535, 65535),
		"png of 2³¹":       pngClaiming(1<<31-1, 1<<31-1),
		"png of nothing":   pngClaiming(0, 1),
		"gif of 65,535²":   "GIF89a\xff\xff\xff\xff" + tinyGIF[10:],
		"jpeg of 65,535²":  "\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01",
		"cut off":          "\x89PNG\r\n",
		"pdf":              "%PDF-1.7\n" + tinyGIF,
		"html":             "<html><script>alert(1)</script>",
		"svg":              `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`,
		"zip":              "PK\x03\x04" + tinyGIF,
		"endless segments": "\xff\xd8" + strings.Repeat("\xff\xe0\x00\x02", 1<<20),
		"empty":            "",
	} {
		a := post(image)
		require.Equal(t, http.StatusBadRequest, a.status, "%s: %s", name, a.body)
		require.Contains(t, a.body, "INVALID_IMAGE", name)
	}
	// An image that is a script or an archive besides stays an image.
	for _, more := range []string{"/*<script>alert(1)</script>*/", "PK\x03\x04", "<?php system($_GET[0]); ?>", "%PDF-1.7"} {
		require.Less(t, post(tinyGIF+more).status, 300)
		a := s.do("GET", "/products/abused/images/0", "")
		require.Equal(t, http.StatusOK, a.status)
		require.Equal(t, tinyGIF+more, a.body)
		require.Equal(t, "image/gif", a.header.Get("Content-Type"))
		require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
		require.Contains(t, a.header.Get("Content-Security-Policy"), "sandbox")
	}
}

func trickyIDs(t *testing.T, s *measured, within func(string)) {
	for _, id := range []string{"a/../../etc/passwd", "/", "//", "a//b", "%2e%2e", "...", " ", "?x=1", "#", "\u202egpj.exe", "\u200b", "\ufeff", "a\\b", "C:\\x", "'; DROP TABLE products; --", "🧦", strings.Repeat("x", 255)} {
		body, err := json.Marshal(map[string]any{"externalId": id, "images": []any{map[string]any{"source": map[string]string{"url": "https://cdn.example/1.jpg"}}}})
		require.NoError(t, err)
		a := s.do("POST", "/products", string(body))
		require.Equal(t, http.StatusCreated, a.status, "%q: %s", id, a.body)
		// The client must not tidy the path.
		location := a.header.Get("Location")
		require.Equal(t, a.body, s.raw(t, "GET", location).body, "%q at %s", id, location)
		require.Equal(t, http.StatusNoContent, s.raw(t, "DELETE", location).status)
	}
	for _, id := range []string{"", ".", "..", "\x00", "a\nb", "\x7f", "\u0085", "_anon_x", strings.Repeat("x", 256)} {
		body, err := json.Marshal(map[string]any{"externalId": id, "images": []any{map[string]any{"source": map[string]string{"url": "https://cdn.example/1.jpg"}}}})
		require.NoError(t, err)
		require.Equal(t, http.StatusBadRequest, s.do("POST", "/products", string(body)).status, "%q", id)
	}
	for _, path := range []string{
		"/products/%00", "/products/%ff%fe", "/products/../../etc/passwd", "/products/a/../../x", "/products/%2e%2e", "/products/..%2f..",
		"/products/x/images/-1", "/products/x/images/99999999999999999999", "/products/x/images/0x0", "/products//use", "//products", "/products/%zz",
	} {
		status := s.raw(t, "GET", path).status
		require.True(t, status >= 300 && status < 500, "%s: %d", path, status)
	}
}

// raw makes a request with a path as it is written.
func (m *measured) raw(t *testing.T, method, path string) answer {
	t.Helper()
	c := m.dial(t)
	_, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nConnection: close\r\n\r\n", method, path, m.key)
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return answer{res.StatusCode, res.Header, string(body)}
}

// foreignMarks are cursors, tags and references that are another account's, or
// nobody's.
func foreignMarks(t *testing.T, s *measured, within func(string)) {
	a := s.post("/products", multipart, strings.NewReader(part("data", dataWithFile)+part("f", tinyGIF)+"--"+boundary+"--\r\n"))
	require.Less(t, a.status, 300, a.body)
	var mine struct{ Images []struct{ SourceURL string } }
	require.NoError(t, json.Unmarshal([]byte(a.body), &mine))
	reference := mine.Images[0].SourceURL
	page := s.do("GET", "/products?limit=1", "")
	var first struct{ NextCursor string }
	require.NoError(t, json.Unmarshal([]byte(page.body), &first))

	s.key = "other-key"
	defer func() { s.key = testKey }()
	for _, body := range []string{
		`{"externalId":"abused","images":[{"source":{"url":"` + reference + `"}}]}`,
		`{"externalId":"abused","images":[{"sourceUrl":"` + reference + `"}]}`,
		`{"externalId":"abused","imageUrls":["` + reference + `"]}`,
	} {
		require.Equal(t, http.StatusBadRequest, s.do("POST", "/products", body).status, body)
		require.Equal(t, http.StatusBadRequest, s.do("POST", "/uses", body).status, body)
	}
	require.Equal(t, http.StatusNotFound, s.do("GET", "/products/abused/images/0", "").status)
	require.Equal(t, http.StatusNotFound, s.do("DELETE", "/products/abused", "").status)
	a = s.do("GET", "/products?cursor="+first.NextCursor, "")
	require.Equal(t, http.StatusOK, a.status, "a cursor is a position")
	require.Contains(t, a.body, `"items":[]`, "of one's own")
	altered := []byte(first.NextCursor)
	altered[len(altered)/2] ^= 1
	for _, cursor := range []string{string(altered), "x", strings.Repeat("A", 4000), "%00", url.QueryEscape("../../" + first.NextCursor)} {
		require.Equal(t, http.StatusBadRequest, s.do("GET", "/products?cursor="+cursor, "").status, cursor)
	}
	s.key = testKey
	for _, tag := range []string{`"x"`, `W/"x"`, `"`, strings.Repeat(`"x",`, 5000), "\xff"} {
		r, err := http.NewRequest("DELETE", s.url+"/products/abused", nil)
		require.NoError(t, err)
		r.Header.Set("X-API-Key", s.key)
		r.Header["If-Match"] = []string{tag}
		a, err := send(r)
		require.NoError(t, err)
		require.Contains(t, []int{http.StatusPreconditionFailed, http.StatusBadRequest}, a.status, tag)
	}
	require.Equal(t, http.StatusOK, s.do("GET", "/products/abused", "").status)
}

// brokenRequests are no HTTP, or two kinds of it at once.
func brokenRequests(t *testing.T, s *measured, within func(string)) {
	for _, text := range []string{
		"\x00\x01\x02\x03", "GET\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
		head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}   ",
		head + "Content-Length: -1\r\n\r\n", head + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", head + "Transfer-Encoding: gzip\r\n\r\n",
		head + "Transfer-Encoding: chunked\r\n\r\n5;" + strings.Repeat("x", 100_000) + "\r\n",
		"POST /products HTTP/1.1\nHost: x\nX-API-Key: " + testKey + "\nContent-Length: 1\n\n{",
		strings.Repeat("GET /products/kept HTTP/1.1\r\nHost: x\r\n\r\n", 200),
	} {
		c := s.dial(t)
		_, err := io.Copy(c, bytes.NewReader([]byte(text)))
		if err == nil {
			err = c.(*net.TCPConn).CloseWrite()
		}
		if err == nil {
			require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
			got, _ := io.ReadAll(c)
			require.NotContains(t, string(got), "HTTP/1.1 2", "%.60q", text)
			require.NotContains(t, string(got), "HTTP/1.1 500", "%.60q", text)
		}
		require.NoError(t, c.Close())
	}
}
