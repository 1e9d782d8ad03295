package imageheader

import (
	"encoding/binary"
	"slices"
)

// The builders of ISO base media files.

func boxOf(kind string, content ...[]byte) []byte {
	body := slices.Concat(content...)
	return slices.Concat(u32(8+len(body)), []byte(kind), body)
}

// largeBox has a 64-bit size.
func largeBox(kind string, content ...[]byte) []byte {
	body := slices.Concat(content...)
	return slices.Concat(u32(1), []byte(kind), binary.BigEndian.AppendUint64(nil, uint64(16+len(body))), body)
}

// openBox reaches to the end of the file.
func openBox(kind string, content ...[]byte) []byte {
	return slices.Concat(u32(0), []byte(kind), slices.Concat(content...))
}

func fullBox(kind string, version byte, flags int, content ...[]byte) []byte {
	return boxOf(kind, append([][]byte{versionOf(version, flags)}, content...)...)
}

func versionOf(version byte, flags int) []byte {
	v := u32(flags)
	v[0] = version
	return v
}

func u16(n int) []byte               { return binary.BigEndian.AppendUint16(nil, uint16(n)) }
func u32[N int | uint32](n N) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

func ftyp(major string, compatible ...string) []byte {
	content := append([]byte(major), 0, 0, 0, 0)
	for _, brand := range compatible {
		content = append(content, brand...)
	}
	return boxOf("ftyp", content)
}

func meta(content ...[]byte) []byte    { return fullBox("meta", 0, 0, content...) }
func pitm(item int) []byte             { return fullBox("pitm", 0, 0, u16(item)) }
func ispe(width, height uint32) []byte { return fullBox("ispe", 0, 0, u32(width), u32(height)) }

// ipma associates each item with property indices, 7 bits wide.
func ipma(entries ...[]byte) []byte {
	return fullBox("ipma", 0, 0, append([][]byte{u32(len(entries))}, entries...)...)
}

// entry is one of a version 0 ipma without flags; the first property is essential.
func entry(item int, indices ...byte) []byte {
	indices = slices.Clone(indices)
	if len(indices) > 0 {
		indices[0] |= 0x80
	}
	return slices.Concat(u16(item), []byte{byte(len(indices))}, indices)
}

// heic is a file of one item of the given size.
func heic(width, height uint32) []byte {
	return append(ftyp("heic", "mif1", "heic"), meta(
		pitm(1),
		boxOf("iprp", boxOf("ipco", ispe(width, height)), ipma(entry(1, 1))),
	)...)
}

// trackOf is a track of the given handler, coded and shown in one size.
func trackOf(kind string, width, height int) []byte {
	return trackBoxes(trackHeader(0, width, height), handler(kind), entryOf(width, height))
}

func trackBoxes(tkhd, hdlr, stsd []byte) []byte {
	return boxOf("trak", tkhd, boxOf("mdia", fullBox("mdhd", 0, 0, make([]byte, 20)), hdlr,
		boxOf("minf", fullBox("vmhd", 0, 1, make([]byte, 8)), boxOf("stbl", stsd, fullBox("stts", 0, 0, u32(0))))))
}

func trackHeader(version byte, width, height int) []byte {
	times := 20
	if version == 1 {
		times = 32
	}
	return fullBox("tkhd", version, 1, make([]byte, times+52), u16(width), u16(0), u16(height), u16(0))
}

func handler(kind string) []byte {
	return fullBox("hdlr", 0, 0, u32(0), []byte(kind), make([]byte, 13))
}

func entryOf(width, height int) []byte {
	return fullBox("stsd", 0, 0, u32(1), boxOf("av01", make([]byte, 24), u16(width), u16(height), make([]byte, 50)))
}
