package encoding

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzDecodeRecord decodes what it is given, and that with a checksum and an
// offset of the images that are right, behind which nothing else would be found.
func FuzzDecodeRecord(f *testing.F) {
	f.Add(AppendRecord(nil, minimalRecord()))
	f.Add(AppendRecord(nil, fullRecord()))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r, aliased Record
		require.Equal(t, DecodeRecord(data, &r) == nil, DecodeRecordAliasing(data, &aliased) == nil)
		_, viewErr := ViewRecord(data)
		require.Equal(t, decode(data, &r) == nil, viewErr == nil) // not verified
		if count, err := checkHeader(data); err == nil {
			data = slices.Clone(data)
			in := reader{data: data, off: headerLen}
			in.elements(count-headerElements-1, "")
			binary.BigEndian.PutUint32(data[offImages+1:], uint32(in.off))
			sealed(data)
		}
		h, peekErr := PeekRecord(data)
		err := DecodeRecord(data, &r)
		require.Equal(t, err == nil, DecodeRecordAliasing(data, &aliased) == nil)
		_, viewErr = ViewRecord(data)
		require.Equal(t, decode(data, &aliased) == nil, viewErr == nil)
		if err != nil {
			return
		}
		require.NoError(t, peekErr)
		require.Equal(t, headerOf(&r), h)
		require.Equal(t, r, aliased)
		require.NoError(t, VerifyRecord(data))

		encoded := AppendRecord(nil, &r)
		require.LessOrEqual(t, len(encoded), recordBound(&r))
		require.NoError(t, CheckTexts(encoded, &r))
		var again Record
		require.NoError(t, DecodeRecord(encoded, &again))
		require.Equal(t, r, again)
	})
}

// FuzzRecordTellsChanges changes a byte of a record, leaves one out, adds one and
// cuts the rest off.
func FuzzRecordTellsChanges(f *testing.F) {
	full := fullRecord()
	f.Add(full.Title, full.Description, string(full.Metadata), full.Images[0].URL, uint64(1), int64(1), 30, byte(1))
	f.Add("", "", "", "", uint64(math.MaxUint64), None, 0, byte(0xff))
	f.Fuzz(func(t *testing.T, title, description, metadata, url string, random uint64, when int64, at int, flip byte) {
		r := &Record{
			Incarnation: random, Edit: ^random, CreatedAt: when, Anchor: when, FeedPosition: random >> 8,
			Title: title, Description: description, Metadata: []byte(metadata), Images: []Image{{URL: url}},
		}
		good := AppendRecord(nil, r)
		var into Record
		require.NoError(t, DecodeRecord(good, &into))
		at = place(at, len(good))
		changed := map[string][]byte{
			"left out": slices.Delete(slices.Clone(good), at, at+1), "more": slices.Insert(slices.Clone(good), at, flip), "cut": good[:at],
		}
		if flip != 0 {
			changed["flipped"] = slices.Clone(good)
			changed["flipped"][at] ^= flip
		}
		for what, data := range changed {
			err := DecodeRecordAliasing(data, &into)
			require.True(t, IsUnreadable(err), "%s at %d: %v", what, at, err)
			require.Equal(t, err != nil, VerifyRecord(data) != nil, what)
		}
	})
}

func FuzzDecodeBlobHeader(f *testing.F) {
	f.Add(AppendBlobHeader(nil, stagedHeader()))
	f.Add(AppendBlobHeader(nil, ownedHeader()))
	f.Fuzz(func(t *testing.T, data []byte) {
		var h, again BlobHeader
		if DecodeBlobHeader(data, &h) != nil {
			return
		}
		require.NoError(t, DecodeBlobHeader(AppendBlobHeader(nil, &h), &again))
		require.Equal(t, h, again)
	})
}

func FuzzDecodeStoreMeta(f *testing.F) {
	f.Add(AppendStoreMeta(nil, sampleMeta()))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m, again StoreMeta
		if DecodeStoreMeta(data, &m) != nil {
			return
		}
		require.NoError(t, DecodeStoreMeta(AppendStoreMeta(nil, &m), &again))
		require.Equal(t, m, again)
	})
}

// FuzzDecodeKey asserts that a key decodes in at most its own space, and is
// then the only one of its content.
func FuzzDecodeKey(f *testing.F) {
	f.Add(AppendMetaKey(nil, StoreMetaName))
	f.Add(AppendProductKey(nil, "a\x00", "\xffb"))
	f.Add(AppendListedKey(nil, "acme", "shirt-42"))
	f.Add(AppendBlobKey(nil, "acme", sampleBlob, 1))
	f.Add(AppendExpiryKey(nil, Expiry{1, 2, ExpiryProduct, "acme", "shirt-42"}))
	f.Add(AppendExpiryKey(nil, Expiry{1, 2, ExpiryBlob, "acme", string(sampleBlob[:])}))
	f.Fuzz(func(t *testing.T, key []byte) {
		decoded := 0
		check := func(err error, encode func() []byte, scope func() (string, string)) {
			if err != nil {
				require.ErrorIs(t, err, ErrCorrupt)
				return
			}
			decoded++
			require.True(t, bytes.Equal(key, encode()))
			group, item, ok := ScopeOf(key)
			require.True(t, ok)
			wantGroup, wantItem := scope()
			require.Equal(t, wantGroup, group)
			require.Equal(t, wantItem, item)
		}

		name, err := DecodeMetaKey(key)
		check(err, func() []byte { return AppendMetaKey(nil, name) },
			func() (string, string) { return MetaScope(name) })

		account, id, err := DecodeProductKey(key)
		check(err, func() []byte { return AppendProductKey(nil, account, id) },
			func() (string, string) { return ProductScope(account, id) })
		if err == nil {
			start, end := ProductPrefixRange(account, id[:len(id)/2])
			require.True(t, within(key, start, end))
		}

		account, id, err = DecodeListedKey(key)
		check(err, func() []byte { return AppendListedKey(nil, account, id) },
			func() (string, string) { return ProductScope(account, id) })

		account, blob, n, err := DecodeBlobKey(key)
		check(err, func() []byte { return AppendBlobKey(nil, account, blob, n) },
			func() (string, string) { return BlobScope(account, blob) })

		e, err := DecodeExpiryKey(key)
		check(err, func() []byte { return AppendExpiryKey(nil, e) }, func() (string, string) {
			if blob, ok := e.BlobID(); ok {
				return BlobScope(e.Account, blob)
			}
			return ProductScope(e.Account, e.ID)
		})

		require.LessOrEqual(t, decoded, 1)
		_, _, ok := ScopeOf(key)
		require.Equal(t, decoded == 1, ok)
		_, _ = AppendKeyID(nil, key, len(key)/2)
	})
}

// FuzzKeyOrder asserts that keys are in the order of what they are made of,
// that no account reaches into another's range, and that expiry entries are in
// the order of their deadlines.
func FuzzKeyOrder(f *testing.F) {
	for _, s := range [][4]string{
		{"a", "b/c", "a/b", "c"}, {"a", "", "a\x00", ""}, {"a\x00", "\xff", "a\x00\xff", ""}, {"a", "\x00\x01", "a", "\x00"},
		{"a\x00\x01", "b", "a", "\x00\x01b"}, {"\xff", "\xff\xff", "\xff\xff", "\xff"},
	} {
		f.Add(s[0], s[1], s[2], s[3], int64(0), int64(1))
	}
	f.Fuzz(func(t *testing.T, account, id, account2, id2 string, deadline, deadline2 int64) {
		want := cmp.Or(strings.Compare(account, account2), strings.Compare(id, id2))
		one, two := AppendProductKey(nil, account, id), AppendProductKey(nil, account2, id2)
		require.Equal(t, want, bytes.Compare(one, two))
		require.Equal(t, want, bytes.Compare(AppendListedKey(nil, account, id), AppendListedKey(nil, account2, id2)))

		start, end := ProductRange(account)
		require.True(t, within(one, start, end))
		require.Equal(t, account == account2, within(two, start, end))
		start, end = ProductPrefixRange(account, id)
		require.True(t, within(one, start, end))
		require.Equal(t, account == account2 && strings.HasPrefix(id2, id), within(two, start, end))

		if deadline < 0 || deadline2 < 0 {
			return // there are none
		}
		want = cmp.Or(cmp.Compare(deadline, deadline2), want)
		require.Equal(t, want, bytes.Compare(
			AppendExpiryKey(nil, Expiry{Deadline: deadline, Kind: ExpiryProduct, Account: account, ID: id}),
			AppendExpiryKey(nil, Expiry{Deadline: deadline2, Kind: ExpiryProduct, Account: account2, ID: id2})))
	})
}
