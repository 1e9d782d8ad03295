package encoding

import (
	"encoding/binary"
	"unicode/utf8"
	"unsafe"
)

const (
	everyByte = 0x0101010101010101
	highBits  = 0x80 * everyByte
)

// IsPlainText reports whether s stands in JSON as it is: valid UTF-8 without
// control characters, quotes and backslashes. It looks at eight bytes at a time.
// In each byte of a word x without a high bit, x-n*everyByte has one where the byte
// is below n; the borrow goes no further than to bytes behind such a one.
func IsPlainText(s []byte) bool {
	var escaped, all uint64
	rest := s
	for len(rest) >= 32 {
		w, x := binary.LittleEndian.Uint64(rest), binary.LittleEndian.Uint64(rest[8:])
		y, z := binary.LittleEndian.Uint64(rest[16:]), binary.LittleEndian.Uint64(rest[24:])
		escaped |= escapes(w) | escapes(x) | escapes(y) | escapes(z)
		all |= w | x | y | z
		rest = rest[32:]
	}
	for len(rest) >= 8 {
		x := binary.LittleEndian.Uint64(rest)
		escaped |= escapes(x)
		all |= x
		rest = rest[8:]
	}
	if len(rest) > 0 {
		x := lastWord(s, rest)
		escaped |= escapes(x)
		all |= x
	}
	return escaped == 0 && (all&highBits == 0 || utf8.Valid(s))
}

// lastWord returns the last eight bytes of s, which ends with rest, or rest with spaces
// behind it where s is shorter.
func lastWord(s, rest []byte) uint64 {
	if len(s) >= 8 {
		return binary.LittleEndian.Uint64(s[len(s)-8:])
	}
	x := uint64(' ') * everyByte
	for i, b := range rest {
		shift := 8 * i
		x = x&^(0xff<<shift) | uint64(b)<<shift
	}
	return x
}

// escapes is 0 if none of the bytes of x has to be escaped.
func escapes(x uint64) uint64 {
	control := x - ' '*everyByte
	quote := (x ^ '"'*everyByte) - everyByte
	backslash := (x ^ '\\'*everyByte) - everyByte
	return (control | quote | backslash) & ^x & highBits
}

// CheckTexts fails with [ErrCorrupt] where the record in data, which was decoded into
// r, says that its texts are plain, and they are not: see [RecordView.Plain]. Only an
// encoder that is wrong writes such a record.
func CheckTexts(data []byte, r *Record) error {
	if ViewChecked(data).Plain() && !hasPlainTexts(r) {
		return corrupt("record", "texts that are not plain")
	}
	return nil
}

// hasPlainTexts reports whether all texts of r that JSON shows as strings stand in it
// as they are. What is JSON itself is none of them.
func hasPlainTexts(r *Record) bool {
	if !isPlain(r.ID) || !isPlain(r.Title) || !isPlain(r.Description) {
		return false
	}
	for i := range r.Images {
		if im := &r.Images[i]; !isPlain(im.URL) || !isPlain(im.ContentType) {
			return false
		}
	}
	return true
}

func isPlain(s string) bool { return IsPlainText(unsafe.Slice(unsafe.StringData(s), len(s))) }
