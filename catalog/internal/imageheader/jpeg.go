package imageheader

import "encoding/binary"

// The JPEG markers that matter on the way to the frame header (ITU T.81, B.1).
const (
	markerTEM   = 0x01
	markerSOF0  = 0xC0
	markerDHT   = 0xC4 // inside the range of SOF markers, as JPG and DAC are
	markerJPG   = 0xC8
	markerDAC   = 0xCC
	markerSOF15 = 0xCF
	markerRST0  = 0xD0
	markerRST7  = 0xD7
	markerSOI   = 0xD8
	markerEOI   = 0xD9
	markerSOS   = 0xDA
	markerDHP   = 0xDE // size of a hierarchical image, before its first frame
)

// readJPEG walks the segments up to the frame header.
func readJPEG(src *source) (header, error) {
	if err := src.discard(2); err != nil {
		return header{}, err
	}
	for {
		marker, err := nextMarker(src)
		if err != nil {
			return header{}, err
		}
		switch {
		case marker == markerSOI, marker == markerEOI, marker == markerSOS:
			return header{}, errMalformed
		case marker == markerTEM, marker >= markerRST0 && marker <= markerRST7:
			continue // no length follows
		}
		var length [2]byte
		if err := src.fill(length[:]); err != nil {
			return header{}, err
		}
		n := int(binary.BigEndian.Uint16(length[:])) - len(length)
		if n < 0 {
			return header{}, errMalformed
		}
		if isFrame(marker) {
			return readFrame(src, n)
		}
		if err := src.discard(int64(n)); err != nil {
			return header{}, err
		}
	}
}

// nextMarker skips to the next marker. Stray bytes between segments are
// tolerated, as decoders do, and so are fill bytes before a marker.
func nextMarker(src *source) (byte, error) {
	for {
		if err := src.step(); err != nil {
			return 0, err
		}
		if err := src.skipPast(0xFF); err != nil {
			return 0, err
		}
		if err := src.skipRun(0xFF); err != nil {
			return 0, err
		}
		b, err := src.ReadByte()
		if err != nil || b != 0 { // FF 00 is no marker
			return b, err
		}
	}
}

func isFrame(marker byte) bool {
	switch marker {
	case markerDHT, markerJPG, markerDAC:
		return false
	case markerDHP:
		return true
	}
	return marker >= markerSOF0 && marker <= markerSOF15
}

// readFrame reads a frame header of n bytes: precision, height, width, and the
// components, which are not judged.
func readFrame(src *source, n int) (header, error) {
	var frame [5]byte
	if n < len(frame) {
		return header{}, errMalformed
	}
	if err := src.fill(frame[:]); err != nil {
		return header{}, err
	}
	if err := src.discard(int64(n - len(frame))); err != nil {
		return header{}, err
	}
	return header{
		kind:   JPEG,
		height: uint32(binary.BigEndian.Uint16(frame[1:])),
		width:  uint32(binary.BigEndian.Uint16(frame[3:])),
	}, nil
}
