package catalog_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog"
)

// contract 7: the errors of writes are matched by errors.Is whatever the
// backend wrapped them in, and their texts begin with the name of the library.
func TestErrorsOfTheBackend(t *testing.T) {
	own := errors.New("disk on fire")
	tests := []struct {
		name string
		err  error
		is   error
		not  []error
	}{
		{"closed", fmt.Errorf("x: %w", backend.ErrClosed), catalog.ErrClosed, []error{catalog.ErrUnavailable, catalog.ErrUnknownOutcome}},
		{"unavailable", fmt.Errorf("x: %w", backend.ErrUnavailable), catalog.ErrUnavailable, []error{catalog.ErrClosed, catalog.ErrUnknownOutcome}},
		{"unknown", fmt.Errorf("x: %w", backend.ErrUnknownOutcome), catalog.ErrUnknownOutcome, []error{catalog.ErrUnavailable}},
		{
			"unknown because the time was over", errors.Join(backend.ErrUnknownOutcome, context.DeadlineExceeded),
			catalog.ErrUnknownOutcome, []error{catalog.ErrUnavailable},
		},
		{
			"unknown because it became unavailable", errors.Join(backend.ErrUnavailable, backend.ErrUnknownOutcome),
			catalog.ErrUnknownOutcome, nil,
		},
		{"cancelled", context.Canceled, context.Canceled, []error{catalog.ErrUnavailable, catalog.ErrUnknownOutcome}},
		{"late", context.DeadlineExceeded, context.DeadlineExceeded, []error{catalog.ErrUnavailable, catalog.ErrUnknownOutcome}},
		{"its own", own, own, []error{catalog.ErrUnavailable, catalog.ErrUnknownOutcome, catalog.ErrClosed}},
	}
	w := memoryWorld(t)
	ctx := t.Context()
	w.create("a")
	o := w.obstruct()
	for _, tt := range tests {
		o.fail.Store(&tt.err)
		_, upsert := w.c().Upsert(ctx, acme, "a", catalog.Patch{Title: catalog.Set("x")})
		_, inline := w.c().UpsertInline(ctx, acme, "a", catalog.Patch{Title: catalog.Set("x")})
		_, shot := w.c().CreateOneShot(ctx, acme, withImage(catalog.Patch{}))
		_, stage := w.c().StageImage(ctx, acme, strings.NewReader(string(smallImage)))
		_, remove := w.c().DeleteAccount(ctx, acme)
		many := w.c().UpsertMany(ctx, acme, []catalog.UpsertItem{{ExternalID: "a"}})
		for i, err := range []error{upsert, inline, shot, stage, remove, many[0].Err, w.c().Delete(ctx, acme, "a")} {
			require.ErrorIs(t, err, tt.is, "%s %d", tt.name, i)
			require.ErrorIs(t, err, tt.err, "the cause stays")
			require.True(t, strings.HasPrefix(err.Error(), "shelflife: "), "%v", err)
			require.NotContains(t, strings.TrimPrefix(err.Error(), "shelflife: "), "shelflife: ", "once is enough")
			for _, not := range tt.not {
				require.NotErrorIs(t, err, not, "%s %d", tt.name, i)
			}
			var bad *catalog.ValidationError
			require.False(t, errors.As(err, &bad))
		}
	}
	o.fail.Store(nil)
	require.Empty(t, w.get("a").Title)
}

// contract 7: every operation of a closed catalog fails with ErrClosed.
func TestErrorsOfAClosedCatalog(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		c := w.c()
		w.create("a")
		w.close()
		_, upsert := c.Upsert(ctx, acme, "a", catalog.Patch{})
		_, inline := c.UpsertInline(ctx, acme, "a", catalog.Patch{})
		_, shot := c.CreateOneShot(ctx, acme, withImage(catalog.Patch{}))
		_, stage := c.StageImage(ctx, acme, strings.NewReader(""))
		_, use := c.Use(ctx, acme, "a")
		_, touch := c.Touch(ctx, acme, "a")
		_, get := c.Get(ctx, acme, "a")
		_, list := c.List(ctx, acme, catalog.ListOptions{})
		_, account := c.DeleteAccount(ctx, acme)
		_, open := c.OpenImage(ctx, acme, "a", 0)
		_, stats := c.Stats(ctx, acme)
		_, check := c.Check(ctx)
		_, sweep := c.Sweep(ctx)
		var all error
		for _, err := range c.All(ctx, acme, catalog.AllOptions{}) {
			all = err
		}
		for i, err := range []error{
			upsert, inline, shot, stage, use, touch, get, list, account, open, stats, check, sweep, all,
			c.Delete(ctx, acme, "a"), c.Ready(), c.UpsertMany(ctx, acme, make([]catalog.UpsertItem, 1))[0].Err,
		} {
			require.ErrorIs(t, err, catalog.ErrClosed, i)
			require.True(t, strings.HasPrefix(err.Error(), "shelflife: "), "%v", err)
		}
		require.NoError(t, c.Close(), "again")
	})
}

// contract 7: a ValidationError holds every offending field.
func TestValidationErrorsHoldEveryFault(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		patch := catalog.Patch{
			Title:       catalog.Set(strings.Repeat("x", 1001)),
			Description: catalog.Set("\xff"),
			Images: catalog.Set([]catalog.NewImage{
				{URL: "ftp://a.example", Classifications: []byte(`[]`)},
				{},
				{URL: "https://a.example", Upload: upload(smallImage), Classifications: []byte(`{`)},
				{Upload: upload([]byte("x"))},
				{Staged: "x"},
				{URL: "https://a.example", Classifications: []byte(`{"a":1,"a":2}`)},
				{URL: "upload://x"},
			}),
			Metadata:     catalog.Set(json.RawMessage(`{"a":1,"a":2}`)),
			ValidForDays: catalog.Set(366),
		}
		want := map[string]catalog.Code{
			"account":                  catalog.CodeValidationFailed,
			"externalId":               catalog.CodeValidationFailed,
			"title":                    catalog.CodeValidationFailed,
			"description":              catalog.CodeValidationFailed,
			"images.0.source.url":      catalog.CodeValidationFailed,
			"images.0.classifications": catalog.CodeValidationFailed,
			"images.1.source":          catalog.CodeInvalidImageInput,
			"images.2.source":          catalog.CodeInvalidImageInput,
			"images.2.classifications": catalog.CodeValidationFailed,
			"images.3.source.fileKey":  catalog.CodeInvalidImage,
			"images.4.source":          catalog.CodeInvalidImageInput,
			"images.5.classifications": catalog.CodeValidationFailed,
			"images.6.source.url":      catalog.CodeValidationFailed,
			"metadata":                 catalog.CodeValidationFailed,
			"validForDays":             catalog.CodeValidationFailed,
		}
		_, err := w.c().Upsert(t.Context(), "", "..", patch)
		requireFaults(t, err, want)
		for path := range want {
			require.Contains(t, err.Error(), path, "the text names every field")
		}
		delete(want, "images.3.source.fileKey") // can't be told without reading
		requireFaults(t, w.c().Validate("", "..", patch), want)
		require.Nil(t, w.c().Validate(acme, "", withImage(catalog.Patch{})), "an ID may follow")
		require.Zero(t, w.check().Products)
	})
}

func TestValidationErrorCode(t *testing.T) {
	fields := func(codes ...catalog.Code) *catalog.ValidationError {
		e := new(catalog.ValidationError)
		for _, c := range codes {
			e.Fields = append(e.Fields, catalog.FieldError{Code: c})
		}
		return e
	}
	for want, e := range map[catalog.Code][]*catalog.ValidationError{
		catalog.CodeImagesRequired: {fields(catalog.CodeImagesRequired), fields(catalog.CodeImagesRequired, catalog.CodeImagesRequired)},
		catalog.CodeInvalidImage:   {fields(catalog.CodeInvalidImage)},
		catalog.CodeValidationFailed: {
			fields(), fields(catalog.CodeValidationFailed), fields(catalog.CodeImagesRequired, catalog.CodeInvalidImage),
			fields(catalog.CodeInvalidImage, catalog.CodeInvalidImage, catalog.CodeImagesRequired),
		},
	} {
		for _, e := range e {
			require.Equal(t, want, e.Code(), "%v", e.Fields)
		}
	}
	require.Equal(t, "invalid input: a.b: wrong; whole body", (&catalog.ValidationError{Fields: []catalog.FieldError{
		{Path: "a.b", Message: "wrong"}, {Message: "whole body"},
	}}).Error())
}
