package backend

import "context"

type updateKey struct{ owner any }

// MarkUpdate returns the context that owner, an engine, hands to the callback
// of an Update, so that InUpdate finds it. It is for implementers of
// [Backend]. owner must be comparable.
func MarkUpdate(ctx context.Context, owner any) context.Context {
	return context.WithValue(ctx, updateKey{owner}, true)
}

// InUpdate reports whether ctx comes from the callback of one of owner's
// Updates: an Update that gets such a context returns ErrNested instead of
// waiting for itself.
func InUpdate(ctx context.Context, owner any) bool {
	return ctx.Value(updateKey{owner}) != nil
}
