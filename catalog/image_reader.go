package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

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
// for Options.ImageGrace after the product released it.
type ImageReader struct {
	c       *Catalog
	ctx     context.Context
	account string
	blob    encoding.BlobID
	header  encoding.BlobHeader

	offset int64
	chunk  []byte  // what was read last into memory of the reader's own
	number int64   // of that chunk, -1 if there is none
	pooled *[]byte // that memory, if it is to be given back
	closed bool
}

var (
	_ io.ReadSeekCloser = (*ImageReader)(nil)
	_ io.WriterTo       = (*ImageReader)(nil)
)

// OpenImage opens the uploaded bytes of the image at the position order. ctx
// bounds the reader too. It fails with ErrNotFound where there is no live
// product, and with ErrImageNotFound where the product has no uploaded bytes
// there. The reader fails with ErrImageGone if the bytes leave the store while
// it is used; it never returns other bytes.
func (c *Catalog) OpenImage(ctx context.Context, account, externalID string, order int) (*ImageReader, error) {
	// The reader outlives the call, and is bounded by the caller's own context.
	_, call := c.begin(ctx, OpOpenImage)
	r, err := c.openImage(ctx, account, externalID, order)
	return r, call.end(c.wrap("open image", externalID, err))
}

func (c *Catalog) openImage(ctx context.Context, account, id string, order int) (*ImageReader, error) {
	var blob encoding.BlobID
	err := c.view(ctx, account, id, func(v ProductView) error {
		images := v.record.Images()
		var image encoding.Image
		for i := 0; images.Next(&image); i++ {
			if i == order {
				blob = image.Blob
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if blob.IsZero() {
		return nil, ErrImageNotFound
	}
	r := &ImageReader{c: c, ctx: ctx, account: account, blob: blob, number: -1}
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

// Read implements io.Reader. It fills p, if the image has that much left. Large
// reads cost the least: whole chunks, which the store keeps at 256 KiB each, go
// straight into p.
func (r *ImageReader) Read(p []byte) (n int, err error) {
	if r.closed {
		return 0, r.c.wrap("read image", "", fs.ErrClosed)
	}
	if r.offset >= r.header.Size {
		return 0, io.EOF
	}
	for n < len(p) && r.offset < r.header.Size && err == nil {
		var read int
		read, err = r.readChunk(p[n:])
		n += read
		r.offset += int64(read)
	}
	return n, r.c.wrap("read image", "", err)
}

// readChunk reads of the chunk at the offset what fits into p.
func (r *ImageReader) readChunk(p []byte) (int, error) {
	number, begin, size := r.at()
	if begin == 0 && len(p) >= size && number != r.number {
		if err := r.fetch(number, p[:size]); err != nil {
			return 0, err
		}
		return size, nil
	}
	if err := r.load(); err != nil {
		return 0, err
	}
	return copy(p, r.chunk[begin:]), nil
}

// WriteTo implements io.WriterTo: it writes the rest of the image to w. Of the
// store it holds nothing while w writes, however long that takes.
func (r *ImageReader) WriteTo(w io.Writer) (n int64, err error) {
	if r.closed {
		return 0, r.c.wrap("read image", "", fs.ErrClosed)
	}
	for r.offset < r.header.Size {
		if err := r.load(); err != nil {
			return n, r.c.wrap("read image", "", err)
		}
		_, begin, _ := r.at()
		rest := r.chunk[begin:]
		written, err := w.Write(rest)
		n += int64(written)
		r.offset += int64(written)
		if err == nil && written < len(rest) {
			err = io.ErrShortWrite
		}
		if err != nil {
			// A writer that has failed may still use what it was given: that of an
			// HTTP/2 stream which has ended does. It is left to the collector.
			r.pooled, r.chunk, r.number = nil, nil, -1
			return n, err
		}
	}
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
	if r.pooled != nil {
		chunkMemory.Put(r.pooled)
	}
	r.closed, r.pooled, r.chunk, r.number = true, nil, nil, -1
	return nil
}

// at returns the number of the chunk at the offset, where in it that is, and how
// long it is.
func (r *ImageReader) at() (number int64, begin, size int) {
	whole := int64(r.header.ChunkSize)
	number = r.offset / whole
	return number, int(r.offset % whole), int(min(whole, r.header.Size-number*whole))
}

// load has the chunk at the offset in memory.
func (r *ImageReader) load() error {
	number, _, size := r.at()
	if number == r.number {
		return r.usable()
	}
	r.number = -1
	if cap(r.chunk) < size {
		r.take(size)
	}
	r.chunk = r.chunk[:size]
	if err := r.fetch(number, r.chunk); err != nil {
		return err
	}
	r.number = number
	return nil
}

// usable returns why a call that the store would refuse gets nothing from memory
// either.
func (r *ImageReader) usable() error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if r.c.calls.Closed() {
		return backend.ErrClosed
	}
	return nil
}

// chunkMemory holds memory for a chunk that no reader uses.
var chunkMemory = sync.Pool{New: func() any {
	b := make([]byte, chunkSize)
	return &b
}}

// smallChunk is the length, in bytes, below which a chunk is not worth memory that
// is given back.
const smallChunk = 16 << 10

// take gets the reader memory for a chunk.
func (r *ImageReader) take(size int) {
	if r.pooled != nil {
		chunkMemory.Put(r.pooled)
		r.pooled = nil
	}
	if size < smallChunk || size > chunkSize {
		r.chunk = make([]byte, size)
		return
	}
	r.pooled = chunkMemory.Get().(*[]byte)
	r.chunk = *r.pooled
}

// fetch reads a chunk into p, which has its length. It verifies what it has copied,
// so that nothing is given away that was not verified.
func (r *ImageReader) fetch(number int64, p []byte) error {
	if err := r.usable(); err != nil {
		return err
	}
	n := uint32(1 + number)
	key := encoding.AppendBlobKey(nil, r.account, r.blob, n)
	found, err := r.c.backend.Get(r.ctx, key, func(value []byte) error {
		return encoding.CopyChunk(p, value, r.blob, n)
	})
	if err == nil && !found {
		err = ErrImageGone
	}
	return err
}
