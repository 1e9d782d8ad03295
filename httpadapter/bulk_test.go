package httpadapter_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/ttl"
)

const ndjson = "application/x-ndjson"

// bulkLine is a line of the answer to POST /bulk.
type bulkLine struct {
	Line       int
	ExternalID string
	Outcome    string
	Error      *struct {
		Code, Message string
		Status        int
		Details       []fault
	}
	Summary *bulkSummary
}

type bulkSummary struct{ Lines, Created, Edited, Unchanged, Refused int }

// code is the outcome of a line, or the code of its error.
func (l *bulkLine) code() string {
	if l.Error != nil {
		return l.Error.Code
	}
	return l.Outcome
}

// bulk sends lines, and returns those of the answer but the last, which is the
// summary.
func (e *env) bulk(lines string, headers ...string) (results []bulkLine, end bulkLine) {
	e.t.Helper()
	r := e.post("/bulk", lines, append([]string{"Content-Type", ndjson}, headers...)...).ok(200)
	require.Equal(e.t, "application/x-ndjson; charset=utf-8", r.header.Get("Content-Type"))
	return splitSummary(e.t, readLines(e.t, bytes.NewReader(r.body)))
}

func readLines(t testing.TB, r io.Reader) (lines []bulkLine) {
	t.Helper()
	in := bufio.NewReader(r)
	for {
		text, err := in.ReadBytes('\n')
		if err == io.EOF && len(text) == 0 {
			return lines
		}
		require.NoError(t, err)
		lines = append(lines, parseLine(t, text))
	}
}

func parseLine(t testing.TB, text []byte) (l bulkLine) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&l), "%s", text)
	return l
}

func splitSummary(t testing.TB, lines []bulkLine) ([]bulkLine, bulkLine) {
	t.Helper()
	require.NotEmpty(t, lines)
	end := lines[len(lines)-1]
	require.NotNil(t, end.Summary, "%+v", end)
	return lines[:len(lines)-1], end
}

func TestBulk(t *testing.T) {
	e := newEnv(t, setup{})
	e.create("old")
	e.create("same")
	tooLong := `{"externalId":"long","title":"` + strings.Repeat("x", 1<<20) + `"}`
	results, end := e.bulk("\ufeff" + strings.Join([]string{
		productBody("new"),
		"",
		productBody("old", `"title":"t"`),
		`{"externalId":"same"}`,
		`{"externalId":"bad","title":7,"images":[]}`,
		`{"title":"nobody's"}`,
		`{"externalId":`,
		tooLong,
		productBody("new", `"titel":"ignored"`) + "\r",
		productBody("last"), // without an end
	}, "\n"))
	var got []string
	for _, l := range results {
		got = append(got, fmt.Sprintf("%d %s %s", l.Line, l.ExternalID, l.code()))
	}
	require.Equal(t, []string{
		"1 new created", "3 old edited", "4 same unchanged", "5 bad VALIDATION_FAILED", "6  EXTERNAL_ID_REQUIRED",
		"7  VALIDATION_FAILED", "8  PAYLOAD_TOO_LARGE", "9 new unchanged", "10 last created",
	}, got)
	require.Nil(t, end.Error)
	require.Equal(t, bulkSummary{Lines: 9, Created: 2, Edited: 1, Unchanged: 2, Refused: 4}, *end.Summary)
	bad := results[3].Error
	require.Equal(t, 400, bad.Status)
	require.Equal(t, "title", bad.Details[0].Path)
	require.Equal(t, 413, results[6].Error.Status)
	require.Equal(t, "t", e.get("/products/old").product()["title"])
	e.get("/products/last").ok(200)
	e.get("/products/bad").fails(404, "PRODUCT_NOT_FOUND")
	e.get("/products/new", "X-API-Key", "key-b").fails(404, "PRODUCT_NOT_FOUND")

	strict := e.post("/bulk?strict=true", productBody("s", `"titel":"x"`), "Content-Type", ndjson).ok(200)
	require.Equal(t, "VALIDATION_FAILED", readLines(t, bytes.NewReader(strict.body))[0].code())

	none, end := e.bulk("")
	require.Empty(t, none)
	require.Equal(t, bulkSummary{}, *end.Summary)
}

// TestRefusedBulk: what can be told before the first line is told by the status.
func TestRefusedBulk(t *testing.T) {
	e := newEnv(t, setup{})
	for _, kind := range []string{"application/json", "text/plain", "", "application/x-ndjson; charset=latin1", "multipart/form-data; boundary=b"} {
		e.post("/bulk", productBody("p"), "Content-Type", kind).fails(415, "UNSUPPORTED_MEDIA_TYPE")
	}
	e.post("/bulk", productBody("p"), "Content-Type", ndjson, "Content-Encoding", "gzip").fails(415, "UNSUPPORTED_MEDIA_TYPE")
	e.post("/bulk", "["+productBody("p")+"]", "Content-Type", ndjson).fails(400, "VALIDATION_FAILED", "")
	e.post("/bulk", "externalId,title\n", "Content-Type", ndjson).fails(400, "VALIDATION_FAILED", "")
	e.post("/bulk?strict=maybe", productBody("p"), "Content-Type", ndjson).fails(400, "VALIDATION_FAILED", "strict")
	e.post("/bulk", productBody("p"), "Content-Type", ndjson, "X-API-Key", "wrong").fails(401, "INVALID_API_KEY")
	require.Equal(t, "GET, HEAD, POST", e.do("DELETE", "/bulk", nil).fails(405, "METHOD_NOT_ALLOWED").header.Get("Allow"))
	require.Empty(t, e.get("/bulk").ok(200).body, "nothing was written")
}

// bothProtocols runs f with a client of HTTP/1 and one of HTTP/2.
func bothProtocols(t *testing.T, s setup, f func(t *testing.T, e *env, client *http.Client, url string)) {
	for _, overHTTP2 := range []bool{false, true} {
		name := "HTTP/1"
		if overHTTP2 {
			name = "HTTP/2"
		}
		t.Run(name, func(t *testing.T) {
			e := newEnv(t, s)
			server := httptest.NewUnstartedServer(record(t, "", e.handler))
			server.EnableHTTP2 = overHTTP2
			server.StartTLS()
			defer server.Close()
			f(t, e, server.Client(), server.URL+"/bulk")
		})
	}
}

func bulkRequest(t *testing.T, url string, body io.Reader) *http.Request {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	require.NoError(t, err)
	r.Header.Set("X-API-Key", "key-a")
	r.Header.Set("Content-Type", ndjson)
	return r
}

// TestBulkLineByLine: a client may wait for what became of a line before it sends
// the next.
func TestBulkLineByLine(t *testing.T) {
	bothProtocols(t, setup{}, func(t *testing.T, e *env, client *http.Client, url string) {
		body, lines := io.Pipe()
		sent := make(chan struct{})
		go func() {
			_, _ = lines.Write([]byte(productBody("p0") + "\n"))
			close(sent)
		}()
		res, err := client.Do(bulkRequest(t, url, body))
		require.NoError(t, err)
		defer res.Body.Close()
		<-sent
		answer := bufio.NewReader(res.Body)
		for i := range 20 {
			text, err := answer.ReadBytes('\n')
			require.NoError(t, err)
			l := parseLine(t, text)
			require.Equal(t, "created", l.code())
			require.Equal(t, fmt.Sprint("p", i), l.ExternalID)
			e.get("/products/" + l.ExternalID).ok(200)
			_, err = lines.Write([]byte(productBody(fmt.Sprint("p", i+1)) + "\n"))
			require.NoError(t, err)
		}
		require.NoError(t, lines.Close())
		results, end := splitSummary(t, readLines(t, answer))
		require.Len(t, results, 1)
		require.Equal(t, 21, end.Summary.Created)
	})
}

// TestBulkThatIsSentWhole: a client may send everything before it reads anything,
// however long the answer is.
func TestBulkThatIsSentWhole(t *testing.T) {
	const n = 60_000
	e := newEnv(t, setup{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.server.URL, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	lines := strings.Repeat(`{"x":1}`+"\n", n-1) + productBody("p") + "\n"
	_, err = fmt.Fprintf(conn, "POST /bulk HTTP/1.1\r\nHost: x\r\nX-API-Key: key-a\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", ndjson, len(lines))
	require.NoError(t, err)
	_, err = io.WriteString(conn, lines)
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReaderSize(conn, 1<<20), nil)
	require.NoError(t, err)
	results, end := splitSummary(t, readLines(t, res.Body))
	require.Len(t, results, n)
	for i, l := range results {
		require.Equal(t, i+1, l.Line)
	}
	require.Equal(t, bulkSummary{Lines: n, Created: 1, Refused: n - 1}, *end.Summary)
	require.Zero(t, e.budget.Stats().Spool)
}

// TestBulkBeyondTheSpool: where the spool is used up the server waits for the client
// to read.
func TestBulkBeyondTheSpool(t *testing.T) {
	const n = 60_000
	budget, err := httpadapter.NewBudget(&httpadapter.BudgetOptions{Spool: 100_000})
	require.NoError(t, err)
	bothProtocols(t, setup{options: httpadapter.Options{Budget: budget}}, func(t *testing.T, _ *env, client *http.Client, url string) {
		res, err := client.Do(bulkRequest(t, url, strings.NewReader(strings.Repeat(`{"x":1}`+"\n", n))))
		require.NoError(t, err)
		defer res.Body.Close()
		time.Sleep(50 * time.Millisecond) // nothing depends on it: the spool is full by then
		results, end := splitSummary(t, readLines(t, res.Body))
		require.Len(t, results, n)
		require.Equal(t, n, end.Summary.Refused)
	})
}

// TestBulkOfALongResult: a result that is longer than all that may wait is sent too,
// also where the spool takes nothing.
func TestBulkOfALongResult(t *testing.T) {
	budget, err := httpadapter.NewBudget(&httpadapter.BudgetOptions{Spool: 2, AccountSpool: 1})
	require.NoError(t, err)
	e := newEnv(t, setup{options: httpadapter.Options{Budget: budget}})
	name := strings.Repeat("n", 400_000)
	results, end := e.bulk(productBody("p") + "\n" + `{"` + name + `":1,"` + name + `":2}` + "\n" + productBody("q"))
	require.Len(t, results, 3)
	require.NotNil(t, results[1].Error)
	require.Equal(t, bulkSummary{Lines: 3, Created: 2, Refused: 1}, *end.Summary)
}

// TestBulkOfARevokedKey: a key that is taken back ends the upsert, between two lines.
func TestBulkOfARevokedKey(t *testing.T) {
	clock := ttl.NewManualClock(start)
	budget, err := httpadapter.NewBudget(&httpadapter.BudgetOptions{Clock: clock})
	require.NoError(t, err)
	keys, err := httpadapter.NewAPIKeys(map[string]string{"key-a": "a"})
	require.NoError(t, err)
	o := httpadapter.Options{Budget: budget, Authenticate: keys.Authenticate}
	bothProtocols(t, setup{options: o}, func(t *testing.T, e *env, client *http.Client, url string) {
		require.NoError(t, keys.Replace(map[string]string{"key-a": "a"}))
		body, lines := io.Pipe()
		go func() { _, _ = lines.Write([]byte(productBody("p0") + "\n")) }()
		res, err := client.Do(bulkRequest(t, url, body))
		require.NoError(t, err)
		defer res.Body.Close()
		answer := bufio.NewReader(res.Body)
		_, err = answer.ReadBytes('\n')
		require.NoError(t, err)
		require.NoError(t, keys.Replace(map[string]string{"other": "a"}))
		clock.Advance(time.Minute)
		_, err = lines.Write([]byte(productBody("p1") + "\n"))
		require.NoError(t, err)
		require.NoError(t, lines.Close())
		results, end := splitSummary(t, readLines(t, answer))
		require.Empty(t, results)
		require.Equal(t, "INVALID_API_KEY", end.Error.Code)
		require.Equal(t, bulkSummary{Lines: 1, Created: 1}, *end.Summary)
		_, err = e.catalog.Get(t.Context(), "a", "p1")
		require.ErrorIs(t, err, catalog.ErrNotFound)
	})
}

// TestBulkOfAServerThatStops: a bulk upsert ends between two lines, whether it waits for
// the client, for the account's rate, or for neither.
func TestBulkOfAServerThatStops(t *testing.T) {
	for name, rate := range map[string]float64{"waits for the client": 0, "waits for the rate": 1} {
		t.Run(name, func(t *testing.T) {
			clock := ttl.NewManualClock(start)
			budget, err := httpadapter.NewBudget(&httpadapter.BudgetOptions{Clock: clock, AccountRate: rate, AccountBurst: 4})
			require.NoError(t, err)
			var handler *httpadapter.Handler
			s := setup{options: httpadapter.Options{Budget: budget}, mount: func(h *httpadapter.Handler) (http.Handler, string) {
				handler = h
				return h, ""
			}}
			bothProtocols(t, s, func(t *testing.T, e *env, client *http.Client, url string) {
				clock.Advance(time.Minute)
				body, lines := io.Pipe()
				go func() {
					_, _ = lines.Write([]byte(productBody("p0") + "\n" + productBody("p1") + "\n" + productBody("p2") + "\n"))
				}()
				res, err := client.Do(bulkRequest(t, url, body))
				require.NoError(t, err)
				defer res.Body.Close()
				answer := bufio.NewReader(res.Body)
				first, err := answer.ReadBytes('\n')
				require.NoError(t, err)
				require.Contains(t, string(first), `"created"`)
				handler.Drain()
				var rest bytes.Buffer
				for !strings.Contains(rest.String(), `"summary"`) {
					line, err := answer.ReadBytes('\n')
					require.NoError(t, err)
					rest.Write(line)
				}
				require.NoError(t, lines.Close()) // it is read on until then
				_, err = io.Copy(&rest, answer)
				require.NoError(t, err)
				results, end := splitSummary(t, readLines(t, &rest))
				require.Equal(t, "UNAVAILABLE", end.Error.Code)
				require.Equal(t, len(results)+1, end.Summary.Lines)
				require.Equal(t, end.Summary.Lines, end.Summary.Created)
				if rate > 0 {
					return
				}
				// Other requests are served, and a bulk upsert that comes now ends at once.
				e.get("/products/p0").ok(200)
				results, end = e.bulk(productBody("q"))
				require.Empty(t, results)
				require.Equal(t, "UNAVAILABLE", end.Error.Code)
			})
		})
	}
}

// TestBulkWithoutFullDuplex: where the answer can't begin before the body was read it
// waits, in the spool.
func TestBulkWithoutFullDuplex(t *testing.T) {
	const n = 5000
	e := newEnv(t, setup{mount: func(h *httpadapter.Handler) (http.Handler, string) {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
		}), ""
	}})
	results, end := e.bulk(strings.Repeat(`{"x":1}`+"\n", n) + productBody("p"))
	require.Len(t, results, n+1)
	require.Equal(t, bulkSummary{Lines: n + 1, Created: 1, Refused: n}, *end.Summary)
}

// TestBulkWhoseClientLeaves: it ends between two lines, and what was read is
// written.
func TestBulkWhoseClientLeaves(t *testing.T) {
	bothProtocols(t, setup{}, func(t *testing.T, e *env, client *http.Client, url string) {
		body, lines := io.Pipe()
		ctx, leave := context.WithCancel(t.Context())
		go func() { _, _ = lines.Write([]byte(productBody("p0") + "\n" + `{"externalId":"half`)) }()
		res, err := client.Do(bulkRequest(t, url, body).WithContext(ctx))
		require.NoError(t, err)
		_, err = bufio.NewReader(res.Body).ReadBytes('\n')
		require.NoError(t, err)
		leave()
		_ = res.Body.Close()
		require.Eventually(t, func() bool { return e.budget.Stats().Requests == 0 }, 30*time.Second, time.Millisecond, "it has ended")
		e.get("/products/p0").ok(200)
		page := e.get("/products").ok(200)
		require.Contains(t, string(page.body), `"count":1`)
	})
}

// TestBulkThatFails: lines that may or may not have been written say so, and the
// summary says why it stopped.
func TestBulkThatFails(t *testing.T) {
	for err, code := range map[error]string{
		backend.ErrUnavailable:    "UNAVAILABLE",
		backend.ErrUnknownOutcome: "UNKNOWN_OUTCOME",
		io.ErrShortWrite:          "INTERNAL",
	} {
		t.Run(code, func(t *testing.T) {
			f := &failing{Store: memory.New(nil)}
			e := newEnv(t, setup{backend: f})
			e.create("p")
			f.err = err
			results, end := e.bulk(productBody("a") + "\n{\n" + productBody("b") + "\n")
			f.err = nil
			var got []string
			for _, l := range results {
				got = append(got, l.code())
			}
			// It stops behind the batch that failed, which is what had come by then.
			require.NotEmpty(t, got)
			require.Equal(t, []string{code, "VALIDATION_FAILED", code}[:len(got)], got)
			require.Equal(t, code, end.Error.Code)
			require.Equal(t, bulkSummary{Lines: len(got), Refused: len(got)}, *end.Summary)
			require.NotContains(t, fmt.Sprint(results, end), err.Error(), "the cause is for the log")
		})
	}
}

// TestBulkRate: a line waits for its token, and none is refused for the rate.
func TestBulkRate(t *testing.T) {
	clock := ttl.NewManualClock(start)
	budget, err := httpadapter.NewBudget(&httpadapter.BudgetOptions{AccountRate: 1, AccountBurst: 3, Clock: clock})
	require.NoError(t, err)
	e := newEnv(t, setup{options: httpadapter.Options{Budget: budget}})
	var lines strings.Builder
	for i := range 10 {
		lines.WriteString(productBody(fmt.Sprint("p", i)) + "\n")
	}
	answered := make(chan bulkSummary)
	go func() {
		_, end := e.bulk(lines.String())
		answered <- *end.Summary
	}()
	begun := clock.Elapsed()
	for {
		select {
		case s := <-answered:
			require.Equal(t, bulkSummary{Lines: 10, Created: 10}, s)
			require.GreaterOrEqual(t, clock.Elapsed()-begun, 8*time.Second, "11 tokens, of which 3 were there, and 2 stay")
			e.get("/products/p0").ok(200)
			return
		case <-time.After(time.Millisecond):
			if clock.Timers() > 0 {
				clock.Advance(100 * time.Millisecond)
			}
		}
	}
}

// TestBulkRoundTrip: what GET sends POST takes, and nothing changes.
func TestBulkRoundTrip(t *testing.T) {
	e := newEnv(t, setup{mount: func(h *httpadapter.Handler) (http.Handler, string) {
		return http.StripPrefix("/v1", h), "/v1"
	}})
	for i := range 300 {
		e.post("/products", productBody(fmt.Sprintf("p%03d", i), `"title":"`+strings.Repeat("ü\\n", 200)+`"`, `"metadata":{"n":1}`)).ok(201)
	}
	e.post("/products", newForm().data(fileBody("q", "f")).file("f", picture(t, 1000))).ok(201)
	e.post("/uses", productBody("inline")).ok(201)
	all := e.get("/bulk").ok(200)
	require.Equal(t, "application/x-ndjson; charset=utf-8", all.header.Get("Content-Type"))
	require.Equal(t, 301, bytes.Count(all.body, []byte("\n")))
	require.Contains(t, string(all.body), `"href":"/v1/products/q/images/0"`)
	results, end := e.bulk(string(all.body))
	require.Len(t, results, 301)
	require.Equal(t, bulkSummary{Lines: 301, Unchanged: 301}, *end.Summary)
	again := e.get("/bulk").ok(200)
	require.Equal(t, string(all.body), string(again.body))

	require.Equal(t, 302, bytes.Count(e.get("/bulk?unlisted=true").ok(200).body, []byte("\n")))
	require.Equal(t, 100, bytes.Count(e.get("/bulk?prefix=p1").ok(200).body, []byte("\n")))
	require.Empty(t, e.do("HEAD", "/bulk", nil).ok(200).body)
	e.get("/bulk?unlisted=x").fails(400, "VALIDATION_FAILED", "unlisted")
	// Of another account, which does not have the bytes.
	results, end = e.bulk(string(all.body), "X-API-Key", "key-b")
	require.Equal(t, bulkSummary{Lines: 301, Created: 300, Refused: 1}, *end.Summary)
	require.Equal(t, "q", results[300].ExternalID)
	require.NotNil(t, results[300].Error)
}

// TestBulkReadSlowly: a client that reads slowly may not hold a state of the store for
// long.
func TestBulkReadSlowly(t *testing.T) {
	clock := ttl.NewManualClock(start)
	budget, err := httpadapter.NewBudget(&httpadapter.BudgetOptions{Clock: clock})
	require.NoError(t, err)
	bothProtocols(t, setup{options: httpadapter.Options{Budget: budget}}, func(t *testing.T, e *env, client *http.Client, url string) {
		long := catalog.Patch{
			Description: catalog.Set(strings.Repeat("x", 20_000)),
			Images:      catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/a.jpg"}}),
		}
		var items []catalog.UpsertItem
		for i := range 800 {
			items = append(items, catalog.UpsertItem{ExternalID: fmt.Sprint("p", i), Patch: long})
		}
		for _, r := range e.catalog.UpsertMany(t.Context(), "a", items) {
			require.NoError(t, r.Err)
		}
		read := func(pause time.Duration) (int64, error) {
			r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
			require.NoError(t, err)
			r.Header.Set("X-API-Key", "key-a")
			res, err := client.Do(r)
			require.NoError(t, err)
			defer res.Body.Close()
			_, err = io.ReadFull(res.Body, make([]byte, 100))
			require.NoError(t, err)
			clock.Advance(pause)
			return io.Copy(io.Discard, res.Body)
		}
		whole, err := read(30 * time.Second)
		require.NoError(t, err)
		cut, err := read(14 * time.Minute)
		require.Error(t, err)
		require.Less(t, cut, whole)
		require.Contains(t, e.log.String(), "reads too slowly")
	})
}
