package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"time"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/imageheader"
	"github.com/shelflife-db/shelflife/encoding"
)

const (
	// chunkSize is how image bytes are cut, and how much of an upload is in
	// memory at a time.
	chunkSize = 256 << 10
	// inlineBudget is how many image bytes of one upsert may travel in its
	// commit. Larger ones are staged first.
	inlineBudget = 1 << 20
)

var (
	errImageTooLarge = errors.New("image too large")
	errStageLost     = errors.New("what had come of the upload is gone: it stood still for too long, or its account was deleted")
)

// StagedImage is image bytes that wait for a product.
type StagedImage struct {
	// Ref goes into NewImage.Staged.
	Ref           StagedRef
	ContentType   string
	Size          int64 // bytes
	Width, Height int   // stored pixels
	// ExpiresAt is when the bytes vanish if no upsert has claimed them.
	ExpiresAt time.Time
}

// StageImage takes in the bytes of an image ahead of the upsert that claims
// them, in bounded memory. When it returns they are durable (see
// Options.Durability); unclaimed, they vanish by themselves after
// Options.StageLifetime. Bytes that are no image, or over a limit, are refused
// with a *ValidationError whose paths are "".
func (c *Catalog) StageImage(ctx context.Context, account string, r io.Reader) (StagedImage, error) {
	ctx, call := c.begin(ctx, OpStageImage)
	img, err := c.stageImage(ctx, account, r)
	return img, call.end(c.wrap("stage image", "", err))
}

func (c *Catalog) stageImage(ctx context.Context, account string, r io.Reader) (StagedImage, error) {
	if err := c.calls.Enter(); err != nil {
		return StagedImage{}, err
	}
	defer c.calls.Exit()
	faults := new(ValidationError)
	checkAccount(faults, account)
	if isNil(r) {
		faults.add("", CodeInvalidImage, "there is nothing to read the image from")
	}
	if err := faults.err(); err != nil {
		return StagedImage{}, err
	}
	b, err := c.receiveBlob(ctx, account, r, 0, c.updateOptions())
	if err != nil {
		return StagedImage{}, err
	}
	h := &b.header
	return StagedImage{StagedRef(b.id.String()), h.Kind, h.Size, h.Width, h.Height, timeOf(h.Deadline)}, nil
}

// discardWait is how long an upsert that failed waits for an engine that stalls.
const discardWait = time.Second

// discardStaged removes what was staged, though ctx may have ended.
func (c *Catalog) discardStaged(ctx context.Context, account string, id encoding.BlobID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardWait)
	defer cancel()
	scopes := []backend.Scope{blobScope(account, id)}
	_ = c.update(ctx, scopes, backend.UpdateOptions{Buffered: true, Reclaim: true}, func(t *tx) error {
		h, err := t.blobHeader(account, id)
		if err != nil || h == nil || h.State != encoding.BlobStaged {
			return err
		}
		return t.removeBlob(account, id, h)
	})
}

// receiveBlob reads an image to its end. Up to inline bytes are returned as
// a chunk, more are staged on the way, with last for the options of the last
// Update. A *ValidationError has one fault with the path "".
func (c *Catalog) receiveBlob(ctx context.Context, account string, r io.Reader, inline int, last backend.UpdateOptions) (*incomingBlob, error) {
	w := &blobWriter{
		c: c, ctx: ctx, account: account, id: newBlobID(), inline: min(inline, chunkSize), hash: sha256.New(),
		limit: c.limits.ImageBytes, lifetime: c.opts.StageLifetime,
	}
	info, err := imageheader.Read(io.TeeReader(r, w), c.limits.ImagePixels)
	if err == nil {
		_, err = io.Copy(w, r)
	}
	if err == nil {
		err = w.finish(info, last)
	}
	if err == nil {
		return &incomingBlob{id: w.id, header: w.header, chunk: w.chunk, generation: w.generation}, nil
	}
	if w.staged {
		c.discardStaged(ctx, account, w.id)
	}
	if bad := (*imageheader.Error)(nil); errors.As(err, &bad) {
		if w.header.Size == 0 {
			return nil, invalid("", CodeInvalidImage, "the upload is empty, or its reader was read before")
		}
		return nil, invalid("", CodeInvalidImage, "%s", bad.Reason)
	}
	if errors.Is(err, errImageTooLarge) {
		return nil, c.imageTooLarge()
	}
	if errors.Is(err, errStageLost) {
		return nil, invalid("", CodeInvalidImageInput, "%s", err)
	}
	return nil, err
}

// blobWriter cuts what is written to it into chunks and stages them.
type blobWriter struct {
	c       *Catalog
	ctx     context.Context
	account string
	id      encoding.BlobID
	inline  int // how many bytes need not be staged
	hash    hash.Hash
	limit   int64 // of bytes
	// lifetime is how long what is staged stays.
	lifetime time.Duration

	buf    bytes.Buffer // of the chunk being filled
	header encoding.BlobHeader
	staged bool
	// generation is the backend's when the first chunk was staged.
	generation uint64
	chunk      []byte // stored form, set by finish if nothing was staged
}

func (w *blobWriter) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		if w.buf.Len() == chunkSize {
			if err := w.flush(backend.UpdateOptions{Buffered: true}); err != nil {
				return written, err
			}
		}
		n := min(len(p), chunkSize-w.buf.Len())
		if w.header.Size+int64(n) > w.limit {
			return written, errImageTooLarge
		}
		w.buf.Write(p[:n])
		w.hash.Write(p[:n])
		w.header.Size += int64(n)
		written += n
		p = p[n:]
	}
	return written, nil
}

// finish completes the header and stages the last chunk, unless everything
// fits into the commit.
func (w *blobWriter) finish(info imageheader.Info, o backend.UpdateOptions) error {
	w.header.Kind, w.header.Width, w.header.Height = info.ContentType, info.Width, info.Height
	w.header.SHA256 = [sha256.Size]byte(w.hash.Sum(nil))
	if !w.staged && w.buf.Len() <= w.inline {
		w.chunk = encoding.AppendChunkTrailer(w.buf.Bytes(), w.id, 1)
		w.header.ChunkSize, w.header.Chunks = chunkSize, 1
		return nil
	}
	return w.flush(o)
}

// flush stages the chunk in the buffer and, when the image is whole, what is
// known of it. Each flush moves the deadline on: it counts from the last byte.
func (w *blobWriter) flush(o backend.UpdateOptions) error {
	whole := w.header.Kind != ""
	number := w.header.Chunks + 1
	chunk := encoding.AppendChunkTrailer(w.buf.Bytes(), w.id, number)
	scopes := []backend.Scope{blobScope(w.account, w.id)}
	var next encoding.BlobHeader
	err := w.c.update(w.ctx, scopes, o, func(t *tx) error {
		old, err := t.blobHeader(w.account, w.id)
		if err != nil {
			return err
		}
		if !w.staged {
			w.generation = w.c.generation()
		} else if err := t.since(w.generation); err != nil {
			return err // chunks may be gone though the header is there
		}
		if w.staged && (old == nil || old.State != encoding.BlobStaged) {
			return errStageLost
		}
		next = encoding.BlobHeader{}
		if whole {
			next = w.header
			next.Chunks = number
		}
		next.State, next.ChunkSize = encoding.BlobStaged, chunkSize
		next.Deadline = t.now + w.lifetime.Milliseconds()
		if old != nil && old.Deadline != next.Deadline {
			if err := t.deleteExpiry(blobExpiry(w.account, w.id, old.Deadline)); err != nil {
				return err
			}
		}
		if err := t.putExpiry(blobExpiry(w.account, w.id, next.Deadline), encoding.ExpiryValue{}); err != nil {
			return err
		}
		if err := t.putBlobHeader(w.account, w.id, &next); err != nil {
			return err
		}
		return t.putChunk(w.account, w.id, number, chunk)
	})
	if err != nil {
		return err
	}
	w.staged = true
	w.header.Chunks = number
	if whole {
		w.header = next
	}
	w.buf.Reset()
	return nil
}
