package httpadapter

import (
	"context"
	"net/http"
	"time"

	"github.com/shelflife-db/shelflife/catalog"
)

// What is replaced or deleted keeps its room on the disk while a state of the store is
// held that an answer is read from.
const (
	// linesTime is for how long it may be held.
	linesTime = 15 * time.Minute
	// linesRate is how many bytes a second a client must read at the least, on average
	// from linesGrace on.
	linesRate  = 32 << 10
	linesGrace = time.Minute
)

// linesPiece is how many bytes of products are sent at once, and linesMemory what a
// request for all is charged for: that, a product and what is read ahead of it.
const (
	linesPiece  = 64 << 10
	linesMemory = 1 << 20
)

// sendLines is GET /bulk: every listed product, as it is at one instant, a JSON
// object a line in the form of the other answers, which POST /bulk takes in the same
// store. Where it can't go on the answer is cut off: it has no end then.
func (h *Handler) sendLines(w http.ResponseWriter, r *request) error {
	q := h.readQuery(r.URL.RawQuery, true, "prefix", "unlisted")
	o := catalog.AllOptions{Prefix: q.given["prefix"]}
	q.flag("unlisted", &o.Unlisted)
	if len(q.faults) > 0 {
		return &catalog.ValidationError{Fields: q.faults}
	}
	// A slow client holds a state of the store: bounded as uploads are.
	if err := r.usage.admit(r.Context(), kindMultipart, linesMemory); err != nil {
		return err
	}
	begin := func() {
		w.Header().Set("Content-Type", linesType)
		w.Header().Set("Cache-Control", "no-store")
	}
	if r.Method == http.MethodHead {
		begin()
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), linesTime)
	defer cancel()
	clock := h.options.Budget.clock
	start, sent := clock.Elapsed(), int64(0)
	lines, begun := make([]byte, 0, linesPiece+linesPiece/4), false
	for v, err := range h.catalog.AllViews(ctx, r.account, o) {
		if err != nil {
			if !begun {
				return err
			}
			if !isLeaving(r.Request, err) {
				h.options.Logger.ErrorContext(r.Context(), "httpadapter: an answer was cut off", "path", r.URL.Path, "request_id", RequestID(w, r.Request), "error", err)
			}
			// The one way to end the answer so that the client notices.
			panic(http.ErrAbortHandler)
		}
		if !begun {
			begin()
			begun = true
		}
		lines, _ = h.appendView(lines, r.Request, v)
		lines = append(lines, '\n')
		if len(lines) < linesPiece {
			continue
		}
		if _, err := w.Write(lines); err != nil {
			return nil // the client left
		}
		sent += int64(len(lines))
		lines = lines[:0]
		if took := clock.Elapsed() - start - linesGrace; took > 0 && float64(sent) < linesRate*took.Seconds() {
			h.options.Logger.WarnContext(r.Context(), "httpadapter: an answer was cut off: its client reads too slowly", "path", r.URL.Path, "request_id", RequestID(w, r.Request))
			panic(http.ErrAbortHandler)
		}
	}
	if !begun {
		begin()
	}
	_, _ = w.Write(lines) // an error says that the client left
	return nil
}
