package imageheader

import "encoding/binary"

// readWebP walks the chunks up to the first that has the size: the canvas of
// an extended file, a lossy frame or a lossless one. The length in the RIFF
// header is not judged.
func readWebP(src *source) (header, error) {
	if err := src.discard(12); err != nil { // "RIFF", length, "WEBP"
		return header{}, err
	}
	for {
		if err := src.step(); err != nil {
			return header{}, err
		}
		var chunk [8]byte
		if err := src.fill(chunk[:]); err != nil {
			return header{}, err
		}
		length := int64(binary.LittleEndian.Uint32(chunk[4:]))
		switch string(chunk[:4]) {
		case "VP8X":
			return readWebPCanvas(src, length)
		case "VP8 ":
			return readWebPLossy(src, length)
		case "VP8L":
			return readWebPLossless(src, length)
		}
		if err := src.discard(length + length&1); err != nil { // padded to an even length
			return header{}, err
		}
	}
}

// readWebPCanvas reads the start of a VP8X chunk: flags, reserved bytes, and
// the sides less one in 24 bits each.
func readWebPCanvas(src *source, length int64) (header, error) {
	var p [10]byte
	if err := fillChunk(src, p[:], length); err != nil {
		return header{}, err
	}
	uint24 := func(b []byte) uint32 { return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 }
	return header{kind: WebP, width: uint24(p[4:]) + 1, height: uint24(p[7:]) + 1}, nil
}

// readWebPLossy reads the start of a VP8 key frame (RFC 6386, 9.1): a tag of
// three bytes, a start code, and the sides in 14 bits each, below a scale.
func readWebPLossy(src *source, length int64) (header, error) {
	var p [10]byte
	if err := fillChunk(src, p[:], length); err != nil {
		return header{}, err
	}
	if p[0]&1 != 0 || string(p[3:6]) != "\x9D\x01\x2A" { // only a key frame has the size
		return header{}, errMalformed
	}
	const mask = 1<<14 - 1
	return header{
		kind:   WebP,
		width:  uint32(binary.LittleEndian.Uint16(p[6:]) & mask),
		height: uint32(binary.LittleEndian.Uint16(p[8:]) & mask),
	}, nil
}

// readWebPLossless reads the start of a VP8L chunk (RFC 9649, 3.4): a
// signature, and the sides less one in 14 bits each.
func readWebPLossless(src *source, length int64) (header, error) {
	var p [5]byte
	if err := fillChunk(src, p[:], length); err != nil {
		return header{}, err
	}
	if p[0] != 0x2F {
		return header{}, errMalformed
	}
	const mask = 1<<14 - 1
	sides := binary.LittleEndian.Uint32(p[1:])
	return header{kind: WebP, width: sides&mask + 1, height: sides>>14&mask + 1}, nil
}

// fillChunk fills p with the start of the content of a chunk, which has length
// bytes.
func fillChunk(src *source, p []byte, length int64) error {
	if length < int64(len(p)) {
		return errMalformed
	}
	return src.fill(p)
}
