package encoding

import (
	"bytes"

	"github.com/vmihailenco/msgpack/v5"
)

// appendArray appends an array of values, each of a type that msgpack knows,
// and the elements in extra. It is for what is not read or written often.
func appendArray(dst, extra []byte, values ...any) []byte {
	w := appendWriter{buf: dst}
	enc := msgpack.NewEncoder(&w)
	enc.UseCompactInts(true)
	// Only the writer or a value of an unknown type could fail.
	_ = enc.EncodeArrayLen(len(values) + countElements(extra))
	_ = enc.EncodeMulti(values...)
	return append(w.buf, extra...)
}

// decodeArray decodes the array in data into values, pointers to types that
// msgpack knows, and returns a copy of the elements that follow them.
func decodeArray(data []byte, kind string, values ...any) (extra []byte, err error) {
	in := reader{data: data}
	n := in.arrayLen("array")
	if in.bad == "" && n < len(values) {
		in.fail("number of elements")
	}
	known := in.elements(len(values), "elements")
	extra = bytes.Clone(in.elements(n-len(values), "unknown elements"))
	if in.bad == "" && in.left() != 0 {
		in.fail("bytes after the end")
	}
	if in.bad != "" {
		return nil, corrupt(kind, in.bad)
	}
	// Every length in known has been checked, so the decoder allocates no more
	// than there is.
	if err := msgpack.NewDecoder(bytes.NewReader(known)).DecodeMulti(values...); err != nil {
		return nil, corrupt(kind, err.Error())
	}
	return extra, nil
}

// checkSchema looks at the first element of the array in data.
func checkSchema(data []byte, kind string) error {
	in := reader{data: data}
	n := in.arrayLen("array")
	schema := in.smallInt("schema")
	switch {
	case in.bad != "":
		return corrupt(kind, in.bad)
	case n < 1 || schema < 1:
		return corrupt(kind, "schema")
	case schema > Schema:
		return &SchemaError{Found: schema, Supported: Schema}
	}
	return nil
}

type appendWriter struct{ buf []byte }

func (w *appendWriter) Write(p []byte) (int, error) {
	w.buf = append(w.buf, p...)
	return len(p), nil
}

func (w *appendWriter) WriteByte(c byte) error {
	w.buf = append(w.buf, c)
	return nil
}
