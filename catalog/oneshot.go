package catalog

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"unicode/utf8"
)

// CreateOneShot creates a product under an ID of its own, "_anon_" followed by
// unguessable characters. It counts as used, lives for 7 days where the patch
// has no ValidForDays, and is never listed, whatever upserts it later.
//
// For all else, errors included, it is like [Catalog.Upsert].
func (c *Catalog) CreateOneShot(ctx context.Context, account string, p Patch, conds ...Condition) (Result, error) {
	ctx, call := c.begin(ctx, OpCreateOneShot)
	id := generatedPrefix + rand.Text()
	res, err := c.upsert(ctx, oneShot, account, id, p, conds)
	return res, call.upserted(res.Outcome, c.wrap("create one-shot", id, err))
}

// CreateOneShotOnce is [Catalog.CreateOneShot] for a caller that may have to repeat
// it without knowing whether it happened: with the same key, 1 to 255 bytes of
// valid UTF-8, an account gets the same ID. Where that product lives already it is
// returned as it is, with the outcome Unchanged: neither edited nor used, whatever
// the patch and the conditions say. Once it has expired or was deleted, the key
// makes another.
//
// Only the store can derive the ID from the key. Processes that share a store derive
// the same ID; a store into which a dump was loaded derives another.
func (c *Catalog) CreateOneShotOnce(ctx context.Context, account, key string, p Patch, conds ...Condition) (Result, error) {
	ctx, call := c.begin(ctx, OpCreateOneShot)
	if key == "" || len(key) > MaxNameBytes || !utf8.ValidString(key) {
		faults := new(ValidationError)
		faults.add("key", CodeValidationFailed, "must be 1 to %d bytes of valid UTF-8", MaxNameBytes)
		return Result{}, call.end(c.wrap("create one-shot", "", faults))
	}
	id := c.oneShotID(account, key)
	res, err := c.upsert(ctx, oneShot, account, id, p, conds)
	return res, call.upserted(res.Outcome, c.wrap("create one-shot", id, err))
}

// oneShotID returns the ID that a key stands for. What is authenticated begins with
// another byte than a cursor's.
func (c *Catalog) oneShotID(account, key string) string {
	mac := hmac.New(sha256.New, c.secret)
	_, _ = fmt.Fprintf(mac, "one-shot\x00%d\x00%s%s", len(account), account, key) // a hash takes everything
	text := base32.StdEncoding.EncodeToString(mac.Sum(nil))
	return generatedPrefix + text[:len(rand.Text())]
}
