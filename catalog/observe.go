package catalog

import (
	"context"
	"errors"
	"slices"
)

// An Operation names what a call of a Catalog does, for Options.Observe.
type Operation string

// The operations. Each but the last is the method of that name. Methods that
// differ only in how they hand out what they read, such as Get and View, are
// one operation, and so are CreateOneShot and CreateOneShotOnce. An error that a
// callback returns, such as that of View, is not an error of the operation.
const (
	OpGet             Operation = "get"
	OpGetMany         Operation = "get_many"
	OpList            Operation = "list"
	OpAll             Operation = "all"      // from the first step of the loop to its end
	OpAccounts        Operation = "accounts" // likewise
	OpOpenImage       Operation = "open_image"
	OpUpsert          Operation = "upsert"
	OpUpsertInline    Operation = "upsert_inline"
	OpCreateOneShot   Operation = "create_one_shot"
	OpUpsertMany      Operation = "upsert_many"
	OpEdit            Operation = "edit"
	OpPreview         Operation = "preview"
	OpUse             Operation = "use"
	OpTouch           Operation = "touch"
	OpDelete          Operation = "delete"
	OpDeleteAccount   Operation = "delete_account"
	OpStageImage      Operation = "stage_image"
	OpStats           Operation = "stats"
	OpStoreStats      Operation = "store_stats"
	OpSweep           Operation = "sweep"
	OpCheck           Operation = "check"
	OpReclaim         Operation = "reclaim"
	OpBackup          Operation = "backup"
	OpExtendLifetimes Operation = "extend_lifetimes"
	// OpCommit is a part of other operations, and of the work in the background: an
	// Update of the backend, from its beginning until what it wrote, or was decided
	// on, is as durable as Options.Durability says. An error that the operation
	// draws from it, such as ErrNotFound, is no error of the commit.
	OpCommit Operation = "commit"
)

var operations = []Operation{
	OpGet, OpGetMany, OpList, OpAll, OpAccounts, OpOpenImage,
	OpUpsert, OpUpsertInline, OpCreateOneShot, OpUpsertMany, OpEdit, OpPreview, OpUse, OpTouch, OpDelete, OpDeleteAccount, OpStageImage,
	OpStats, OpStoreStats, OpSweep, OpCheck, OpReclaim, OpBackup, OpExtendLifetimes, OpCommit,
}

// Operations returns all operations.
func Operations() []Operation { return slices.Clone(operations) }

// Ended is the result of a call for which Options.Observe was called.
type Ended struct {
	// Err is what the call returned; for OpAll and OpAccounts, the error that the loop
	// ended with.
	Err error
	// Outcome is that of an upsert or an Edit; zero after an error and for other operations.
	Outcome Outcome
	// Items are the results of OpUpsertMany, which has no Err. They are lent.
	Items []UpsertManyResult
}

// observed is a call for which Options.Observe was called; the zero value is
// one that is not observed.
type observed struct{ ended func(Ended) }

// begin calls Options.Observe for a call that begins, and returns the context
// to go on with.
func (c *Catalog) begin(ctx context.Context, op Operation) (context.Context, observed) {
	if c.opts.Observe == nil {
		return ctx, observed{}
	}
	return c.observe(ctx, op)
}

func (c *Catalog) observe(ctx context.Context, op Operation) (context.Context, observed) {
	inner, ended := c.opts.Observe(ctx, op)
	if inner == nil {
		inner = ctx
	}
	return inner, observed{ended}
}

// end ends a call with an error, which it returns.
func (o observed) end(err error) error {
	if o.ended != nil {
		o.ended(Ended{Err: err})
	}
	return err
}

// upserted ends a call with its outcome, or with an error, which it returns.
func (o observed) upserted(outcome Outcome, err error) error {
	if o.ended != nil {
		o.ended(Ended{Outcome: outcome, Err: err})
	}
	return err
}

func (o observed) upsertedMany(items []UpsertManyResult) {
	if o.ended != nil {
		o.ended(Ended{Items: items})
	}
}

// committed ends OpCommit with the error of an Update whose callback returned own.
func (o observed) committed(err, own error) {
	if o.ended == nil {
		return
	}
	if own != nil && errors.Is(err, own) {
		err = nil
	}
	o.ended(Ended{Err: wrap("commit", "", err)})
}
