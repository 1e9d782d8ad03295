package catalog_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/ttl"
)

// storeWithDamage returns a catalog on a store with products p0000 to p0999, in
// the tables of which marked bytes of some of them have changed.
func storeWithDamage(t *testing.T, damaged ...string) *catalog.Catalog {
	t.Helper()
	return storeWithDamageAt(t, catalog.Options{Clock: ttl.NewManualClock(epoch)}, damaged...)
}

func storeWithDamageAt(t *testing.T, o catalog.Options, damaged ...string) *catalog.Catalog {
	t.Helper()
	disk := vfs.NewMem()
	c, err := openOn(disk, o.Clock, o)
	require.NoError(t, err)
	items := make([]catalog.UpsertItem, 1000)
	for i := range items {
		id := fmt.Sprintf("p%04d", i)
		// Incompressible, so that it stands in the file, and one to a block or so.
		noise := pngOf(uint64(i), 60, 60)
		items[i] = catalog.UpsertItem{ExternalID: id, Patch: withImage(catalog.Patch{
			Title: catalog.Set("title of " + id), ValidForDays: catalog.Set(9),
			Metadata: catalog.Set(json.RawMessage(fmt.Sprintf(`"mark %s %x"`, id, noise[:min(len(noise), 3000)]))),
		})}
	}
	for _, r := range c.UpsertMany(t.Context(), acme, items) {
		require.NoError(t, r.Err)
	}
	require.NoError(t, c.Close())
	names, err := disk.List("db")
	require.NoError(t, err)
	hit := 0
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		path := disk.PathJoin("db", name)
		data := contentOf(t, disk, path)
		changed := false
		for _, id := range damaged {
			if at := bytes.Index(data, []byte("mark "+id)); at >= 0 {
				data[at] ^= 1
				changed = true
				hit++
			}
		}
		if changed {
			f, err := disk.Create(path, vfs.WriteCategoryUnspecified)
			require.NoError(t, err)
			_, err = f.Write(data)
			require.NoError(t, err)
			require.NoError(t, f.Close())
		}
	}
	require.Equal(t, len(damaged), hit, "the marks of the products to damage stand in tables")
	c, err = openOn(disk, o.Clock, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// Check reads on behind damage: it names the products that can't be read and
// counts the others, in words of its own.
func TestCheckReadsOn(t *testing.T) {
	c := storeWithDamage(t, "p0100", "p0500")
	report, err := c.Check(t.Context())
	require.NoError(t, err)
	require.False(t, report.Sound())
	require.True(t, report.Complete)
	require.Equal(t, 2, report.Unreadable)
	require.Greater(t, report.Products, 950)
	require.Equal(t, 1000, report.Listed)
	require.Equal(t, 1000, report.Entries)
	var named []string
	for _, p := range report.Problems {
		require.NotContains(t, p.String(), "pebble")
		require.NotContains(t, p.String(), "checksum")
		if p.ExternalID != "" {
			named = append(named, p.ExternalID)
		}
	}
	require.Contains(t, named, "p0100")
	require.Contains(t, named, "p0500")
	require.Len(t, named, 1000-report.Products, "each once, and nothing else is wrong")
	require.Len(t, report.Problems, len(named)+2, "and the two stretches")
	require.Zero(t, report.Stale)

	_, err = c.Get(t.Context(), acme, "p0100")
	require.ErrorIs(t, err, catalog.ErrDamaged)
	require.False(t, catalog.CheckReport{}.Sound(), "nothing was looked at")
}

// A list never skips silently: it is an error with the IDs between which it can't
// be read, or, where that is asked for, a mark in the page.
func TestListsOverDamage(t *testing.T) {
	c := storeWithDamage(t, "p0100", "p0500")
	ctx := t.Context()
	_, err := c.List(ctx, acme, catalog.ListOptions{Cursor: "", Limit: 200})
	var damage *catalog.DamageError
	require.ErrorAs(t, err, &damage)
	require.ErrorIs(t, err, catalog.ErrDamaged)
	require.Equal(t, acme, damage.Account)
	requireAround(t, damage, "p0100")
	_, err = c.Stats(ctx, acme)
	require.ErrorIs(t, err, catalog.ErrDamaged)

	var all []string
	for p, err := range c.All(ctx, acme, catalog.AllOptions{}) {
		if err != nil {
			require.ErrorAs(t, err, &damage)
			requireAround(t, damage, "p0100")
			all = append(all, "damage")
			continue
		}
		all = append(all, p.ExternalID)
	}
	require.Equal(t, "damage", all[len(all)-1], "the last step")
	require.LessOrEqual(t, len(all), 101)

	// Past the damage: every product is listed, or lies in a stretch that is named.
	for _, unlisted := range []bool{false, true} {
		var listed []string
		var stretches []*catalog.DamageError
		for p, err := range c.All(ctx, acme, catalog.AllOptions{PastDamage: true, Unlisted: unlisted}) {
			if err != nil {
				require.ErrorAs(t, err, &damage)
				stretches = append(stretches, damage)
				continue
			}
			listed = append(listed, p.ExternalID)
		}
		require.Len(t, stretches, 2)
		requireAllAccounted(t, listed, stretches)

		listed, stretches = nil, nil
		o := catalog.ListOptions{Limit: 7, PastDamage: true, Unlisted: unlisted}
		for {
			page, err := c.List(ctx, acme, o)
			require.NoError(t, err)
			for _, p := range page.Products {
				listed = append(listed, p.ExternalID)
			}
			stretches = append(stretches, page.Damaged...)
			if !page.HasMore {
				break
			}
			o.Cursor = page.NextCursor
		}
		require.GreaterOrEqual(t, len(stretches), 2)
		requireAllAccounted(t, listed, stretches)
	}
}

func requireAround(t *testing.T, d *catalog.DamageError, id string) {
	t.Helper()
	require.Less(t, d.After, id)
	require.True(t, d.Before == "" || id < d.Before, "%+v", d)
	require.Contains(t, d.Error(), acme)
	require.NotContains(t, d.Error(), "pebble")
}

func requireAllAccounted(t *testing.T, listed []string, stretches []*catalog.DamageError) {
	t.Helper()
	require.True(t, slices.IsSorted(listed))
	require.Greater(t, len(listed), 950)
	for i := range 1000 {
		id := fmt.Sprintf("p%04d", i)
		_, found := slices.BinarySearch(listed, id)
		within := slices.ContainsFunc(stretches, func(d *catalog.DamageError) bool {
			return d.ExternalID == id || d.ExternalID == "" && d.After < id && (d.Before == "" || id < d.Before)
		})
		require.NotEqual(t, found, within, id)
	}
}

// A damaged store says so, from when it was met on.
func TestDamageIsKnown(t *testing.T) {
	c := storeWithDamage(t, "p0100")
	require.NoError(t, c.Damage())
	_, err := c.Get(t.Context(), acme, "p0999")
	require.NoError(t, err)
	require.NoError(t, c.Damage())
	_, err = c.Get(t.Context(), acme, "p0100")
	require.ErrorIs(t, err, catalog.ErrDamaged)
	require.ErrorIs(t, c.Damage(), catalog.ErrDamaged)
	require.ErrorContains(t, c.Damage(), "p0100")
	require.NoError(t, c.Ready(), "the rest is served")
	_, err = c.Upsert(t.Context(), acme, "p0999", catalog.Patch{Title: catalog.Set("x")})
	require.NoError(t, err)
	require.False(t, errors.Is(c.Damage(), io.EOF))
}

// What the sweeper meets is known as what readers meet is, though no call met it.
func TestDamageThatTheSweeperMeets(t *testing.T) {
	clock := ttl.NewManualClock(epoch)
	o := catalog.Options{Clock: clock}
	o.OnExpire = func(context.Context, *catalog.Catalog, catalog.Expired) {} // so it reads the records
	c := storeWithDamageAt(t, o, "p0100")
	require.NoError(t, c.Damage())
	clock.Advance(10 * 24 * time.Hour)
	require.Eventually(t, func() bool {
		clock.Advance(time.Minute) // the sweeper pauses between batches
		return c.Damage() != nil
	}, time.Minute, time.Millisecond)
	require.ErrorIs(t, c.Damage(), catalog.ErrDamaged)
	require.ErrorContains(t, c.Damage(), "sweep")
}
