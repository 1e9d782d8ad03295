package dashboard

import (
	"net/http"

	"github.com/shelflife-db/shelflife/catalog"
)

// A page of an export, as JSON, and what a request for one is charged for: a page
// and a line of it.
const (
	exportBytes  = 512 << 10
	exportMemory = 1 << 20
)

// sendExport sends every product of the account, a JSON object a line in the
// form of the API. It goes by pages, so that a slow client holds
// no state of the store.
func (h *Handler) sendExport(w http.ResponseWriter, r *request) error {
	o := catalog.ListOptions{Limit: scanSize, MaxBytes: exportBytes, Unlisted: true}
	page, err := h.catalog.List(r.Context(), r.account, o)
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set("Content-Type", "application/x-ndjson; charset=utf-8")
	header.Set("Content-Disposition", `attachment; filename="products.ndjson"`)
	header.Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		return nil
	}
	var line []byte
	for {
		for _, p := range page.Products {
			line = append(p.AppendJSON(line[:0]), '\n')
			if _, err := w.Write(line); err != nil {
				return nil // the client left
			}
		}
		if !page.HasMore {
			return nil
		}
		o.Cursor = page.NextCursor
		if page, err = h.catalog.List(r.Context(), r.account, o); err != nil {
			if r.Context().Err() == nil {
				h.log.ErrorContext(r.Context(), "dashboard: export cut off", "error", err)
			}
			// The one way to end the answer so that the client notices.
			panic(http.ErrAbortHandler)
		}
	}
}
