package catalog_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

// contract 2: legal IDs work in every operation and are compared byte for
// byte, never normalised.
func TestLegalExternalIDs(t *testing.T) {
	legal := []string{
		"a", "/", "//", "a/../b", "a/b", "/a", "a/", "a//", " ", " a ", "%", "%2F", "%2f", "?", "a?b#c", "...", "./", "../",
		"emoji 🧦", "\u00e9", "e\u0301", "A", "a\u00a0b", "\u200b", "\u2028", "\ufeff", "\ufffd", "_anon", "_ANON_x", "\"", `\`, "'", "&lt;<>&",
		strings.Repeat("x", 255), strings.Repeat("\u00e9", 127) + "x", "\U0010ffff",
	}
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		for _, id := range legal {
			w.upsert(id, withImage(catalog.Patch{Title: catalog.Set(id)}))
		}
		for _, id := range legal {
			p := w.get(id)
			require.Equal(t, id, p.ExternalID)
			require.Equal(t, id, p.Title, "%q was taken for another ID", id)
			used, err := w.c().Use(ctx, acme, id)
			require.NoError(t, err)
			require.Equal(t, id, used.ExternalID)
		}
		page, err := w.c().List(ctx, acme, catalog.ListOptions{Limit: 200})
		require.NoError(t, err)
		require.ElementsMatch(t, legal, ids(page.Products))
		require.IsIncreasing(t, ids(page.Products), "byte order")
		for _, id := range legal {
			require.NoError(t, w.c().Delete(ctx, acme, id))
			w.requireGone(id)
		}
	})
}

// contract 2: what an ID and an account must not be, in every operation.
func TestRefusedNames(t *testing.T) {
	long := strings.Repeat("x", 256)
	refusedIDs := map[string]catalog.Code{
		"":                              catalog.CodeExternalIDRequired,
		long:                            catalog.CodeValidationFailed,
		strings.Repeat("\u00e9", 128):   catalog.CodeValidationFailed,
		".":                             catalog.CodeValidationFailed,
		"..":                            catalog.CodeValidationFailed,
		"a\x00b":                        catalog.CodeValidationFailed,
		"a\n":                           catalog.CodeValidationFailed,
		"\t":                            catalog.CodeValidationFailed,
		"\x1b":                          catalog.CodeValidationFailed,
		"a\x7fb":                        catalog.CodeValidationFailed,
		"a\u0080b":                      catalog.CodeValidationFailed,
		"\u0085":                        catalog.CodeValidationFailed,
		"\u009f":                        catalog.CodeValidationFailed,
		"a\xffb":                        catalog.CodeValidationFailed,
		"\xed\xa0\x80" /* surrogate */ : catalog.CodeValidationFailed,
		"\xc0\x80" /* overlong */ :      catalog.CodeValidationFailed,
	}
	refusedAccounts := []string{"", long, "a\xff"}
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		operations := map[string]func(account, id string) error{
			"Upsert": func(account, id string) error {
				_, err := w.c().Upsert(ctx, account, id, withImage(catalog.Patch{}))
				return err
			},
			"UpsertInline": func(account, id string) error {
				_, err := w.c().UpsertInline(ctx, account, id, withImage(catalog.Patch{}))
				return err
			},
			"UpsertMany": func(account, id string) error {
				return w.c().UpsertMany(ctx, account, []catalog.UpsertItem{{ExternalID: id, Patch: withImage(catalog.Patch{})}})[0].Err
			},
			"Use":   func(account, id string) error { _, err := w.c().Use(ctx, account, id); return err },
			"Touch": func(account, id string) error { _, err := w.c().Touch(ctx, account, id); return err },
			"Get":   func(account, id string) error { _, err := w.c().Get(ctx, account, id); return err },
			"Delete": func(account, id string) error {
				return w.c().Delete(ctx, account, id)
			},
			"OpenImage": func(account, id string) error { _, err := w.c().OpenImage(ctx, account, id, 0); return err },
		}
		for name, do := range operations {
			for id, code := range refusedIDs {
				requireFaults(t, do(acme, id), map[string]catalog.Code{"externalId": code})
			}
			for _, account := range refusedAccounts {
				requireFaults(t, do(account, "a"), map[string]catalog.Code{"account": catalog.CodeValidationFailed})
			}
			err := do("", ".")
			requireFaults(t, err, map[string]catalog.Code{"account": catalog.CodeValidationFailed, "externalId": catalog.CodeValidationFailed})
			require.True(t, strings.HasPrefix(err.Error(), "shelflife: "), "%s: %v", name, err)
		}
		for _, account := range refusedAccounts {
			want := map[string]catalog.Code{"account": catalog.CodeValidationFailed}
			_, err := w.c().CreateOneShot(ctx, account, withImage(catalog.Patch{}))
			requireFaults(t, err, want)
			_, err = w.c().StageImage(ctx, account, strings.NewReader(string(pngOf(1, 1, 1))))
			requireFaults(t, err, want)
			_, err = w.c().List(ctx, account, catalog.ListOptions{})
			requireFaults(t, err, want)
			_, err = w.c().DeleteAccount(ctx, account)
			requireFaults(t, err, want)
			_, err = w.c().Stats(ctx, account)
			requireFaults(t, err, want)
		}
		report := w.check()
		require.Zero(t, report.Products)
		require.Zero(t, report.Blobs)
	})
}

// contract 2: accounts are opaque, 1 to 255 bytes of valid UTF-8; control
// characters and the like are theirs to use.
func TestLegalAccounts(t *testing.T) {
	accounts := []string{"a", ".", "..", "\x00", "a\x00", "a\x00\x01", "\x01", "\xc2\x80", " ", "a/b", strings.Repeat("x", 255), "_anon_"}
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		for _, account := range accounts {
			_, err := w.c().Upsert(t.Context(), account, "id", withImage(catalog.Patch{Title: catalog.Set(account)}))
			require.NoError(t, err, "%q", account)
		}
		for _, account := range accounts {
			page, err := w.c().List(t.Context(), account, catalog.ListOptions{Unlisted: true})
			require.NoError(t, err)
			require.Len(t, page.Products, 1, "%q", account)
			require.Equal(t, account, page.Products[0].Title)
		}
		for i, account := range accounts {
			n, err := w.c().DeleteAccount(t.Context(), account)
			require.NoError(t, err)
			require.Equal(t, 1, n, "%q", account)
			require.Equal(t, len(accounts)-1-i, w.check().Products)
		}
	})
}

// contract 2: two accounts never see or affect each other's products, whatever
// their names.
func TestAccountsAreApart(t *testing.T) {
	pairs := [][2][2]string{
		{{"a", "b/c"}, {"a/b", "c"}},
		{{"a", "b"}, {"ab", "b"}},
		{{"a", "\u00ff"}, {"a\u00ff", "x"}},
		{{"a", "a"}, {"aa", "a"}},
		{{"a\x00", "x"}, {"a", "x"}},
		{{"a\x00\x01", "x"}, {"a\x00", "x"}},
	}
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		for _, pair := range pairs {
			first, second := pair[0], pair[1]
			_, err := w.c().Upsert(ctx, first[0], first[1], withImage(catalog.Patch{Title: catalog.Set("first")}))
			require.NoError(t, err)
			_, err = w.c().Get(ctx, second[0], second[1])
			require.ErrorIs(t, err, catalog.ErrNotFound)
			_, err = w.c().Use(ctx, second[0], second[1])
			require.ErrorIs(t, err, catalog.ErrNotFound)
			require.ErrorIs(t, w.c().Delete(ctx, second[0], second[1]), catalog.ErrNotFound)
			_, err = w.c().Upsert(ctx, second[0], second[1], withImage(catalog.Patch{Title: catalog.Set("second")}), catalog.CreateOnly())
			require.NoError(t, err)
			for _, account := range pair {
				page, err := w.c().List(ctx, account[0], catalog.ListOptions{})
				require.NoError(t, err)
				require.Equal(t, []string{account[1]}, ids(page.Products))
				n, err := w.c().DeleteAccount(ctx, account[0])
				require.NoError(t, err)
				require.Equal(t, 1, n)
			}
		}
	})
}

// contract 2: the prefix "_anon_" is reserved. Creating under it is refused,
// also where an expired one stood; a live one can be read, used, edited and
// deleted.
func TestReservedPrefix(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		ctx := t.Context()
		reserved := map[string]catalog.Code{"externalId": catalog.CodeValidationFailed}
		requireRefused := func(id string) {
			t.Helper()
			_, err := w.c().Upsert(ctx, acme, id, withImage(catalog.Patch{}))
			requireFaults(t, err, reserved)
			_, err = w.c().UpsertInline(ctx, acme, id, withImage(catalog.Patch{}))
			requireFaults(t, err, reserved)
			many := w.c().UpsertMany(ctx, acme, []catalog.UpsertItem{{ExternalID: id, Patch: withImage(catalog.Patch{})}})
			requireFaults(t, many[0].Err, reserved)
			_, err = w.c().Upsert(ctx, acme, id, withImage(catalog.Patch{}), catalog.CreateOnly())
			requireFaults(t, err, reserved)
			_, err = w.c().Upsert(ctx, acme, id, catalog.Patch{})
			requireFaults(t, err, map[string]catalog.Code{
				"externalId": catalog.CodeValidationFailed, "images": catalog.CodeImagesRequired,
			})
			w.requireGone(id)
		}
		requireRefused("_anon_")
		requireRefused("_anon_mine")

		res, err := w.c().CreateOneShot(ctx, acme, withImage(catalog.Patch{ValidForDays: catalog.Set(1)}))
		require.NoError(t, err)
		id := res.Product.ExternalID
		require.Equal(t, res.Product, w.get(id))
		w.clock.Advance(day / 2)
		_, err = w.c().Use(ctx, acme, id)
		require.NoError(t, err)
		require.Equal(t, "edited", w.upsert(id, catalog.Patch{Title: catalog.Set("edited")}).Title)

		w.clock.Advance(day)
		requireRefused(id)
		w.clock.Advance(time.Hour)
		w.sweep()
		requireRefused(id)

		res, err = w.c().CreateOneShot(ctx, acme, withImage(catalog.Patch{}))
		require.NoError(t, err)
		require.NoError(t, w.c().Delete(ctx, acme, res.Product.ExternalID))
		requireRefused(res.Product.ExternalID)
	})
}
