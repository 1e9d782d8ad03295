package httpadapter

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/shelflife-db/shelflife/catalog"
)

// strictParameter is known on every request.
const strictParameter = "strict"

// maxUnknowns is how many parameters that are not known are named.
const maxUnknowns = 100

// query is what the parameters of a request say.
type query struct {
	given  map[string]string // the known ones that are not at fault
	strict bool              // names that are not known are refused
	faults []catalog.FieldError
}

// readQuery reads the known parameters and strict. Others are ignored, whatever
// they hold, unless the request is strict and they are the handler's to judge. Of
// a parameter that is repeated nothing else is said.
func (h *Handler) readQuery(raw string, judge bool, known ...string) *query {
	q := &query{given: make(map[string]string), strict: h.options.Strict}
	if raw == "" {
		return q
	}
	known = append([]string{strictParameter}, known...)
	escaped := make(map[string][]string)
	var unknown []string
	for pair := range strings.SplitSeq(raw, "&") {
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		switch {
		case err == nil && slices.Contains(known, name):
			escaped[name] = append(escaped[name], rawValue)
		case pair == "":
		case err != nil:
			unknown = append(unknown, rawName)
		default:
			unknown = append(unknown, name)
		}
	}
	for _, name := range known {
		values := escaped[name]
		if len(values) == 0 {
			continue
		}
		value, err := url.QueryUnescape(values[0])
		switch {
		case len(values) > 1:
			q.fault(name, "must not be repeated")
		case err != nil:
			q.fault(name, "is not properly percent-encoded")
		default:
			q.given[name] = value
		}
	}
	q.flag(strictParameter, &q.strict)
	if judge && q.strict {
		slices.Sort(unknown)
		unknown = slices.Compact(unknown)
		named := unknown[:min(len(unknown), maxUnknowns)]
		for _, name := range named {
			q.fault(name, "is not a known parameter")
		}
		if more := len(unknown) - len(named); more > 0 {
			q.fault("", fmt.Sprintf("%d more parameters are not known", more))
		}
	}
	return q
}

func (q *query) fault(name, message string) {
	q.faults = append(q.faults, catalog.FieldError{Path: name, Code: catalog.CodeValidationFailed, Message: message})
}

// flag sets value if the parameter is given.
func (q *query) flag(name string, value *bool) {
	switch text, ok := q.given[name]; {
	case !ok:
	case text != "true" && text != "false":
		q.fault(name, "must be true or false")
	default:
		*value = text == "true"
	}
}
