package catalog_test

import (
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// damage is a sound store with a product "p" of two uploads and a lifetime,
// and what plants damage in it.
type damage struct {
	backend.Txn
	t      *testing.T
	record *encoding.Record
	blob   encoding.BlobID // of several chunks
}

func (d *damage) put(key, value []byte) { require.NoError(d.t, d.Put(key, value)) }
func (d *damage) delete(key []byte)     { require.NoError(d.t, d.Delete(key, 0)) }

// rewrite changes the record of p.
func (d *damage) rewrite(change func(r *encoding.Record)) {
	change(d.record)
	d.put(encoding.AppendProductKey(nil, acme, "p"), encoding.AppendRecord(nil, d.record))
}

// header changes the header of the blob.
func (d *damage) header(change func(h *encoding.BlobHeader)) {
	key := encoding.AppendBlobKey(nil, acme, d.blob, 0)
	var h encoding.BlobHeader
	_, err := d.Get(d.t.Context(), key, func(v []byte) error { return encoding.DecodeBlobHeader(v, &h) })
	require.NoError(d.t, err)
	change(&h)
	d.put(key, encoding.AppendBlobHeader(nil, &h))
}

// expiryKey and putExpiry are about an expiry entry of p.
func (d *damage) expiryKey() []byte {
	return encoding.AppendExpiryKey(nil, encoding.Expiry{Deadline: d.record.IndexedAt, Kind: encoding.ExpiryProduct, Account: acme, ID: "p"})
}

func (d *damage) putExpiry(flags encoding.ExpiryFlags) {
	d.put(d.expiryKey(), encoding.AppendExpiryValue(nil, encoding.ExpiryValue{Flags: flags}))
}

// saidToBePlain gives a record the flag of plain texts, and the checksum that it has
// with that.
func saidToBePlain(record []byte) []byte {
	const checksum, flags = 5, 11
	record[flags] |= 1 << 2
	sum := crc32.Update(binary.BigEndian.Uint32(record), crc32.MakeTable(crc32.Castagnoli), record[checksum+4:])
	binary.BigEndian.PutUint32(record[checksum:], sum)
	return record
}

// contract 7: Check finds each kind of damage, says where, changes nothing, and
// is clean otherwise.
func TestCheckFindsDamage(t *testing.T) {
	for _, test := range []struct {
		name  string
		plant func(d *damage)
		found []string // the account and product that are named, and perhaps what is said
	}{
		{"none", func(*damage) {}, nil},
		{"record under another key", func(d *damage) {
			d.put(encoding.AppendProductKey(nil, acme, "q"), encoding.AppendRecord(nil, d.record))
		}, []string{acme, "q"}},
		{"damaged record", func(d *damage) { d.put(encoding.AppendProductKey(nil, acme, "p"), []byte("x")) }, []string{acme, "p"}},
		{"texts that are not plain but said to be", func(d *damage) {
			r := *d.record
			r.Title = `a "quoted" title`
			d.put(encoding.AppendProductKey(nil, acme, "p"), saidToBePlain(encoding.AppendRecord(nil, &r)))
		}, []string{acme, "p", "not plain"}},
		{"damaged product key", func(d *damage) { d.put([]byte{encoding.SpaceProduct, 'x'}, nil) }, []string{"", ""}},
		{"no expiry entry", func(d *damage) { d.delete(d.expiryKey()) }, []string{acme, "p"}},
		{"expiry entry too late", func(d *damage) {
			d.rewrite(func(r *encoding.Record) { r.IndexedAt++ })
			d.putExpiry(unkept)
		}, []string{acme, "p"}},
		{"expires but is not indexed", func(d *damage) { d.rewrite(func(r *encoding.Record) { r.IndexedAt = encoding.None }) }, []string{acme, "p"}},
		{"kept forever but indexed", func(d *damage) { d.rewrite(func(r *encoding.Record) { r.ValidForDays = 0 }) }, []string{acme, "p"}},
		{"damaged expiry key", func(d *damage) { d.put([]byte{encoding.SpaceExpiry, 0, 1}, nil) }, []string{"", ""}},
		{"expiry entry in a wrong shard", func(d *damage) {
			e := encoding.Expiry{Shard: 3, Deadline: 1, Kind: encoding.ExpiryProduct, Account: acme, ID: "p"}
			d.put(encoding.AppendExpiryKey(nil, e), encoding.AppendExpiryValue(nil, encoding.ExpiryValue{Flags: unkept}))
		}, []string{acme, "p"}},
		{"damaged expiry entry", func(d *damage) { d.put(d.expiryKey(), nil) }, []string{acme, "p"}},
		{"expiry entry of a newer schema", func(d *damage) {
			d.put(d.expiryKey(), []byte{0x91, encoding.Schema + 1})
		}, []string{acme, "p"}},
		{"expiry entry that hides uploads", func(d *damage) { d.putExpiry(0) }, []string{acme, "p", "uploads"}},
		{"expiry entry that hides a renewal", func(d *damage) {
			d.rewrite(func(r *encoding.Record) { r.Anchor++ })
			d.putExpiry(0)
		}, []string{acme, "p", "renewed"}},
		{"expiry entry that hides that it is listed", func(d *damage) {
			d.putExpiry(encoding.ExpiryUploads | encoding.ExpiryUnlisted)
		}, []string{acme, "p", "says"}},
		{"expiry entry that says too much", func(d *damage) {
			d.putExpiry(encoding.ExpiryUploads | encoding.ExpiryRenewed)
		}, []string{acme, "p", "says"}},
		{"second expiry entry", func(d *damage) {
			e := encoding.Expiry{Deadline: 1, Kind: encoding.ExpiryProduct, Account: acme, ID: "p"}
			d.put(encoding.AppendExpiryKey(nil, e), encoding.AppendExpiryValue(nil, encoding.ExpiryValue{}))
		}, []string{acme, "p", "not its own"}},
		{"expiry entry of a product that is kept", func(d *damage) {
			e := encoding.Expiry{Deadline: 1, Kind: encoding.ExpiryProduct, Account: acme, ID: "other"}
			d.put(encoding.AppendExpiryKey(nil, e), encoding.AppendExpiryValue(nil, encoding.ExpiryValue{}))
		}, []string{acme, "other", "not its own"}},
		{"expiry entry of nothing", func(d *damage) {
			e := encoding.Expiry{Deadline: 1, Kind: encoding.ExpiryProduct, Account: acme, ID: "nothing"}
			d.put(encoding.AppendExpiryKey(nil, e), encoding.AppendExpiryValue(nil, encoding.ExpiryValue{}))
		}, []string{acme, "nothing", "not its own"}},
		{"damaged list entry", func(d *damage) { d.put(encoding.AppendListedKey(nil, acme, "p"), nil) }, []string{acme, "p"}},
		{"list entry of a newer schema", func(d *damage) {
			d.put(encoding.AppendListedKey(nil, acme, "p"), []byte{0x91, encoding.Schema + 1})
		}, []string{acme, "p"}},
		{"not in the list", func(d *damage) { d.delete(encoding.AppendListedKey(nil, acme, "p")) }, []string{acme, "p"}},
		{"listed without the flag", func(d *damage) { d.rewrite(func(r *encoding.Record) { r.Listed = false }) }, []string{acme, "p"}},
		{"in the list but absent", func(d *damage) { d.put(encoding.AppendListedKey(nil, acme, "q"), encoding.AppendListedValue(nil)) }, []string{acme, "q"}},
		{"damaged list key", func(d *damage) { d.put([]byte{encoding.SpaceListed, 'x'}, nil) }, []string{"", ""}},
		{"generated and listed", func(d *damage) { d.rewrite(func(r *encoding.Record) { r.Generated = true }) }, []string{acme, "p"}},
		{"no image", func(d *damage) { d.rewrite(func(r *encoding.Record) { r.Images = nil }) }, []string{acme, "p"}},
		{"missing header", func(d *damage) { d.delete(encoding.AppendBlobKey(nil, acme, d.blob, 0)) }, []string{acme, "p"}},
		{"damaged header", func(d *damage) { d.put(encoding.AppendBlobKey(nil, acme, d.blob, 0), []byte("x")) }, []string{acme, "p"}},
		{"missing first chunk", func(d *damage) { d.delete(encoding.AppendBlobKey(nil, acme, d.blob, 1)) }, []string{acme, "p"}},
		{"missing last chunk", func(d *damage) { d.delete(encoding.AppendBlobKey(nil, acme, d.blob, 2)) }, []string{acme, "p"}},
		{"chunk too many", func(d *damage) { d.put(encoding.AppendBlobKey(nil, acme, d.blob, 3), []byte("x")) }, []string{acme, "p"}},
		{"other bytes", func(d *damage) {
			d.put(encoding.AppendBlobKey(nil, acme, d.blob, 1), make([]byte, 256<<10))
		}, []string{acme, "p"}},
		{"other bytes with a checksum of their own", func(d *damage) {
			d.put(encoding.AppendBlobKey(nil, acme, d.blob, 1), encoding.AppendChunkTrailer(make([]byte, 256<<10), d.blob, 1))
		}, []string{acme, "p"}},
		{"damaged chunk that waits for removal", func(d *damage) {
			id := encoding.BlobID{1}
			h := encoding.BlobHeader{State: encoding.BlobGarbage, Owner: "gone", Deadline: 5, ChunkSize: 1, Chunks: 1, Size: 1}
			d.put(encoding.AppendBlobKey(nil, acme, id, 0), encoding.AppendBlobHeader(nil, &h))
			d.put(encoding.AppendBlobKey(nil, acme, id, 1), []byte("xxxxx"))
			e := encoding.Expiry{Kind: encoding.ExpiryBlob, Deadline: 5, Account: acme, ID: string(id[:])}
			d.put(encoding.AppendExpiryKey(nil, e), encoding.AppendExpiryValue(nil, encoding.ExpiryValue{Flags: unkept}))
		}, []string{acme, "gone"}},
		{"other hash in the record", func(d *damage) { d.rewrite(func(r *encoding.Record) { r.Images[1].SHA256[0]++ }) }, []string{acme, "p"}},
		{"other size in the record", func(d *damage) { d.rewrite(func(r *encoding.Record) { r.Images[1].Size++ }) }, []string{acme, "p"}},
		{"owned by another product", func(d *damage) { d.header(func(h *encoding.BlobHeader) { h.Owner = "q" }) }, []string{acme, "p"}},
		{"owned by an earlier product", func(d *damage) { d.header(func(h *encoding.BlobHeader) { h.Incarnation++ }) }, []string{acme, "p"}},
		{"garbage in use", func(d *damage) {
			d.header(func(h *encoding.BlobHeader) { h.State, h.Deadline = encoding.BlobGarbage, 1 })
		}, []string{acme, "p"}},
		{"owned by nobody", func(d *damage) { d.rewrite(func(r *encoding.Record) { r.Images = r.Images[:1] }) }, []string{acme, "p"}},
		{"chunk of no image", func(d *damage) {
			d.put(encoding.AppendBlobKey(nil, acme, encoding.BlobID{1}, 1), []byte("x"))
		}, []string{acme, ""}},
		{"waits for removal without an entry", func(d *damage) {
			h := encoding.BlobHeader{State: encoding.BlobStaged, Deadline: 5, ChunkSize: 1}
			d.put(encoding.AppendBlobKey(nil, acme, encoding.BlobID{1}, 0), encoding.AppendBlobHeader(nil, &h))
		}, []string{acme, ""}},
		{"damaged part of the use journal", func(d *damage) {
			d.put(encoding.AppendMetaKey(nil, encoding.UseJournalName(7)), []byte("x"))
		}, []string{"", ""}},
		{"damaged start of the use journal", func(d *damage) {
			d.put(encoding.AppendMetaKey(nil, encoding.UseJournalStart), []byte("x"))
		}, []string{"", ""}},
		{"damaged progress of the sweeper", func(d *damage) {
			d.put(encoding.AppendMetaKey(nil, encoding.SweepProgressName), []byte("x"))
		}, []string{"", ""}},
		{"damaged meta key", func(d *damage) { d.put([]byte{encoding.SpaceMeta, 'x'}, nil) }, []string{"", ""}},
		{"damaged image key", func(d *damage) { d.put([]byte{encoding.SpaceBlob, 'x'}, nil) }, []string{"", ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := t.Context()
			store := memory.New(nil)
			w := &world{t: t, clock: ttl.NewManualClock(epoch), handles: 1, open: func() backend.Backend { return store.Handle() }}
			w.opts.Clock = w.clock
			w.opts.Sweeper.Grace = 100 * 365 * day // entries of long ago are planted, which the sweeper must not take away first
			w.start()
			t.Cleanup(w.close)
			large := append(pngOf(1, 4, 4), make([]byte, 300<<10)...)
			w.upsert("p", catalog.Patch{ValidForDays: catalog.Set(9), Images: imagesOf(pngOf(2, 4, 4), large)})
			w.create("other")
			w.soundReport()
			w.write(func(txn backend.Txn) error {
				r := storedRecord(t, txn, "p")
				test.plant(&damage{txn, t, r, r.Images[1].Blob})
				return nil
			})
			for range 2 { // the second finds the same
				report, err := w.c().Check(ctx)
				require.NoError(t, err)
				require.False(t, report.Truncated)
				if test.found == nil {
					require.Empty(t, report.Problems)
					require.Equal(t, catalog.CheckReport{Products: 2, Listed: 2, Blobs: 2, Entries: 1, Complete: true}, report)
					continue
				}
				require.NotEmpty(t, report.Problems)
				found := false
				for _, p := range report.Problems {
					require.NotEmpty(t, p.What)
					require.Contains(t, p.String(), p.What)
					found = found || p.Account == test.found[0] && p.ExternalID == test.found[1] &&
						strings.Contains(p.What, strings.Join(test.found[2:], ""))
				}
				require.True(t, found, "%v", report.Problems)
			}
		})
	}
}

// Check ends early where there is nothing but damage.
func TestCheckIsBounded(t *testing.T) {
	store := memory.New(nil)
	w := &world{t: t, clock: ttl.NewManualClock(epoch), handles: 1, open: func() backend.Backend { return store.Handle() }}
	w.opts.Clock = w.clock
	w.start()
	defer w.close()
	w.write(func(txn backend.Txn) error {
		for i := range 3000 {
			if err := txn.Put([]byte{encoding.SpaceProduct, byte(i >> 8), byte(i)}, nil); err != nil {
				return err
			}
		}
		return nil
	})
	report, err := w.c().Check(t.Context())
	require.NoError(t, err)
	require.True(t, report.Truncated)
	require.LessOrEqual(t, len(report.Problems), 1000)
}
