// Package imageheader tells what kind of image a stream holds and how many
// pixels wide and high it is, from the image's header alone.
//
// The kind is judged by content, never by a name or a declared type. Width and
// height are those of the stored pixels: neither the Exif orientation nor the
// rotation, mirroring and cropping properties of HEIF are applied. By kind:
//
//   - JPEG: the frame header, whatever the coding process.
//   - PNG: the IHDR chunk, for animated PNG too (told as image/png).
//   - GIF: the logical screen.
//   - WebP: the frame, or the canvas of an extended file.
//   - AVIF, HEIC: the image spatial extents (ispe) of the primary item, for
//     grids and image sequences too. The file's brands tell the kind.
//
// Pixels are not decoded: an image with a sound header and broken pixels passes.
package imageheader

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/gabriel-vasile/mimetype"
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
	errZeroSide  = &Error{"width or height is zero"}
)

// Read reads the header of an image from r. An image of more than maxPixels
// pixels is refused; zero or less sets no limit.
//
// Read consumes what it needs of r and up to some KiB more; a caller who wants
// the bytes tees them. What it needs is the part up to the size of the image,
// which may be the whole stream (metadata before the frame of a JPEG, pixels
// before the meta box of a HEIF file). Its memory is bounded whatever r holds:
// by some KiB, and by a few MiB for an AVIF or HEIC file made to that end.
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

// sniffLen covers the signatures of all kinds. It is small on purpose: in a
// longer head mimetype finds other formats too, such as "%PDF-" in the
// metadata of a photo.
const sniffLen = 16

func readKind(src *source) (header, error) {
	for m := mimetype.Detect(src.peek(sniffLen)); m != nil; m = m.Parent() {
		switch {
		case m.Is("image/jpeg"):
			return readJPEG(src)
		case m.Is("image/png"):
			return readPNG(src)
		case m.Is("image/gif"):
			return readGIF(src)
		case m.Is("image/webp"):
			return readWebP(src)
		case m.Is("video/mp4"):
			// The parent of every kind of ISO base media file, the ones with
			// unknown brands among them: the compatible brands decide.
			return readHEIF(src)
		}
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
