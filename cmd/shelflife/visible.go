package main

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// visible returns text with everything escaped, as in a Go string, that would
// break a line, drive a terminal or show other text than there is: names of
// files, IDs and accounts may hold control characters, marks that turn the
// direction of writing, and bytes that are no text.
func visible(text string) string {
	for i, r := range text {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			var out strings.Builder
			out.WriteString(text[:i])
			for rest := text[i:]; rest != ""; {
				r, size := utf8.DecodeRuneInString(rest)
				if unicode.IsPrint(r) && (r != utf8.RuneError || size > 1) {
					out.WriteString(rest[:size])
				} else {
					quoted := strconv.Quote(rest[:size])
					out.WriteString(quoted[1 : len(quoted)-1])
				}
				rest = rest[size:]
			}
			return out.String()
		}
	}
	return text
}
