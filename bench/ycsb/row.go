package main

import (
	"bytes"
	"errors"
	"slices"
	"strings"
)

// A row of YCSB is stored as a JSON object whose members are its fields. go-ycsb makes
// values of letters alone, which need no escape: rows are taken apart, on every side,
// by looking for quotes, so that engines are compared and not parsers of JSON.

var errRow = errors.New("ycsb: a row is not as it was written")

// appendRow appends the row of the values.
func appendRow(dst []byte, values map[string][]byte) []byte {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.SortFunc(names, strings.Compare)
	dst = append(dst, '{')
	for i, name := range names {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendField(dst, []byte(name), values[name])
	}
	return append(dst, '}')
}

func appendField(dst, name, value []byte) []byte {
	dst = append(append(append(dst, '"'), name...), `":"`...)
	return append(append(dst, value...), '"')
}

// eachField calls fn with the fields of a row, which share its memory.
func eachField(row []byte, fn func(name, value []byte)) error {
	rest, ok := bytes.CutPrefix(row, []byte("{"))
	for ok && len(rest) > 1 {
		var name, value []byte
		rest = bytes.TrimPrefix(rest, []byte(","))
		if rest, ok = bytes.CutPrefix(rest, []byte(`"`)); !ok {
			break
		}
		if name, rest, ok = bytes.Cut(rest, []byte(`":"`)); !ok {
			break
		}
		if value, rest, ok = bytes.Cut(rest, []byte(`"`)); ok {
			fn(name, value)
		}
	}
	if !ok || string(rest) != "}" {
		return errRow
	}
	return nil
}

// fieldsOf returns the fields of a row that are asked for, or all, in memory of their
// own.
func fieldsOf(row []byte, asked []string) (map[string][]byte, error) {
	row = bytes.Clone(row)
	out := make(map[string][]byte, 10)
	err := eachField(row, func(name, value []byte) {
		if len(asked) == 0 || slices.Contains(asked, string(name)) {
			out[string(name)] = value
		}
	})
	return out, err
}

// appendUpdated appends a row with other values in some fields.
func appendUpdated(dst, row []byte, values map[string][]byte) ([]byte, error) {
	dst = append(dst, '{')
	err := eachField(row, func(name, value []byte) {
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		if other, ok := values[string(name)]; ok {
			value = other
		}
		dst = appendField(dst, name, value)
	})
	return append(dst, '}'), err
}
