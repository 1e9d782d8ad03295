package encoding

import (
	"encoding/binary"
	"math"
)

// The MessagePack codes that this package writes or looks for.
const (
	codeFixMap   = 0x80
	codeFixArray = 0x90
	codeFixStr   = 0xa0
	codeNil      = 0xc0
	codeBin8     = 0xc4
	codeUint8    = 0xcc
	codeUint16   = 0xcd
	codeUint32   = 0xce
	codeUint64   = 0xcf
	codeInt8     = 0xd0
	codeInt16    = 0xd1
	codeInt32    = 0xd2
	codeInt64    = 0xd3
	codeStr8     = 0xd9
	codeStr16    = 0xda
	codeStr32    = 0xdb
	codeArray16  = 0xdc
	codeArray32  = 0xdd
	codeNegFix   = 0xe0

	// maxDepth bounds the nesting of an element that this version does not
	// know.
	maxDepth = 64
)

func appendArrayLen(dst []byte, n int) []byte {
	switch {
	case n < 16:
		return append(dst, codeFixArray|byte(n))
	case n <= math.MaxUint16:
		return append(dst, codeArray16, byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, codeArray32), uint32(n))
}

func appendStr[T string | []byte](dst []byte, s T) []byte {
	n := len(s)
	switch {
	case n < 32:
		dst = append(dst, codeFixStr|byte(n))
	case n <= math.MaxUint8:
		dst = append(dst, codeStr8, byte(n))
	case n <= math.MaxUint16:
		dst = append(dst, codeStr16, byte(n>>8), byte(n))
	default:
		dst = binary.BigEndian.AppendUint32(append(dst, codeStr32), uint32(n))
	}
	return append(dst, s...)
}

// appendInt appends v in its shortest form.
func appendInt(dst []byte, v int64) []byte {
	switch {
	case v >= 0 && v <= math.MaxInt8, v < 0 && v >= -32:
		return append(dst, byte(v))
	case v >= 0 && v <= math.MaxUint8:
		return append(dst, codeUint8, byte(v))
	case v >= 0 && v <= math.MaxUint16:
		return append(dst, codeUint16, byte(v>>8), byte(v))
	case v >= 0 && v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, codeUint32), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, codeInt64), uint64(v))
}

// A reader walks over MessagePack. The first thing that is not as expected sets
// bad to its name and ends the input; everything read from then on is zero.
type reader struct {
	data []byte
	off  int // what comes next
	bad  string
}

func (r *reader) fail(what string) {
	if r.bad == "" {
		r.bad = what
	}
	r.off = len(r.data)
}

// left returns how many bytes are left.
func (r *reader) left() int { return len(r.data) - r.off }

// take returns the next n bytes.
func (r *reader) take(n int, what string) []byte {
	if n > r.left() {
		r.fail(what)
		return nil
	}
	b := r.data[r.off : r.off+n : r.off+n]
	r.off += n
	return b
}

// str returns the bytes of a string, nil if it is empty.
func (r *reader) str(what string) []byte {
	d := r.data[r.off:]
	if len(d) == 0 {
		r.fail(what)
		return nil
	}
	var head, n int
	switch c := d[0]; {
	case c&0xe0 == codeFixStr:
		head, n = 1, int(c&0x1f)
	case c == codeStr8 && len(d) >= 2:
		head, n = 2, int(d[1])
	case c == codeStr16 && len(d) >= 3:
		head, n = 3, int(binary.BigEndian.Uint16(d[1:]))
	case c == codeStr32 && len(d) >= 5 && uint64(binary.BigEndian.Uint32(d[1:])) <= uint64(len(d)):
		head, n = 5, int(binary.BigEndian.Uint32(d[1:]))
	default:
		r.fail(what)
		return nil
	}
	if n > len(d)-head {
		r.fail(what)
		return nil
	}
	r.off += head + n
	if n == 0 {
		return nil
	}
	return d[head : head+n : head+n]
}

// isNil reports whether the next element is nil, and takes it if so.
func (r *reader) isNil() bool {
	if r.off < len(r.data) && r.data[r.off] == codeNil {
		r.off++
		return true
	}
	return false
}

// bin copies a binary of exactly the length of dst (below 256) to dst, zeros
// for nil.
func (r *reader) bin(dst []byte, what string) {
	if r.isNil() {
		clear(dst)
		return
	}
	d := r.data[r.off:]
	if len(d) < 2+len(dst) || d[0] != codeBin8 || int(d[1]) != len(dst) {
		r.fail(what)
		return
	}
	copy(dst, d[2:])
	r.off += 2 + len(dst)
}

// int returns an integer of any form that fits an int64.
func (r *reader) int(what string) int64 {
	if r.off < len(r.data) {
		if v := int8(r.data[r.off]); v >= -32 {
			r.off++
			return int64(v)
		}
	}
	return r.wideInt(what)
}

func (r *reader) wideInt(what string) int64 {
	if r.left() == 0 {
		r.fail(what)
		return 0
	}
	c := r.data[r.off]
	var width int
	switch c {
	case codeUint8, codeInt8:
		width = 1
	case codeUint16, codeInt16:
		width = 2
	case codeUint32, codeInt32:
		width = 4
	case codeUint64, codeInt64:
		width = 8
	default:
		r.fail(what)
		return 0
	}
	b := r.take(1+width, what)
	if b == nil {
		return 0
	}
	var v uint64
	for _, x := range b[1:] {
		v = v<<8 | uint64(x)
	}
	switch c {
	case codeInt8:
		return int64(int8(v))
	case codeInt16:
		return int64(int16(v))
	case codeInt32:
		return int64(int32(v))
	case codeUint64:
		if v > math.MaxInt64 {
			r.fail(what)
			return 0
		}
	}
	return int64(v)
}

// fixed64 returns the 64 bits behind the code.
func (r *reader) fixed64(code byte, what string) uint64 {
	b := r.take(9, what)
	if b == nil {
		return 0
	}
	if b[0] != code {
		r.fail(what)
		return 0
	}
	return binary.BigEndian.Uint64(b[1:])
}

// uint returns an integer of any form that fits a uint64.
func (r *reader) uint(what string) uint64 {
	if r.left() >= 9 && r.data[r.off] == codeUint64 {
		return r.fixed64(codeUint64, what)
	}
	v := r.int(what)
	if v < 0 {
		r.fail(what)
		return 0
	}
	return uint64(v)
}

// smallInt is int for values that fit an int.
func (r *reader) smallInt(what string) int {
	v := r.int(what)
	if int64(int(v)) != v {
		r.fail(what)
		return 0
	}
	return int(v)
}

// arrayLen returns the length of an array. The caller bounds it before it
// allocates by it.
func (r *reader) arrayLen(what string) int {
	d := r.data[r.off:]
	if len(d) == 0 {
		r.fail(what)
		return 0
	}
	switch c := d[0]; {
	case c&0xf0 == codeFixArray:
		r.off++
		return int(c & 0x0f)
	case c == codeArray16 && len(d) >= 3:
		r.off += 3
		return int(binary.BigEndian.Uint16(d[1:]))
	case c == codeArray32 && len(d) >= 5 && uint64(binary.BigEndian.Uint32(d[1:])) <= uint64(len(d)):
		r.off += 5
		return int(binary.BigEndian.Uint32(d[1:]))
	}
	r.fail(what)
	return 0
}

// elements takes the next n elements, whatever they are, and returns their
// bytes; nil if n is 0.
func (r *reader) elements(n int, what string) []byte {
	if n <= 0 {
		return nil
	}
	start := r.off
	for range n {
		size, ok := elementSize(r.data[r.off:])
		if !ok {
			r.fail(what)
			return nil
		}
		r.off += size
	}
	return r.data[start:r.off:r.off]
}

// countElements returns how many elements raw, which reader.elements made,
// holds.
func countElements(raw []byte) int {
	n := 0
	for len(raw) > 0 {
		size, ok := elementSize(raw)
		if !ok {
			break
		}
		raw = raw[size:]
		n++
	}
	return n
}

// elementSize returns the length of the element at the front of b with all that
// is in it. It is false if the element is cut off, nested too deeply or not
// MessagePack.
func elementSize(b []byte) (size int, ok bool) {
	var open [maxDepth]int // how many elements are still to come at each level
	depth := 0
	open[0] = 1
	for {
		for open[depth] == 0 {
			if depth == 0 {
				return size, true
			}
			depth--
		}
		open[depth]--
		n, children, ok := elementHead(b[size:])
		if !ok || n > uint64(len(b)-size) {
			return 0, false
		}
		size += int(n)
		if children == 0 {
			continue
		}
		// A child takes at least one byte.
		if depth+1 == maxDepth || children > uint64(len(b)-size) {
			return 0, false
		}
		depth++
		open[depth] = int(children)
	}
}

// elementHead returns the length of the element at the front of b without its
// children, and how many children follow.
func elementHead(b []byte) (size, children uint64, ok bool) {
	if len(b) == 0 {
		return 0, 0, false
	}
	c := b[0]
	switch {
	case c < codeFixMap || c >= codeNegFix:
		return 1, 0, true
	case c < codeFixArray:
		return 1, 2 * uint64(c&0x0f), true
	case c < codeFixStr:
		return 1, uint64(c & 0x0f), true
	case c < codeNil:
		return 1 + uint64(c&0x1f), 0, true
	}
	form := forms[c-codeNil]
	head := 1 + int(form.length)
	if form.kind == formInvalid || len(b) < head {
		return 0, 0, false
	}
	var n uint64
	for _, x := range b[1:head] {
		n = n<<8 | uint64(x)
	}
	switch form.kind {
	case formArray:
		return uint64(head), n, true
	case formMap:
		return uint64(head), 2 * n, true
	}
	return uint64(head) + uint64(form.fixed) + n, 0, true
}

type formKind byte

const (
	formInvalid formKind = iota
	formScalar
	formArray
	formMap
)

// forms describes the codes from nil (c0) to map 32 (df): what they begin, the
// width of the length that follows the code, and how many bytes follow besides.
var forms = [0x20]struct {
	kind   formKind
	length byte
	fixed  byte
}{
	0x00: {kind: formScalar},                      // nil
	0x02: {kind: formScalar},                      // false
	0x03: {kind: formScalar},                      // true
	0x04: {kind: formScalar, length: 1},           // bin 8
	0x05: {kind: formScalar, length: 2},           // bin 16
	0x06: {kind: formScalar, length: 4},           // bin 32
	0x07: {kind: formScalar, length: 1, fixed: 1}, // ext 8
	0x08: {kind: formScalar, length: 2, fixed: 1}, // ext 16
	0x09: {kind: formScalar, length: 4, fixed: 1}, // ext 32
	0x0a: {kind: formScalar, fixed: 4},            // float 32
	0x0b: {kind: formScalar, fixed: 8},            // float 64
	0x0c: {kind: formScalar, fixed: 1},            // uint 8
	0x0d: {kind: formScalar, fixed: 2},            // uint 16
	0x0e: {kind: formScalar, fixed: 4},            // uint 32
	0x0f: {kind: formScalar, fixed: 8},            // uint 64
	0x10: {kind: formScalar, fixed: 1},            // int 8
	0x11: {kind: formScalar, fixed: 2},            // int 16
	0x12: {kind: formScalar, fixed: 4},            // int 32
	0x13: {kind: formScalar, fixed: 8},            // int 64
	0x14: {kind: formScalar, fixed: 2},            // fixext 1
	0x15: {kind: formScalar, fixed: 3},            // fixext 2
	0x16: {kind: formScalar, fixed: 5},            // fixext 4
	0x17: {kind: formScalar, fixed: 9},            // fixext 8
	0x18: {kind: formScalar, fixed: 17},           // fixext 16
	0x19: {kind: formScalar, length: 1},           // str 8
	0x1a: {kind: formScalar, length: 2},           // str 16
	0x1b: {kind: formScalar, length: 4},           // str 32
	0x1c: {kind: formArray, length: 2},            // array 16
	0x1d: {kind: formArray, length: 4},            // array 32
	0x1e: {kind: formMap, length: 2},              // map 16
	0x1f: {kind: formMap, length: 4},              // map 32
}
