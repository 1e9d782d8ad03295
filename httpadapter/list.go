package httpadapter

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/shelflife-db/shelflife/catalog"
)

// maxPage is how long the body of a list may be, in bytes, unless its first
// product alone is longer.
const maxPage = 2 << 20

// listProducts is GET /products.
func (h *Handler) listProducts(w http.ResponseWriter, r *request) error {
	q := h.readListQuery(r.URL.RawQuery)
	if err := r.usage.await(r.Context(), pageMemory); err != nil {
		return err
	}
	for {
		page, err := h.catalog.List(r.Context(), r.account, q.options)
		if err := mergeQueryFaults(q.faults, err); err != nil {
			return err
		}
		var body []byte
		fitting := len(page.Products)
		if r.Method != http.MethodHead {
			body, fitting = h.appendPage(nil, r, page)
		}
		if fitting < len(page.Products) {
			// Paths of images made it too long. The catalog knows best where the
			// shorter page ends.
			q.options.Limit = fitting
			continue
		}
		if page.HasMore {
			w.Header().Set("Link", "<"+h.mountPath(r.Request)+"/products?"+q.next(page.NextCursor)+`>; rel="next"`)
		}
		w.Header().Set("Cache-Control", cacheControl)
		if r.Method == http.MethodHead {
			// A length would cost what the body costs. Link goes on behind the
			// products of this page, of which that of a GET may be a part.
			w.Header().Set("Content-Type", jsonType)
			return nil
		}
		r.usage.keep(int64(cap(body)))
		writeJSON(w, r.Request, http.StatusOK, body)
		return nil
	}
}

// appendPage appends the body of a page. fitting is how many of its products,
// one at least, are not too long together.
func (h *Handler) appendPage(body []byte, r *request, page catalog.Page) (_ []byte, fitting int) {
	body = append(body, `{"items":[`...)
	for i, p := range page.Products {
		if i > 0 {
			body = append(body, ',')
		}
		body = h.AppendProduct(body, r.Request, p)
		if i > 0 && len(body) > maxPage-pageEnd {
			return nil, i
		}
	}
	body = append(body, `],"nextCursor":`...)
	if page.HasMore {
		body = appendString(body, page.NextCursor)
	} else {
		body = append(body, `null`...)
	}
	body = append(body, `,"hasMore":`...)
	body = strconv.AppendBool(body, page.HasMore)
	body = append(body, `,"count":`...)
	body = strconv.AppendInt(body, int64(len(page.Products)), 10)
	return append(body, '}'), len(page.Products)
}

// pageEnd is more than what follows the products of a page: a cursor holds an ID.
const pageEnd = 1 << 10

// listQuery is what a list is asked for.
type listQuery struct {
	*query
	options catalog.ListOptions
}

var listParameters = []string{"limit", "cursor", "from", "prefix", "unlisted"}

// readListQuery reads the parameters of a list. Those with faults are left out of
// the options.
func (h *Handler) readListQuery(raw string) listQuery {
	q := listQuery{query: h.readQuery(raw, true, listParameters...)}
	q.options = catalog.ListOptions{
		Cursor: q.given["cursor"], From: q.given["from"], Prefix: q.given["prefix"], MaxBytes: maxPage - pageEnd,
	}
	if text, ok := q.given["limit"]; ok {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n == 0 {
			q.fault("limit", "must be an integer from 1 to 200")
		}
		q.options.Limit = int(n) // 0, the default, where it is at fault
	}
	q.flag("unlisted", &q.options.Unlisted)
	return q
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

// next returns the query of the next page: the same but for the cursor, which
// stands in for the beginning.
func (q listQuery) next(cursor string) string {
	values := url.Values{"cursor": {cursor}}
	for name, value := range q.given {
		if name != "cursor" && name != "from" {
			values.Set(name, value)
		}
	}
	return values.Encode()
}
