package httpadapter

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/shelflife-db/shelflife/catalog"
)

// listProducts is GET /products.
func (h *Handler) listProducts(w http.ResponseWriter, r *request) error {
	q, faults := readListQuery(r.URL.RawQuery)
	page, err := h.catalog.List(r.Context(), r.account, q.options)
	if err := mergeQueryFaults(faults, err); err != nil {
		return err
	}
	body := []byte(`{"items":[`)
	for i, p := range page.Products {
		if i > 0 {
			body = append(body, ',')
		}
		body = p.AppendJSON(body)
	}
	body = append(body, `],"nextCursor":`...)
	if page.HasMore {
		body = appendString(body, page.NextCursor)
		w.Header().Set("Link", "<"+r.mountPath()+"/products?"+q.next(page.NextCursor)+`>; rel="next"`)
	} else {
		body = append(body, `null`...)
	}
	body = append(body, `,"hasMore":`...)
	body = strconv.AppendBool(body, page.HasMore)
	body = append(body, `,"count":`...)
	body = strconv.AppendInt(body, int64(len(page.Products)), 10)
	body = append(body, '}')
	w.Header().Set("Cache-Control", cacheControl)
	writeJSON(w, r.Request, http.StatusOK, body)
	return nil
}

// listQuery is what a list is asked for.
type listQuery struct {
	options catalog.ListOptions
	given   map[string]string // the known parameters
}

var listParameters = []string{"limit", "cursor", "prefix", "unlisted"}

// readListQuery reads the known parameters and ignores all others, whatever
// they hold. Parameters with faults are left out of the options; of one that
// is repeated nothing else is said.
func readListQuery(raw string) (q listQuery, faults []catalog.FieldError) {
	q.given = make(map[string]string)
	fault := func(name, message string) {
		faults = append(faults, catalog.FieldError{Path: name, Code: catalog.CodeValidationFailed, Message: message})
	}
	escaped := make(map[string][]string)
	for pair := range strings.SplitSeq(raw, "&") {
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		if err == nil && slices.Contains(listParameters, name) {
			escaped[name] = append(escaped[name], rawValue)
		}
	}
	for _, name := range listParameters {
		values := escaped[name]
		if len(values) == 0 {
			continue
		}
		value, err := url.QueryUnescape(values[0])
		switch {
		case len(values) > 1:
			fault(name, "must not be repeated")
		case err != nil:
			fault(name, "is not properly percent-encoded")
		default:
			q.given[name] = value
		}
	}
	q.options.Cursor = q.given["cursor"]
	q.options.Prefix = q.given["prefix"]
	if text, ok := q.given["limit"]; ok {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n == 0 {
			fault("limit", "must be an integer from 1 to 200")
		}
		q.options.Limit = int(n) // 0, the default, where it is at fault
	}
	if text, ok := q.given["unlisted"]; ok {
		q.options.Unlisted = text == "true"
		if text != "true" && text != "false" {
			fault("unlisted", "must be true or false")
		}
	}
	return q, faults
}

// mergeQueryFaults joins the adapter's faults with those of the catalog, which
// was asked for the page all the same.
func mergeQueryFaults(faults []catalog.FieldError, err error) error {
	if faults == nil {
		return err
	}
	var invalid *catalog.ValidationError
	if errors.As(err, &invalid) {
		for _, f := range invalid.Fields {
			known := func(have catalog.FieldError) bool { return have.Path == f.Path }
			if !slices.ContainsFunc(faults, known) {
				faults = append(faults, f)
			}
		}
	}
	return &catalog.ValidationError{Fields: faults}
}

// next returns the query of the next page: the same but for the cursor.
func (q listQuery) next(cursor string) string {
	values := url.Values{"cursor": {cursor}}
	for _, name := range listParameters {
		if value, ok := q.given[name]; ok && name != "cursor" {
			values.Set(name, value)
		}
	}
	return values.Encode()
}
