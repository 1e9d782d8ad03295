package abuse

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"hash/crc32"
	"image"
	"image/png"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var length = flag.Duration("abuse.for", 0, "how long all scenarios take together, each for one round at least")

// What the server may take beside what it takes when it is idle, and what the
// neighbour may have to wait. The times are for machines that do other things
// besides. The collector lets garbage stand up to goMemoryLimit, and the more of it
// comes the faster the machine is.
const (
	memoryGrowth = 224 << 20
	longestP99   = 5 * time.Second
	cpuOfRequest = 100 * time.Millisecond // a server's work on an abusive one
	cpuOfMiB     = 80 * time.Millisecond  // and for each MiB that it sends
	served       = 20                     // requests of the neighbour in each scenario, at least
)

// scenarios do for a round what they do, over the attacker's protocol.
var scenarios = []struct {
	name string
	mib  int // that a request sends, twice for products that are also looked up
	run  func(*attacker)
}{
	{"pages of 24 MB that nobody reads", 0, func(a *attacker) { a.hold(60, "GET", "/products?limit=200", "", "") }},
	{"HEAD of such pages", 0, func(a *attacker) {
		for range 50 {
			a.do("HEAD", "/products?limit=200", "", nil)
		}
	}},
	{"products whose answers nobody reads", 0, func(a *attacker) { a.hold(300, "GET", "/products/p000", "", "") }},
	{"headers without a key", 0, func(a *attacker) { a.raw(100, headers(a.http2, 10_500)) }},
	{"few headers and no body, without a key", 0, func(a *attacker) { a.raw(100, headers(a.http2, 10)) }},
	{"JSON bodies that stop", 1, func(a *attacker) {
		a.hold(200, "POST", "/products", "application/json", `{"title":"`+strings.Repeat("x", 500<<10))
	}},
	{"uploads that stop", 18, func(a *attacker) {
		kind, body := upload("u", make([]byte, 19<<20))
		a.hold(40, "POST", "/products", kind, string(body[:18<<20]))
	}},
	{"an image that is replaced all the time", 4, func(a *attacker) {
		kind, body := upload("i", noise(4<<20))
		for range 6 {
			a.do("POST", "/products", kind, bytes.NewReader(body))
		}
	}},
	{"images that nobody reads", 0, func(a *attacker) { a.hold(100, "GET", "/products/i/images/0", "", "") }},
	{"a PNG of 1.6 million chunks", 19, func(a *attacker) {
		kind, body := upload("c", chunks(1_600_000))
		for range 4 {
			a.do("POST", "/products", kind, bytes.NewReader(body))
		}
	}},
	{"connections that say nothing", 0, func(a *attacker) {
		var begin []byte
		if a.http2 {
			begin = preface().Bytes()
		}
		a.raw(400, begin)
	}},
	{"connections that come, begin a request and go", 0, func(a *attacker) {
		begin := []byte("POST /products HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
		if a.http2 {
			begin = headers(true, 1)
		}
		for range 10 {
			a.raw(100, begin)
			a.drop()
		}
	}},
	{"frames that ask for nothing, and bodies in pieces of a byte", 2, func(a *attacker) {
		for range 20 {
			a.raw(20, trifles(a.http2, 100_000))
			a.drop()
		}
	}},
	{"requests that are taken back", 0, func(a *attacker) {
		for range 20 {
			a.raw(10, pages(a.http2, 2000, true))
			a.drop()
		}
	}},
	{"as many requests as go, at once", 0, func(a *attacker) { a.raw(60, pages(a.http2, 100, false)) }},
	{"half a head of a request", 0, func(a *attacker) {
		half := []byte("GET /products HTTP/1.1\r\n")
		if a.http2 {
			half = headers(true, 10_500)
			half = half[:20<<10]
		}
		a.raw(300, half)
	}},
	{"many ranges of an image", 0, func(a *attacker) {
		ranges := "bytes=0-0" + strings.Repeat(",0-0", 2000)
		for range 20 {
			r := a.request(a.ctx, "GET", "/products/i/images/0", "", nil)
			r.Header.Set("Range", ranges)
			a.send(r)
		}
	}},
	{"pages of the dashboard that nobody reads", 0, func(a *attacker) {
		a.signIn()
		a.hold(60, "GET", "/dashboard/product?id=p000", "", "")
		a.hold(60, "GET", "/dashboard/", "", "")
		a.hold(20, "GET", "/dashboard/export", "", "")
	}},
	{"forms for signing in that stop", 0, func(a *attacker) {
		a.hold(300, "POST", "/dashboard/signin", formKind, "key="+strings.Repeat("x", 60<<10))
	}},
	{"uploads in forms of the dashboard that stop", 18, func(a *attacker) {
		a.signIn()
		kind, body := form("files", "f.png", make([]byte, 19<<20))
		a.hold(40, "POST", "/dashboard/new", kind, string(body[:18<<20]))
	}},
	{"texts in forms of the dashboard that stop", 1, func(a *attacker) {
		a.signIn()
		kind, body := form("title", "", bytes.Repeat([]byte("x"), 1<<20))
		a.hold(100, "POST", "/dashboard/new", kind, string(body[:1<<20-10_000]))
	}},
	{"headers of parts in forms of the dashboard that stop", 1, func(a *attacker) {
		a.signIn()
		begin := "--b\r\nX: " + strings.Repeat("x", 9<<20)
		a.hold(40, "POST", "/dashboard/new", "multipart/form-data; boundary=b", begin)
		a.hold(40, "POST", "/dashboard/import", "multipart/form-data; boundary=b", begin)
	}},
	{"imports in the dashboard that nobody answers", 8, func(a *attacker) {
		a.signIn()
		kind, body := form("file", "products.ndjson", lines(4<<20))
		for range 10 {
			a.do("POST", "/dashboard/import", kind, bytes.NewReader(body))
		}
	}},
	{"wrong keys in the dashboard", 0, func(a *attacker) {
		for range 100 {
			a.do("POST", "/dashboard/signin", formKind, strings.NewReader(fmt.Sprint("key=wrong", rand.Uint64())))
		}
	}},
	{"wrong keys", 0, func(a *attacker) {
		for range 200 {
			r := a.request(a.ctx, "GET", "/products", "", nil)
			r.Header.Set("X-API-Key", fmt.Sprint("wrong", rand.Uint64()))
			a.send(r)
		}
	}},
}

// TestAbuse runs the scenarios one after the other, each over HTTP/1 and HTTP/2,
// in rounds for as long as is asked for. -v prints the figures.
func TestAbuse(t *testing.T) {
	s := startServer(t)
	a := newAttacker(t, s.addr, false)
	for i := range 200 {
		status := a.do("POST", "/products", "application/json", strings.NewReader(fmt.Sprintf(
			`{"externalId":"p%03d","description":"%s","images":[{"source":{"url":"https://c.example/a.jpg"}}]}`, i, strings.Repeat(`\u0001`, 20_000))))
		require.Equal(t, http.StatusCreated, status)
	}
	kind, body := upload("i", noise(4<<20))
	require.Equal(t, http.StatusCreated, a.do("POST", "/products", kind, bytes.NewReader(body)))
	a.stop()

	before := s.figures()
	quiet := startWorker(s.addr)
	time.Sleep(time.Second) // of ordinary work
	idleP99 := quiet.end(t)
	idle := s.figures()
	normal := (idle.cpu - before.cpu) / time.Duration(len(quiet.took))
	t.Logf("ordinary work: %d MiB resident, %d files, p99 %v, %v of CPU for a request", idle.resident>>20, idle.files, idleP99, normal)

	each := *length / time.Duration(2*len(scenarios))
	for _, sc := range scenarios {
		for _, overHTTP2 := range []bool{false, true} {
			protocol := "HTTP/1"
			if overHTTP2 {
				protocol = "HTTP/2"
			}
			t.Run(sc.name+" over "+protocol, func(t *testing.T) {
				before := s.figures()
				w := startWorker(s.addr)
				begin, requests, files := time.Now(), 0, 0
				statuses := map[int]int{}
				for time.Since(begin) < each || requests == 0 || w.answered.Load() < served && time.Since(begin) < 2*time.Minute {
					a := newAttacker(t, s.addr, overHTTP2)
					sc.run(a)
					// Long enough for the server to have met all that is held.
					time.Sleep(500 * time.Millisecond)
					files = max(files, s.figures().files)
					a.stop()
					requests += a.requests
					for status, n := range a.statuses {
						statuses[status] += n
					}
				}
				p99 := w.end(t)
				after := s.figures()
				cpu := (after.cpu - before.cpu - time.Duration(len(w.took))*normal) / time.Duration(max(requests, 1))
				t.Logf("%d requests %v; memory %+d MiB, at most %d MiB; %d files; CPU %v for a request, %.1f times an ordinary one; the neighbour: %d requests, %d refused, %d connections cut, p99 %v",
					requests, statuses, (after.resident-idle.resident)>>20, after.peak>>20, files, cpu, float64(cpu)/float64(normal), len(w.took), w.refused, w.cut, p99)
				require.Empty(t, w.wrong, "the neighbour's answers")
				require.Less(t, after.peak, idle.resident+memoryGrowth)
				require.LessOrEqual(t, files, fileLimit)
				require.Less(t, p99, longestP99)
				require.Less(t, cpu, cpuOfRequest+time.Duration(sc.mib)*cpuOfMiB)
				require.GreaterOrEqual(t, len(w.took), served, "the neighbour is served")
			})
		}
	}
	last := startWorker(s.addr)
	time.Sleep(time.Second) // of ordinary work
	p99 := last.end(t)
	require.Empty(t, last.wrong)
	require.Zero(t, last.refused+last.cut)
	f := s.figures()
	t.Logf("ordinary work at the end: %d MiB resident, %d files, p99 %v", f.resident>>20, f.files, p99)
	s.stop()
}

// noise is a PNG that nothing compresses.
func noise(size int) []byte {
	var b bytes.Buffer
	_ = png.Encode(&b, image.NewGray(image.Rect(0, 0, 8, 6))) // a buffer takes everything
	random := rand.New(rand.NewPCG(1, 2))
	for b.Len() < size {
		_ = binary.Write(&b, binary.LittleEndian, random.Uint64())
	}
	return b.Bytes()
}

// lines is a file of products with names that nobody knows, as deep as they may be.
func lines(size int) []byte {
	var b bytes.Buffer
	deep := strings.Repeat("[", 60) + strings.Repeat("]", 60)
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, `{"externalId":"l%d","x":%s,"metadata":{"d":%s},"images":[{"source":{"url":"https://c.example/a.jpg"}}]}`+"\n", i, deep, deep)
	}
	return b.Bytes()
}

// chunks is a palette PNG of many empty chunks in front of its palette.
func chunks(n int) []byte {
	var b bytes.Buffer
	b.WriteString("\x89PNG\r\n\x1a\n")
	chunk := func(kind string, data []byte) {
		_ = binary.Write(&b, binary.BigEndian, uint32(len(data)))
		b.WriteString(kind)
		b.Write(data)
		_ = binary.Write(&b, binary.BigEndian, crc32.ChecksumIEEE(append([]byte(kind), data...)))
	}
	chunk("IHDR", []byte{0, 0, 0, 8, 0, 0, 0, 8, 8, 3, 0, 0, 0})
	empty := b.Len()
	chunk("teXt", nil)
	one := bytes.Clone(b.Bytes()[empty:])
	for range n - 1 {
		b.Write(one)
	}
	return b.Bytes()
}
