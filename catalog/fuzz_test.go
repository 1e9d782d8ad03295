package catalog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

func fuzzCatalog(f *testing.F) *catalog.Catalog {
	c, err := catalog.Open(f.Context(), memory.New(nil), &catalog.Options{Clock: ttl.NewManualClock(epoch)})
	require.NoError(f, err)
	f.Cleanup(func() { require.NoError(f, c.Close()) })
	return c
}

// FuzzMetadata compares what is stored of metadata with what encoding/json
// makes of them.
func FuzzMetadata(f *testing.F) {
	c := fuzzCatalog(f)
	for _, form := range jsonForms {
		f.Add([]byte(form.in))
	}
	for _, bad := range refusedJSON {
		f.Add([]byte(bad))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		given := bytes.Clone(raw)
		res, err := c.Upsert(t.Context(), acme, "a", withImage(catalog.Patch{Metadata: catalog.Set(json.RawMessage(raw))}))
		require.Equal(t, given, raw, "the caller's bytes are not changed")
		if err != nil {
			requireFaults(t, err, map[string]catalog.Code{"metadata": catalog.CodeValidationFailed})
			return
		}
		if raw == nil {
			require.Nil(t, res.Product.Metadata)
			return
		}
		var want bytes.Buffer
		require.NoError(t, json.Compact(&want, raw))
		if want.String() == "null" {
			require.Nil(t, res.Product.Metadata)
		} else {
			require.Equal(t, want.String(), string(res.Product.Metadata))
		}
		require.True(t, json.Valid(res.Product.AppendJSON(nil)))
		again, err := c.Upsert(t.Context(), acme, "a", catalog.Patch{Metadata: catalog.Set(res.Product.Metadata)})
		require.NoError(t, err)
		require.Equal(t, catalog.Unchanged, again.Outcome)
	})
}

// FuzzValidate checks that Validate and Upsert refuse the same, and that what
// they take is read back as it was given.
func FuzzValidate(f *testing.F) {
	c := fuzzCatalog(f)
	f.Add("acme", "a", "title", "text", "https://a.example", []byte(`{"a":1}`), 30)
	f.Add("", "", "", "", "", []byte(nil), 0)
	f.Add("a\x00", "a/../b", "\U0001f9e6", "\n", "upload://00000000000000000000000000000001", []byte("null"), 365)
	f.Add("\xff", "..", "\xff", "\xff", "ftp://a.example", []byte("[]"), 366)
	f.Add("a", "a\u0085", "\u2028", "", "https:", []byte(`{"a":1,"a":2}`), -1)
	f.Fuzz(func(t *testing.T, account, id, title, description, url string, classifications []byte, days int) {
		patch := catalog.Patch{
			Title: catalog.Set(title), Description: catalog.Set(description), ValidForDays: catalog.Set(days),
			Images: catalog.Set([]catalog.NewImage{{URL: url, Classifications: classifications}}),
		}
		var faults *catalog.ValidationError
		if err := c.Validate(account, id, patch); err != nil {
			require.ErrorAs(t, err, &faults)
		}
		res, err := c.Upsert(t.Context(), account, id, patch)
		if err != nil {
			var bad *catalog.ValidationError
			require.True(t, errors.As(err, &bad), "%v", err)
			known := 0
			if faults != nil {
				known = len(faults.Fields)
			}
			if known != len(bad.Fields) {
				// What only the product tells is reported where nothing else is wrong,
				// and a missing ID by the upsert alone.
				require.True(t, id == "" || known == 0, "%v and %v", faults, bad)
			}
			return
		}
		require.Nil(t, faults)
		got, err := c.Get(t.Context(), account, id)
		require.NoError(t, err)
		require.Equal(t, res.Product, got)
		require.Equal(t, []string{id, title, description, url}, []string{got.ExternalID, got.Title, got.Description, got.Images[0].SourceURL})
		var decoded struct {
			ExternalID, Title, Description string
			ValidForDays                   int
		}
		require.NoError(t, json.Unmarshal(got.AppendJSON(nil), &decoded))
		require.Equal(t, title, decoded.Title)
		require.Equal(t, id, decoded.ExternalID)
		require.Equal(t, days, decoded.ValidForDays)
		require.NoError(t, c.Delete(t.Context(), account, id))
	})
}
