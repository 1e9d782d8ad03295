package dashboard_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/httpadapter/dashboard"
)

// unreadRequests are more than the share of an account has room for.
const unreadRequests = 40

// unread is the answer to a client that does not read it until it is gone.
type unread struct {
	*httptest.ResponseRecorder
	sending *atomic.Int32
	gone    <-chan struct{}
}

func (u unread) Write(p []byte) (int, error) {
	if u.Code == http.StatusOK {
		u.sending.Add(1)
		<-u.gone
		u.sending.Add(-1)
	}
	return u.ResponseRecorder.Write(p)
}

// TestUnreadAnswers: what an account asks for and does not read takes its own share
// of the memory, and of nothing else that others need.
func TestUnreadAnswers(t *testing.T) {
	for _, ref := range []string{"", "product?id=p0", "account", "figures", "ahead", "import", "export", "image?id=i&n=0"} {
		t.Run(ref, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testUnreadAnswers(t, ref) })
		})
	}
}

func testUnreadAnswers(t *testing.T, ref string) {
	c, err := catalog.Open(t.Context(), memory.New(nil), nil)
	require.NoError(t, err)
	for _, account := range []string{"acme", "other"} {
		for n := range 3 {
			_, err := c.Upsert(t.Context(), account, fmt.Sprint("p", n), catalog.Patch{
				Description: catalog.Set(strings.Repeat("<", 20_000)),
				Metadata:    catalog.Set(json.RawMessage(`"` + strings.Repeat("<", 60_000) + `"`)),
				Images:      catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/1.jpg"}}),
			})
			require.NoError(t, err)
		}
		_, err = c.Upsert(t.Context(), account, "i", catalog.Patch{
			Images: catalog.Set([]catalog.NewImage{{Upload: catalog.NewUpload(strings.NewReader(picture(40)))}}),
		})
		require.NoError(t, err)
	}
	const share = 8 << 20
	budget, err := httpadapter.NewBudget(&httpadapter.BudgetOptions{Memory: 2 * share, AccountMemory: share})
	require.NoError(t, err)
	h, err := dashboard.New(c, &dashboard.Options{Budget: budget, Account: func(r *http.Request) (string, error) { return r.Header.Get("Account"), nil }})
	require.NoError(t, err)
	get := func(account string) *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/"+ref, nil)
		r.Header.Set("Account", account)
		return r
	}

	gone := make(chan struct{})
	var requests sync.WaitGroup
	var sending, refused atomic.Int32
	for range unreadRequests {
		requests.Go(func() {
			u := unread{httptest.NewRecorder(), &sending, gone}
			h.ServeHTTP(u, get("acme"))
			if u.Code == http.StatusTooManyRequests {
				refused.Add(1)
			}
		})
	}
	// Those that are refused have waited for their share, on the bubble's clock.
	synctest.Wait()
	time.Sleep(2 * time.Second)
	synctest.Wait()
	require.EqualValues(t, unreadRequests, sending.Load()+refused.Load())
	require.Greater(t, sending.Load(), int32(7))
	require.NotZero(t, refused.Load())
	taken, held := budget.Stats().Memory, int64(sending.Load())
	require.LessOrEqual(t, taken, int64(share))

	other := httptest.NewRecorder()
	h.ServeHTTP(other, get("other"))
	require.Equal(t, http.StatusOK, other.Code, other.Body)
	require.NotZero(t, other.Body.Len())
	require.GreaterOrEqual(t, taken, held*int64(other.Body.Len()), "as much as is held")

	close(gone)
	requests.Wait()
	require.Equal(t, httpadapter.BudgetStats{}, budget.Stats())
	require.NoError(t, h.Close())
	require.NoError(t, c.Close())
}

// TestTextThatStops: a text is charged for while it is on its way.
func TestTextThatStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := catalog.Open(t.Context(), memory.New(nil), nil)
		require.NoError(t, err)
		budget, err := httpadapter.NewBudget(nil)
		require.NoError(t, err)
		h, err := dashboard.New(c, &dashboard.Options{Budget: budget, Account: func(*http.Request) (string, error) { return "acme", nil }})
		require.NoError(t, err)
		body, client := io.Pipe()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/new", body)
		parts := multipart.NewWriter(client)
		r.Header.Set("Content-Type", parts.FormDataContentType())
		rec := httptest.NewRecorder()
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			h.ServeHTTP(rec, r)
		}()
		w, err := parts.CreateFormField("title")
		require.NoError(t, err)
		before := budget.Stats().Memory
		_, err = w.Write(bytes.Repeat([]byte("x"), 900<<10))
		require.NoError(t, err)
		synctest.Wait()
		require.Greater(t, budget.Stats().Memory, before+900<<10)
		require.NoError(t, client.CloseWithError(io.ErrUnexpectedEOF))
		<-answered
		require.Equal(t, http.StatusBadRequest, rec.Code)
		require.Equal(t, httpadapter.BudgetStats{}, budget.Stats())
		require.NoError(t, h.Close())
		require.NoError(t, c.Close())
	})
}

// slow marks requests whose reads wait.
type slow struct{}

// slowReads is a backend on which they wait until they are let go.
type slowReads struct {
	backend.Backend
	waiting atomic.Int32
	gone    chan struct{}
}

func (b *slowReads) wait(ctx context.Context) {
	if ctx.Value(slow{}) != nil {
		b.waiting.Add(1)
		<-b.gone
	}
}

// Scan implements backend.Backend.
func (b *slowReads) Scan(ctx context.Context, r backend.Range, o backend.ScanOptions) iter.Seq2[backend.Entry, error] {
	b.wait(ctx)
	return b.Backend.Scan(ctx, r, o)
}

// Snapshot implements backend.Backend.
func (b *slowReads) Snapshot(ctx context.Context) (backend.Snapshot, error) {
	b.wait(ctx)
	return b.Backend.Snapshot(ctx)
}

// TestPagesThatTakeLong: an account whose pages take long to make has no more than
// its share of the places for them.
func TestPagesThatTakeLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &slowReads{Backend: memory.New(nil), gone: make(chan struct{})}
		c, err := catalog.Open(t.Context(), b, nil)
		require.NoError(t, err)
		h, err := dashboard.New(c, &dashboard.Options{Account: func(r *http.Request) (string, error) { return r.Header.Get("Account"), nil }})
		require.NoError(t, err)
		get := func(ctx context.Context, account string) int {
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/figures", nil)
			r.Header.Set("Account", account)
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			return rec.Code
		}
		var requests sync.WaitGroup
		for range 10 {
			requests.Go(func() { get(context.WithValue(t.Context(), slow{}, true), "acme") })
		}
		synctest.Wait()
		require.EqualValues(t, 4, b.waiting.Load())
		require.Equal(t, http.StatusOK, get(t.Context(), "other"))
		close(b.gone)
		requests.Wait()
		require.EqualValues(t, 10, b.waiting.Load())
		require.NoError(t, h.Close())
		require.NoError(t, c.Close())
	})
}

// TestHeadersOfParts: what a part says of itself has little room, however much a
// form may have.
func TestHeadersOfParts(t *testing.T) {
	w := newWorld(t, dashboard.Options{})
	w.add("acme", "mug", catalog.Patch{})
	b := w.signedIn(acmeKey)
	for _, ref := range []string{"edit?id=mug", "new", "import"} {
		body := "--b\r\nContent-Disposition: form-data; name=\"title\"\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\nCup\r\n--b--\r\n"
		a := b.do(http.MethodPost, ref, "multipart/form-data; boundary=b", body)
		require.Equal(t, http.StatusRequestEntityTooLarge, a.status, ref)
	}
}
