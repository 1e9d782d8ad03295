package imageheader

import "encoding/binary"

const pngSignature = "\x89PNG\r\n\x1a\n"

// readPNG reads the IHDR chunk, which comes first. Its checksum is not judged.
func readPNG(src *source) (header, error) {
	if err := src.discard(int64(len(pngSignature))); err != nil {
		return header{}, err
	}
	const content = 13
	var ihdr [4 + 4 + content + 4]byte // length, type, content and checksum
	if err := src.fill(ihdr[:8]); err != nil {
		return header{}, err
	}
	if binary.BigEndian.Uint32(ihdr[:]) != content || string(ihdr[4:8]) != "IHDR" {
		return header{}, errMalformed
	}
	if err := src.fill(ihdr[8:]); err != nil {
		return header{}, err
	}
	return header{
		kind:   PNG,
		width:  binary.BigEndian.Uint32(ihdr[8:]),
		height: binary.BigEndian.Uint32(ihdr[12:]),
	}, nil
}
