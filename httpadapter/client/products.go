package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
)

// Condition is what a write demands of the product that is there.
type Condition struct{ name, value string }

// IfVersion demands that the product has the version, which a use does not change.
func IfVersion(version string) Condition { return Condition{"If-Match", `"` + version + `"`} }

// IfExists demands that there is such a product.
func IfExists() Condition { return Condition{"If-Match", "*"} }

// CreateOnly demands that there is none.
func CreateOnly() Condition { return Condition{"If-None-Match", "*"} }

// Result is what a write came to.
type Result struct {
	// Product is as it is now.
	Product *Product
	// Created reports whether there was none before.
	Created bool
}

// Get reads a product, listed or not.
func (c *Client) Get(ctx context.Context, externalID string) (*Product, error) {
	path, err := productPath(externalID)
	if err != nil {
		return nil, err
	}
	r, err := c.product(ctx, &call{method: http.MethodGet, path: path, harmless: true})
	return r.Product, err
}

// Upsert creates a product, which needs an image, or edits it, and lists it.
func (c *Client) Upsert(ctx context.Context, externalID string, p Patch, conds ...Condition) (Result, error) {
	if _, err := productPath(externalID); err != nil {
		return Result{}, err
	}
	return c.upsert(ctx, "/products", externalID, p, conds)
}

// UpsertInline creates a product that no list has, for 15 days unless p says
// otherwise, or edits it, and uses it.
func (c *Client) UpsertInline(ctx context.Context, externalID string, p Patch, conds ...Condition) (Result, error) {
	if _, err := productPath(externalID); err != nil {
		return Result{}, err
	}
	return c.upsert(ctx, "/uses", externalID, p, conds)
}

// CreateOneShot creates a product with an ID of the server's choice, for 7 days
// unless p says otherwise, and uses it. Created is false where an attempt before had
// created it.
func (c *Client) CreateOneShot(ctx context.Context, p Patch) (Result, error) {
	return c.CreateOneShotOnce(ctx, rand.Text(), p)
}

// CreateOneShotOnce is CreateOneShot with an idempotency key of the caller's choice, 1
// to 255 bytes, for which one product is made, also by later calls. They get it as it
// stands.
func (c *Client) CreateOneShotOnce(ctx context.Context, key string, p Patch) (Result, error) {
	return c.upsert(ctx, "/uses", "", p, []Condition{{"Idempotency-Key", key}})
}

// upsert sends p. A one-shot has its key among the conditions.
func (c *Client) upsert(ctx context.Context, path, externalID string, p Patch, conds []Condition) (Result, error) {
	text, uploads, err := appendPatch(externalID, &p)
	if err != nil {
		return Result{}, err
	}
	q := &call{method: http.MethodPost, path: path, header: http.Header{}, body: textBody(text)}
	kind := "application/json"
	if len(uploads) > 0 {
		form := newFormBody(text, uploads)
		q.body, kind = form, form.contentType()
	}
	q.header.Set("Content-Type", kind)
	q.harmless = q.demand(conds) || externalID == ""
	return c.product(ctx, q)
}

// demand sets the headers of conditions, and reports whether there is none.
func (q *call) demand(conds []Condition) (none bool) {
	if q.header == nil {
		q.header = http.Header{}
	}
	for _, cond := range conds {
		q.header.Add(cond.name, cond.value)
	}
	return len(conds) == 0
}

// Use records a use of a product, which restarts its lifetime.
func (c *Client) Use(ctx context.Context, externalID string) (*Product, error) {
	path, err := productPath(externalID, "use")
	if err != nil {
		return nil, err
	}
	r, err := c.product(ctx, &call{method: http.MethodPost, path: path, harmless: true})
	return r.Product, err
}

// Delete deletes a product. It fails with ErrNotFound if there is none, unless an
// earlier attempt of this call may have deleted it.
func (c *Client) Delete(ctx context.Context, externalID string, conds ...Condition) error {
	path, err := productPath(externalID)
	if err != nil {
		return err
	}
	q := &call{method: http.MethodDelete, path: path}
	q.harmless = q.demand(conds)
	res, again, err := c.send(ctx, q)
	switch {
	case again && errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	drain(res)
	return nil
}

// product makes a request that is answered with a product.
func (c *Client) product(ctx context.Context, q *call) (Result, error) {
	r := Result{Product: new(Product)}
	res, err := c.decode(ctx, q, r.Product)
	if err != nil {
		return Result{}, err
	}
	r.Created = res.StatusCode == http.StatusCreated
	return r, nil
}

// decode makes a request that is answered with JSON. An answer that does not come
// whole is as one that did not come.
func (c *Client) decode(ctx context.Context, q *call, into any) (*http.Response, error) {
	res, _, err := c.send(ctx, q)
	if err != nil {
		return nil, err
	}
	if q.body != nil {
		defer q.body.close() // a proxy may have answered before it was sent
	}
	defer drain(res)
	return res, json.NewDecoder(res.Body).Decode(into)
}
