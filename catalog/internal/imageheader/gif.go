package imageheader

import "encoding/binary"

// The bytes that introduce the blocks of a GIF.
const (
	introExtension = 0x21
	introImage     = 0x2C
)

// readGIF reads the logical screen. Where that has a zero side, browsers make
// it as large as the first image needs; so does readGIF.
func readGIF(src *source) (header, error) {
	var head [13]byte // signature and logical screen
	if err := src.fill(head[:]); err != nil {
		return header{}, err
	}
	h := header{
		kind:   GIF,
		width:  uint32(binary.LittleEndian.Uint16(head[6:])),
		height: uint32(binary.LittleEndian.Uint16(head[8:])),
	}
	if h.width > 0 && h.height > 0 {
		return h, nil
	}
	width, height, err := firstGIFImage(src, head[10])
	if err != nil {
		return header{}, err
	}
	if h.width == 0 {
		h.width = width
	}
	if h.height == 0 {
		h.height = height
	}
	return h, nil
}

// firstGIFImage walks to the first image and returns how far it reaches to the
// right and down; zeros if the file ends without one. flags are those of the
// logical screen.
func firstGIFImage(src *source, flags byte) (width, height uint32, err error) {
	if flags&0x80 != 0 {
		if err := src.discard(3 << (flags&7 + 1)); err != nil { // the colour table
			return 0, 0, err
		}
	}
	for {
		if err := src.step(); err != nil {
			return 0, 0, err
		}
		introducer, err := src.ReadByte()
		if err != nil {
			return 0, 0, err
		}
		switch introducer {
		case introImage:
			var d [8]byte // left, top, width, height
			if err := src.fill(d[:]); err != nil {
				return 0, 0, err
			}
			at := func(i int) uint32 { return uint32(binary.LittleEndian.Uint16(d[i:])) }
			if at(4) == 0 || at(6) == 0 {
				return 0, 0, nil
			}
			return at(0) + at(4), at(2) + at(6), nil
		case introExtension:
			if err := skipGIFExtension(src); err != nil {
				return 0, 0, err
			}
		default:
			return 0, 0, nil
		}
	}
}

// skipGIFExtension consumes the label of an extension and its blocks of data.
func skipGIFExtension(src *source) error {
	if err := src.discard(1); err != nil {
		return err
	}
	for {
		if err := src.step(); err != nil {
			return err
		}
		n, err := src.ReadByte()
		if err != nil || n == 0 {
			return err
		}
		if err := src.discard(int64(n)); err != nil {
			return err
		}
	}
}
