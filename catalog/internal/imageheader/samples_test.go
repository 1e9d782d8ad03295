package imageheader

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// sample is an image of a kind and what Read must say about it.
type sample struct {
	name string
	data []byte
	want Info
	// header is the length of the shortest prefix that tells the size: a
	// stream cut off later has lost pixels only and passes.
	header int
	// toEnd says that what stands behind the header is read all the same.
	toEnd bool
}

func samples(t testing.TB) []sample {
	files := []sample{
		{name: "lossy.webp", want: Info{WebP, 64, 40}, header: 30},
		{name: "lossless.webp", want: Info{WebP, 64, 40}, header: 25},
		{name: "extended.webp", want: Info{WebP, 64, 40}, header: 30},
		{name: "animated.webp", want: Info{WebP, 64, 40}, header: 30},
		{name: "still.avif", want: Info{AVIF, 64, 40}, header: 274},
		{name: "rotated.avif", want: Info{AVIF, 64, 40}, header: 335},
		{name: "grid.avif", want: Info{AVIF, 128, 128}, header: 513},
		{name: "sequence.avif", want: Info{AVIF, 64, 40}, header: 441},
		{name: "sequence-without-meta.avif", want: Info{AVIF, 16, 8}, header: 1114, toEnd: true},
		{name: "still.heic", want: Info{HEIC, 64, 40}, header: 457},
		{name: "thumbnail.heic", want: Info{HEIC, 64, 40}, header: 771},
		{name: "odd.heic", want: Info{HEIC, 63, 39}, header: 453},
		// Files that viewers show although a checksum or a palette is not right.
		{name: "png-indexed-gama-crc.png", want: Info{PNG, 2, 1}, header: 33},
		{name: "png-indexed-iccp-crc.png", want: Info{PNG, 2, 1}, header: 33},
		{name: "png-indexed-text-crc-after-plte.png", want: Info{PNG, 2, 1}, header: 33},
		{name: "png-indexed-trns-before-plte.png", want: Info{PNG, 2, 1}, header: 33},
	}
	for i := range files {
		data, err := os.ReadFile(filepath.Join("testdata", files[i].name))
		require.NoError(t, err)
		files[i].data = data
	}
	return slices.Concat(files, []sample{
		{name: "jpeg", data: jpegImage(t, 21, 13), want: Info{JPEG, 21, 13}, header: 149},
		{name: "jpeg after much metadata", data: jpegBehind(t, 5), want: Info{JPEG, 21, 13}, header: 149 + 5*(2+0xFFFF)},
		{name: "jpeg progressive", data: jpegFrame(0xC2, 8, 3, 7, 3), want: Info{JPEG, 7, 3}, header: 21},
		{name: "jpeg lossless 16 bit", data: jpegFrame(0xC3, 16, 1, 7, 3), want: Info{JPEG, 7, 3}, header: 15},
		{name: "jpeg arithmetic 12 bit", data: jpegFrame(0xC9, 12, 3, 7, 3), want: Info{JPEG, 7, 3}, header: 21},
		{name: "jpeg tables before the frame", data: jpegWithTables(), want: Info{JPEG, 7, 3}, header: 21 + 3*22},
		{name: "jpeg cmyk", data: jpegFrame(0xC0, 8, 4, 7, 3), want: Info{JPEG, 7, 3}, header: 24},
		{name: "jpeg hierarchical", data: slices.Concat(jpegFrame(0xDE, 8, 3, 700, 300), jpegFrame(0xC1, 8, 3, 7, 3)[2:]), want: Info{JPEG, 700, 300}, header: 21},
		{name: "png true color", data: pngImage(t, image.NewNRGBA(image.Rect(0, 0, 5, 9))), want: Info{PNG, 5, 9}, header: 33},
		{name: "png palette", data: pngImage(t, palette(300, 2)), want: Info{PNG, 300, 2}, header: 33},
		{name: "png gray 16 bit", data: pngImage(t, image.NewGray16(image.Rect(0, 0, 1, 1))), want: Info{PNG, 1, 1}, header: 33},
		{name: "png animated", data: animatedPNG(t), want: Info{PNG, 5, 9}, header: 33},
		{name: "gif", data: gifImage(t, 6, 4, 1), want: Info{GIF, 6, 4}, header: 13},
		{name: "gif animated", data: gifImage(t, 6, 4, 3), want: Info{GIF, 6, 4}, header: 13},
		{name: "gif of an old version", data: append([]byte("GIF87a"), 2, 1, 3, 1, 0, 0, 0), want: Info{GIF, 258, 259}, header: 13},
		{name: "jpeg of a frame without components", data: append(jpegFrame(0xC0, 8, 0, 7, 3), "pixels"...), want: Info{JPEG, 7, 3}, header: 12},
		{name: "jpeg of a frame with more behind", data: slices.Concat([]byte("\xFF\xD8"), jpegSegment(0xC0, []byte("\x08\x00\x03\x00\x07\x01"), 30)), want: Info{JPEG, 7, 3}, header: 34},
		{name: "png of a wrong checksum", data: append(pngOf(5, 9)[:29:29], "none"...), want: Info{PNG, 5, 9}, header: 33},
		{name: "png of an unknown colour type", data: append(pngOf(5, 9)[:25:25], "\x99\x99\x99\x99none"...), want: Info{PNG, 5, 9}, header: 33},
		{name: "png palette too long", data: slices.Concat(pngImage(t, palette(300, 2))[:33], pngChunk("PLTE", make([]byte, 999))), want: Info{PNG, 300, 2}, header: 33},
		{name: "gif without its colour table", data: []byte("GIF89a\x03\x00\x04\x00\x87\x00\x00"), want: Info{GIF, 3, 4}, header: 13},
		{name: "gif of no screen", data: zeroScreen(gifImage(t, 6, 4, 1), 0, 0), want: Info{GIF, 6, 4}, header: 30},
		{name: "gif of no width", data: zeroScreen(gifImage(t, 6, 4, 1), 0, 4), want: Info{GIF, 6, 4}, header: 30},
		{name: "gif of no height", data: zeroScreen(gifImage(t, 6, 4, 3), 6, 0), want: Info{GIF, 6, 4}, header: 49},
		{name: "gif of no screen, an image off its corner", data: []byte("GIF89a\x00\x00\x00\x00\x81\x00\x00RGBRGBRGBRGB\x21\xF9\x04\x00\x00\x00\x00\x00\x2C\x01\x00\x02\x00\x06\x00\x04\x00\x00"), want: Info{GIF, 7, 6}, header: 42},
		{name: "webp of an unknown chunk first", data: slices.Concat(webpOf("xxxx", []byte("odd, padded")), []byte{0}, webpOf("VP8L", []byte{0x2F, 6, 0x80, 0, 0})[12:]), want: Info{WebP, 7, 3}, header: 12 + 8 + 12 + 8 + 5},
		{name: "webp of a long canvas", data: webpOf("VP8X", append(canvas(7, 3), 0, 0)), want: Info{WebP, 7, 3}, header: 30},
		{name: "webp of another length", data: append([]byte("RIFF\x00\x00\x00\x00"), webpOf("VP8X", canvas(7, 3))[8:]...), want: Info{WebP, 7, 3}, header: 30},
		{name: "webp lossless of an unknown version", data: webpOf("VP8L", []byte{0x2F, 6, 0x80, 0, 0xE0}), want: Info{WebP, 7, 3}, header: 25},
		{name: "webp lossy, scaled", data: webpOf("VP8 ", []byte{0x10, 0, 0, 0x9D, 0x01, 0x2A, 7, 0x40, 3, 0x80}), want: Info{WebP, 7, 3}, header: 30},
	})
}

// zeroScreen sets the logical screen of a GIF.
func zeroScreen(data []byte, width, height uint16) []byte {
	binary.LittleEndian.PutUint16(data[6:], width)
	binary.LittleEndian.PutUint16(data[8:], height)
	return data
}

// betweenBoxes reports whether n is where a box of the top level ends.
func betweenBoxes(data []byte, n int) bool {
	at := 0
	for at < n {
		at += int(binary.BigEndian.Uint32(data[at:]))
	}
	return at == n
}

func jpegImage(t testing.TB, width, height int) []byte {
	var buf bytes.Buffer
	require.NoError(t, jpeg.Encode(&buf, image.NewGray(image.Rect(0, 0, width, height)), nil))
	return buf.Bytes()
}

// jpegBehind puts segments of metadata between the start of an image and the
// rest, each holding another JPEG's start as an Exif thumbnail does.
func jpegBehind(t testing.TB, segments int) []byte {
	whole := jpegImage(t, 21, 13)
	data := slices.Clone(whole[:2])
	for range segments {
		data = append(data, jpegSegment(0xE1, jpegFrame(0xC0, 8, 3, 160, 120), 0xFFFF)...)
	}
	return append(data, whole[2:]...)
}

// jpegSegment returns a segment of the given length field, padded with zeros.
func jpegSegment(marker byte, content []byte, length uint16) []byte {
	segment := make([]byte, 2+int(length))
	segment[0], segment[1] = 0xFF, marker
	binary.BigEndian.PutUint16(segment[2:], length)
	copy(segment[4:], content)
	return segment
}

// jpegFrame returns the start of an image up to its frame header.
func jpegFrame(marker, precision byte, components int, width, height uint16) []byte {
	frame := []byte{precision}
	frame = binary.BigEndian.AppendUint16(frame, height)
	frame = binary.BigEndian.AppendUint16(frame, width)
	frame = append(frame, byte(components))
	for i := range components {
		frame = append(frame, byte(i+1), 0x11, 0)
	}
	return append([]byte{0xFF, 0xD8}, jpegSegment(marker, frame, uint16(len(frame)+2))...)
}

// jpegWithTables has the segments before its frame header whose markers lie
// among those of frames.
func jpegWithTables() []byte {
	whole := jpegFrame(0xC9, 8, 3, 7, 3)
	data := whole[:2:2]
	for _, marker := range []byte{0xC4, 0xC8, 0xCC} {
		data = append(data, jpegSegment(marker, []byte{8, 1, 1, 1, 1, 3}, 20)...)
	}
	return append(data, whole[2:]...)
}

func pngImage(t testing.TB, m image.Image) []byte {
	var buf bytes.Buffer
	require.NoError(t, png.Encode(&buf, m))
	return buf.Bytes()
}

// pngOf returns the start of a PNG that claims the given size.
func pngOf(width, height uint32) []byte {
	content := binary.BigEndian.AppendUint32(nil, width)
	content = binary.BigEndian.AppendUint32(content, height)
	return append([]byte("\x89PNG\r\n\x1a\n"), pngChunk("IHDR", append(content, 8, 2, 0, 0, 0))...)
}

func pngChunk(kind string, content []byte) []byte {
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(content)))
	chunk = append(append(chunk, kind...), content...)
	return binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
}

func animatedPNG(t testing.TB) []byte {
	data := pngImage(t, image.NewNRGBA(image.Rect(0, 0, 5, 9)))
	const afterIHDR = 33
	return slices.Insert(data, afterIHDR, pngChunk("acTL", []byte{0, 0, 0, 1, 0, 0, 0, 0})...)
}

func palette(width, height int) *image.Paletted {
	return image.NewPaletted(image.Rect(0, 0, width, height), color.Palette{color.Black, color.Transparent})
}

func gifImage(t testing.TB, width, height, frames int) []byte {
	var g gif.GIF
	for range frames {
		g.Image = append(g.Image, palette(width, height))
		g.Delay = append(g.Delay, 1)
	}
	var buf bytes.Buffer
	require.NoError(t, gif.EncodeAll(&buf, &g))
	return buf.Bytes()
}

// webpOf returns a WebP file of one chunk.
func webpOf(kind string, content []byte) []byte {
	chunk := binary.LittleEndian.AppendUint32([]byte(kind), uint32(len(content)))
	chunk = append(chunk, content...)
	file := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(4+len(chunk)))
	return slices.Concat(file, []byte("WEBP"), chunk)
}

// canvas is the content of a VP8X chunk.
func canvas(width, height uint32) []byte {
	w, h := width-1, height-1
	return []byte{0, 0, 0, 0, byte(w), byte(w >> 8), byte(w >> 16), byte(h), byte(h >> 8), byte(h >> 16)}
}
