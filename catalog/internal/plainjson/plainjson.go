// Package plainjson knows JSON that is valid and compact at first sight, as most is
// that programs write: the general way looks at what JSON may have besides, and takes
// several times as long.
package plainjson

import (
	"bytes"
	"unicode/utf8"
)

// Bounds of what is looked at: deeper values, and objects of more names, go the
// general way.
const (
	maxDepth = 8
	maxNames = 24
)

// Is reports whether text is surely one JSON value without white space, escapes,
// duplicate names and malformed UTF-8. Of other text it says nothing.
func Is(text []byte) bool {
	s := scanner{text: text}
	return s.value(0) && s.at == len(text)
}

type scanner struct {
	text []byte
	at   int
}

// next returns the byte that is looked at, 0 at the end.
func (s *scanner) next() byte {
	if s.at == len(s.text) {
		return 0
	}
	return s.text[s.at]
}

// take steps over c.
func (s *scanner) take(c byte) bool {
	if s.next() != c || c == 0 {
		return false
	}
	s.at++
	return true
}

// value steps over a value that depth others enclose.
func (s *scanner) value(depth int) bool {
	switch c := s.next(); c {
	case '"':
		_, ok := s.string()
		return ok
	case '{', '[':
		if depth == maxDepth {
			return false
		}
		s.at++
		if c == '{' {
			return s.object(depth + 1)
		}
		return s.list(depth + 1)
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		return s.number()
	}
}

func (s *scanner) literal(text string) bool {
	if !bytes.HasPrefix(s.text[s.at:], []byte(text)) {
		return false
	}
	s.at += len(text)
	return true
}

// object steps over the members of an object and its end.
func (s *scanner) object(depth int) bool {
	if s.take('}') {
		return true
	}
	var names [maxNames][]byte
	for n := 0; n < maxNames; n++ {
		name, ok := s.string()
		if !ok || !s.take(':') {
			return false
		}
		for _, other := range names[:n] {
			if bytes.Equal(other, name) {
				return false
			}
		}
		names[n] = name
		if !s.value(depth) {
			return false
		}
		if s.take('}') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
	return false
}

// list steps over the elements of a list and its end.
func (s *scanner) list(depth int) bool {
	if s.take(']') {
		return true
	}
	for {
		if !s.value(depth) {
			return false
		}
		if s.take(']') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

// string steps over a string and returns what it says.
func (s *scanner) string() (text []byte, ok bool) {
	if !s.take('"') {
		return nil, false
	}
	begin, ascii := s.at, true
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '"':
			text = s.text[begin:s.at]
			s.at++
			return text, ascii || utf8.Valid(text)
		case c < ' ' || c == '\\':
			return nil, false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return nil, false
}

// number steps over a number.
func (s *scanner) number() bool {
	s.take('-')
	if !s.take('0') && !s.digits() {
		return false
	}
	if s.take('.') && !s.digits() {
		return false
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		return s.digits()
	}
	return true
}

// digits steps over at least one digit.
func (s *scanner) digits() bool {
	begin := s.at
	for '0' <= s.next() && s.next() <= '9' {
		s.at++
	}
	return s.at > begin
}
