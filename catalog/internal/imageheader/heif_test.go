package imageheader

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBrands(t *testing.T) {
	tests := []struct {
		name       string
		major      string
		compatible []string
		want       string // empty: refused
	}{
		{"avif", "avif", []string{"mif1", "miaf"}, AVIF},
		{"avif sequence", "avis", []string{"msf1"}, AVIF},
		{"heic", "heic", []string{"mif1", "heic"}, HEIC},
		{"heic, ten bits", "heix", nil, HEIC},
		{"heic sequence", "hevc", []string{"msf1", "heic"}, HEIC},
		{"heic sequence, ten bits", "hevx", nil, HEIC},
		{"layered heic", "heim", nil, HEIC},
		{"scalable heic", "heis", nil, HEIC},
		{"heif with avif", "mif1", []string{"mif1", "avif", "miaf"}, AVIF},
		{"heif with heic", "mif1", []string{"mif1", "heic"}, HEIC},
		{"heif with heix", "mif1", []string{"miaf", "heix"}, HEIC},
		{"heif sequence with avif", "msf1", []string{"msf1", "avis"}, AVIF},
		{"heif sequence with heic", "msf1", []string{"hevc"}, HEIC},
		{"another version of heif", "mif2", []string{"avif"}, AVIF},
		{"a brand of its own", "abcd", []string{"mif1", "heic"}, HEIC},
		{"the major brand first", "avif", []string{"heic"}, AVIF},
		{"heif alone", "mif1", []string{"mif1", "miaf"}, ""},
		{"avc", "avci", []string{"mif1"}, ""},
		{"video", "mp42", []string{"isom"}, ""},
		{"quicktime", "qt  ", []string{"qt  "}, ""},
		{"quicktime with heic", "qt  ", []string{"heic"}, HEIC},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const ownFtyp = 24
			data := append(ftyp(tt.major, tt.compatible...), heic(7, 3)[ownFtyp:]...)
			got, err := Read(bytes.NewReader(data), 0)
			if tt.want == "" {
				requireBad(t, errNotImage.Reason, got, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, Info{tt.want, 7, 3}, got)
		})
	}
}

func TestHEIFLayouts(t *testing.T) {
	brands := ftyp("heic", "mif1")
	ipco := boxOf("ipco", boxOf("hvcC", make([]byte, 20)), ispe(1, 2), ispe(7, 3), boxOf("irot", []byte{1}), ispe(8, 8))
	iprp := boxOf("iprp", ipco, ipma(entry(1, 1, 2), entry(2, 1, 3, 4), entry(3, 5)))
	grid := func(tiles int) []byte {
		var entries [][]byte
		for i := range tiles {
			entries = append(entries, entry(i+1, 1))
		}
		entries = append(entries, entry(tiles+1, 2))
		return boxOf("iprp", boxOf("ipco", ispe(512, 512), ispe(7, 3)), ipma(entries...))
	}
	many := slices.Repeat(boxOf("free"), 200)
	tests := []struct {
		name string
		data []byte
	}{
		{"the second item is primary", slices.Concat(brands, meta(pitm(2), iprp))},
		{"other boxes everywhere", slices.Concat(brands, boxOf("free", make([]byte, 5000)), boxOf("uuid", make([]byte, 16)),
			meta(fullBox("hdlr", 0, 0, make([]byte, 20)), pitm(2), boxOf("idat", make([]byte, 9000)), iprp, boxOf("free")))},
		{"meta behind the pixels", slices.Concat(brands, boxOf("mdat", make([]byte, 100_000)), meta(pitm(2), iprp))},
		{"meta behind pixels of 64-bit size", slices.Concat(brands, largeBox("mdat", make([]byte, 100_000)), meta(pitm(2), iprp))},
		{"64-bit sizes", slices.Concat(largeBox("ftyp", []byte("heic"), u32(0)), largeBox("meta", versionOf(0, 0),
			largeBox("pitm", versionOf(0, 0), u16(2)), largeBox("iprp", ipco, largeBox("ipma", ipma(entry(2, 3))[8:]))))},
		{"meta to the end of the file", slices.Concat(brands, openBox("meta", versionOf(0, 0), pitm(2), iprp, boxOf("free")))},
		{"its last box to the end, too", slices.Concat(brands, openBox("meta", versionOf(0, 0), pitm(2), iprp, openBox("idat", make([]byte, 100))))},
		{"the primary item behind the properties", slices.Concat(brands, meta(iprp, pitm(2)))},
		{"associations before the properties", slices.Concat(brands, meta(pitm(2), boxOf("iprp", ipma(entry(2, 3)), ipco)))},
		{"32-bit primary item", slices.Concat(brands, meta(fullBox("pitm", 1, 0, u32(2)), iprp))},
		{"32-bit items", slices.Concat(brands, meta(fullBox("pitm", 1, 0, u32(0x10002)),
			boxOf("iprp", ipco, fullBox("ipma", 1, 0, u32(2), u32(2), []byte{1, 2}, u32(0x10002), []byte{2, 0x81, 3}))))},
		{"15-bit indices", slices.Concat(brands, meta(pitm(2), boxOf("iprp", boxOf("ipco", many, ispe(9, 9), ispe(7, 3)),
			fullBox("ipma", 0, 1, u32(1), u16(2), []byte{2}, u16(1), u16(0x8000|202)))))},
		{"32-bit items and 15-bit indices", slices.Concat(brands, meta(pitm(2), boxOf("iprp", boxOf("ipco", many, ispe(7, 3)),
			fullBox("ipma", 1, 1, u32(1), u32(2), []byte{1}, u16(0x8000|201)))))},
		{"two boxes of associations", slices.Concat(brands, meta(pitm(2), boxOf("iprp", ipco,
			ipma(entry(1, 2)), fullBox("ipma", 1, 0, u32(1), u32(2), []byte{1, 3}))))},
		{"one extent associated twice", slices.Concat(brands, meta(pitm(2), boxOf("iprp", ipco, ipma(entry(2, 3, 3)))))},
		{"no property at an index", slices.Concat(brands, meta(pitm(2), boxOf("iprp", ipco, ipma(entry(2, 0, 3, 120)))))},
		{"grid", slices.Concat(brands, meta(pitm(49), grid(48)))},
		{"large grid", slices.Concat(brands, meta(pitm(10_001), grid(10_000)))},
		{"a second meta box", slices.Concat(brands, meta(pitm(2), iprp), meta(pitm(1), iprp))},
		{"junk behind the meta box", slices.Concat(brands, meta(pitm(2), iprp), []byte("\x00\x00\x00\x03junk"))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Read(bytes.NewReader(tt.data), 0)
			require.NoError(t, err)
			require.Equal(t, Info{HEIC, 7, 3}, got)
		})
	}
}

func TestHEIFMalformed(t *testing.T) {
	brands := ftyp("heic", "mif1")
	ipco := boxOf("ipco", ispe(7, 3), ispe(9, 9), boxOf("irot", []byte{1}))
	iprp := boxOf("iprp", ipco, ipma(entry(1, 1)))
	withIPMA := func(boxes ...[]byte) []byte {
		return slices.Concat(brands, meta(pitm(1), boxOf("iprp", append([][]byte{ipco}, boxes...)...)))
	}
	withSize := func(size int) []byte {
		data := slices.Concat(brands, meta(pitm(1), iprp))
		copy(data[len(brands)+12:], u32(size)) // of the pitm box
		return data
	}
	tests := []struct {
		name string
		data []byte
	}{
		{"ftyp too short", slices.Concat(boxOf("ftyp", []byte("heic")), meta(pitm(1), iprp))},
		{"ftyp too long", slices.Concat(boxOf("ftyp", []byte("heic"), make([]byte, maxBrands)), meta(pitm(1), iprp))},
		{"ftyp to the end", slices.Concat(openBox("ftyp", []byte("heic"), u32(0)), meta(pitm(1), iprp))},
		{"empty meta", slices.Concat(brands, boxOf("meta"))},
		{"two primary items", slices.Concat(brands, meta(pitm(1), pitm(1), iprp))},
		{"primary item of an unknown version", slices.Concat(brands, meta(fullBox("pitm", 2, 0, u32(1)), iprp))},
		{"short primary item", slices.Concat(brands, meta(fullBox("pitm", 1, 0, u16(1)), iprp))},
		{"two containers", slices.Concat(brands, meta(pitm(1), boxOf("iprp", ipco, ipco, ipma(entry(1, 1)))))},
		{"too many properties", slices.Concat(brands, meta(pitm(1), boxOf("iprp", boxOf("ipco", ispe(7, 3), slices.Repeat(boxOf("free"), maxProperties)), ipma(entry(1, 1)))))},
		{"short extents", slices.Concat(brands, meta(pitm(1), boxOf("iprp", boxOf("ipco", fullBox("ispe", 0, 0, u32(7))), ipma(entry(1, 1)))))},
		{"two extents", withIPMA(ipma(entry(1, 1, 2)))},
		{"two extents in two boxes", withIPMA(ipma(entry(1, 1)), fullBox("ipma", 1, 0, u32(1), u32(1), []byte{1, 2}))},
		{"associations without a count", withIPMA(fullBox("ipma", 0, 0, u16(1)))},
		{"more associations promised", withIPMA(fullBox("ipma", 0, 0, u32(uint32(math.MaxUint32)), entry(1, 1)))},
		{"associations cut off in an item", withIPMA(fullBox("ipma", 0, 0, u32(2), entry(1, 1), []byte{0}))},
		{"associations cut off in the indices", withIPMA(fullBox("ipma", 0, 0, u32(1), u16(1), []byte{3, 1, 1}))},
		{"too many associations", withIPMA(ipma(entry(1, 1), make([]byte, maxAssociations)))},
		{"too many boxes of associations", withIPMA(slices.Repeat(ipma(entry(1, 1)), maxAssociationBoxes+1))},
		{"box smaller than its header", withSize(7)},
		{"box larger than the one around it", withSize(4096)},
		{"64-bit size below the header's", slices.Concat(brands, u32(1), []byte("free"), u32(0), u32(15), meta(pitm(1), iprp))},
		{"64-bit size beyond all files", slices.Concat(brands, u32(1), []byte("free"), u32(uint32(math.MaxUint32)), u32(uint32(math.MaxUint32)), meta(pitm(1), iprp))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Read(bytes.NewReader(tt.data), 0)
			requireBad(t, errMalformed.Reason, got, err)
		})
	}
}

// What is missing from a whole file is named.
func TestHEIFWithoutSize(t *testing.T) {
	ipco := boxOf("ipco", ispe(7, 3), boxOf("irot", []byte{1}))
	withItem := func(boxes ...[]byte) []byte {
		return meta(pitm(1), boxOf("iprp", append([][]byte{ipco}, boxes...)...))
	}
	sound := trackOf("soun", 7, 3)
	tests := []struct {
		name   string
		data   []byte
		reason string
	}{
		{"nothing", nil, errNoPicture.Reason},
		{"pixels", boxOf("mdat", make([]byte, 10)), errNoPicture.Reason},
		{"pixels to the end", openBox("mdat", make([]byte, 10)), errNoPicture.Reason},
		{"pixels cut off", u32(1 << 30), errCutOff.Reason},
		{"an empty meta box", meta(), errNoPicture.Reason},
		{"no primary item", meta(boxOf("iprp", ipco, ipma(entry(1, 1)))), errNoPicture.Reason},
		{"no track", boxOf("moov"), errNoPicture.Reason},
		{"sound alone", boxOf("moov", sound), errNoPicture.Reason},
		{"auxiliary pictures alone", boxOf("moov", trackOf("auxv", 7, 3)), errNoPicture.Reason},
		{"neither item nor track", slices.Concat(boxOf("moov", sound), meta(), boxOf("mdat")), errNoPicture.Reason},
		{"tracks cut off", slices.Concat(u32(1<<20), []byte("moov"), sound), errCutOff.Reason},
		{"a track of no size", boxOf("moov", trackOf("pict", 0, 0)), errZeroSide.Reason},
		{"no properties", meta(pitm(1)), errNoExtents.Reason},
		{"no associations", withItem(), errNoExtents.Reason},
		{"associations of another item", withItem(ipma(entry(2, 1))), errNoExtents.Reason},
		{"associations with no extent", withItem(ipma(entry(1, 2))), errNoExtents.Reason},
		{"associations beyond the properties", withItem(ipma(entry(1, 3))), errNoExtents.Reason},
		{"a later mini box", boxOf("mini", []byte{0x40, 0, 0, 0}), errMiniVersion.Reason},
		{"an empty mini box", boxOf("mini"), errMalformed.Reason},
		{"a short mini box", boxOf("mini", []byte{0, 0, 0x80, 0, 0}), errMalformed.Reason},
		{"a mini box cut off", slices.Concat(u32(100), []byte("mini"), []byte{0, 0, 0x80, 0, 0}), errCutOff.Reason},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Read(bytes.NewReader(append(ftyp("avif"), tt.data...)), 0)
			requireBad(t, tt.reason, got, err)
		})
	}
}

func TestTracks(t *testing.T) {
	item := meta(pitm(1), boxOf("iprp", boxOf("ipco", ispe(9, 9)), ipma(entry(1, 1))))
	pictures := trackOf("pict", 7, 3)
	tests := []struct {
		name          string
		boxes         [][]byte
		width, height int
	}{
		{"a sequence", [][]byte{boxOf("moov", pictures)}, 7, 3},
		{"a video track", [][]byte{boxOf("moov", trackOf("vide", 7, 3))}, 7, 3},
		{"pixels around it", [][]byte{boxOf("mdat", make([]byte, 9000)), boxOf("moov", pictures), boxOf("mdat", make([]byte, 9000))}, 7, 3},
		{"meta without an item, before", [][]byte{meta(), boxOf("moov", pictures)}, 7, 3},
		{"meta without an item, behind", [][]byte{boxOf("moov", pictures), meta()}, 7, 3},
		{"the item goes before", [][]byte{item, boxOf("moov", pictures)}, 9, 9},
		{"the item goes before, also from behind", [][]byte{boxOf("moov", pictures), boxOf("mdat"), item}, 9, 9},
		{"the first of two", [][]byte{boxOf("moov", pictures, trackOf("pict", 8, 8))}, 7, 3},
		{"the first that is visual", [][]byte{boxOf("moov", fullBox("mvhd", 0, 0, make([]byte, 96)), trackOf("auxv", 8, 8), trackOf("soun", 8, 8), pictures)}, 7, 3},
		{"sound of a short entry", [][]byte{boxOf("moov", trackBoxes(nil, handler("soun"), fullBox("stsd", 0, 0, u32(1), boxOf("mp4a", make([]byte, 8)))), pictures)}, 7, 3},
		{"the handler behind the entries", [][]byte{boxOf("moov", boxOf("trak", boxOf("mdia", boxOf("minf", boxOf("stbl", entryOf(7, 3))), handler("pict"))))}, 7, 3},
		{"coded, not shown", [][]byte{boxOf("moov", trackBoxes(trackHeader(0, 14, 6), handler("pict"), entryOf(7, 3)))}, 7, 3},
		{"shown, where nothing is coded", [][]byte{boxOf("moov", trackBoxes(trackHeader(0, 7, 3), handler("pict"), fullBox("stsd", 0, 0, u32(0))))}, 7, 3},
		{"shown, in 64-bit times", [][]byte{boxOf("moov", trackBoxes(trackHeader(1, 7, 3), handler("pict"), entryOf(0, 0)))}, 7, 3},
		{"a short track header", [][]byte{boxOf("moov", trackBoxes(fullBox("tkhd", 0, 0), handler("pict"), entryOf(7, 3)))}, 7, 3},
		{"cut off behind the track", [][]byte{boxOf("moov", pictures), u32(1 << 20)}, 7, 3},
		{"junk behind the track", [][]byte{boxOf("moov", pictures), []byte("\x00\x00\x00\x03junk")}, 7, 3},
		{"meta that can't be read behind the track", [][]byte{boxOf("moov", pictures), boxOf("meta")}, 7, 3},
		{"no track, then one", [][]byte{boxOf("moov"), boxOf("moov", pictures)}, 7, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := append(ftyp("avis", "msf1"), slices.Concat(tt.boxes...)...)
			got, err := Read(bytes.NewReader(data), 0)
			require.NoError(t, err)
			require.Equal(t, Info{AVIF, tt.width, tt.height}, got)
		})
	}
}

// A minimized image box, laid out bit by bit.
func TestMinimized(t *testing.T) {
	const flags = "00" + "000100" + "000" + "01" + "000" // version, flags, more flags, chroma, orientation
	bits := func(s string) []byte {
		s = strings.ReplaceAll(s, " ", "")
		s += strings.Repeat("0", -len(s)&7)
		var p []byte
		for ; s != ""; s = s[8:] {
			b, err := strconv.ParseUint(s[:8], 2, 8)
			require.NoError(t, err)
			p = append(p, byte(b))
		}
		return append(p, make([]byte, 40)...)
	}
	tests := []struct {
		name, brand string
		bits        string
		want        Info
	}{
		{"small", "avif", flags + "0 0000110 0000010", Info{AVIF, 7, 3}},
		{"smallest", "avif", flags + "0 0000000 0000000", Info{AVIF, 1, 1}},
		{"largest of the small", "avif", flags + "0 1111111 1111111", Info{AVIF, 128, 128}},
		{"large", "avif", flags + "1 000001100011111 000010010101111", Info{AVIF, 800, 1200}},
		{"largest", "avif", flags + "1 111111111111111 111111111111111", Info{AVIF, 32768, 32768}},
		{"every flag", "avif", "00 111111111 11 111 0 0000110 0000010", Info{AVIF, 7, 3}},
		{"of HEVC", "heic", flags + "0 0000110 0000010", Info{HEIC, 7, 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			brands := boxOf("ftyp", []byte("mif3"+tt.brand))
			got, err := Read(bytes.NewReader(append(brands, boxOf("mini", bits(tt.bits))...)), 0)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)

			brands = ftyp("mif3", tt.brand)
			got, err = Read(bytes.NewReader(slices.Concat(brands, boxOf("free"), openBox("mini", bits(tt.bits)))), 0)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
	t.Run("of another codec", func(t *testing.T) {
		got, err := Read(bytes.NewReader(append(boxOf("ftyp", []byte("mif3jpeg")), boxOf("mini", bits(flags))...)), 0)
		requireBad(t, errNotImage.Reason, got, err)
	})
	t.Run("the minor version of another brand", func(t *testing.T) {
		got, err := Read(bytes.NewReader(append(boxOf("ftyp", []byte("mif1avif")), heic(7, 3)[24:]...)), 0)
		requireBad(t, errNotImage.Reason, got, err)
	})
}
