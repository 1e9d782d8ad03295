package encoding

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
)

func TestRecordRoundTrip(t *testing.T) {
	r := newRand(t)
	records := []*Record{minimalRecord(), fullRecord(), benchRecord()}
	for range 200 {
		records = append(records, randomRecord(r))
	}
	var reused Record
	for _, want := range records {
		data := AppendRecord([]byte("before"), want)
		require.Equal(t, "before", string(data[:6]))
		data = data[6:]
		require.LessOrEqual(t, len(data), recordBound(want))

		var got Record
		require.NoError(t, DecodeRecord(data, &got))
		require.Equal(t, *want, got)
		require.Equal(t, data, AppendRecord(nil, &got))

		require.NoError(t, DecodeRecordAliasing(data, &reused))
		if len(want.Images) == 0 {
			require.Nil(t, reused.Images)
		}
		require.Equal(t, *want, reused)

		h, err := PeekRecord(data)
		require.NoError(t, err)
		require.Equal(t, headerOf(want), h)
		require.Equal(t, want.ExpiresAt(), h.ExpiresAt())
	}
}

func headerOf(r *Record) Header {
	return Header{
		Listed: r.Listed, Generated: r.Generated,
		Incarnation: r.Incarnation, Edit: r.Edit, Revision: r.Revision,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, LastUsedAt: r.LastUsedAt,
		Anchor: r.Anchor, IndexedAt: r.IndexedAt, ValidForDays: r.ValidForDays,
		FeedPosition: r.FeedPosition,
	}
}

func TestDecodeRecordIntoUsedOne(t *testing.T) {
	for _, decode := range []func([]byte, *Record) error{DecodeRecord, DecodeRecordAliasing} {
		got := *fullRecord()
		got.flags, got.extra = 0xF0, []byte{1}
		got.Images[0].extra = []byte{1}
		require.NoError(t, decode(AppendRecord(nil, minimalRecord()), &got))
		require.Equal(t, *minimalRecord(), got)
	}
}

func TestDecodeRecordOwnsItsMemory(t *testing.T) {
	data := AppendRecord(nil, fullRecord())
	var first Record
	require.NoError(t, DecodeRecord(data, &first))
	second := first
	require.NoError(t, DecodeRecord(AppendRecord(nil, benchRecord()), &second))
	clear(data)
	require.Equal(t, *fullRecord(), first)

	// Appending to one slice of the result reaches no other part of it.
	_ = append(first.Images[0].Classifications, bytes.Repeat([]byte{'x'}, 40)...)
	require.Equal(t, *fullRecord(), first)
}

func TestDecodeRecordAliasesItsInput(t *testing.T) {
	data := AppendRecord(nil, fullRecord())
	var r Record
	require.NoError(t, DecodeRecordAliasing(data, &r))
	data[bytes.Index(data, []byte("Red tee"))] = 'B'
	require.Equal(t, "Bed tee", r.Title)
}

// TestBeginRecordReadsNoImage: all but the images is there before they are
// decoded, so what is wrong with them is found only then.
func TestBeginRecordReadsNoImage(t *testing.T) {
	want := fullRecord()
	want.extra, _ = newerElements(t)
	data := AppendRecord(nil, want)
	broken := slices.Clone(data)
	at := int(binary.BigEndian.Uint32(data[offImages+1:]))
	require.Equal(t, byte(codeFixArray|len(want.Images)), data[at])
	for i := range broken[at+1:] {
		broken[at+1+i] = codeNil
	}
	var r Record
	images, err := BeginRecord(broken, &r)
	require.NoError(t, err)
	require.Equal(t, len(want.Images), images.Len())
	withoutImages := *want
	withoutImages.Images = nil
	require.Equal(t, withoutImages, r)
	require.ErrorIs(t, images.Rest(&r), ErrCorrupt)

	images, err = BeginRecord(data, &r)
	require.NoError(t, err)
	require.NoError(t, images.Rest(&r))
	require.Equal(t, *want, r)
	images, err = BeginRecord(data, &r)
	require.NoError(t, err)
	require.ErrorIs(t, images.End(), ErrCorrupt, "before the images were taken")
}

// TestRecordTellsChanges: every change of a byte, every byte too few or too many
// is told by whatever verifies.
func TestRecordTellsChanges(t *testing.T) {
	r := newRand(t)
	newer := fullRecord()
	newer.extra, _ = newerElements(t)
	for _, record := range []*Record{minimalRecord(), fullRecord(), benchRecord(), newer, randomRecord(r)} {
		good := AppendRecord(nil, record)
		if len(good) > 20_000 {
			continue
		}
		require.NoError(t, VerifyRecord(good))
		var into Record
		eachChange(r, good, func(changed []byte, what string, at int) {
			for _, err := range []error{VerifyRecord(changed), DecodeRecord(changed, &into), DecodeRecordAliasing(changed, &into)} {
				if at <= offChecksum && errors.Is(err, ErrNewerSchema) {
					continue // a newer one may have another form
				}
				require.ErrorIs(t, err, ErrCorrupt, "%s at %d of %d", what, at, len(good))
			}
		})
	}
}

func TestRecordAllocations(t *testing.T) {
	r := benchRecord()
	data := AppendRecord(nil, r)
	buf := make([]byte, 0, recordBound(r))
	var owned, aliased Record
	require.NoError(t, DecodeRecordAliasing(data, &aliased))
	for _, c := range []struct {
		name string
		want float64
		run  func()
	}{
		{"encode", 0, func() { buf = AppendRecord(buf[:0], r) }},
		{"decode", 2, func() { _ = DecodeRecord(data, &owned) }},
		{"verify", 0, func() { _ = VerifyRecord(data) }},
		{"decode aliasing", 0, func() { _ = DecodeRecordAliasing(data, &aliased) }},
		{"peek", 0, func() { _, _ = PeekRecord(data) }},
	} {
		require.Equal(t, c.want, testing.AllocsPerRun(100, c.run), c.name)
	}
}

func TestEmptyMeansAbsent(t *testing.T) {
	r := minimalRecord()
	r.Images, r.Metadata = []Image{}, []byte{}
	require.Equal(t, AppendRecord(nil, minimalRecord()), AppendRecord(nil, r))

	r.Images = []Image{{Classifications: []byte{}}}
	var got Record
	require.NoError(t, DecodeRecord(AppendRecord(nil, r), &got))
	require.Equal(t, []Image{{}}, got.Images)
}

func TestRecordExpiresAt(t *testing.T) {
	const day = int64(24 * time.Hour / time.Millisecond)
	for _, c := range []struct {
		anchor int64
		days   int
		want   int64
	}{
		{1000, 0, None},
		{1000, 1, 1000 + day},
		{1_747_130_400_000, 365, 1_747_130_400_000 + 365*day},
		{math.MaxInt64 - day, 1, math.MaxInt64},
		{math.MaxInt64 - day + 1, 1, math.MaxInt64},
		{0, math.MaxInt32, math.MaxInt32 * day},
		{5, -1, None},
	} {
		r := Record{Anchor: c.anchor, ValidForDays: c.days}
		require.Equal(t, c.want, r.ExpiresAt())
	}
}

// TestRecordIsPlainMessagePack decodes a record with a decoder that knows
// nothing of it.
func TestRecordIsPlainMessagePack(t *testing.T) {
	r := fullRecord()
	data := AppendRecord(nil, r)
	elements := genericArray(t, data)
	sum := crc32.Update(0xdc001401, crc32.MakeTable(crc32.Castagnoli), data[9:]) // begun with the four bytes before it
	require.Equal(t, []any{
		int64(1), int64(sum), int64(7), r.Incarnation, r.Edit, r.Revision,
		r.CreatedAt, r.UpdatedAt, r.LastUsedAt, r.Anchor, r.IndexedAt, int64(r.ValidForDays),
		r.FeedPosition, int64(bytes.Index(data, []byte("\x92\x98\xbdhttps://"))),
		r.Account, r.ID, r.Title, r.Description, string(r.Metadata),
		[]any{
			[]any{r.Images[0].URL, nil, "", int64(0), int64(0), int64(0), nil, string(r.Images[0].Classifications)},
			[]any{
				"", sampleBlob[:], "image/png", int64(48211), int64(800), int64(1200),
				sampleHash[:], nil,
			},
		},
	}, elements)
}

// genericArray decodes an array with msgpack and widens its numbers, all but
// those of 64 bits without sign.
func genericArray(t *testing.T, data []byte) []any {
	t.Helper()
	in := bytes.NewReader(data)
	v, err := msgpack.NewDecoder(in).DecodeInterface()
	require.NoError(t, err)
	require.Zero(t, in.Len())
	return widen(v).([]any)
}

func widen(v any) any {
	switch v := v.(type) {
	case int8:
		return int64(v)
	case int16:
		return int64(v)
	case int32:
		return int64(v)
	case uint8:
		return int64(v)
	case uint16:
		return int64(v)
	case uint32:
		return int64(v)
	case []any:
		for i := range v {
			v[i] = widen(v[i])
		}
		return v
	}
	return v
}

// newerElements are elements as a newer writer might append them.
func newerElements(t *testing.T) (raw []byte, count int) {
	t.Helper()
	values := []any{
		nil, true, "text", []byte{1, 2}, 3.5, float32(1.5), -7, uint64(math.MaxUint64), time.Unix(1, 2),
		[]any{1, []any{"x", map[string]any{"y": []any{}}}},
		map[string]any{"k": 1},
	}
	for _, v := range values {
		b, err := msgpack.Marshal(v)
		require.NoError(t, err)
		raw = append(raw, b...)
	}
	return raw, len(values)
}

func TestRecordKeepsUnknownElements(t *testing.T) {
	raw, count := newerElements(t)
	newer := fullRecord()
	newer.flags = 0xABC8 // without those that are known
	newer.extra = raw
	newer.Images[0].extra = raw
	newer.Images[1].extra = []byte{codeNil}
	data := AppendRecord(nil, newer)

	elements := genericArray(t, data)
	require.Len(t, elements, recordElements+count)
	last := elements[len(elements)-1].([]any)
	require.Len(t, last[0], imageElements+count)
	require.Len(t, last[1], imageElements+1)

	var got Record
	require.NoError(t, DecodeRecord(data, &got))
	require.Equal(t, data, AppendRecord(nil, &got))

	// They survive a change of what is known.
	changed := got
	changed.Listed = false
	changed.Images = slices.Clone(got.Images)
	changed.Images[0].URL = "https://cdn.example/other.jpg"
	var again Record
	require.NoError(t, DecodeRecord(AppendRecord(nil, &changed), &again))
	require.Equal(t, raw, again.extra)
	require.Equal(t, raw, again.Images[0].extra)
	require.Equal(t, newer.flags, again.flags)
	require.False(t, again.Listed)
	require.True(t, again.Generated)
}

func TestDecodeRecordRefusesDamage(t *testing.T) {
	raw, _ := newerElements(t)
	r := fullRecord()
	r.extra = raw
	r.Images[0].extra = raw
	good := AppendRecord(nil, r)
	var into Record
	for n := range good {
		require.ErrorIs(t, DecodeRecord(good[:n], &into), ErrCorrupt, "cut to %d", n)
		require.ErrorIs(t, DecodeRecordAliasing(good[:n], &into), ErrCorrupt, "cut to %d", n)
		_, err := PeekRecord(good[:n])
		require.Equal(t, n < headerLen, err != nil, "peek cut to %d", n)
	}
	require.ErrorIs(t, DecodeRecord(append(slices.Clone(good), codeNil), &into), ErrCorrupt)

	patch := func(off int, b ...byte) []byte {
		data := slices.Clone(good)
		copy(data[off:], b)
		return sealed(data)
	}
	images := int64(binary.BigEndian.Uint32(good[offImages+1:]))
	at := func(n int64) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
	for name, data := range map[string][]byte{
		"array of another form":   patch(0, 0x91),
		"too few elements":        patch(1, 0, recordElements-1),
		"more elements than are":  patch(1, 0xFF, 0xFF),
		"fewer elements than are": patch(1, 0, recordElements),
		"schema 0":                patch(offSchema, 0),
		"schema negative":         patch(offSchema, 0xFF),
		"schema a string":         patch(offSchema, 0xa1),
		"flags of another form":   patch(offFlags, codeUint8),
		"checksum of other form":  patch(offChecksum, codeInt32),
		"time of another form":    patch(offAnchor, codeUint64),
		"position of other form":  patch(offPosition, codeInt64),
		"offset of another form":  patch(offImages, codeInt32),
		"images a byte earlier":   patch(offImages+1, at(images-1)...),
		"images a byte later":     patch(offImages+1, at(images+1)...),
		"images in the header":    patch(offImages+1, at(0)...),
		"images behind the end":   patch(offImages+1, at(int64(len(good)))...),
		"images far behind":       patch(offImages+1, at(math.MaxUint32)...),
		"days negative":           patch(offValidFor+1, 0xFF),
		"days beyond 32 bits":     patch(offValidFor+4, 1),
		"account of nil":          patch(headerLen, codeNil),
		"a string of 4 GiB":       patch(headerLen, codeStr32, 0xFF, 0xFF, 0xFF, 0xFF),
	} {
		require.ErrorIs(t, DecodeRecord(data, &into), ErrCorrupt, name)
	}
}

func TestDecodeRecordRefusesWrongImages(t *testing.T) {
	front := AppendRecord(nil, minimalRecord())
	front = front[:len(front)-1] // without the images
	image := []byte{0x98, 0xa0, codeNil, 0xa0, 0, 0, 0, codeNil, codeNil}
	with := func(parts ...[]byte) []byte { return sealed(slices.Concat(append([][]byte{front}, parts...)...)) }
	var into Record
	require.NoError(t, DecodeRecord(with([]byte{0x91}, image), &into))
	require.Equal(t, []Image{{}}, into.Images)

	patch := func(off int, b ...byte) []byte {
		data := slices.Concat(image[:off], b, image[off+1:])
		return with([]byte{0x91}, data)
	}
	for name, data := range map[string][]byte{
		"count beyond the input":    with([]byte{codeArray32, 0xFF, 0xFF, 0xFF, 0xFF}, image),
		"count a little too large":  with([]byte{0x92}, image),
		"count too small":           with([]byte{0x90}, image),
		"no images":                 with(),
		"images of nil":             with([]byte{codeNil}),
		"image of nil":              patch(0, codeNil),
		"seven elements":            with([]byte{0x91, 0x97}, image[1:8]),
		"URL of nil":                patch(1, codeNil),
		"blob of 15 bytes":          patch(2, append([]byte{codeBin8, 15}, make([]byte, 15)...)...),
		"blob as a string":          patch(2, append([]byte{codeFixStr | 16}, make([]byte, 16)...)...),
		"size as a string":          patch(4, 0xa0),
		"size beyond int64":         patch(4, codeUint64, 0xFF, 0, 0, 0, 0, 0, 0, 0),
		"width of nil":              patch(5, codeNil),
		"hash of 16 bytes":          patch(7, append([]byte{codeBin8, 16}, make([]byte, 16)...)...),
		"classifications of a list": patch(8, 0x90),
	} {
		require.ErrorIs(t, DecodeRecord(data, &into), ErrCorrupt, name)
	}
}

func TestDecodeRecordAllocatesByItsInput(t *testing.T) {
	data := AppendRecord(nil, minimalRecord())
	data = append(data[:len(data)-1], codeArray32, 0, 0x10, 0, 0)
	data = sealed(append(data, make([]byte, 1<<20)...)) // one byte for each image claimed
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.ErrorIs(t, DecodeRecordAliasing(data, new(Record)), ErrCorrupt)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(len(data)))
}

func TestDecodeRecordOfNewerSchema(t *testing.T) {
	data := AppendRecord(nil, fullRecord())
	data[offSchema] = Schema + 1
	other, err := msgpack.Marshal([]any{70000, map[string]any{"another": "form"}})
	require.NoError(t, err)
	for found, data := range map[int][]byte{Schema + 1: data, 70000: other} {
		for _, decode := range []func([]byte, *Record) error{
			DecodeRecord, DecodeRecordAliasing,
			func(data []byte, _ *Record) error { _, err := PeekRecord(data); return err },
		} {
			err := decode(data, new(Record))
			require.ErrorIs(t, err, ErrNewerSchema)
			require.NotErrorIs(t, err, ErrCorrupt)
			var schema *SchemaError
			require.ErrorAs(t, err, &schema)
			require.Equal(t, SchemaError{Found: found, Supported: Schema}, *schema)
		}
	}
}

func TestUnknownElementsAreBounded(t *testing.T) {
	nested := func(depth int) []byte {
		return append(bytes.Repeat([]byte{0x91}, depth), codeNil)
	}
	with := func(extra []byte) []byte {
		data := AppendRecord(nil, minimalRecord())
		data = slices.Insert(data, len(data)-1, extra...) // before the images, of which there are none
		binary.BigEndian.PutUint16(data[1:], recordElements+1)
		binary.BigEndian.PutUint32(data[offImages+1:], uint32(len(data)-1))
		return sealed(data)
	}
	var into Record
	require.NoError(t, DecodeRecord(with(nested(maxDepth-1)), &into))
	require.ErrorIs(t, DecodeRecord(with(nested(maxDepth)), &into), ErrCorrupt)
	require.ErrorIs(t, DecodeRecord(with(nested(1<<20)), &into), ErrCorrupt)
	for _, extra := range []string{
		"\xc1",                         // never used
		"\xdd\xff\xff\xff\xff",         // array of 2^32-1
		"\xdf\xff\xff\xff\xff",         // map of 2^32-1
		"\xdf\x80\x00\x00\x00\xc0\xc0", // map of 2^31
		"\xc6\xff\xff\xff\xff",         // binary of 4 GiB
		"\xc9\xff\xff\xff\xff\x00",     // extension of 4 GiB
		"\x81\xc0",                     // map without its value
		"\xd8\x00",                     // extension cut off
	} {
		require.ErrorIs(t, DecodeRecord(with([]byte(extra)), &into), ErrCorrupt, "%x", extra)
	}
}
