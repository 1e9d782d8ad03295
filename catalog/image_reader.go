package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/encoding"
)

// ImageInfo describes uploaded image bytes.
type ImageInfo struct {
	// ContentType is what the bytes are, found by looking at them.
	ContentType   string
	Size          int64 // bytes
	Width, Height int   // stored pixels
	SHA256        [32]byte
}

// ImageReader reads uploaded image bytes. It is used by one goroutine at a
// time. It holds nothing in the store: what it reads stays as it was when it
// was opened because image bytes are never rewritten, and stays there at least
// for Options.ImageGrace after the product let go of it.
type ImageReader struct {
	c       *Catalog
	ctx     context.Context
	account string
	blob    encoding.BlobID
	header  encoding.BlobHeader

	offset int64
	chunk  []byte // the chunk that was read last
	number int64  // its number
	closed bool
}

var _ io.ReadSeekCloser = (*ImageReader)(nil)

// OpenImage opens the uploaded bytes of the image at the position order. ctx
// bounds the reader too. It fails with ErrNotFound where there is no live
// product, and with ErrImageNotFound where the product has no uploaded bytes
// there. The reader fails with ErrImageGone if the bytes leave the store while
// it is used; it never returns other bytes.
func (c *Catalog) OpenImage(ctx context.Context, account, externalID string, order int) (*ImageReader, error) {
	r, err := c.openImage(ctx, account, externalID, order)
	return r, c.wrap("open image", externalID, err)
}

func (c *Catalog) openImage(ctx context.Context, account, id string, order int) (*ImageReader, error) {
	var s stored
	if err := c.readLive(ctx, account, id, &s); err != nil {
		return nil, err
	}
	if err := s.images.Rest(&s.Record); err != nil {
		return nil, err
	}
	if order < 0 || order >= len(s.Images) || s.Images[order].Blob.IsZero() {
		return nil, ErrImageNotFound
	}
	r := &ImageReader{c: c, ctx: ctx, account: account, blob: s.Images[order].Blob, number: -1}
	found, err := c.backend.Get(ctx, encoding.AppendBlobKey(nil, account, r.blob, 0), func(value []byte) error {
		return encoding.DecodeBlobHeader(value, &r.header)
	})
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, ErrImageGone
	}
	if r.header.ChunkSize <= 0 {
		return nil, fmt.Errorf("%w: blob with chunks of %d bytes", encoding.ErrCorrupt, r.header.ChunkSize)
	}
	return r, nil
}

// Info describes the bytes.
func (r *ImageReader) Info() ImageInfo {
	h := &r.header
	return ImageInfo{h.Kind, h.Size, h.Width, h.Height, h.SHA256}
}

// Read implements io.Reader.
func (r *ImageReader) Read(p []byte) (int, error) {
	if r.closed {
		return 0, r.c.wrap("read image", "", fs.ErrClosed)
	}
	if r.offset >= r.header.Size {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	// A call that the store would refuse gets nothing from memory either.
	if err := r.ctx.Err(); err != nil {
		return 0, r.c.wrap("read image", "", err)
	}
	if r.c.calls.Closed() {
		return 0, r.c.wrap("read image", "", backend.ErrClosed)
	}
	size := int64(r.header.ChunkSize)
	if number := r.offset / size; number != r.number {
		if err := r.load(number); err != nil {
			return 0, r.c.wrap("read image", "", err)
		}
	}
	n := copy(p, r.chunk[r.offset%size:])
	r.offset += int64(n)
	return n, nil
}

// Seek implements io.Seeker.
func (r *ImageReader) Seek(offset int64, whence int) (int64, error) {
	if r.closed {
		return 0, r.c.wrap("seek in image", "", fs.ErrClosed)
	}
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += r.offset
	case io.SeekEnd:
		offset += r.header.Size
	default:
		return 0, r.c.wrap("seek in image", "", fmt.Errorf("unknown whence %d", whence))
	}
	if offset < 0 {
		return 0, r.c.wrap("seek in image", "", errors.New("position before the beginning"))
	}
	r.offset = offset
	return offset, nil
}

// Close ends the reader. Calling it again does nothing.
func (r *ImageReader) Close() error {
	r.closed, r.chunk, r.number = true, nil, -1
	return nil
}

// load reads the chunk with the number.
func (r *ImageReader) load(number int64) error {
	r.number = -1
	key := encoding.AppendBlobKey(nil, r.account, r.blob, uint32(1+number))
	found, err := r.c.backend.Get(r.ctx, key, func(value []byte) error {
		r.chunk = append(r.chunk[:0], value...)
		return nil
	})
	if err != nil {
		return err
	}
	if !found {
		return ErrImageGone
	}
	want := min(int64(r.header.ChunkSize), r.header.Size-number*int64(r.header.ChunkSize))
	if int64(len(r.chunk)) != want {
		return fmt.Errorf("%w: image chunk of %d bytes, not %d", encoding.ErrCorrupt, len(r.chunk), want)
	}
	r.number = number
	return nil
}
