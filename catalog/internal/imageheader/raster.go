package imageheader

import (
	"encoding/binary"
	"image"
	"image/gif"
	"image/png"
	"math"

	"golang.org/x/image/webp"
)

func readPNG(src *source) (header, error) {
	// png.DecodeConfig has no error of its own for a zero side.
	const ihdr = 12 // the type of the first chunk: after signature and length
	if head := src.peek(ihdr + 12); len(head) == ihdr+12 && string(head[ihdr:ihdr+4]) == "IHDR" {
		if binary.BigEndian.Uint32(head[ihdr+4:]) == 0 || binary.BigEndian.Uint32(head[ihdr+8:]) == 0 {
			return header{}, errZeroSide
		}
	}
	config, err := png.DecodeConfig(src)
	return fromConfig(PNG, config, err)
}

func readGIF(src *source) (header, error) {
	config, err := gif.DecodeConfig(src)
	return fromConfig(GIF, config, err)
}

func readWebP(src *source) (header, error) {
	// The canvas of an extended file is read here: webp.DecodeConfig takes one
	// of 2^31 pixels or more for a broken file, whatever the caller's limit.
	const (
		chunk    = 12 // after the RIFF header
		canvas   = chunk + 12
		extended = canvas + 6
	)
	if head := src.peek(extended); len(head) == extended && string(head[chunk:chunk+4]) == "VP8X" {
		if binary.LittleEndian.Uint32(head[chunk+4:]) != 10 {
			return header{}, errMalformed
		}
		return header{kind: WebP, width: uint24(head[canvas:]) + 1, height: uint24(head[canvas+3:]) + 1}, nil
	}
	config, err := webp.DecodeConfig(src)
	return fromConfig(WebP, config, err)
}

// fromConfig takes over what a decoder of the image package found.
func fromConfig(kind string, c image.Config, err error) (header, error) {
	if err != nil {
		return header{}, err
	}
	if c.Width < 0 || c.Height < 0 || int64(c.Width) > math.MaxUint32 || int64(c.Height) > math.MaxUint32 {
		return header{}, errMalformed
	}
	return header{kind: kind, width: uint32(c.Width), height: uint32(c.Height)}, nil
}

func uint24(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
}
