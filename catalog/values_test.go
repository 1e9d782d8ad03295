package catalog_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// newerValue is a value of a schema that this version does not know.
var newerValue = []byte{0x91, encoding.Schema + 1}

// storeMeta returns the description of a store.
func storeMeta(t *testing.T, b backend.Reader) (m encoding.StoreMeta) {
	t.Helper()
	found, err := b.Get(t.Context(), encoding.AppendMetaKey(nil, encoding.StoreMetaName), func(v []byte) error {
		return encoding.DecodeStoreMeta(v, &m)
	})
	require.NoError(t, err)
	require.True(t, found)
	return m
}

// putMeta writes a meta entry.
func putMeta(t *testing.T, b backend.Backend, name string, value []byte) {
	t.Helper()
	group, item := encoding.MetaScope(name)
	err := b.Update(t.Context(), []backend.Scope{{Group: group, Item: item}}, backend.UpdateOptions{},
		func(_ context.Context, txn backend.Txn) error {
			return txn.Put(encoding.AppendMetaKey(nil, name), value)
		})
	require.NoError(t, err)
}

// Each store has an ID, an epoch and a secret of its own, which stay over
// openings; salvage brings an earlier state back, so the epoch is another then.
func TestEpochAndSecret(t *testing.T) {
	var all []encoding.StoreMeta
	for range 2 {
		store := memory.New(nil)
		for range 2 {
			c, err := catalog.Open(t.Context(), store.Handle(), nil)
			require.NoError(t, err)
			require.NoError(t, c.Close())
			all = append(all, storeMeta(t, store.Handle()))
		}
		to := memory.New(nil)
		_, err := catalog.Salvage(t.Context(), store.Handle(), to, catalog.SalvageOptions{})
		require.NoError(t, err)
		all = append(all, storeMeta(t, to))
	}
	a, again, salvaged, b := all[0], all[1], all[2], all[3]
	require.Equal(t, a, again)
	require.NotZero(t, a.Epoch)
	require.NotEqual(t, encoding.Secret{}, a.Secret)
	require.NotEqual(t, a.StoreID, b.StoreID)
	require.NotEqual(t, a.Epoch, b.Epoch)
	require.False(t, bytes.Equal(a.Secret[:], b.Secret[:]))

	require.NotEqual(t, a.Epoch, salvaged.Epoch)
	require.NotZero(t, salvaged.Epoch)
	salvaged.Epoch = a.Epoch
	require.Equal(t, a, salvaged)
}

// A cursor is made with the secret, which no caller knows, and not with the ID of
// the store, which may be shown.
func TestCursorsRestOnTheSecret(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		w.create("a")
		w.create("b")
		page, err := w.c().List(t.Context(), acme, catalog.ListOptions{Limit: 1})
		require.NoError(t, err)
		change := func(change func(m *encoding.StoreMeta)) error {
			w.raw(func(b backend.Backend) {
				m := storeMeta(t, b)
				change(&m)
				putMeta(t, b, encoding.StoreMetaName, encoding.AppendStoreMeta(nil, &m))
			})
			_, err := w.c().List(t.Context(), acme, catalog.ListOptions{Cursor: page.NextCursor})
			return err
		}
		require.NoError(t, change(func(m *encoding.StoreMeta) { m.StoreID[0]++; m.Epoch++ }))
		require.Error(t, change(func(m *encoding.StoreMeta) { m.Secret[31]++ }))
	})
}

// placed is a store whose engine says that it places keys in parts.
type placed struct {
	backend.Backend
	partition string
	parts     int
}

func (p placed) Properties() backend.Properties {
	props := p.Backend.Properties()
	props.Partition, props.Parts = p.partition, p.parts
	return props
}

// A store is opened on an engine that places keys as it did when the store was
// created, and by a function that stores may have.
func TestPartition(t *testing.T) {
	account := encoding.AccountPartition{}.Name()
	open := func(store *memory.Store, partition string, parts int) error {
		b := placed{store.Handle(), partition, parts}
		c, err := catalog.Open(t.Context(), b, nil)
		if err != nil {
			require.NoError(t, b.Close())
			return err
		}
		return c.Close()
	}
	require.ErrorContains(t, open(memory.New(nil), "by moon phase", 4), `"by moon phase"`)
	require.ErrorContains(t, open(memory.New(nil), account, encoding.MaxParts+1), "65537 parts")

	store, plain := memory.New(nil), memory.New(nil)
	require.NoError(t, open(store, account, 4))
	m := storeMeta(t, store.Handle())
	require.Equal(t, encoding.PartitionAccount, m.Partition)
	require.Equal(t, 4, m.Parts)
	require.NoError(t, open(store, account, 4))
	require.ErrorContains(t, open(store, account, 5), "created in 4 parts")
	require.ErrorContains(t, open(store, "", 0), "created in 4 parts")
	require.NoError(t, open(plain, "", 0))
	require.ErrorContains(t, open(plain, account, 4), "created in 0 parts")

	// What is salvaged is placed as the new store's engine places it.
	_, err := catalog.Salvage(t.Context(), plain.Handle(), placed{memory.New(nil), "by moon phase", 4}, catalog.SalvageOptions{})
	require.ErrorContains(t, err, `"by moon phase"`)
	to := memory.New(nil)
	_, err = catalog.Salvage(t.Context(), store.Handle(), to, catalog.SalvageOptions{})
	require.NoError(t, err)
	require.NoError(t, open(to, "", 0))

	m.Partition = 1000
	putMeta(t, store.Handle(), encoding.StoreMetaName, encoding.AppendStoreMeta(nil, &m))
	require.ErrorIs(t, open(store, account, 4), encoding.ErrNewerSchema)
}

// A list that would jump by a listed entry of a newer schema is refused, as one
// that meets such a record; a damaged entry costs the jump and nothing else.
func TestListedValues(t *testing.T) {
	onEveryStore(t, nil, func(t *testing.T, w *world) {
		for i := range 40 {
			w.createInline(fmt.Sprintf("hidden%02d", i))
		}
		w.create("z")
		key := encoding.AppendListedKey(nil, acme, "z")
		list := func() (catalog.Page, error) {
			return w.c().List(t.Context(), acme, catalog.ListOptions{})
		}
		page, err := list()
		require.NoError(t, err)
		require.Len(t, page.Products, 1)
		w.write(func(txn backend.Txn) error { return txn.Put(key, newerValue) })
		_, err = list()
		require.ErrorIs(t, err, encoding.ErrNewerSchema)
		require.NotErrorIs(t, err, catalog.ErrDamaged)
		w.write(func(txn backend.Txn) error { return txn.Put(key, []byte("x")) })
		again, err := list()
		require.NoError(t, err)
		require.Equal(t, page, again)
		w.write(func(txn backend.Txn) error { return txn.Put(key, encoding.AppendListedValue(nil)) })
	})
}

// The sweeper leaves an entry of a newer schema, and says so; one that is damaged
// stands for its product all the same, as it only saves reading the record.
func TestExpiryValues(t *testing.T) {
	var log bytes.Buffer
	w := behindGlass(t, catalog.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	keys := map[string][]byte{}
	for _, id := range []string{"newer", "damaged", "sound"} {
		w.createFor(id, 1)
		e := encoding.Expiry{Kind: encoding.ExpiryProduct, Deadline: w.record(id).IndexedAt, Account: acme, ID: id}
		keys[id] = encoding.AppendExpiryKey(nil, e)
		_, err := w.store.Handle().Get(t.Context(), keys[id], func(value []byte) error {
			v, err := encoding.DecodeExpiryValue(value)
			require.NoError(t, err)
			require.Zero(t, v.Flags)
			return w.recordSize(id, int(v.RecordSize))
		})
		require.NoError(t, err)
	}
	w.write(func(txn backend.Txn) error {
		if err := txn.Put(keys["newer"], newerValue); err != nil {
			return err
		}
		return txn.Put(keys["damaged"], nil)
	})
	w.clock.Advance(2 * day)
	w.sweep()
	for id, stays := range map[string]bool{"newer": true, "damaged": false, "sound": false} {
		for _, key := range [][]byte{keys[id], encoding.AppendProductKey(nil, acme, id)} {
			found, err := w.store.Handle().Get(t.Context(), key, func([]byte) error { return nil })
			require.NoError(t, err)
			require.Equal(t, stays, found, id)
		}
	}
	require.Contains(t, log.String(), "newer schema")
	require.ErrorIs(t, w.c().Damage(), catalog.ErrDamaged)
	require.ErrorContains(t, w.c().Damage(), "expiry entry")
	w.write(func(txn backend.Txn) error {
		return txn.Put(keys["newer"], encoding.AppendExpiryValue(nil, encoding.ExpiryValue{Flags: 1}))
	})
	w.sweep()
	w.requireStored(0, 0)
}

// recordSize fails unless the record of a product is so long.
func (w *glassWorld) recordSize(id string, want int) error {
	_, err := w.store.Handle().Get(w.t.Context(), encoding.AppendProductKey(nil, acme, id), func(value []byte) error {
		require.Len(w.t, value, want)
		return nil
	})
	return err
}

// The sweeper's progress is a hint: what can't be understood of it is told, and
// the sweeper begins anew.
func TestUnreadableProgress(t *testing.T) {
	for name, value := range map[string][]byte{"damaged": []byte("x"), "newer": newerValue} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			clock := ttl.NewManualClock(epoch)
			store := memory.New(nil)
			o := &catalog.Options{Clock: clock, Logger: slog.New(slog.NewTextHandler(&log, nil))}
			c, err := catalog.Open(t.Context(), store.Handle(), o)
			require.NoError(t, err)
			_, err = c.Upsert(t.Context(), acme, "p", withImage(catalog.Patch{ValidForDays: catalog.Set(1)}))
			require.NoError(t, err)
			require.NoError(t, c.Close())
			putMeta(t, store.Handle(), encoding.SweepProgressName, value)
			clock.Advance(time.Hour)

			c, err = catalog.Open(t.Context(), store.Handle(), o)
			require.NoError(t, err)
			require.Equal(t, name == "damaged", c.Damage() != nil)
			require.Contains(t, log.String(), "how far the sweeper had come")
			clock.Advance(2 * day)
			_, err = c.Sweep(t.Context()) // unless it was swept in the background meanwhile
			require.NoError(t, err)
			found, err := store.Handle().Get(t.Context(), encoding.AppendProductKey(nil, acme, "p"), func([]byte) error { return nil })
			require.NoError(t, err)
			require.False(t, found)
			require.NoError(t, c.Close())
		})
	}
}

// A damaged description of the store is found by those who look, and made anew
// by salvage, which leaves out what else it can't understand of the store itself.
func TestDamagedDescription(t *testing.T) {
	store := memory.New(nil)
	c, err := catalog.Open(t.Context(), store.Handle(), nil)
	require.NoError(t, err)
	_, err = c.Upsert(t.Context(), acme, "p", withImage(catalog.Patch{}))
	require.NoError(t, err)
	for _, name := range []string{encoding.StoreMetaName, encoding.SweepProgressName, encoding.UseJournalName(7)} {
		putMeta(t, store.Handle(), name, []byte("x"))
	}
	report, err := c.Check(t.Context())
	require.NoError(t, err)
	require.Len(t, report.Problems, 3)
	require.NoError(t, c.Close())
	putMeta(t, store.Handle(), encoding.SweepProgressName, []byte("x")) // Close has written it
	_, err = catalog.Open(t.Context(), store.Handle(), nil)
	require.ErrorIs(t, err, catalog.ErrDamaged)

	to := memory.New(nil)
	salvaged, err := catalog.Salvage(t.Context(), store.Handle(), to, catalog.SalvageOptions{})
	require.NoError(t, err)
	require.Len(t, salvaged.Lost, 3)
	require.Equal(t, 1, salvaged.Products)
	require.NotZero(t, storeMeta(t, to).Epoch)
	c, err = catalog.Open(t.Context(), to, nil)
	require.NoError(t, err)
	report, err = c.Check(t.Context())
	require.NoError(t, err)
	require.True(t, report.Sound(), "%v", report.Problems)
	require.NoError(t, c.Close())
}
