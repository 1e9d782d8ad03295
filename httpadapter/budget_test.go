package httpadapter_test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/ttl"
)

func TestBudgetOptions(t *testing.T) {
	for name, o := range map[string]httpadapter.BudgetOptions{
		"Memory":        {Memory: -1},
		"AccountMemory": {AccountMemory: 1},
		"Spool":         {Spool: -1},
		"AccountSpool":  {Spool: 1, AccountSpool: 2},
		"SpoolReserve":  {SpoolReserve: -1},
		"Wait":          {Wait: -1},

		"AccountRequests": {AccountRequests: -1},
		"AccountUploads":  {AccountUploads: -1},
		"AccountRate":     {AccountRate: -1},
		"AccountBurst":    {AccountBurst: -1},
	} {
		_, err := httpadapter.NewBudget(&o)
		require.ErrorContains(t, err, name)
	}
	_, err := httpadapter.NewBudget(nil)
	require.NoError(t, err)
}

// budgeted is a server whose requests share a small budget. The account of a
// request is its X-Account.
type budgeted struct {
	t      *testing.T
	budget *httpadapter.Budget
	url    string
}

func newBudgeted(t *testing.T, o httpadapter.BudgetOptions) *budgeted {
	c, err := catalog.Open(t.Context(), memory.New(nil), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	b, err := httpadapter.NewBudget(&o)
	require.NoError(t, err)
	h, err := httpadapter.New(c, &httpadapter.Options{
		Authenticate: func(r *http.Request) (string, error) { return r.Header.Get("X-Account"), nil },
		Budget:       b,
		SpoolDir:     t.TempDir(),
	})
	require.NoError(t, err)
	server := httptest.NewServer(record(t, "", h))
	t.Cleanup(server.Close)
	return &budgeted{t, b, server.URL}
}

func (b *budgeted) do(method, path, account, kind string, body io.Reader) (*http.Response, string) {
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, body)
	require.NoError(b.t, err)
	r.Header.Set("X-Account", account)
	r.Header.Set("Content-Type", kind)
	res, err := http.DefaultClient.Do(r)
	require.NoError(b.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(b.t, err)
	return res, string(text)
}

const small = `{"externalId":"p","images":[{"source":{"url":"https://c.example/a.jpg"}}]}`

// held starts a request that has sent some of its body and not the rest, and
// returns when the budget counts at least n bytes more; end ends it.
func (b *budgeted) held(account, kind, begin string, n int64, figure func(httpadapter.BudgetStats) int64) (end func()) {
	before := figure(b.budget.Stats())
	body, rest := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, err := http.NewRequestWithContext(b.t.Context(), "POST", b.url+"/products", body)
		if err != nil {
			b.t.Error(err)
			return
		}
		r.Header.Set("X-Account", account)
		r.Header.Set("Content-Type", kind)
		if res, err := http.DefaultClient.Do(r); err == nil {
			res.Body.Close()
		}
	}()
	_, err := io.WriteString(rest, begin)
	require.NoError(b.t, err)
	require.Eventually(b.t, func() bool { return figure(b.budget.Stats()) >= before+n }, 20*time.Second, time.Millisecond)
	return func() {
		rest.CloseWithError(io.ErrUnexpectedEOF)
		<-done
	}
}

func heldMemory(s httpadapter.BudgetStats) int64 { return s.Memory }
func heldSpool(s httpadapter.BudgetStats) int64  { return s.Spool }
func uploads(s httpadapter.BudgetStats) int64    { return s.Uploads }

// TestUploadsOfAnAccount: uploads that an account does not end keep its further
// ones waiting, and then refuse them; its other requests and other accounts go on.
func TestUploadsOfAnAccount(t *testing.T) {
	b := newBudgeted(t, httpadapter.BudgetOptions{AccountUploads: 3, Wait: 10 * time.Millisecond})
	kind, begun := upload(t, 1, false)
	var ends []func()
	for range 3 {
		ends = append(ends, b.held("greedy", kind, begun, 1, uploads))
	}
	before := b.budget.Stats()
	_, whole := upload(t, 1, true)
	for _, path := range []string{"/products", "/uses"} {
		res, text := b.do("POST", path, "greedy", kind, strings.NewReader(whole))
		require.Equal(t, http.StatusTooManyRequests, res.StatusCode, text)
		require.Contains(t, text, `"RATE_LIMITED"`)
		require.Contains(t, text, "uploads")
		require.NotEmpty(t, res.Header.Get("Retry-After"))
	}
	require.Eventually(t, func() bool { return b.budget.Stats() == before }, 20*time.Second, time.Millisecond, "what is refused holds nothing")
	res, text := b.do("POST", "/products", "greedy", "application/json", strings.NewReader(small))
	require.Equal(t, http.StatusCreated, res.StatusCode, text)
	res, text = b.do("POST", "/products", "other", kind, strings.NewReader(whole))
	require.Equal(t, http.StatusBadRequest, res.StatusCode, "it is judged, and lacks the JSON: %s", text)
	for _, end := range ends {
		end()
	}
	require.Eventually(t, func() bool { return b.budget.Stats() == httpadapter.BudgetStats{} }, 20*time.Second, time.Millisecond)
	res, text = b.do("POST", "/products", "greedy", kind, strings.NewReader(whole))
	require.Equal(t, http.StatusBadRequest, res.StatusCode, text)
}

func requests(s httpadapter.BudgetStats) int64 { return s.Requests }

// TestRequestsOfAnAccount: those that an account does not end keep no one else
// from being served.
func TestRequestsOfAnAccount(t *testing.T) {
	b := newBudgeted(t, httpadapter.BudgetOptions{AccountRequests: 3})
	var ends []func()
	for range 3 {
		ends = append(ends, b.held("greedy", "application/json", "{", 1, requests))
	}
	res, text := b.do("GET", "/products", "greedy", "", nil)
	require.Equal(t, http.StatusTooManyRequests, res.StatusCode, text)
	require.Contains(t, text, `"RATE_LIMITED"`)
	require.NotEmpty(t, res.Header.Get("Retry-After"))
	res, text = b.do("GET", "/products", "other", "", nil)
	require.Equal(t, http.StatusOK, res.StatusCode, text)
	for _, end := range ends {
		end()
	}
	require.Eventually(t, func() bool { return b.budget.Stats() == httpadapter.BudgetStats{} }, 20*time.Second, time.Millisecond)
	res, _ = b.do("GET", "/products", "greedy", "", nil)
	require.Equal(t, http.StatusOK, res.StatusCode)
}

// TestWaitingUploadsTakeTurns: an upload that comes while the account has as many
// as it may is worked on when one of them has ended.
func TestWaitingUploadsTakeTurns(t *testing.T) {
	b := newBudgeted(t, httpadapter.BudgetOptions{AccountUploads: 1, Wait: time.Hour})
	kind, begun := upload(t, 1, false)
	end := b.held("a", kind, begun, 1, uploads)
	_, whole := upload(t, 1, true)
	answered := make(chan int)
	for range 3 {
		go func() {
			res, _ := b.do("POST", "/products", "a", kind, strings.NewReader(whole))
			answered <- res.StatusCode
		}()
	}
	select {
	case status := <-answered:
		require.Fail(t, "an upload did not wait", "%d", status)
	default:
	}
	end()
	for range 3 {
		require.Equal(t, http.StatusBadRequest, <-answered)
	}
}

// TestReadsThatWaitHoldNothing: products that are asked for while there is no
// memory must not be read before there is.
func TestReadsThatWaitHoldNothing(t *testing.T) {
	b := newBudgeted(t, httpadapter.BudgetOptions{Memory: 16 << 20, AccountMemory: 16 << 20, Wait: 10 * time.Millisecond})
	res, text := b.do("POST", "/products", "a", "application/json", strings.NewReader(small))
	require.Equal(t, http.StatusCreated, res.StatusCode, text)
	var ends []func()
	for b.budget.Stats().Memory < 16<<20 {
		ends = append(ends, b.held("a", "application/json", "{", 1, heldMemory))
	}
	res, text = b.do("GET", "/products/p", "a", "", nil)
	require.Equal(t, http.StatusTooManyRequests, res.StatusCode, text)
	require.Empty(t, res.Header.Get("ETag"), "of an answer that was not given")
	res, _ = b.do("GET", "/products/nobody", "a", "", nil)
	require.Equal(t, http.StatusTooManyRequests, res.StatusCode, "it was not looked for")
	for _, end := range ends {
		end()
	}
	res, _ = b.do("GET", "/products/p", "a", "", nil)
	require.Equal(t, http.StatusOK, res.StatusCode)
}

// TestMemoryBudget: bodies that clients hold back fill the account's share, then
// that of all; no other notices before, and each gets a clear answer
// after, and all is well when they end.
func TestMemoryBudget(t *testing.T) {
	b := newBudgeted(t, httpadapter.BudgetOptions{Memory: 16 << 20, AccountMemory: 8 << 20, Wait: 10 * time.Millisecond})
	begun := `{"title":"` + strings.Repeat("x", 900<<10)
	var ends []func()
	hold := func(account string) {
		ends = append(ends, b.held(account, "application/json", begun, 2*900<<10, heldMemory))
	}
	for range 4 {
		hold("greedy")
	}
	res, text := b.do("GET", "/products", "greedy", "", nil)
	require.Equal(t, http.StatusTooManyRequests, res.StatusCode, text)
	require.Contains(t, text, "RATE_LIMITED")
	require.NotEmpty(t, res.Header.Get("Retry-After"))
	res, text = b.do("POST", "/products", "other", "application/json", strings.NewReader(small))
	require.Equal(t, http.StatusCreated, res.StatusCode, text)

	for range 4 {
		hold("second")
	}
	res, text = b.do("GET", "/products", "other", "", nil)
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, text)
	require.Contains(t, text, "OVERLOADED")
	require.NotEmpty(t, res.Header.Get("Retry-After"))

	for _, end := range ends {
		end()
	}
	require.Eventually(t, func() bool { return b.budget.Stats() == httpadapter.BudgetStats{} }, 20*time.Second, time.Millisecond)
	res, text = b.do("GET", "/products", "greedy", "", nil)
	require.Equal(t, http.StatusOK, res.StatusCode, text)
}

// upload is a multipart body with a file of size bytes in it, complete or without
// its end.
func upload(t *testing.T, size int, complete bool) (kind, body string) {
	var buf bytes.Buffer
	w := multipart.NewWriter(&buf)
	part, err := w.CreateFormFile("front", "front.png")
	require.NoError(t, err)
	_, err = part.Write(bytes.Repeat([]byte("x"), size))
	require.NoError(t, err)
	if complete {
		require.NoError(t, w.Close())
	}
	return w.FormDataContentType(), buf.String()
}

func TestSpoolBudget(t *testing.T) {
	b := newBudgeted(t, httpadapter.BudgetOptions{Spool: 4 << 20, AccountSpool: 3 << 20, SpoolReserve: 1})
	kind, begun := upload(t, 1536<<10, false)
	end := b.held("greedy", kind, begun, 1536<<10-256<<10, heldSpool)
	kind, whole := upload(t, 1800<<10, true)
	res, text := b.do("POST", "/products", "greedy", kind, strings.NewReader(whole))
	require.Equal(t, http.StatusTooManyRequests, res.StatusCode, text)
	// Another account has room: its body is judged, and lacks the JSON.
	res, text = b.do("POST", "/products", "other", kind, strings.NewReader(whole))
	require.Equal(t, http.StatusBadRequest, res.StatusCode, text)
	endOther := b.held("other", kind, whole[:1700<<10], 1<<20, heldSpool)
	kind, whole = upload(t, 2200<<10, true) // too much even beside the least that the two hold
	res, text = b.do("POST", "/products", "third", kind, strings.NewReader(whole))
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, text)
	require.Contains(t, text, "OVERLOADED")
	end()
	endOther()
	require.Eventually(t, func() bool { return b.budget.Stats() == httpadapter.BudgetStats{} }, 20*time.Second, time.Millisecond)
}

func TestSpoolReserve(t *testing.T) {
	b := newBudgeted(t, httpadapter.BudgetOptions{SpoolReserve: 1 << 60})
	kind, whole := upload(t, 1<<20, true)
	res, text := b.do("POST", "/products", "a", kind, strings.NewReader(whole))
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, text)
	require.Contains(t, text, `"UNAVAILABLE"`)
	kind, whole = upload(t, 1<<10, true)
	res, _ = b.do("POST", "/products", "a", kind, strings.NewReader(whole))
	require.Equal(t, http.StatusBadRequest, res.StatusCode, "what stays in memory needs no disk")
}

// TestBudgetOfAnswers: pages whose clients do not read them keep what their
// bodies take and no more.
func TestBudgetOfAnswers(t *testing.T) {
	b := newBudgeted(t, httpadapter.BudgetOptions{})
	for i := range 40 {
		body := fmt.Sprintf(`{"externalId":"p%d","description":"%s","images":[{"source":{"url":"https://c.example/a.jpg"}}]}`, i, strings.Repeat(`\u0001`, 20_000))
		res, text := b.do("POST", "/products", "a", "application/json", strings.NewReader(body))
		require.Equal(t, http.StatusCreated, res.StatusCode, text)
	}
	res, text := b.do("GET", "/products?limit=200", "a", "", nil)
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.LessOrEqual(t, len(text), 2<<20)
	require.Contains(t, text, `"hasMore":true`)
	require.Eventually(t, func() bool { return b.budget.Stats() == httpadapter.BudgetStats{} }, 20*time.Second, time.Millisecond)
}

// contract 6: RATE_LIMITED with Retry-After after authentication and path, before
// the body.
func TestAccountRate(t *testing.T) {
	clock := ttl.NewManualClock(start)
	budget, err := httpadapter.NewBudget(&httpadapter.BudgetOptions{AccountRate: 0.25, AccountBurst: 3, Clock: clock})
	require.NoError(t, err)
	c, err := catalog.Open(t.Context(), memory.New(nil), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	h, err := httpadapter.New(c, &httpadapter.Options{
		Authenticate: func(r *http.Request) (string, error) {
			if r.Header.Get("X-Account") == "" {
				return "", httpadapter.ErrMissingKey
			}
			return r.Header.Get("X-Account"), nil
		},
		Budget: budget,
	})
	require.NoError(t, err)
	ask := func(account, method, path string, body io.Reader) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, body)
		r.Header.Set("X-Account", account)
		r.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return rec
	}
	for range 9 { // none of these is a request that counts
		require.Equal(t, 401, ask("", "GET", "/products", nil).Code)
		require.Equal(t, 404, ask("a", "GET", "/nowhere", nil).Code)
		require.Equal(t, 405, ask("a", "PUT", "/products", nil).Code)
	}
	for range 3 {
		require.Equal(t, 200, ask("a", "GET", "/products", nil).Code)
	}
	unread := strings.NewReader("{")
	for _, body := range []io.Reader{unread, nil} {
		rec := ask("a", "POST", "/products", body)
		require.Equal(t, 429, rec.Code)
		require.Contains(t, rec.Body.String(), `"code":"RATE_LIMITED"`)
		require.Equal(t, "4", rec.Header().Get("Retry-After"))
	}
	require.Equal(t, 404, ask("a", "GET", "/nowhere", nil).Code)
	require.Equal(t, 200, ask("b", "GET", "/products", nil).Code, "another account")
	_, err = budget.Claim("a")
	require.ErrorIs(t, err, httpadapter.ErrRateLimited)
	clock.Advance(3500 * time.Millisecond)
	require.Equal(t, "1", ask("a", "GET", "/products", nil).Header().Get("Retry-After"))
	clock.Advance(500 * time.Millisecond)
	claim, err := budget.Claim("a")
	require.NoError(t, err)
	claim.Close()
	require.Equal(t, 429, ask("a", "GET", "/products", nil).Code, "the claim was a request too")
}
