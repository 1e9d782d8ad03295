package httpadapter_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
)

// exchangesVariable names a folder in which every exchange of the tests is kept, a
// line of JSON each, for prooftest/openapi to hold against openapi.yaml.
const exchangesVariable = "SHELFLIFE_EXCHANGES"

// How much is kept of a body, and of an answer in JSON.
const (
	maxKept     = 256 << 10
	maxKeptJSON = 3 << 20
)

// exchange is a request, and the answer as the handler gave it.
type exchange struct {
	Test         string
	Base         string // of every path, escaped
	Method       string
	Target       string
	Header       http.Header
	Body         []byte // what the handler read of it
	Status       int    // 0 if there is no answer
	AnswerHeader http.Header
	Answer       []byte
	BodyCut      bool // it is longer
	AnswerCut    bool // it is longer, or was cut off

	mu sync.Mutex // guards Body: a bulk request is read by a goroutine
}

// keptExchanges is where exchanges go, nil for nowhere.
var keptExchanges = sync.OnceValues(func() (*os.File, error) {
	dir := os.Getenv(exchangesVariable)
	if dir == "" {
		return nil, nil
	}
	return os.CreateTemp(dir, "*.jsonl")
})

// record returns next, whose exchanges are kept if they are wanted.
func record(t testing.TB, base string, next http.Handler) http.Handler {
	file, err := keptExchanges()
	if err != nil {
		panic(err) // a fuzz target has no t
	}
	if file == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{Test: t.Name(), Base: base, Method: r.Method, Target: r.RequestURI, Header: r.Header.Clone()}
		if x.Target == "" {
			x.Target = r.URL.RequestURI()
		}
		// net/http has to find its own body in its own request.
		own := *r
		if r.Body != nil && r.Body != http.NoBody {
			own.Body = &keptBody{r.Body, x}
		}
		ended := false
		defer func() {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.AnswerCut = x.AnswerCut || !ended
			line, err := json.Marshal(x)
			if err == nil {
				_, err = file.Write(append(line, '\n')) // one write of a file is not torn by another
			}
			if err != nil {
				panic(err)
			}
		}()
		next.ServeHTTP(&keptAnswer{ResponseWriter: w, x: x}, &own)
		ended = true
	})
}

type keptBody struct {
	io.ReadCloser
	x *exchange
}

func (b *keptBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.x.mu.Lock()
	defer b.x.mu.Unlock()
	b.x.Body = keep(b.x.Body, p[:n], maxKept, &b.x.BodyCut)
	return n, err
}

// keep appends to a body what there is room for.
func keep(body, piece []byte, most int, cut *bool) []byte {
	if room := most - len(body); len(piece) > room {
		*cut, piece = true, piece[:room]
	}
	return append(body, piece...)
}

type keptAnswer struct {
	http.ResponseWriter
	x *exchange
}

func (a *keptAnswer) WriteHeader(status int) {
	if a.x.Status == 0 && status >= http.StatusOK {
		a.x.Status, a.x.AnswerHeader = status, a.Header().Clone()
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *keptAnswer) Write(b []byte) (int, error) {
	if a.x.Status == 0 {
		a.x.Status, a.x.AnswerHeader = http.StatusOK, a.Header().Clone()
	}
	n, err := a.ResponseWriter.Write(b)
	a.x.mu.Lock()
	defer a.x.mu.Unlock()
	most := maxKept
	if strings.HasPrefix(a.x.AnswerHeader.Get("Content-Type"), "application/") {
		most = maxKeptJSON
	}
	a.x.Answer = keep(a.x.Answer, b, most, &a.x.AnswerCut)
	return n, err
}

// Unwrap lets http.ResponseController through.
func (a *keptAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// serve has the handler answer as a server would, without a connection.
func (e *env) serve(w http.ResponseWriter, r *http.Request) {
	record(e.t, e.base, e.handler).ServeHTTP(w, r)
}
