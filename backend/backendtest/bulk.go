package backendtest

import (
	"context"
	"sync/atomic"

	"github.com/shelflife-db/shelflife/backend"
)

// inBulk makes two Updates in three with UpdateOptions.Bulk: so that one follows the
// other, and an ordinary one either.
type inBulk struct {
	backend.Backend
	updates atomic.Uint64
}

// Unwrap returns what takes the Updates.
func (b *inBulk) Unwrap() backend.Backend { return b.Backend }

func (b *inBulk) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	o.Bulk = b.updates.Add(1)%3 != 0
	return b.Backend.Update(ctx, scopes, o, fn)
}
