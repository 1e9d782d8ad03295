package productjson

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/internal/jsondepth"
)

// maxParserDepth is the nesting beyond which the parser gives up.
const maxParserDepth = 10_000

// member is one name of an object with its value as it stands in the text.
type member struct {
	name  string
	value jsontext.Value
}

func (m member) isNull() bool { return m.value.Kind() == 'n' }

// parser reads one value at a time, to spare the making of decoders.
type parser struct {
	dec  jsontext.Decoder
	buf  bytes.Buffer
	data []byte // what dec reads
}

// begin prepares for reading data.
func (p *parser) begin(data []byte, o ...jsontext.Options) {
	p.data = data
	p.buf = *bytes.NewBuffer(data)
	p.dec.Reset(&p.buf, o...)
}

// root reads the whole text strictly. If it is JSON but not an object,
// isObject is false. An error is a *catalog.ValidationError with one fault.
func (p *parser) root(data []byte) (members []member, isObject bool, err error) {
	p.begin(data)
	if p.dec.PeekKind() == '{' {
		isObject = true
		members, err = p.members()
	} else {
		_, err = p.dec.ReadValue()
	}
	if err == nil {
		_, err = p.dec.ReadToken()
		if err == io.EOF {
			return members, isObject, nil
		}
		if err == nil {
			err = errTrailing
		}
	}
	return nil, false, syntaxFault(data, err)
}

var errTrailing = errors.New("something follows the value")

// object reads an object that is known to be valid.
func (p *parser) object(raw []byte) ([]member, error) {
	p.begin(raw, jsontext.AllowDuplicateNames(true))
	return p.members()
}

func (p *parser) members() ([]member, error) {
	if _, err := p.dec.ReadToken(); err != nil {
		return nil, err
	}
	members := make([]member, 0, 8)
	for p.dec.PeekKind() != '}' {
		name, err := p.dec.ReadToken()
		if err != nil {
			return nil, err
		}
		m := member{name: name.String()}
		if m.value, err = p.value(); err != nil {
			return nil, err
		}
		members = append(members, m)
	}
	_, err := p.dec.ReadToken()
	return members, err
}

// array returns the first elements of an array that is known to be valid, at
// most limit of them, and whether there are more.
func (p *parser) array(raw []byte, limit int) (elements []jsontext.Value, more bool, err error) {
	p.begin(raw, jsontext.AllowDuplicateNames(true))
	if _, err := p.dec.ReadToken(); err != nil {
		return nil, false, err
	}
	for p.dec.PeekKind() != ']' {
		if len(elements) == limit {
			return elements, true, nil
		}
		value, err := p.value()
		if err != nil {
			return nil, false, err
		}
		elements = append(elements, value)
	}
	return elements, false, nil
}

// anyHas reports whether any object in an array that is known to be valid, save
// the first elements, has one of the names with something else than null.
func (p *parser) anyHas(raw []byte, first int, names ...string) (bool, error) {
	p.begin(raw, jsontext.AllowDuplicateNames(true))
	if _, err := p.dec.ReadToken(); err != nil {
		return false, err
	}
	for i := 0; p.dec.PeekKind() != ']'; i++ {
		if i < first || p.dec.PeekKind() != '{' {
			if err := p.dec.SkipValue(); err != nil {
				return false, err
			}
			continue
		}
		has, err := p.has(names)
		if has || err != nil {
			return has, err
		}
	}
	return false, nil
}

// has is anyHas for the object that comes next. It is read to its end unless
// it has one of the names.
func (p *parser) has(names []string) (bool, error) {
	if _, err := p.dec.ReadToken(); err != nil {
		return false, err
	}
	for p.dec.PeekKind() != '}' {
		name, err := p.dec.ReadToken()
		if err != nil {
			return false, err
		}
		known := slices.Contains(names, name.String())
		if known && p.dec.PeekKind() != 'n' {
			return true, nil
		}
		if err := p.dec.SkipValue(); err != nil {
			return false, err
		}
	}
	_, err := p.dec.ReadToken()
	return false, err
}

// value returns the next value as a part of the data, unlike the decoder,
// whose values live until the next call.
func (p *parser) value() (jsontext.Value, error) {
	value, err := p.dec.ReadValue()
	if err != nil {
		return nil, err
	}
	end := p.dec.InputOffset()
	return p.data[end-int64(len(value)) : end : end], nil
}

// unquote decodes a string that is known to be valid.
func unquote(value jsontext.Value) (string, error) {
	text, err := jsontext.AppendUnquote(nil, value)
	return string(text), err
}

// syntaxFault turns what the parser complains of into a fault that says where
// without saying how it is parsed.
func syntaxFault(data []byte, err error) error {
	fault := catalog.FieldError{Code: catalog.CodeValidationFailed, Message: "not valid JSON"}
	var syntax *jsontext.SyntacticError
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		fault.Message = "no JSON: the text is empty"
	case errors.Is(err, errTrailing):
		fault.Message = "something follows the JSON value"
	case errors.Is(err, io.ErrUnexpectedEOF):
		fault.Message = "not valid JSON: the text ends too early"
	case !errors.As(err, &syntax):
	case errors.Is(err, jsontext.ErrDuplicateName):
		fault.Path = dotted(syntax.JSONPointer)
		fault.Message = "the name occurs twice in its object"
	case jsondepth.Exceeds(data, maxParserDepth):
		fault.Path, _, _ = strings.Cut(dotted(syntax.JSONPointer), ".")
		fault.Message = "nested too deep"
	default:
		fault.Message = fmt.Sprintf("not valid JSON in UTF-8 at byte %d", syntax.ByteOffset)
	}
	return &catalog.ValidationError{Fields: []catalog.FieldError{fault}}
}

// dotted turns a JSON pointer into a path.
func dotted(p jsontext.Pointer) string {
	var b strings.Builder
	for token := range p.Tokens() {
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(token)
	}
	return b.String()
}
