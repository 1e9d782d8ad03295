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
	b, err := h.readBody(r.Request)
	if err != nil {
		return err
	}
	defer b.Close()
	u, err := h.decode(w, b, productjson.Options{RequireExternalID: true})
	if err != nil {
		return err
	}
	c := readConditions(r.Header)
	conds := c.forUpsert()
	if u.Faulty() || len(c.faults) > 0 {
		return u.Validate(h.catalog, r.account, c.faults...)
	}
	id, _ := u.ExternalID.Get()
	result, err := h.catalog.Upsert(r.Context(), r.account, id, u.Patch, conds...)
	if err != nil {
		return u.Rewrite(err)
	}
	r.writeResult(w, result.Product, result.Outcome == catalog.Created)
	return nil
}

// writeResult answers a write with the product.
func (r *request) writeResult(w http.ResponseWriter, p *catalog.Product, created bool) {
	status := http.StatusOK
	if created {
		status = http.StatusCreated
		w.Header().Set("Location", r.productPath(p.ExternalID))
	}
	w.Header().Set("ETag", p.ETag())
	w.Header().Set("Cache-Control", cacheControl)
	writeJSON(w, r.Request, status, p.AppendJSON(nil))
}

// getProduct is GET /products/{externalId}.
func (h *Handler) getProduct(w http.ResponseWriter, r *request) error {
	c := readConditions(r.Header)
	if err := h.fieldFaults(r, c.faults); err != nil {
		return err
	}
	p, err := h.catalog.Get(r.Context(), r.account, r.id)
	if err != nil {
		return err
	}
	if c.match.given && !c.match.any && !matchesVersion(c.match, p.Version()) {
		return errCondition
	}
	etag := p.ETag()
	w.Header().Set("ETag", etag)
	w.Header().Set("Cache-Control", cacheControl)
	if c.noneMatch.given && c.noneMatch.matchesWeakly(etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	writeJSON(w, r.Request, http.StatusOK, p.AppendJSON(nil))
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
		return err
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
	p, err := h.catalog.Use(r.Context(), r.account, r.id)
	if err != nil {
		return err
	}
	r.writeResult(w, p, false)
	return nil
}

// fieldFaults joins faults of the headers with those of the ID in the path; nil
// if the headers have none, because the catalog finds the others by itself.
func (h *Handler) fieldFaults(r *request, faults []catalog.FieldError) error {
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
