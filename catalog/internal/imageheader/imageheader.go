// Package imageheader finds what kind of image a stream holds and how many
// pixels wide and high it is, from the image's header alone.
//
// The kind is judged by content, never by a name or a declared type. Width and
// height are those of the stored pixels: neither the Exif orientation nor the
// rotation, mirroring and cropping properties of HEIF are applied. By kind:
//
//   - JPEG: the frame header, whatever the coding process.
//   - PNG: the IHDR chunk, for animated PNG too (reported as image/png).
//   - GIF: the logical screen; where a side of it is zero, the first image, as
//     browsers do.
//   - WebP: the frame, or the canvas of an extended file.
//   - AVIF, HEIC: the image spatial extents (ispe) of the primary item, for
//     grids and image sequences too; of a sequence without a primary item the
//     coded size of its first visual track; of a file with a minimized image
//     box (mini), the size in that box. The file's brands determine the kind.
//
// # What is not judged
//
// Nothing beyond what kind and size need: no checksum, palette, profile, bit
// depth or number of components. An image that viewers show is not refused
// here, and one with a sound header and broken pixels passes.
//
// # Why no decoder is used
//
// The headers are walked by this package's own code. The decoders of image/png,
// image/gif, image/jpeg and golang.org/x/image/webp answer another question:
// whether they can decode the image. On the way to its size they check what
// viewers don't, refuse what they can't decode (12-bit JPEG, unusual
// subsampling), have no reader of AVIF or HEIC at all, and spend time and
// memory on each chunk without a bound: image/png takes seconds and gigabytes
// for the 1.7 million empty chunks that fit into 20 MiB before a palette. What
// is needed of each format is a few dozen lines.
//
// # Bounds
//
// A header has at most 65,536 parts, counting each chunk, segment, block and
// box on the way to its size; more are refused. No real header comes near, and
// a walk of that length costs some milliseconds: less than what else is done
// for an upload of that size.
package imageheader

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

// The values of [Info.ContentType].
const (
	JPEG = "image/jpeg"
	PNG  = "image/png"
	GIF  = "image/gif"
	WebP = "image/webp"
	AVIF = "image/avif"
	HEIC = "image/heic"
)

// IsKind reports whether s is one of the values of [Info.ContentType].
func IsKind(s string) bool {
	switch s {
	case JPEG, PNG, GIF, WebP, AVIF, HEIC:
		return true
	}
	return false
}

// Info describes an image by its header.
type Info struct {
	// ContentType is one of the constants of this package.
	ContentType string
	// Width and Height are in stored pixels, each at least 1.
	Width, Height int
}

// Error says that the stream does not hold an acceptable image.
type Error struct {
	// Reason is a short lower-case phrase, fit for a client of an API to see.
	Reason string
}

// Error returns the reason with the name of this package before it.
func (e *Error) Error() string { return "imageheader: " + e.Reason }

var (
	errNotImage  = &Error{"not a JPEG, PNG, GIF, WebP, AVIF or HEIC image"}
	errCutOff    = &Error{"the header is cut off"}
	errMalformed = &Error{"the header is malformed"}
	errTooMany   = &Error{"the header has too many parts"}
	errZeroSide  = &Error{"width or height is zero"}
	errNoPicture = &Error{"the file has neither a primary item nor a visual track"}
	errNoExtents = &Error{"the primary item has no size (ispe)"}
	// errMiniVersion names what is not supported: nothing defines it yet.
	errMiniVersion = &Error{"a minimized image box (mini) of an unknown version is not supported"}
)

// Read reads the header of an image from r. An image of more than maxPixels
// pixels is refused; zero or less sets no limit.
//
// Read consumes what it needs of r and up to some KiB more; a caller that wants
// the bytes tees them. What it needs is the part up to the size of the image,
// which may be the whole stream (metadata before the frame of a JPEG, pixels
// before the meta box of a HEIF file). Its memory is bounded whatever r holds:
// by some KiB, and by 2 MiB for an AVIF or HEIC file made to that end.
//
// A bad image gives an [*Error]. io.EOF from r is the end of the image; any other
// error of r is returned as it is, even if r gave it beyond the header.
func Read(r io.Reader, maxPixels int64) (Info, error) {
	src := newSource(r)
	found, err := readKind(src)
	if src.failed != nil {
		return Info{}, src.failed
	}
	if err == nil {
		err = checkSize(found, maxPixels)
	}
	if err == nil {
		return Info{ContentType: found.kind, Width: int(found.width), Height: int(found.height)}, nil
	}
	bad, ok := errors.AsType[*Error](err)
	switch {
	case ok:
	case src.ended || isEnd(err):
		bad = errCutOff
	default:
		bad = errMalformed
	}
	return Info{}, &Error{bad.Reason} // the caller's own: its field can be set
}

// header is what the reader of a kind finds, not yet checked.
type header struct {
	kind          string
	width, height uint32
}

// signatureLen covers the signatures of all kinds.
const signatureLen = 12

func readKind(src *source) (header, error) {
	switch head := string(src.peek(signatureLen)); {
	case strings.HasPrefix(head, "\xFF\xD8\xFF"):
		return readJPEG(src)
	case strings.HasPrefix(head, pngSignature):
		return readPNG(src)
	case strings.HasPrefix(head, "GIF87a"), strings.HasPrefix(head, "GIF89a"):
		return readGIF(src)
	case len(head) == signatureLen && head[:4] == "RIFF" && head[8:] == "WEBP":
		return readWebP(src)
	case len(head) == signatureLen && head[4:8] == "ftyp":
		return readHEIF(src)
	}
	return header{}, errNotImage
}

func checkSize(h header, maxPixels int64) error {
	if h.width == 0 || h.height == 0 {
		return errZeroSide
	}
	// The product of two 32-bit sides cannot overflow 64 bits.
	if maxPixels > 0 && uint64(h.width)*uint64(h.height) > uint64(maxPixels) {
		if maxPixels%1e6 == 0 {
			return &Error{fmt.Sprintf("over %d megapixels", maxPixels/1e6)}
		}
		return &Error{fmt.Sprintf("over %d pixels", maxPixels)}
	}
	if h.width > math.MaxInt32 || h.height > math.MaxInt32 {
		return errMalformed
	}
	return nil
}
