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
	if r.Method == http.MethodHead {
		return h.headList(w, r, q)
	}
	body := pageBodies.take()
	var written error
	defer func() { pageBodies.put(body, written) }()
	page := append(*body, `{"items":[`...)
	count := 0
	info, err := h.catalog.ListViews(r.Context(), r.account, q.options, func(v catalog.ProductView) error {
		end := len(page)
		if count > 0 {
			page = append(page, ',')
		}
		page, _ = h.appendView(page, r.Request, v)
		if count > 0 && len(page) > maxPage-pageEnd {
			page = page[:end]
			return catalog.ErrEndPage
		}
		count++
		return nil
	})
	*body = page
	if err := mergeQueryFaults(q.faults, err); err != nil {
		return err
	}
	*body = appendPageEnd(page, info, count)
	h.headPage(w, r, q, info)
	r.usage.keep(int64(cap(*body)))
	written = writeJSON(w, r.Request, http.StatusOK, *body)
	return nil
}

// headList answers HEAD. A length would cost what the body costs. Link goes on
// behind the products of this page, of which that of a GET may be a part.
func (h *Handler) headList(w http.ResponseWriter, r *request, q listQuery) error {
	q.options.MaxBytes = maxPage - pageEnd
	info, err := h.catalog.ListViews(r.Context(), r.account, q.options, func(catalog.ProductView) error { return nil })
	if err := mergeQueryFaults(q.faults, err); err != nil {
		return err
	}
	h.headPage(w, r, q, info)
	w.Header().Set("Content-Type", jsonType)
	return nil
}

// headPage sets the headers that GET and HEAD have.
func (h *Handler) headPage(w http.ResponseWriter, r *request, q listQuery, info catalog.PageInfo) {
	if info.HasMore {
		w.Header().Set("Link", "<"+h.mountPath(r.Request)+"/products?"+q.next(info.NextCursor)+`>; rel="next"`)
	}
	w.Header().Set("Cache-Control", cacheControl)
}

// appendPageEnd appends what follows the products of a page.
func appendPageEnd(body []byte, info catalog.PageInfo, count int) []byte {
	body = append(body, `],"nextCursor":`...)
	if info.HasMore {
		body = appendString(body, info.NextCursor)
	} else {
		body = append(body, `null`...)
	}
	body = append(body, `,"hasMore":`...)
	body = strconv.AppendBool(body, info.HasMore)
	body = append(body, `,"count":`...)
	body = strconv.AppendInt(body, int64(count), 10)
	return append(body, '}')
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
		Cursor: q.given["cursor"], From: q.given["from"], Prefix: q.given["prefix"],
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
