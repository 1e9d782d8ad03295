package httpadapter

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/productjson"
)

// ProductMember is the member of a body that [Handler.ReadProduct] reads.
const ProductMember = "product"

// ProductRequest is a request to a host's own endpoint, with the product spec
// that it carries. Nothing of the spec is done before Apply.
type ProductRequest struct {
	// Account is what the authenticator said.
	Account string
	// ExternalID is that of the product; "" where Apply makes a one-shot product.
	ExternalID string
	// Patch is what the spec sets; it is empty for a plain use. Its uploads can be
	// read until the request ends.
	Patch catalog.Patch
	// JSON is the whole JSON of the request: the body, or the data part.
	JSON json.RawMessage
	// IdempotencyKey is the header Idempotency-Key; "" if the request has none, or if
	// ExternalID is not "". Apply makes a one-shot product for it once.
	IdempotencyKey string
	// Files are the file parts that the spec does not name, those without a
	// name included, in the order of the body. They can be read until the
	// request ends.
	Files []*File

	handler *Handler
	upsert  *productjson.Upsert
	conds   []catalog.Condition
	explain func(error) error
	applied bool
}

// File returns the file with the name, if there is one.
func (q *ProductRequest) File(name string) (file *File, ok bool) {
	i := slices.IndexFunc(q.Files, func(f *File) bool { return f.Name == name })
	if i < 0 {
		return nil, false
	}
	return q.Files[i], true
}

// Fault returns what the host found wrong with its own part of the request as an
// error for [Handler.WriteError], which answers it as it answers faults of the
// spec; nil if there is nothing. Paths are those of the request's JSON, or names
// of parts, parameters and headers.
func (q *ProductRequest) Fault(f ...catalog.FieldError) error {
	if len(f) == 0 {
		return nil
	}
	return &catalog.ValidationError{Fields: slices.Clone(f)}
}

var errApplied = errors.New("httpadapter: the product request was applied before")

// Apply does what the spec says, durably, and returns the product as it is then
// and what happened: Used where the spec named a product and nothing else; after
// Edited and Unchanged the product was used as well. An error is to be answered
// with [Handler.WriteError]: the paths of its faults are those of the request, and
// nothing was changed unless it matches catalog.ErrUnknownOutcome. Once it has
// succeeded it must not be called again. It must be called before the request
// ends, by one goroutine at a time.
func (q *ProductRequest) Apply(ctx context.Context) (catalog.Result, error) {
	if q.applied {
		return catalog.Result{}, errApplied
	}
	c := q.handler.catalog
	var result catalog.Result
	var err error
	switch {
	case q.isPlainUse():
		result.Outcome = catalog.Used
		result.Product, err = c.Use(ctx, q.Account, q.ExternalID)
	case q.upsert.NamesProduct:
		result, err = c.UpsertInline(ctx, q.Account, q.ExternalID, q.Patch, q.conds...)
	case q.IdempotencyKey != "":
		result, err = c.CreateOneShotOnce(ctx, q.Account, q.IdempotencyKey, q.Patch, q.conds...)
	default:
		result, err = c.CreateOneShot(ctx, q.Account, q.Patch, q.conds...)
	}
	if err != nil {
		return catalog.Result{}, q.explain(q.upsert.Rewrite(err))
	}
	q.applied = true
	return result, nil
}

func (q *ProductRequest) isPlainUse() bool { return q.upsert.NamesProduct && !q.upsert.SetsFields }

// ReadProduct is the step of a host's own endpoint that reads a product spec
// from the member "product" of the JSON of a request; see
// [Handler.ReadProductAt].
func (h *Handler) ReadProduct(w http.ResponseWriter, r *http.Request) (*ProductRequest, error) {
	return h.ReadProductAt(w, r, ProductMember)
}

// ReadProductAt authenticates a request, reads its JSON or multipart body
// whole, within the handler's limits, and finds every fault of the product
// spec, in the given member of the JSON, that can be found without the stored
// product. An empty member means that the whole object is the spec. Nothing is
// written to the catalog: look at the rest of the request, and then call
// [ProductRequest.Apply], which resolves the spec as POST /uses does. An
// externalId alone is a use; with fields it is an inline upsert and a use;
// without externalId it creates a one-shot product, and with the header
// Idempotency-Key the same one for the same key.
//
// If-Match and If-None-Match apply as they do to POST /uses. The query is the
// host's, but for the parameter strict, which judges the names in the spec. On w
// the headers are set that every answer has, and Deprecation if the spec has a
// deprecated form. An error is to be answered with [Handler.WriteError]; the paths
// of its faults begin with the member.
//
// The files are released when the context of r ends, which net/http does at the end
// of the request. A caller without a server must cancel that context itself.
func (h *Handler) ReadProductAt(w http.ResponseWriter, r *http.Request, member string) (*ProductRequest, error) {
	h.begin(w, r)
	account, err := h.authenticate(r)
	if err != nil {
		return nil, err
	}
	if err := h.options.Budget.spend(account); err != nil {
		return nil, err
	}
	u, err := h.options.Budget.open(account)
	if err != nil {
		return nil, err
	}
	b, err := h.readBody(r, u)
	if err != nil {
		u.close()
		return nil, err
	}
	q, err := h.parseSpec(w, r, account, b, member, false)
	if err != nil {
		_ = b.Close() // the error that matters is the other
		u.close()
		return nil, err
	}
	id := RequestID(w, r)
	context.AfterFunc(r.Context(), func() {
		defer u.close()
		if err := b.Close(); err != nil {
			h.options.Logger.Warn("httpadapter: giving up uploaded files failed", "request_id", id, "error", err)
		}
	})
	return q, nil
}

// resolveUse is POST /uses.
func (h *Handler) resolveUse(w http.ResponseWriter, r *request) error {
	b, err := h.readBody(r.Request, r.usage)
	if err != nil {
		return err
	}
	defer b.Close()
	q, err := h.parseSpec(w, r.Request, r.account, b, "", true)
	if err != nil {
		return err
	}
	result, err := q.Apply(r.Context())
	if err != nil {
		return err
	}
	return h.writeResult(w, r, result)
}

// parseSpec reads the product spec in a body. Of the handler's own requests the
// whole query is judged.
func (h *Handler) parseSpec(w http.ResponseWriter, r *http.Request, account string, b *body, member string, own bool) (*ProductRequest, error) {
	params := h.readQuery(r.URL.RawQuery, own)
	u, err := h.decode(w, b, productjson.Options{Member: member, Strict: params.strict})
	if err != nil {
		return nil, err
	}
	q := &ProductRequest{Account: account, Patch: u.Patch, JSON: b.json, handler: h, upsert: u}
	q.ExternalID, _ = u.ExternalID.Get()
	c := readConditions(r.Header)
	q.explain = c.explain
	if q.isPlainUse() {
		c.forUse()
	} else {
		q.conds = c.forUpsert()
	}
	faults := append(params.faults, c.faults...)
	if !u.NamesProduct {
		var fault string
		if q.IdempotencyKey, fault = readIdempotencyKey(r.Header); fault != "" {
			faults = append(faults, catalog.FieldError{Path: idempotencyHeader, Code: catalog.CodeValidationFailed, Message: fault})
		}
	}
	if u.Faulty() || len(faults) > 0 {
		return nil, u.Validate(h.catalog, account, faults...)
	}
	if err := u.Validate(h.catalog, account); err != nil {
		return nil, err
	}
	if !u.NamesProduct && u.Patch.Images.IsAbsent() && len(q.conds) == 0 { // conditions come first
		return nil, u.Rewrite(&catalog.ValidationError{Fields: []catalog.FieldError{{
			Path: "images", Code: catalog.CodeImagesRequired, Message: "a product can't be created without an image",
		}}})
	}
	taken := make(map[string]bool)
	for _, key := range u.FileKeys() {
		taken[key] = true
	}
	for _, f := range b.files {
		if !taken[f.Name] {
			q.Files = append(q.Files, f)
		}
	}
	return q, nil
}

const idempotencyHeader = "Idempotency-Key"

// readIdempotencyKey returns the key that a request gives for its one-shot product,
// or what is wrong with it. It is taken as it is: clients send it in quotes or
// without.
func readIdempotencyKey(header http.Header) (key, fault string) {
	values := header.Values(idempotencyHeader)
	switch {
	case len(values) == 0:
		return "", ""
	case len(values) > 1:
		return "", "must not be repeated"
	case values[0] == "" || len(values[0]) > 255 || !utf8.ValidString(values[0]):
		return "", "must be 1 to 255 bytes of valid UTF-8"
	}
	return values[0], ""
}
