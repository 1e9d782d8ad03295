// Package jsondepth bounds how deep JSON is nested.
package jsondepth

import "bytes"

// Exceeds reports whether more than limit objects and arrays are open at the
// deepest point of raw. What is in strings does not count. raw need not be valid.
func Exceeds(raw []byte, limit int) bool {
	// There are no more open than there are brackets, and these are quickly
	// counted: most JSON need not be walked.
	if bytes.Count(raw, []byte{'{'})+bytes.Count(raw, []byte{'['}) <= limit {
		return false
	}
	depth := 0
	for i := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			for i++; i < len(raw) && raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			if depth++; depth > limit {
				return true
			}
		case '}', ']':
			depth--
		}
	}
	return limit < 0 // then even what nests nothing is too deep
}
