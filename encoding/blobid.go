package encoding

import "encoding/hex"

// A BlobID names the bytes of one uploaded image. It is 16 bytes, random or a part of
// the bytes' hash, and never used for other bytes. The zero BlobID names nothing.
type BlobID [16]byte

// String returns the ID as 32 lower-case hex digits.
func (b BlobID) String() string { return hex.EncodeToString(b[:]) }

// IsZero reports whether b is the zero BlobID.
func (b BlobID) IsZero() bool { return b == BlobID{} }

// ParseBlobID is the inverse of [BlobID.String]. It accepts exactly 32
// lower-case hex digits.
func ParseBlobID(s string) (BlobID, bool) {
	var id BlobID
	if len(s) != 2*len(id) {
		return BlobID{}, false
	}
	for i := range id {
		hi, ok1 := hexDigit(s[2*i])
		lo, ok2 := hexDigit(s[2*i+1])
		if !ok1 || !ok2 {
			return BlobID{}, false
		}
		id[i] = hi<<4 | lo
	}
	return id, true
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}
