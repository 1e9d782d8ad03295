package httpadapter

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/productjson"
)

// ProductMember is the member of a body that [Handler.ReadProduct] reads.
const ProductMember = "product"

// ProductRequest is a request to a host's own endpoint, with the product that
// it is about.
type ProductRequest struct {
	// Account is what the authenticator said.
	Account string
	// Product is the product as it is after what the spec did, which is
	// durable.
	Product *catalog.Product
	// Outcome is what the spec did. Used: it named a product and nothing else.
	// After Edited and Unchanged the product was used as well.
	Outcome catalog.Outcome
	// JSON is the whole JSON of the request: the body, or the data part.
	JSON json.RawMessage
	// Files are the file parts that the spec does not name, those without a
	// name included, in the order of the body. They can be read until the
	// request ends.
	Files []*File
}

// File returns the file with the name, if there is one.
func (p *ProductRequest) File(name string) (file *File, ok bool) {
	i := slices.IndexFunc(p.Files, func(f *File) bool { return f.Name == name })
	if i < 0 {
		return nil, false
	}
	return p.Files[i], true
}

// ReadProduct is the step of a host's own endpoint that reads a product spec
// from the member "product" of the JSON of a request; see
// [Handler.ReadProductAt].
func (h *Handler) ReadProduct(w http.ResponseWriter, r *http.Request) (*ProductRequest, error) {
	return h.ReadProductAt(w, r, ProductMember)
}

// ReadProductAt authenticates a request, reads its JSON or multipart body
// whole, within the handler's limits, and resolves the product spec in the
// given member of the JSON as POST /uses does: an externalId alone is a use;
// with fields it is an inline upsert and a use; without externalId it creates
// a one-shot product. An empty member means that the whole object is the spec.
//
// If-Match and If-None-Match apply as they do to POST /uses. If the spec has a
// deprecated form, the Deprecation header is set on w; nothing else is done to
// w. An error is to be answered with [Handler.WriteError]; nothing was changed
// then, unless it matches catalog.ErrUnknownOutcome. The paths of its faults
// begin with the member.
//
// What the spec says is done, durably, when ReadProductAt returns, also if the
// host then refuses the request for a reason of its own.
//
// The files are given up when the context of r ends, as the server has it end
// with the request. A host that calls it otherwise must end that context.
func (h *Handler) ReadProductAt(w http.ResponseWriter, r *http.Request, member string) (*ProductRequest, error) {
	account, err := h.authenticate(r)
	if err != nil {
		return nil, err
	}
	b, err := h.readBody(r)
	if err != nil {
		return nil, err
	}
	resolved, err := h.resolve(w, r, account, b, member)
	if err != nil {
		_ = b.Close() // the error that matters is the other
		return nil, err
	}
	context.AfterFunc(r.Context(), func() {
		if err := b.Close(); err != nil {
			h.options.Logger.Warn("giving up uploaded files failed", "error", err)
		}
	})
	return resolved, nil
}

// resolveUse is POST /uses.
func (h *Handler) resolveUse(w http.ResponseWriter, r *request) error {
	b, err := h.readBody(r.Request)
	if err != nil {
		return err
	}
	defer b.Close()
	resolved, err := h.resolve(w, r.Request, r.account, b, "")
	if err != nil {
		return err
	}
	r.writeResult(w, resolved.Product, resolved.Outcome == catalog.Created)
	return nil
}

// resolve does what the product spec in a body says.
func (h *Handler) resolve(w http.ResponseWriter, r *http.Request, account string, b *body, member string) (*ProductRequest, error) {
	u, err := h.decode(w, b, productjson.Options{Member: member})
	if err != nil {
		return nil, err
	}
	c := readConditions(r.Header)
	var conds []catalog.Condition
	plain := u.NamesProduct && !u.SetsFields
	if plain {
		c.forUse()
	} else {
		conds = c.forUpsert()
	}
	if u.Faulty() || len(c.faults) > 0 {
		return nil, u.Validate(h.catalog, account, c.faults...)
	}
	id, _ := u.ExternalID.Get()
	resolved := &ProductRequest{Account: account, JSON: b.json, Outcome: catalog.Used}
	var result catalog.Result
	switch {
	case plain:
		resolved.Product, err = h.catalog.Use(r.Context(), account, id)
	case u.NamesProduct:
		result, err = h.catalog.UpsertInline(r.Context(), account, id, u.Patch, conds...)
	default:
		result, err = h.catalog.CreateOneShot(r.Context(), account, u.Patch, conds...)
	}
	if err != nil {
		return nil, u.Rewrite(err)
	}
	if !plain {
		resolved.Product = result.Product
		resolved.Outcome = result.Outcome
	}
	taken := make(map[string]bool)
	for _, key := range u.FileKeys() {
		taken[key] = true
	}
	for _, f := range b.files {
		if !taken[f.Name] {
			resolved.Files = append(resolved.Files, f)
		}
	}
	return resolved, nil
}
