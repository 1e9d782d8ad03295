package imageheader

import (
	"bytes"
	"crypto/sha256"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// costlyFile is a file of uploadSize bytes made so that its header takes long
// to walk, under the name of what it is full of.
type costlyFile struct {
	name string
	data func() []byte
	// reason is why it is refused, empty if it is a 7 × 3 image.
	reason string
	// walked bounds the bytes that are looked at.
	walked int
}

// uploadSize is what the catalog takes for one image by default.
const uploadSize = 20 << 20

func costlyFiles(t testing.TB) []costlyFile {
	full := func(start, pattern, end []byte) func() []byte {
		return func() []byte {
			n := (uploadSize - len(start) - len(end)) / len(pattern)
			return slices.Concat(start, bytes.Repeat(pattern, n), end)
		}
	}
	paletted := pngImage(t, palette(7, 3))
	const behindIHDR = 33
	frame := jpegFrame(0xC0, 8, 3, 7, 3)
	image := heic(7, 3)
	const behindFtyp = 24
	brands, picture := image[:behindFtyp:behindFtyp], image[behindFtyp:]
	within := func(path ...string) []byte {
		data := slices.Clone(brands)
		for _, kind := range path {
			data = append(data, openBox(kind)...)
			if kind == "meta" {
				data = append(data, versionOf(0, 0)...)
			}
		}
		return data
	}
	many := errTooMany.Reason
	return []costlyFile{
		{"a normal JPEG", full(jpegImage(t, 7, 3), []byte{0}, nil), "", 8 << 10},
		{"PNG chunks", full(paletted[:behindIHDR:behindIHDR], pngChunk("tEXt", nil), paletted[behindIHDR:]), "", 8 << 10},
		{"JPEG segments", full(frame[:2:2], jpegSegment(0xE1, nil, 2), frame[2:]), many, 4 * maxSteps},
		{"JPEG stray markers", full([]byte("\xFF\xD8\xFF\xE0\x00\x02"), []byte("\xFF\x00"), frame[2:]), many, 2 * maxSteps},
		{"JPEG restart markers", full([]byte("\xFF\xD8"), []byte("\xFF\xD0"), frame[2:]), many, 2 * maxSteps},
		{"JPEG stray bytes", full([]byte("\xFF\xD8\xFF\xE0\x00\x02"), []byte("x"), frame[2:]), "", uploadSize},
		{"JPEG fill bytes", full([]byte("\xFF\xD8"), []byte("\xFF"), frame[2:]), "", uploadSize},
		{"GIF blocks", full([]byte("GIF89a\x00\x00\x00\x00\x00\x00\x00\x21\xFE"), []byte{1, 'x'}, []byte{0, 0x2C, 0, 0, 0, 0, 7, 0, 3, 0, 0}), many, 2 * maxSteps},
		{"GIF extensions", full([]byte("GIF89a\x00\x00\x00\x00\x00\x00\x00"), []byte{0x21, 0xFE, 0}, []byte{0x2C, 0, 0, 0, 0, 7, 0, 3, 0, 0}), many, 3 * maxSteps},
		{"WebP chunks", full([]byte("RIFF\x00\x00\x00\x00WEBP"), []byte("xxxx\x00\x00\x00\x00"), nil), many, 8 * maxSteps},
		{"HEIC boxes", full(brands, boxOf("free"), picture), many, 8 * maxSteps},
		{"HEIC boxes in meta", full(within("meta"), boxOf("free"), nil), many, 8 * maxSteps},
		{"HEIC properties", full(within("meta", "iprp", "ipco"), ispe(7, 3), nil), errMalformed.Reason, 20 * maxProperties},
		{"HEIC properties in many", full(within("meta", "iprp"), boxOf("free"), nil), many, 8 * maxSteps},
		{"HEIC associations", full(within("meta", "iprp", "ipma"), entry(1, 1, 1, 1, 1), nil), errMalformed.Reason, 8 << 10},
		{"HEIC tracks", full(within("moov"), boxOf("trak"), nil), many, 8 * maxSteps},
		{"HEIC tracks within tracks", full(within("moov"), openBox("trak"), nil), errNoPicture.Reason, uploadSize},
	}
}

// A header costs no more than its bounds say, whatever the file is made of.
func TestReadCostly(t *testing.T) {
	const (
		memory = 2 << 20
		ahead  = 16 << 10
	)
	for _, f := range costlyFiles(t) {
		t.Run(f.name, func(t *testing.T) {
			data := f.data()
			require.InDelta(t, uploadSize, len(data), 64)
			r := &counting{r: bytes.NewReader(data)}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got, err := Read(r, 100e6)
			runtime.ReadMemStats(&after)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(memory))
			require.LessOrEqual(t, r.n, f.walked+ahead)
			if f.reason != "" {
				requireBad(t, f.reason, got, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, []int{7, 3}, []int{got.Width, got.Height})
		})
	}
}

// The bound on parts is exact in every format.
func TestReadParts(t *testing.T) {
	frame := jpegFrame(0xC0, 8, 3, 7, 3)
	lossless := webpOf("VP8L", []byte{0x2F, 6, 0x80, 0, 0})
	image := heic(7, 3)
	const behindFtyp = 24
	tests := []struct {
		name              string
		start, part, rest []byte
		other             int // parts in start and rest
	}{
		{"jpeg segments", frame[:2], jpegSegment(0xE1, nil, 2), frame[2:], 1},
		{"jpeg false markers", []byte("\xFF\xD8\xFF\xE0\x00\x02"), []byte("\xFF\x00"), frame[2:], 2},
		{"gif blocks", []byte("GIF89a\x00\x00\x00\x00\x00\x00\x00\x21\xFE"), []byte("\x01x"), []byte("\x00\x2C\x00\x00\x00\x00\x07\x00\x03\x00\x00"), 3},
		{"webp chunks", lossless[:12], []byte("xxxx\x00\x00\x00\x00"), lossless[12:], 1},
		{"heic boxes", image[:behindFtyp], boxOf("free"), image[behindFtyp:], 7},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := func(parts int) io.Reader {
				return bytes.NewReader(slices.Concat(tt.start, bytes.Repeat(tt.part, parts-tt.other), tt.rest))
			}
			got, err := Read(file(maxSteps), 0)
			require.NoError(t, err)
			require.Equal(t, []int{7, 3}, []int{got.Width, got.Height})
			got, err = Read(file(maxSteps+1), 0)
			requireBad(t, errTooMany.Reason, got, err)
		})
	}
}

// BenchmarkReadCostly has files made to cost the reader time, beside a normal
// one and what an upload costs anyway: a hash of all its bytes.
func BenchmarkReadCostly(b *testing.B) {
	for _, f := range costlyFiles(b) {
		b.Run(strings.ReplaceAll(f.name, " ", "-"), func(b *testing.B) {
			data := f.data()
			b.ReportAllocs()
			for b.Loop() {
				hash := sha256.New()
				r := bytes.NewReader(data)
				_, _ = Read(io.TeeReader(r, hash), 100e6)
				_, _ = io.Copy(hash, r)
			}
		})
	}
}
