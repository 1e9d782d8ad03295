package dashboard

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/shelflife-db/shelflife/catalog"
)

// sentence returns text as a sentence.
func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:] + "."
}

// faultText says what is wrong with a field of a form, which has text. What the
// catalog says is for its callers: some of that people can't have done.
func faultText(f catalog.FieldError, text string) string {
	switch {
	case f.Path == "validForDays":
		return "Must be a whole number of days, 1 to 365."
	case f.Code == catalog.CodeExternalIDRequired:
		return "Every product has an ID: give it one."
	case f.Code == catalog.CodeImagesRequired:
		return "Every product has an image: upload one, or give the address of one."
	case f.Path == "metadata" || strings.HasSuffix(f.Path, ".classifications"):
		if fault := jsonFault(text); fault != "" {
			return fault
		}
	}
	return sentence(f.Message)
}

// jsonFault says what makes a text something that the catalog does not take for
// JSON, "" if it finds nothing.
func jsonFault(text string) string {
	var syntax *json.SyntaxError
	if errors.As(json.Unmarshal([]byte(text), new(json.RawMessage)), &syntax) {
		before := text[:min(max(syntax.Offset-1, 0), int64(len(text)))]
		return fmt.Sprintf("This is not JSON. Line %d: %s.", 1+strings.Count(before, "\n"), syntaxWords.Replace(syntax.Error()))
	}
	if name, ok := repeatedName(text); ok {
		return fmt.Sprintf("The name %q stands twice in the same object.", name)
	}
	if escape := halfCharacter(text); escape != "" {
		return fmt.Sprintf("%s is half a character, and the other half is missing.", escape)
	}
	return ""
}

// syntaxWords replace the decoder's terms by plain ones.
var syntaxWords = strings.NewReplacer(
	"unexpected end of JSON input", "it ends too early",
	"invalid character", "unexpected character",
	"looking for beginning of value", "where a value should begin",
	"looking for beginning of object key string", "where a name in quotation marks should begin",
	"after top-level value", "behind the end",
	"in string literal", "in a text",
)

// repeatedName returns the first name that JSON has twice in one object.
func repeatedName(text string) (name string, ok bool) {
	type level struct {
		names map[string]bool // nil in a list
		value bool            // what comes next in an object is a value
	}
	levels := []level{{}}
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		token, err := d.Token()
		if err != nil {
			return "", false // io.EOF: it was found to be JSON before
		}
		at := &levels[len(levels)-1]
		delim, _ := token.(json.Delim)
		switch {
		case delim == '}' || delim == ']':
			levels = levels[:len(levels)-1]
			continue
		case at.names != nil && !at.value:
			name, _ := token.(string)
			if at.names[name] {
				return name, true
			}
			at.names[name], at.value = true, true
			continue
		}
		at.value = false
		switch delim {
		case '{':
			levels = append(levels, level{names: map[string]bool{}})
		case '[':
			levels = append(levels, level{})
		}
	}
}

// halfCharacter returns the first escape of JSON that is one half of a pair without
// the other.
func halfCharacter(text string) string {
	unit := func(at int) (rune, bool) {
		if at+6 > len(text) || text[at] != '\\' || text[at+1] != 'u' {
			return 0, false
		}
		n, err := strconv.ParseUint(text[at+2:at+6], 16, 16)
		return rune(n), err == nil
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		first, ok := unit(i)
		if !ok || !utf16.IsSurrogate(first) {
			i++ // what is escaped is no beginning of an escape
			continue
		}
		if second, ok := unit(i + 6); !ok || utf16.DecodeRune(first, second) == utf8.RuneError {
			return text[i : i+6]
		}
		i += 11
	}
	return ""
}
