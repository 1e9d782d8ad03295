package catalog_test

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/catalog"
)

// stallingBackend lets so many Updates through and has further ones wait until
// their context ends.
type stallingBackend struct {
	backend.Backend
	left atomic.Int64
}

func (b *stallingBackend) Update(ctx context.Context, scopes []backend.Scope, o backend.UpdateOptions, fn func(context.Context, backend.Txn) error) error {
	if b.left.Add(-1) < 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Minute):
			return errors.New("no call gave up")
		}
	}
	return b.Backend.Update(ctx, scopes, o, fn)
}

// An upsert that is cancelled while the engine stalls returns, though some of
// its image is staged: that vanishes by itself.
func TestCancelWhileTheEngineStalls(t *testing.T) {
	b := &stallingBackend{Backend: memory.New(nil)}
	b.left.Store(1 << 30)
	c, err := catalog.Open(t.Context(), b, nil)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	b.left.Store(2) // the first chunks
	go func() {
		for b.left.Load() >= 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	large := catalog.NewUpload(bytes.NewReader(append(pngOf(1, 4, 4), make([]byte, 4<<20)...)))
	_, err = c.Upsert(ctx, acme, "p", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{Upload: large}})})
	require.ErrorIs(t, err, context.Canceled)
	b.left.Store(1 << 30)
	_, err = c.Get(t.Context(), acme, "p")
	require.ErrorIs(t, err, catalog.ErrNotFound)
	require.NoError(t, c.Close())
}
