package productimport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/productimport"
)

const image = `"images":[{"source":{"url":"https://cdn.example/1.jpg"}}]`

// lines are an input with every kind of entry.
var lines = strings.Join([]string{
	`{"externalId":"mug",` + image + `}`,
	``,
	`{"externalId":"mug","title":"of the product above"}`,
	`{"externalId":"old","title":"Old"}`,
	`{"externalId":"old"}`,
	`{"externalId":"cup","title":"no image"}`,
	`{"externalId":"tea","imageUrls":["ftp://x/"],"validForDays":0}`,
	`{"externalId":"far","images":[{"sourceUrl":"upload://00112233445566778899aabbccddeeff"}]}`,
	`{` + image + `}`,
	`<script>`,
	`{"externalId":"long","title":"` + strings.Repeat("x", productimport.MaxEntryBytes) + `"}`,
	`{"externalId":"` + "\xff" + `",` + image + `}`,
	`{"externalId":"last",` + image + `,"colour":"red"}`,
}, "\n")

func openCatalog(t *testing.T) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Open(t.Context(), memory.New(nil), nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// run imports text and returns a line for each entry that was reported.
func run(t *testing.T, c *catalog.Catalog, text string, o productimport.Options) (reports []string, done productimport.Entry) {
	t.Helper()
	o.Report = func(r productimport.Result) {
		says := r.Entry.String() + " " + r.ExternalID + ":"
		if !r.Refused() {
			says += " " + r.Outcome.String()
		}
		for _, f := range r.Faults {
			says += " " + f.Path + " " + string(f.Code)
		}
		reports = append(reports, says)
	}
	m := productimport.New(c, "acme", o)
	in, err := productimport.NewReader(strings.NewReader(text))
	require.NoError(t, err)
	for {
		e, err := in.Next()
		if err == io.EOF {
			require.NoError(t, m.Flush(t.Context()))
			return reports, m.Done()
		}
		require.NoError(t, err)
		require.NoError(t, m.Add(t.Context(), e))
	}
}

func TestPreviewAndImport(t *testing.T) {
	c := openCatalog(t)
	_, err := c.Upsert(t.Context(), "acme", "old", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/1.jpg"}})})
	require.NoError(t, err)
	before, err := c.List(t.Context(), "acme", catalog.ListOptions{})
	require.NoError(t, err)

	want := []string{
		"line 1 mug: created",
		"line 3 mug: edited",
		"line 4 old: edited",
		"line 5 old: unchanged",
		"line 6 cup: images PRODUCT_IMAGES_REQUIRED",
		"line 7 tea: imageUrls.0 VALIDATION_FAILED validForDays VALIDATION_FAILED",
		"line 8 far: images.0.sourceUrl VALIDATION_FAILED",
		"line 9 : externalId EXTERNAL_ID_REQUIRED",
		"line 10 :  VALIDATION_FAILED",
		"line 11 :  PAYLOAD_TOO_LARGE",
		"line 12 :  VALIDATION_FAILED",
		"line 13 last: created",
	}
	previewed := append([]string(nil), want...)
	previewed[3] = "line 5 old: edited" // of a product that was named before
	got, done := run(t, c, lines, productimport.Options{Preview: true})
	require.Equal(t, previewed, got)
	require.Equal(t, productimport.Entry{Number: 13}, done)
	after, err := c.List(t.Context(), "acme", catalog.ListOptions{})
	require.NoError(t, err)
	require.Equal(t, before, after, "a preview writes nothing")

	got, _ = run(t, c, lines, productimport.Options{})
	require.Equal(t, want, got)
	got, _ = run(t, c, lines, productimport.Options{Strict: true})
	require.Equal(t, "line 13 last: colour VALIDATION_FAILED", got[len(got)-1])
}

// TestManyEntries makes several batches.
func TestManyEntries(t *testing.T) {
	c := openCatalog(t)
	var text strings.Builder
	for i := range 600 {
		fmt.Fprintf(&text, "{\"externalId\":\"p%03d\",%s}\n", i, image)
	}
	got, done := run(t, c, text.String(), productimport.Options{})
	require.Len(t, got, 600)
	require.Equal(t, "line 600 p599: created", got[599])
	require.Equal(t, 600, done.Number)
}

func TestImportEndsWhenTheCatalogFails(t *testing.T) {
	for _, preview := range []bool{false, true} {
		c, err := catalog.Open(t.Context(), memory.New(nil), nil)
		require.NoError(t, err)
		require.NoError(t, c.Close())
		m := productimport.New(c, "acme", productimport.Options{Preview: preview, Report: func(productimport.Result) { t.Error("nothing was dealt with") }})
		require.NoError(t, m.Add(t.Context(), productimport.Entry{Number: 3, Text: []byte(`{"externalId":"a",` + image + `}`)}))
		err = m.Flush(t.Context())
		require.ErrorIs(t, err, catalog.ErrClosed)
		require.ErrorContains(t, err, "line 3: ")
		require.Zero(t, m.Done())
	}
}

// failsOnce is a store of which one write fails, once it is told to.
type failsOnce struct {
	backend.Backend
	fail atomic.Bool
}

func (f *failsOnce) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	if f.fail.CompareAndSwap(true, false) {
		return errWrite
	}
	return f.Backend.Update(ctx, scopes, o, fn)
}

var errWrite = errors.New("write failed")

// TestBatchBehindAFailedOne: what was collected while a batch failed is not written,
// not even by a caller that calls Flush once more, since Done says where to go on.
func TestBatchBehindAFailedOne(t *testing.T) {
	store := &failsOnce{Backend: memory.New(nil)}
	c, err := catalog.Open(t.Context(), store, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	store.fail.Store(true)
	m := productimport.New(c, "acme", productimport.Options{})
	n := 0
	for err == nil {
		n++
		require.LessOrEqual(t, n, 600, "nothing fails")
		err = m.Add(t.Context(), productimport.Entry{Number: n, Text: fmt.Appendf(nil, `{"externalId":"p%03d",%s}`, n, image)})
	}
	require.ErrorIs(t, err, errWrite)
	require.NoError(t, m.Flush(t.Context()))
	for p, err := range c.All(t.Context(), "acme", catalog.AllOptions{}) {
		require.NoError(t, err)
		require.LessOrEqual(t, p.ExternalID, "p256", "stands behind what failed")
	}
	require.Zero(t, m.Done())
}

// TestStoppedImport: a batch is written whole, a preview ends.
func TestStoppedImport(t *testing.T) {
	for _, preview := range []bool{false, true} {
		ctx, stop := context.WithCancel(t.Context())
		reports := 0
		m := productimport.New(openCatalog(t), "acme", productimport.Options{Preview: preview, Report: func(productimport.Result) { stop(); reports++ }})
		for n, id := range []string{"a", "b"} {
			require.NoError(t, m.Add(ctx, productimport.Entry{Number: n + 1, Text: []byte(`{"externalId":"` + id + `",` + image + `}`)}))
		}
		err := m.Flush(ctx)
		if preview {
			require.ErrorIs(t, err, context.Canceled)
			require.Equal(t, 1, reports)
		} else {
			require.NoError(t, err)
			require.Equal(t, 2, reports)
		}
		require.Equal(t, reports, m.Done().Number)
	}
}

func Example() {
	ctx := context.Background()
	c, err := catalog.Open(ctx, memory.New(nil), nil)
	if err != nil {
		panic(err)
	}
	defer c.Close()
	in, err := productimport.NewReader(strings.NewReader(`[
		{"externalId":"mug","images":[{"source":{"url":"https://cdn.example/mug.jpg"}}]},
		{"externalId":"cup"}
	]`))
	if err != nil {
		panic(err)
	}
	m := productimport.New(c, "acme", productimport.Options{Report: func(r productimport.Result) {
		if r.Refused() {
			fmt.Printf("%s: %s: %s\n", r.Entry, r.Faults[0].Path, r.Faults[0].Message)
			return
		}
		fmt.Printf("%s: %s\n", r.Entry, r.Outcome)
	}})
	for {
		e, err := in.Next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = m.Add(ctx, e)
		}
		if err != nil {
			panic(err)
		}
	}
	if err := m.Flush(ctx); err != nil {
		panic(err)
	}
	// Output:
	// element 1 (line 2): created
	// element 2 (line 3): images: a product needs at least one image
}
