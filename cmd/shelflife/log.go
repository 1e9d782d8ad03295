package main

import (
	"fmt"
	"io"
	"log/slog"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// newLogger returns a logger of lines in the format text or json.
func newLogger(w io.Writer, format, level string) *slog.Logger {
	o := &slog.HandlerOptions{ReplaceAttr: nameUnit}
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err == nil { // the flag takes no other
		o.Level = l
	}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(asciiMarks{w}, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// nameUnit gives a duration, which would be a number without a unit in JSON, a
// name that has its unit.
func nameUnit(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() != slog.KindDuration {
		return a
	}
	return slog.Float64(a.Key+"_ms", float64(a.Value.Duration())/float64(time.Millisecond))
}

// asciiMarks is a writer of JSON that escapes what JSON need not escape but what
// would show other text than there is: marks that turn the direction of writing,
// separators of lines. In text form the handler itself does so.
type asciiMarks struct{ w io.Writer }

func (a asciiMarks) Write(line []byte) (int, error) {
	var out []byte // nil while nothing had to be escaped
	for i := 0; i < len(line); {
		r, size := utf8.DecodeRune(line[i:])
		switch {
		case r < utf8.RuneSelf || unicode.IsPrint(r):
			if out != nil {
				out = append(out, line[i:i+size]...)
			}
		default:
			if out == nil {
				out = append(make([]byte, 0, len(line)+16), line[:i]...)
			}
			for _, unit := range utf16.Encode([]rune{r}) {
				out = fmt.Appendf(out, `\u%04x`, unit)
			}
		}
		i += size
	}
	if out == nil {
		return a.w.Write(line)
	}
	if _, err := a.w.Write(out); err != nil {
		return 0, err
	}
	return len(line), nil
}
