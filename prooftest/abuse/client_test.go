package abuse

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	greedy, greedyKey       = "greedy", "key-of-the-greedy"
	neighbour, neighbourKey = "neighbour", "key-of-the-neighbour"
)

// attacker is clients that act together over one protocol.
type attacker struct {
	t         *testing.T
	addr      string
	http2     bool
	transport *http.Transport

	cookie string // of a session of the dashboard, used instead of the key

	ctx    context.Context // of what is held
	cancel context.CancelFunc
	held   sync.WaitGroup

	mu       sync.Mutex // guards the fields below
	conns    []net.Conn
	requests int
	statuses map[int]int // of the answers; 0 where there was none
}

func newAttacker(t *testing.T, addr string, overHTTP2 bool) *attacker {
	a := &attacker{t: t, addr: addr, http2: overHTTP2, statuses: map[int]int{}}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!overHTTP2)
	protocols.SetUnencryptedHTTP2(overHTTP2)
	a.transport = &http.Transport{
		Protocols: protocols, DisableCompression: true, WriteBufferSize: 4 << 10, ReadBufferSize: 4 << 10,
		HTTP2: &http.HTTP2Config{MaxReceiveBufferPerConnection: 64 << 10, MaxReceiveBufferPerStream: 64 << 10},
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	return a
}

// stop closes everything.
func (a *attacker) stop() {
	a.cancel()
	a.drop()
	a.held.Wait()
	a.transport.CloseIdleConnections()
}

// drop closes the raw connections.
func (a *attacker) drop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.conns {
		_ = c.Close()
	}
	a.conns = nil
}

func (a *attacker) count(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests++
	a.statuses[status]++
}

// stalling is a body that begins and does not go on.
type stalling struct {
	begin io.Reader
	ctx   context.Context
}

func (s *stalling) Read(p []byte) (int, error) {
	if n, err := s.begin.Read(p); n > 0 || err != io.EOF {
		return n, err
	}
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

// request makes one with the key of the greedy.
func (a *attacker) request(ctx context.Context, method, path, kind string, body io.Reader) *http.Request {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+a.addr+path, body)
	if err != nil {
		panic(err) // of what is written here
	}
	if a.cookie == "" {
		r.Header.Set("X-API-Key", greedyKey)
	} else {
		r.Header.Set("Cookie", a.cookie)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	return r
}

// signIn begins a session of the dashboard.
func (a *attacker) signIn() {
	res := a.send(a.request(a.ctx, "POST", "/dashboard/signin", formKind, strings.NewReader("key="+greedyKey)))
	if res == nil {
		return
	}
	if cookies := res.Cookies(); len(cookies) > 0 {
		a.cookie = cookies[0].String()
	}
}

// do sends a request, reads its answer and returns the status, 0 where there was
// none.
func (a *attacker) do(method, path, kind string, body io.Reader) int {
	if res := a.send(a.request(a.ctx, method, path, kind, body)); res != nil {
		return res.StatusCode
	}
	return 0
}

// send sends a request and reads its answer, which is nil where there was none.
func (a *attacker) send(r *http.Request) *http.Response {
	res, err := a.transport.RoundTrip(r)
	if err != nil {
		a.count(0)
		return nil
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	a.count(res.StatusCode)
	return res
}

// hold sends n requests whose bodies begin so and stop, or that have none, and
// does not read their answers.
func (a *attacker) hold(n int, method, path, kind, begin string) {
	for range n {
		a.held.Go(func() {
			var body io.Reader
			if begin != "" {
				body = &stalling{strings.NewReader(begin), a.ctx}
			}
			res, err := a.transport.RoundTrip(a.request(a.ctx, method, path, kind, body))
			if err != nil {
				a.count(0)
				return
			}
			a.count(res.StatusCode)
			<-a.ctx.Done()
			_ = res.Body.Close()
		})
	}
}

// raw opens n connections, sends a text on each, and leaves them as they are.
func (a *attacker) raw(n int, text []byte) {
	for range n {
		c, err := net.Dial("tcp", a.addr)
		if err != nil {
			a.count(0)
			continue
		}
		_ = c.SetWriteDeadline(time.Now().Add(10 * time.Second))
		_, _ = c.Write(text) // an error says that it was cut off
		a.mu.Lock()
		a.conns = append(a.conns, c)
		a.requests++
		a.mu.Unlock()
	}
}

// preface is what an HTTP/2 connection begins with.
func preface() *bytes.Buffer {
	b := bytes.NewBufferString(http2.ClientPreface)
	_ = http2.NewFramer(b, nil).WriteSettings() // a buffer takes everything
	return b
}

// headers is the head of a POST with many small headers, of HTTP/1 or, in as many
// streams as one connection may have, of HTTP/2.
func headers(overHTTP2 bool, n int) []byte {
	if !overHTTP2 {
		return []byte("POST /products HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n" + strings.Repeat("a:b\r\n", n) + "\r\n")
	}
	b := preface()
	framer := http2.NewFramer(b, nil)
	var block bytes.Buffer
	fields := hpack.NewEncoder(&block)
	for stream := range 100 {
		block.Reset()
		for _, f := range [][2]string{{":method", "POST"}, {":path", "/products"}, {":scheme", "http"}, {":authority", "x"}} {
			_ = fields.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		for range n {
			_ = fields.WriteField(hpack.HeaderField{Name: "a", Value: "b"})
		}
		first, rest := block.Bytes(), []byte(nil)
		if len(first) > 16<<10 {
			first, rest = first[:16<<10], first[16<<10:]
		}
		id := uint32(2*stream + 1)
		_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: first, EndHeaders: len(rest) == 0})
		for len(rest) > 0 {
			piece := rest[:min(len(rest), 16<<10)]
			rest = rest[len(piece):]
			_ = framer.WriteContinuation(id, len(rest) == 0, piece)
		}
	}
	return b.Bytes()
}

// trifles is n PINGs of HTTP/2, or over HTTP/1 a body in n pieces.
func trifles(overHTTP2 bool, n int) []byte {
	if !overHTTP2 {
		return []byte("POST /products HTTP/1.1\r\nHost: x\r\nX-API-Key: " + greedyKey +
			"\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\n \r\n", n))
	}
	b := preface()
	framer := http2.NewFramer(b, nil)
	for range n {
		_ = framer.WritePing(false, [8]byte{})
	}
	return b.Bytes()
}

// pages is n requests for a long page, over HTTP/1 in a row. Of HTTP/2 the client
// resets the streams if it does not want them any more.
func pages(overHTTP2 bool, n int, reset bool) []byte {
	if !overHTTP2 {
		return []byte(strings.Repeat("GET /products?limit=200 HTTP/1.1\r\nHost: x\r\nX-API-Key: "+greedyKey+"\r\n\r\n", n))
	}
	b := preface()
	framer := http2.NewFramer(b, nil)
	var block bytes.Buffer
	fields := hpack.NewEncoder(&block)
	for i := range n {
		block.Reset()
		for _, f := range [][2]string{{":method", "GET"}, {":path", "/products?limit=200"}, {":scheme", "http"}, {":authority", "x"}, {"x-api-key", greedyKey}} {
			_ = fields.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		id := uint32(2*i + 1)
		_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
		if reset {
			_ = framer.WriteRSTStream(id, http2.ErrCodeCancel)
		}
	}
	return b.Bytes()
}

const formKind = "application/x-www-form-urlencoded"

// upload is a multipart body with a product and its image.
func upload(id string, image []byte) (kind string, body []byte) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	_ = w.WriteField("data", fmt.Sprintf(`{"externalId":%q,"images":[{"source":{"fileKey":"f"}}]}`, id))
	part, _ := w.CreateFormFile("f", "f.png")
	_, _ = part.Write(image)
	_ = w.Close()
	return w.FormDataContentType(), b.Bytes()
}

// form is a form of the dashboard with one field, a text where it is no file.
func form(field, file string, value []byte) (kind string, body []byte) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if file == "" {
		_ = w.WriteField(field, string(value))
	} else {
		part, _ := w.CreateFormFile(field, file)
		_, _ = part.Write(value)
	}
	_ = w.Close()
	return w.FormDataContentType(), b.Bytes()
}

// worker is the neighbour: it goes on with its work, on its own connection.
type worker struct {
	addr   string
	client http.Client
	stop   chan struct{}
	ended  chan struct{}

	answered atomic.Int64 // how many of the requests were answered as they should be

	// These are for when it has ended.
	took    []time.Duration // of those requests
	refused int             // by a server that has too much to do
	cut     int             // connections that gave way to others
	wrong   []string
}

func startWorker(addr string) *worker {
	w := &worker{addr: addr, client: http.Client{Transport: &http.Transport{}}, stop: make(chan struct{}), ended: make(chan struct{})}
	go w.run()
	return w
}

func (w *worker) run() {
	defer close(w.ended)
	const product = `{"externalId":"n","title":"of the neighbour","images":[{"source":{"url":"https://c.example/1.jpg"}}]}`
	for i := 0; ; i++ {
		select {
		case <-w.stop:
			return
		default:
		}
		method, path, body := "GET", "/products/n", ""
		switch i % 4 {
		case 0:
			method, path, body = "POST", "/products", product
		case 2:
			method, path = "POST", "/products/n/use"
		case 3:
			path = "/products?limit=10"
		}
		r, err := http.NewRequest(method, "http://"+w.addr+path, strings.NewReader(body))
		if err != nil {
			panic(err) // of what is written here
		}
		r.Header.Set("X-API-Key", neighbourKey)
		r.Header.Set("Content-Type", "application/json")
		begin := time.Now()
		res, err := w.client.Do(r)
		if err != nil {
			w.cut++
			continue
		}
		text, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		switch {
		case err != nil:
			w.wrong = append(w.wrong, "cut off: "+err.Error())
		case res.StatusCode == http.StatusOK, res.StatusCode == http.StatusCreated:
			w.took = append(w.took, time.Since(begin))
			w.answered.Add(1)
		case res.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(text), "OVERLOADED"):
			w.refused++
		default:
			w.wrong = append(w.wrong, res.Status+" "+string(text))
		}
	}
}

// end stops the work and returns the 99th percentile of its requests.
func (w *worker) end(t *testing.T) (p99 time.Duration) {
	close(w.stop)
	<-w.ended
	w.client.CloseIdleConnections()
	require.NotEmpty(t, w.took, "the neighbour got no answer: %d refused, %q", w.refused, w.wrong)
	slices.Sort(w.took)
	return w.took[len(w.took)*99/100]
}
