package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/httpadapter/client"
)

// items returns n items.
func items(n int) iter.Seq2[client.BulkItem, error] {
	return func(yield func(client.BulkItem, error) bool) {
		for i := range n {
			if !yield(client.BulkItem{ExternalID: fmt.Sprintf("p/%05d", i), Patch: onePatch}, nil) {
				return
			}
		}
	}
}

func TestBulk(t *testing.T) {
	c := serve(t, nil, client.Options{})
	const n = 5000
	line := int64(0)
	for r, err := range c.Bulk(t.Context(), items(n)) {
		require.NoError(t, err)
		require.NoError(t, r.Err)
		line++
		require.Equal(t, client.BulkResult{Line: line, ExternalID: fmt.Sprintf("p/%05d", line-1), Outcome: client.Created}, r)
	}
	require.EqualValues(t, n, line)

	mixed := []client.BulkItem{
		{ExternalID: "p/00000"},
		{ExternalID: "p/00001", Patch: client.Patch{Title: client.Set("<x>")}},
		{Patch: onePatch},
		{ExternalID: "bad", Patch: client.Patch{ValidForDays: client.Set(0)}},
		{ExternalID: "new", Patch: onePatch},
	}
	var got []string
	for r, err := range c.Bulk(t.Context(), func(yield func(client.BulkItem, error) bool) {
		for _, i := range mixed {
			if !yield(i, nil) {
				return
			}
		}
	}) {
		require.NoError(t, err)
		if r.Err != nil {
			var e *client.Error
			require.ErrorAs(t, r.Err, &e)
			require.ErrorIs(t, r.Err, client.ErrInvalid)
			require.NotEmpty(t, e.RequestID)
			got = append(got, e.Code)
			continue
		}
		got = append(got, string(r.Outcome))
	}
	require.Equal(t, []string{"unchanged", "edited", "EXTERNAL_ID_REQUIRED", "VALIDATION_FAILED", "created"}, got)
	for range c.Bulk(t.Context(), items(0)) {
		require.Fail(t, "there is nothing")
	}
}

// TestBulkInStep: an item may wait for what became of the one before.
func TestBulkInStep(t *testing.T) {
	overBoth(t, func(t *testing.T, c *client.Client) {
		known := make(chan string)
		stepwise := func(yield func(client.BulkItem, error) bool) {
			for i := range 20 {
				id := fmt.Sprint("p", i)
				if !yield(client.BulkItem{ExternalID: id, Patch: onePatch}, nil) || <-known != id {
					return
				}
			}
		}
		n := 0
		for r, err := range c.Bulk(t.Context(), stepwise) {
			require.NoError(t, err)
			n++
			known <- r.ExternalID
		}
		require.Equal(t, 20, n)
	})
}

// TestBulkWhoseResultsWait: all is sent though no result is read.
func TestBulkWhoseResultsWait(t *testing.T) {
	overBoth(t, func(t *testing.T, c *client.Client) {
		const n = 20_000
		sent := make(chan struct{})
		all := func(yield func(client.BulkItem, error) bool) {
			defer close(sent)
			for i := range n {
				if !yield(client.BulkItem{ExternalID: fmt.Sprint("refused ", i)}, nil) {
					return
				}
			}
		}
		refused := 0
		for r, err := range c.Bulk(t.Context(), all) {
			<-sent
			require.NoError(t, err)
			require.ErrorIs(t, r.Err, client.ErrInvalid)
			refused++
		}
		require.Equal(t, n, refused)
	})
}

// TestBulkThatIsLeft: a break, a failing item and an end of the context end it, and
// nothing of it runs on.
func TestBulkThatIsLeft(t *testing.T) {
	c := serve(t, nil, client.Options{})
	ended := false
	endless := func(yield func(client.BulkItem, error) bool) {
		defer func() { ended = true }()
		for i := 0; yield(client.BulkItem{ExternalID: fmt.Sprint("p", i), Patch: onePatch}, nil); i++ {
		}
	}
	for _, err := range c.Bulk(t.Context(), endless) {
		require.NoError(t, err)
		break
	}
	require.True(t, ended)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended = false
	var last error
	for _, err := range c.Bulk(ctx, endless) {
		last = err
		cancel()
	}
	require.Error(t, last)
	require.True(t, ended)

	for name, broken := range map[string]struct {
		item client.BulkItem
		err  error
		want error
	}{
		"its source fails": {client.BulkItem{}, io.ErrClosedPipe, io.ErrClosedPipe},
		"it has an upload": {client.BulkItem{ExternalID: "u", Patch: client.Patch{Images: client.Set([]client.NewImage{{Upload: client.NewUpload(strings.NewReader("x"))}})}}, nil, client.ErrBulkUpload},
	} {
		t.Run(name, func(t *testing.T) {
			failing := func(yield func(client.BulkItem, error) bool) {
				for item, err := range items(3) {
					if !yield(item, err) {
						return
					}
				}
				_ = yield(broken.item, broken.err)
			}
			var results []client.BulkResult
			var failed error
			for r, err := range c.Bulk(t.Context(), failing) {
				require.NoError(t, failed, "it is the last value")
				if failed = err; err == nil {
					results = append(results, r)
				}
			}
			require.ErrorIs(t, failed, broken.want)
			require.Len(t, results, 3, "what was sent before is answered")
		})
	}
}

// TestBulkThatIsRefused: before its first line, in between, or by being cut off.
func TestBulkThatIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		answer func(w http.ResponseWriter)
		lines  int
		want   func(err error) bool
	}{
		"at once": {func(w http.ResponseWriter) { refuse(w, 429, "RATE_LIMITED", "3") }, 0, func(err error) bool { return errors.Is(err, client.ErrRateLimited) }},
		"in between": {func(w http.ResponseWriter) {
			fmt.Fprintln(w, `{"line":1,"externalId":"p","outcome":"created"}`)
			fmt.Fprintln(w, `{"summary":{"lines":1,"created":1,"edited":0,"unchanged":0,"refused":0},"error":{"code":"UNAVAILABLE","message":"m","status":503}}`)
		}, 1, func(err error) bool { return errors.Is(err, client.ErrUnavailable) }},
		"cut off": {func(w http.ResponseWriter) {
			fmt.Fprintln(w, `{"line":1,"externalId":"p","outcome":"created"}`)
		}, 1, func(err error) bool { return errors.Is(err, client.ErrCutOff) }},
		"cut off in a line": {func(w http.ResponseWriter) {
			fmt.Fprint(w, `{"line":1,"externalId":"p","outcome":"created"}`)
		}, 0, func(err error) bool { return errors.Is(err, client.ErrCutOff) }},
		"not JSON": {func(w http.ResponseWriter) { fmt.Fprintln(w, `<html>`) }, 0, func(err error) bool {
			return errors.As(err, new(*json.SyntaxError))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, func(http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					tc.answer(w)
				})
			}, client.Options{})
			lines := 0
			var failed error
			for _, err := range c.Bulk(t.Context(), items(3)) {
				if failed = err; err == nil {
					lines++
				}
			}
			require.Equal(t, tc.lines, lines)
			require.True(t, tc.want(failed), "%v", failed)
		})
	}
	c := serve(t, nil, client.Options{APIKey: "wrong"})
	for _, err := range c.Bulk(t.Context(), items(100_000)) {
		require.ErrorIs(t, err, client.ErrUnauthorized)
	}
}
