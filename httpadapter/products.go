package httpadapter

import (
	"errors"
	"net/http"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/productjson"
)

// cacheControl lets a client keep an answer and makes it ask before using it
// again.
const cacheControl = "private, no-cache"

// upsertProduct is POST /products.
func (h *Handler) upsertProduct(w http.ResponseWriter, r *request) error {
	b, err := h.readBody(r.Request, r.usage)
	if err != nil {
		return err
	}
	defer b.Close()
	q := h.readQuery(r.URL.RawQuery, true)
	u, err := h.decode(w, b, productjson.Options{RequireExternalID: true, Strict: q.strict})
	if err != nil {
		return err
	}
	c := readConditions(r.Header)
	conds := c.forUpsert()
	if faults := append(q.faults, c.faults...); u.Faulty() || len(faults) > 0 {
		return u.Validate(h.catalog, r.account, faults...)
	}
	id, _ := u.ExternalID.Get()
	result, err := h.catalog.Upsert(r.Context(), r.account, id, u.Patch, conds...)
	if err != nil {
		return c.explain(u.Rewrite(err))
	}
	return h.writeResult(w, r, result)
}

// writeResult answers a write with the product. Where there is no memory for the
// answer it can't say that nothing happened.
func (h *Handler) writeResult(w http.ResponseWriter, r *request, result catalog.Result) error {
	p, status := result.Product, http.StatusOK
	body := h.AppendProduct(nil, r.Request, p)
	if err := r.usage.charge(int64(cap(body))); err != nil {
		return errUnknown
	}
	if result.Outcome == catalog.Created {
		status = http.StatusCreated
		w.Header().Set("Location", h.productPath(r.Request, p.ExternalID))
	}
	setHeaders(w.Header(), header{etagHeader, h.etag(r.Request, p)}, header{"Cache-Control", cacheControl})
	_ = writeJSON(w, r.Request, status, body)
	return nil
}

// getProduct is GET /products/{externalId}.
func (h *Handler) getProduct(w http.ResponseWriter, r *request) error {
	c := readConditions(r.Header)
	if err := h.fieldFaults(r, c.faults); err != nil {
		return err
	}
	// Before anything is read: what waits must hold nothing that is not counted.
	if err := r.usage.await(r.Context(), answerMemory); err != nil {
		return err
	}
	body := productBodies.take()
	var written error
	defer func() { productBodies.put(body, written) }()
	etag, unchanged := "", false
	err := h.catalog.View(r.Context(), r.account, r.id, func(v catalog.ProductView) error {
		if c.match.given && !c.match.any && !matchesVersion(c.match, v.Version()) {
			return c.explain(catalog.ErrPreconditionFailed)
		}
		if c.noneMatch.given {
			etag = h.viewETag(r.Request, v, v.HasUploads())
			unchanged = c.noneMatch.matchesWeakly(etag) || c.noneMatch.matchesEncoded(etag)
		}
		if unchanged {
			return nil
		}
		// Having written the images, it knows whether any was uploaded: to look at
		// them for that alone costs a third of writing them.
		out, uploads := h.appendView(*body, r.Request, v)
		*body, etag = out, h.viewETag(r.Request, v, uploads)
		return nil
	})
	if err != nil {
		return err
	}
	if !unchanged {
		if err := r.usage.charge(int64(cap(*body))); err != nil {
			return err
		}
	}
	setHeaders(w.Header(), header{etagHeader, etag}, header{"Cache-Control", cacheControl})
	if unchanged {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	written = writeJSON(w, r.Request, http.StatusOK, *body)
	return nil
}

func matchesVersion(l tagList, have catalog.Version) bool {
	for _, v := range l.versions() {
		if v == have {
			return true
		}
	}
	return false
}

// deleteProduct is DELETE /products/{externalId}.
func (h *Handler) deleteProduct(w http.ResponseWriter, r *request) error {
	c := readConditions(r.Header)
	conds := c.forDelete()
	if err := h.fieldFaults(r, c.faults); err != nil {
		return err
	}
	if err := h.catalog.Delete(r.Context(), r.account, r.id, conds...); err != nil {
		return c.explain(err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// useProduct is POST /products/{externalId}/use. The body is not looked at.
func (h *Handler) useProduct(w http.ResponseWriter, r *request) error {
	c := readConditions(r.Header)
	c.forUse()
	if err := h.fieldFaults(r, c.faults); err != nil {
		return err
	}
	if err := r.usage.await(r.Context(), answerMemory); err != nil {
		return err
	}
	p, err := h.catalog.Use(r.Context(), r.account, r.id)
	if err != nil {
		return err
	}
	return h.writeResult(w, r, catalog.Result{Product: p, Outcome: catalog.Used})
}

// fieldFaults joins faults of the query and of the headers with those of the ID
// in the path; nil if the first two have none, because the catalog finds the
// others by itself. For requests that know no parameters of their own.
func (h *Handler) fieldFaults(r *request, ofHeaders []catalog.FieldError) error {
	faults := append(h.readQuery(r.URL.RawQuery, true).faults, ofHeaders...)
	if len(faults) == 0 {
		return nil
	}
	var fields []catalog.FieldError
	var invalid *catalog.ValidationError
	if errors.As(h.catalog.Validate(r.account, r.id, catalog.Patch{}), &invalid) {
		fields = invalid.Fields
	}
	return &catalog.ValidationError{Fields: append(fields, faults...)}
}
