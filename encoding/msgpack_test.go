package encoding

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmihailenco/msgpack/v5"
)

// TestElementSizeOfEveryCode builds the element of every code that there is,
// and cuts it short.
func TestElementSizeOfEveryCode(t *testing.T) {
	for c := range 256 {
		code := byte(c)
		head, payload := elementOfCode(code)
		if head == nil {
			_, ok := elementSize(append([]byte{code}, make([]byte, 300)...))
			require.False(t, ok, "%x", code)
			continue
		}
		element := append(head, payload...)
		size, ok := elementSize(append(element, 0xc1, 0xc1))
		require.True(t, ok, "%x", code)
		require.Equal(t, len(element), size, "%x", code)
		for n := range element {
			_, ok := elementSize(element[:n])
			require.False(t, ok, "%x cut to %d", code, n)
		}
	}
}

// elementOfCode follows the specification of MessagePack, apart from the
// table under test. It returns nil for the code that is never used.
func elementOfCode(code byte) (head, payload []byte) {
	nils := func(n int) []byte { return bytes.Repeat([]byte{0xc0}, n) }
	switch {
	case code <= 0x7f, code >= 0xe0:
		return []byte{code}, nil
	case code <= 0x8f:
		return []byte{code}, nils(2 * int(code&0x0f))
	case code <= 0x9f:
		return []byte{code}, nils(int(code & 0x0f))
	case code <= 0xbf:
		return []byte{code}, make([]byte, code&0x1f)
	}
	fixed := map[byte]int{
		0xc0: 0, 0xc2: 0, 0xc3: 0, 0xca: 4, 0xcb: 8, 0xcc: 1, 0xcd: 2, 0xce: 4, 0xcf: 8,
		0xd0: 1, 0xd1: 2, 0xd2: 4, 0xd3: 8, 0xd4: 2, 0xd5: 3, 0xd6: 5, 0xd7: 9, 0xd8: 17,
	}
	if n, ok := fixed[code]; ok {
		return []byte{code}, make([]byte, n)
	}
	switch code {
	case 0xc4, 0xd9:
		return []byte{code, 3}, make([]byte, 3)
	case 0xc5, 0xda:
		return []byte{code, 1, 2}, make([]byte, 258)
	case 0xc6, 0xdb:
		return []byte{code, 0, 0, 1, 2}, make([]byte, 258)
	case 0xc7:
		return []byte{code, 3}, make([]byte, 4)
	case 0xc8:
		return []byte{code, 1, 2}, make([]byte, 259)
	case 0xc9:
		return []byte{code, 0, 0, 1, 2}, make([]byte, 259)
	case 0xdc:
		return []byte{code, 1, 2}, nils(258)
	case 0xdd:
		return []byte{code, 0, 0, 1, 2}, nils(258)
	case 0xde:
		return []byte{code, 1, 2}, nils(2 * 258)
	case 0xdf:
		return []byte{code, 0, 0, 1, 2}, nils(2 * 258)
	}
	return nil, nil
}

func TestInt(t *testing.T) {
	for _, v := range []int64{
		0, 1, -1, 127, 128, -32, -33, -128, -129, 255, 256, 32767, -32768, -32769, 65535, 65536,
		math.MaxInt32, math.MinInt32, math.MinInt32 - 1, math.MaxUint32, math.MaxUint32 + 1, math.MaxInt64, math.MinInt64,
	} {
		ours := appendInt(nil, v)
		got, err := msgpack.NewDecoder(bytes.NewReader(ours)).DecodeInt64()
		require.NoError(t, err)
		require.Equal(t, v, got)

		// All forms of another encoder are read too.
		compact, err := msgpack.Marshal(int(v))
		require.NoError(t, err)
		wide, err := msgpack.Marshal(v)
		require.NoError(t, err)
		for _, data := range [][]byte{ours, compact, wide} {
			in := reader{data: data}
			require.Equal(t, v, in.int("number"))
			require.Empty(t, in.bad)
			require.Zero(t, in.left())
		}
	}
}

func TestStrAndArrayLen(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536} {
		s := strings.Repeat("s", n)
		data := appendStr(nil, s)
		got, err := msgpack.NewDecoder(bytes.NewReader(data)).DecodeString()
		require.NoError(t, err)
		require.Equal(t, s, got)
		in := reader{data: data}
		require.Equal(t, s, string(in.str("text")))
		require.Empty(t, in.bad)
		for _, cut := range []int{0, 1, len(data) / 2, len(data) - 1} {
			if cut < len(data) {
				in := reader{data: data[:cut]}
				require.Nil(t, in.str("text"))
				require.Equal(t, "text", in.bad)
			}
		}

		data = append(appendArrayLen(nil, n), bytes.Repeat([]byte{codeNil}, n)...)
		length, err := msgpack.NewDecoder(bytes.NewReader(data)).DecodeArrayLen()
		require.NoError(t, err)
		require.Equal(t, n, length)
		in = reader{data: data}
		require.Equal(t, n, in.arrayLen("array"))
		require.Empty(t, in.bad)
		require.Len(t, in.elements(n, "elements"), n)
	}
}

func TestReaderStopsAtTheFirstFault(t *testing.T) {
	in := reader{data: []byte{codeNil, 5, 5}}
	require.Zero(t, in.int("first"))
	require.Zero(t, in.int("second"))
	require.Nil(t, in.str("third"))
	in.bin(make([]byte, 2), "fourth")
	require.Zero(t, in.arrayLen("fifth"))
	require.Nil(t, in.elements(1, "sixth"))
	require.Equal(t, "first", in.bad)
}
