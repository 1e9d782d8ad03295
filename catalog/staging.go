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
	// memory at a time. It is a part of the format: an image that is no longer is one
	// chunk, so that a reader needs nothing but the product's record to find it.
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
	defer w.giveBack()
	info, err := imageheader.Read(io.TeeReader(r, w), c.limits.ImagePixels)
	if err == nil {
		_, err = w.ReadFrom(r)
	}
	if err == nil {
		err = w.finish(info, last)
	}
	if err == nil {
		return w.incoming(), nil
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

	buf    []byte  // the chunk being filled
	pooled *[]byte // its memory, to be given back; nil before the first byte
	header encoding.BlobHeader
	staged bool
	// generation is the backend's when the first chunk was staged.
	generation uint64
	chunk      []byte // stored form, set by finish if nothing was staged
}

var _ io.ReaderFrom = (*blobWriter)(nil)

// Write implements io.Writer.
func (w *blobWriter) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		room, err := w.room()
		if err != nil {
			return written, err
		}
		n := copy(room, p)
		if err := w.took(n); err != nil {
			return written, err
		}
		written += n
		p = p[n:]
	}
	return written, nil
}

// ReadFrom implements io.ReaderFrom: it reads r to its end, straight into the chunk
// being filled. Only what shows that another chunk follows is read elsewhere, for
// the last one is not staged by itself.
func (w *blobWriter) ReadFrom(r io.Reader) (read int64, err error) {
	for {
		var n int
		if len(w.buf) == chunkSize {
			var next [512]byte
			n, err = r.Read(next[:])
			if _, failed := w.Write(next[:n]); failed != nil {
				return read, failed
			}
		} else {
			room, _ := w.room() // there is some: nothing is staged for it
			n, err = w.readInto(r, room)
			if failed := w.took(n); failed != nil {
				return read, failed
			}
		}
		read += int64(n)
		switch {
		case err == io.EOF:
			return read, nil
		case err != nil:
			return read, err
		}
	}
}

// readInto is r.Read into memory that is to be given back. Of a reader that fails, or
// panics, a part may go on behind it, as of one that gives up at a deadline while
// another goroutine reads: what it has of the memory is left to the collector.
func (w *blobWriter) readInto(r io.Reader, room []byte) (n int, err error) {
	pooled := w.pooled
	w.pooled = nil
	n, err = r.Read(room)
	if err == nil || err == io.EOF {
		w.pooled = pooled
	}
	return n, err
}

// room returns what is left of the chunk being filled, at least a byte: it stages a
// full one.
func (w *blobWriter) room() ([]byte, error) {
	if w.pooled == nil {
		w.buf, w.pooled = memoryFor(chunkSize)
		w.buf = w.buf[:0]
	}
	if len(w.buf) == chunkSize {
		if err := w.flush(backend.UpdateOptions{Buffered: true}); err != nil {
			return nil, err
		}
	}
	return w.buf[len(w.buf):chunkSize], nil
}

// took adds to the chunk the first n bytes of room, which have been written.
func (w *blobWriter) took(n int) error {
	if w.header.Size+int64(n) > w.limit {
		return errImageTooLarge
	}
	w.hash.Write(w.buf[len(w.buf):][:n])
	w.buf = w.buf[:len(w.buf)+n]
	w.header.Size += int64(n)
	return nil
}

// giveBack gives back the memory of the chunk, unless incoming has passed it on.
func (w *blobWriter) giveBack() {
	giveBack(w.pooled)
	w.buf, w.chunk, w.pooled = nil, nil, nil
}

// finish completes the header and stages the last chunk, unless everything
// fits into the commit.
func (w *blobWriter) finish(info imageheader.Info, o backend.UpdateOptions) error {
	w.header.Kind, w.header.Width, w.header.Height = info.ContentType, info.Width, info.Height
	w.header.SHA256 = [sha256.Size]byte(w.hash.Sum(nil))
	if !w.staged && len(w.buf) <= w.inline {
		w.chunk = encoding.AppendChunkTrailer(w.buf, w.id, 1)
		w.header.ChunkSize, w.header.Chunks = chunkSize, 1
		return nil
	}
	return w.flush(o)
}

// incoming returns what came in, when it is finished. A chunk that travels in the
// commit takes the writer's memory with it if it fills most of that: there may be
// many of them.
func (w *blobWriter) incoming() *incomingBlob {
	b := &incomingBlob{id: w.id, header: w.header, chunk: w.chunk, generation: w.generation}
	if len(w.chunk) > chunkSize/2 {
		b.pooled, w.pooled = w.pooled, nil
	} else if w.chunk != nil {
		b.chunk = bytes.Clone(w.chunk)
	}
	return b
}

// flush stages the chunk in the buffer and, when the image is whole, what is
// known of it. Each flush moves the deadline on: it counts from the last byte.
func (w *blobWriter) flush(o backend.UpdateOptions) error {
	whole := w.header.Kind != ""
	number := w.header.Chunks + 1
	chunk := encoding.AppendChunkTrailer(w.buf, w.id, number)
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
	w.buf = w.buf[:0]
	return nil
}
