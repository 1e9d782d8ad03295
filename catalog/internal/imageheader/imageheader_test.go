package imageheader

import (
	"bytes"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// requireBad checks that a read was refused for the reason given.
func requireBad(t *testing.T, reason string, got Info, err error) {
	t.Helper()
	var bad *Error
	require.ErrorAs(t, err, &bad)
	require.Equal(t, reason, bad.Reason)
	require.Zero(t, got)
}

func TestRead(t *testing.T) {
	readers := map[string]func(io.Reader) io.Reader{
		"plain":            func(r io.Reader) io.Reader { return r },
		"one byte a time":  iotest.OneByteReader,
		"half a time":      iotest.HalfReader,
		"data with an EOF": iotest.DataErrReader,
		"followed by more": func(r io.Reader) io.Reader { return io.MultiReader(r, strings.NewReader("\xFF\xD8\xFFmore")) },
	}
	for _, s := range samples(t) {
		for name, wrap := range readers {
			t.Run(s.name+"/"+name, func(t *testing.T) {
				got, err := Read(wrap(bytes.NewReader(s.data)), 0)
				require.NoError(t, err)
				require.Equal(t, s.want, got)
			})
		}
	}
}

func TestReadCutOff(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			step := max(1, len(s.data)/4_000)
			for n := 0; n < len(s.data); n += step {
				got, err := Read(bytes.NewReader(s.data[:n]), 0)
				if n >= s.header {
					require.NoError(t, err, "%d bytes", n)
					require.Equal(t, s.want, got)
					continue
				}
				var bad *Error
				require.ErrorAs(t, err, &bad, "%d bytes", n)
				require.Zero(t, got)
				switch heif := s.want.ContentType == AVIF || s.want.ContentType == HEIC; {
				case heif && n > 12 && betweenBoxes(s.data, n): // it may be whole
					require.Equal(t, errNoPicture, bad, "%d bytes", n)
				case n > 12: // every signature is whole
					require.Equal(t, errCutOff, bad, "%d bytes", n)
				}
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	tests := []struct {
		name   string
		data   string
		reason string
	}{
		{"nothing", "", errNotImage.Reason},
		{"text", "just some words", errNotImage.Reason},
		{"html", "<!DOCTYPE html><html><img src=x></html>", errNotImage.Reason},
		{"svg", `<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"/>`, errNotImage.Reason},
		{"pdf", "%PDF-1.7\n1 0 obj", errNotImage.Reason},
		{"zip", "PK\x03\x04", errNotImage.Reason},
		{"bmp", "BM\x46\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00", errNotImage.Reason},
		{"tiff", "II*\x00\x08\x00\x00\x00", errNotImage.Reason},
		{"jpeg xl", "\xFF\x0A\xFA\x1F", errNotImage.Reason},
		{"jpeg 2000", "\x00\x00\x00\x0CjP  \x0D\x0A\x87\x0A\x00\x00\x00\x14ftypjp2 ", errNotImage.Reason},
		{"wave", "RIFF\x24\x00\x00\x00WAVEfmt ", errNotImage.Reason},
		{"an image behind a space", " " + string(jpegImage(t, 3, 3)), errNotImage.Reason},

		{"jpeg of text", "\xFF\xD8\xFF<html><body>", errCutOff.Reason},
		{"jpeg without a frame", "\xFF\xD8\xFF\xD9" + strings.Repeat("x", 50), errMalformed.Reason},
		{"jpeg scan before a frame", "\xFF\xD8\xFF\xDA\x00\x08xxxxxx", errMalformed.Reason},
		{"jpeg that starts twice", "\xFF\xD8\xFF\xD8" + string(jpegImage(t, 3, 3)), errMalformed.Reason},
		{"jpeg segment length", "\xFF\xD8\xFF\xE0\x00\x01xxxx", errMalformed.Reason},
		{"jpeg short frame", "\xFF\xD8\xFF\xC0\x00\x06\x08\x00\x03\x00\x03\x01xxxxxxxxx", errMalformed.Reason},
		{"jpeg zero width", string(jpegFrame(0xC0, 8, 3, 0, 3)), errZeroSide.Reason},
		{"jpeg zero height", string(jpegFrame(0xC0, 8, 3, 3, 0)), errZeroSide.Reason},
		{"jpeg too large", string(jpegFrame(0xC0, 8, 3, 65535, 65535)), "over 100 megapixels"},

		{"png of junk", "\x89PNG\r\n\x1a\n" + strings.Repeat("x", 50), errMalformed.Reason},
		{"png header of another length", "\x89PNG\r\n\x1a\n" + string(pngChunk("IHDR", make([]byte, 14))), errMalformed.Reason},
		{"png pixels first", "\x89PNG\r\n\x1a\n" + string(pngChunk("IDAT", nil)) + string(pngOf(3, 3)[8:]), errMalformed.Reason},
		{"png zero width", string(pngOf(0, 3)), errZeroSide.Reason},
		{"png zero height", string(pngOf(3, 0)), errZeroSide.Reason},
		{"png too large", string(pngOf(65535, 65535)), "over 100 megapixels"},
		{"png as large as can be", string(pngOf(math.MaxUint32, math.MaxUint32)), "over 100 megapixels"},

		{"gif zero sides, no image", "GIF89a\x00\x00\x00\x00\x00\x00\x00;", errZeroSide.Reason},
		{"gif zero width, no image", "GIF89a\x00\x00\x03\x00\x00\x00\x00;", errZeroSide.Reason},
		{"gif zero height, no image", "GIF89a\x03\x00\x00\x00\x00\x00\x00;", errZeroSide.Reason},
		{"gif zero sides, junk", "GIF89a\x00\x00\x00\x00\x00\x00\x00junk", errZeroSide.Reason},
		{"gif zero sides, an image of zero width", "GIF89a\x00\x00\x00\x00\x00\x00\x00,\x01\x00\x01\x00\x00\x00\x03\x00\x00", errZeroSide.Reason},
		{"gif zero sides, an image of zero height", "GIF89a\x00\x00\x00\x00\x00\x00\x00,\x01\x00\x01\x00\x03\x00\x00\x00\x00", errZeroSide.Reason},
		{"gif zero sides, a large image", "GIF89a\x00\x00\x00\x00\x00\x00\x00,\x00\x00\x00\x00\xFF\xFF\xFF\xFF\x00", "over 100 megapixels"},
		{"gif too large", "GIF89a\xFF\xFF\xFF\xFF\x00\x00\x00", "over 100 megapixels"},
		{"gif of a script", "GIF89a=1;alert(1)//", "over 100 megapixels"}, // 12,605 by 24,891

		{"webp of junk", "RIFF\x60\x00\x00\x00WEBPxxxx" + strings.Repeat("x", 50), errCutOff.Reason},
		{"webp without a frame", string(webpOf("EXIF", []byte("xxxx"))), errCutOff.Reason},
		{"webp short lossy frame", string(webpOf("VP8 ", []byte{0x10, 0, 0, 0x9D, 0x01, 0x2A, 3, 0, 3})) + strings.Repeat("x", 50), errMalformed.Reason},
		{"webp lossy without a key frame", string(webpOf("VP8 ", []byte{0x11, 0, 0, 0x9D, 0x01, 0x2A, 3, 0, 3, 0})), errMalformed.Reason},
		{"webp lossy start code", string(webpOf("VP8 ", []byte{0x10, 0, 0, 0x9D, 0x01, 0x2B, 3, 0, 3, 0})), errMalformed.Reason},
		{"webp short lossless frame", string(webpOf("VP8L", []byte{0x2F, 6, 0, 0})) + strings.Repeat("x", 50), errMalformed.Reason},
		{"webp lossless signature", string(webpOf("VP8L", []byte{0x2E, 6, 0, 0, 0})), errMalformed.Reason},
		{"webp short canvas", string(webpOf("VP8X", canvas(3, 3)[:8])) + strings.Repeat("x", 50), errMalformed.Reason},
		{"webp zero width", string(webpOf("VP8 ", []byte{0x10, 0, 0, 0x9D, 0x01, 0x2A, 0, 0, 3, 0})), errZeroSide.Reason},
		{"webp zero height", string(webpOf("VP8 ", []byte{0x10, 0, 0, 0x9D, 0x01, 0x2A, 3, 0, 0, 0})), errZeroSide.Reason},
		{"webp too large", string(webpOf("VP8X", canvas(65535, 65535))), "over 100 megapixels"},
		{"webp as large as can be", string(webpOf("VP8X", canvas(1<<24, 1<<24))), "over 100 megapixels"},

		{"video", string(ftyp("isom", "iso2", "mp41")) + string(boxOf("moov")), errNotImage.Reason},
		{"heif of another codec", string(ftyp("mif1", "mif1", "jpeg")) + string(meta()), errNotImage.Reason},
		{"heic zero width", string(heic(0, 3)), errZeroSide.Reason},
		{"heic zero height", string(heic(3, 0)), errZeroSide.Reason},
		{"heic too large", string(heic(65535, 65535)), "over 100 megapixels"},
		{"heic as large as can be", string(heic(math.MaxUint32, math.MaxUint32)), "over 100 megapixels"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Read(strings.NewReader(tt.data), 100e6)
			requireBad(t, tt.reason, got, err)
		})
	}
}

// A file that is two things at once is what its first bytes say.
func TestReadPolyglot(t *testing.T) {
	tests := []struct {
		name string
		data string
		want Info
	}{
		{"gif and html", "GIF89a\x20\x00\x20\x00\x00\x00\x00<script>alert(1)</script>", Info{GIF, 32, 32}},
		{"jpeg and pdf", "\xFF\xD8" + string(jpegSegment(0xFE, []byte("a comment: %PDF-1.7\n"), 40)) + string(jpegFrame(0xC0, 8, 3, 7, 3)[2:]), Info{JPEG, 7, 3}},
		{"jpeg with stray bytes", "\xFF\xD8\xFF\xE0\x00\x02stray\xFF\x00" + string(jpegFrame(0xC0, 8, 3, 7, 3)[2:]), Info{JPEG, 7, 3}},
		{"jpeg with fill bytes", "\xFF\xD8\xFF\xFF\xFF\xD0\xFF\x01\xFF" + string(jpegFrame(0xC0, 8, 3, 7, 3)[2:]), Info{JPEG, 7, 3}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Read(strings.NewReader(tt.data), 0)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestReadLimit(t *testing.T) {
	tests := []struct {
		name          string
		width, height uint32
		limit         int64
		reason        string
	}{
		{"at the limit", 10_000, 10_000, 100e6, ""},
		{"one column over", 10_001, 10_000, 100e6, "over 100 megapixels"},
		{"limit in pixels", 11, 10, 109, "over 109 pixels"},
		{"no limit", 60_000, 60_000, 0, ""},
		{"negative limit", 60_000, 60_000, -1, ""},
		{"a product of over 63 bits", math.MaxUint32, math.MaxUint32, math.MaxInt64, "over 9223372036854775807 pixels"},
		{"the longest side", math.MaxInt32, 1, 0, ""},
		{"a side over 31 bits", math.MaxInt32 + 1, 1, 0, errMalformed.Reason},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Read(bytes.NewReader(heic(tt.width, tt.height)), tt.limit)
			if tt.reason != "" {
				requireBad(t, tt.reason, got, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, Info{HEIC, int(tt.width), int(tt.height)}, got)
		})
	}
}

func TestReadReaderError(t *testing.T) {
	broken := errors.New("the disk is gone")
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			for n := 0; n < s.header; n += max(1, s.header/4_000) {
				whole := bytes.NewReader(s.data[:n])
				_, err := Read(io.MultiReader(whole, iotest.ErrReader(broken)), 0)
				require.Equal(t, broken, err, "after %d bytes", n)

				// What is cut off on its way is no bad image.
				whole.Reset(s.data[:n])
				_, err = Read(io.MultiReader(whole, iotest.ErrReader(io.ErrUnexpectedEOF)), 0)
				require.Equal(t, io.ErrUnexpectedEOF, err, "after %d bytes", n)
			}
		})
	}
	t.Run("on a bad image", func(t *testing.T) {
		_, err := Read(io.MultiReader(strings.NewReader("<html>"), iotest.ErrReader(broken)), 0)
		require.Equal(t, broken, err)
	})
	t.Run("beyond the header", func(t *testing.T) {
		// The error comes with the data, once: it would not come again.
		_, err := Read(&onceFailing{data: jpegImage(t, 21, 13), err: broken}, 0)
		require.Equal(t, broken, err)
	})
	t.Run("no progress", func(t *testing.T) {
		_, err := Read(stuck{}, 0)
		require.Equal(t, io.ErrNoProgress, err)
	})
}

// onceFailing gives its data and its error in one read, and then an end.
type onceFailing struct {
	data []byte
	err  error
}

func (r *onceFailing) Read(p []byte) (int, error) {
	n := copy(p, r.data)
	r.data = r.data[n:]
	if len(r.data) > 0 {
		return n, nil
	}
	err := r.err
	r.err = io.EOF
	return n, err
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// endless repeats a pattern without holding more than it.
type endless struct {
	pattern []byte
	at      int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.pattern[e.at:])
	e.at = (e.at + n) % len(e.pattern)
	return n, nil
}

func TestReadMemory(t *testing.T) {
	const (
		large = 50 << 20
		small = 2 << 20 // for what is read byte by byte
	)
	repeat := func(size int, start, pattern, end []byte) io.Reader {
		middle := io.LimitReader(&endless{pattern: pattern}, int64(size/len(pattern)*len(pattern)))
		return io.MultiReader(bytes.NewReader(start), middle, bytes.NewReader(end))
	}
	jpegRest := jpegFrame(0xC0, 8, 3, 7, 3)[2:]
	whole := heic(7, 3)
	const behindFtyp = 24
	huge := u32(uint32(math.MaxUint32))
	tests := []struct {
		name   string
		r      io.Reader
		budget uint64
		reason string
	}{
		{"jpeg metadata", repeat(large, []byte("\xFF\xD8"), jpegSegment(0xE1, nil, 0xFFFF), jpegRest), 64 << 10, ""},
		{"jpeg small segments", repeat(large, []byte("\xFF\xD8"), jpegSegment(0xE1, nil, 1022), jpegRest), 64 << 10, ""},
		{"jpeg stray bytes", repeat(small, []byte("\xFF\xD8\xFF\xE0\x00\x02"), make([]byte, 1024), jpegRest), 64 << 10, ""},
		{"heic pixels first", repeat(large, append(whole[:behindFtyp:behindFtyp], boxOf("mdat")...), boxOf("free", make([]byte, 4088)), whole[behindFtyp:]), 1 << 20, ""},
		{"heic properties without end", repeat(large, append(whole[:behindFtyp:behindFtyp],
			openBox("meta", versionOf(0, 0), pitm(1), openBox("iprp"), openBox("ipco"))...), ispe(7, 3), nil), 4 << 20, errMalformed.Reason},
		{"heic associations without end", repeat(large, append(whole[:behindFtyp:behindFtyp],
			openBox("meta", versionOf(0, 0), pitm(1), openBox("iprp"), openBox("ipma"))...), entry(1, 1), nil), 4 << 20, errMalformed.Reason},
		{"heic claim of 4 GiB", bytes.NewReader(bytes.Join([][]byte{whole[:behindFtyp], huge, []byte("meta"), versionOf(0, 0), huge[:3], {0xF0}, []byte("iprp"), huge[:3], {0xE0}, []byte("ipma"), versionOf(0, 0)}, nil)), 64 << 10, errMalformed.Reason},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got, err := Read(tt.r, 0)
			runtime.ReadMemStats(&after)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, tt.budget)
			if tt.reason != "" {
				requireBad(t, tt.reason, got, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, 7, got.Width)
			require.Equal(t, 3, got.Height)
		})
	}
}

// Read leaves the pixels alone.
func TestReadStopsBehindHeader(t *testing.T) {
	const ahead = 16 << 10
	for _, s := range samples(t) {
		if s.toEnd {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			r := &counting{r: io.MultiReader(bytes.NewReader(s.data), &endless{pattern: make([]byte, 1024)})}
			_, err := Read(r, 0)
			require.NoError(t, err)
			require.LessOrEqual(t, r.n, s.header+ahead)
		})
	}
}

type counting struct {
	r io.Reader
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func FuzzRead(f *testing.F) {
	for _, s := range samples(f) {
		if len(s.data) < 4<<10 {
			f.Add(s.data)
		}
	}
	f.Add(heic(7, 3))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Read(bytes.NewReader(data), 100e6)
		slow, slowErr := Read(iotest.OneByteReader(bytes.NewReader(data)), 100e6)
		require.Equal(t, got, slow)
		require.Equal(t, err, slowErr)
		if err != nil {
			var bad *Error
			require.ErrorAs(t, err, &bad)
			require.NotEmpty(t, bad.Reason)
			require.Zero(t, got)
			return
		}
		require.Contains(t, []string{JPEG, PNG, GIF, WebP, AVIF, HEIC}, got.ContentType)
		require.Positive(t, got.Width)
		require.Positive(t, got.Height)
		require.LessOrEqual(t, got.Width*got.Height, int(100e6))
	})
}

func BenchmarkRead(b *testing.B) {
	for _, s := range samples(b) {
		b.Run(strings.ReplaceAll(s.name, " ", "-"), func(b *testing.B) {
			r := bytes.NewReader(nil)
			b.ReportAllocs()
			for b.Loop() {
				r.Reset(s.data)
				if _, err := Read(r, 100e6); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
