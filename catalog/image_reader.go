package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"strings"

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
	ahead  []aheadChunk
	next   int64 // the chunk behind the last that was read: there the reader is expected to go on
	closed bool
}

// aheadChunk is one that was fetched with those before it.
type aheadChunk struct {
	number int64
	chunk  []byte
	pooled *[]byte
}

// fetchTogether is how many chunks are fetched at once from a store that processes
// share, and that is behind a network: 1 MiB.
const fetchTogether = 4

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
	var found encoding.Image
	err := c.view(ctx, account, id, func(v ProductView) error {
		images := v.record.Images()
		var image encoding.Image
		for i := 0; images.Next(&image); i++ {
			if i == order {
				found = image
				found.ContentType = strings.Clone(image.ContentType)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if found.Blob.IsZero() {
		return nil, ErrImageNotFound
	}
	r := &ImageReader{c: c, ctx: ctx, account: account, blob: found.Blob, number: -1}
	if found.Size <= chunkSize {
		// One chunk, and the record says all that the header does.
		r.header = encoding.BlobHeader{
			Size: found.Size, ChunkSize: chunkSize, Chunks: 1, SHA256: found.SHA256,
			Kind: found.ContentType, Width: found.Width, Height: found.Height,
		}
		return r, nil
	}
	exists, err := c.backend.Get(ctx, encoding.AppendBlobKey(nil, account, r.blob, 0), func(value []byte) error {
		return encoding.DecodeBlobHeader(value, &r.header)
	})
	if err != nil {
		return nil, err
	}
	if !exists {
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
	if begin == 0 && len(p) >= size && number != r.number && !r.has(number) {
		return r.readWhole(number, p)
	}
	if err := r.load(); err != nil {
		return 0, err
	}
	return copy(p, r.chunk[begin:]), nil
}

// readWhole reads whole chunks straight into p, which has room for one.
func (r *ImageReader) readWhole(number int64, p []byte) (n int, err error) {
	var into [][]byte
	for size := r.sizeOf(number); size > 0 && n+size <= len(p) && len(into) < r.together(number); size = r.sizeOf(number + int64(len(into))) {
		into = append(into, p[n:n+size])
		n += size
	}
	got, err := r.fetch(number, into)
	if n = 0; err != nil {
		return 0, err
	}
	for _, chunk := range into[:got] {
		n += len(chunk)
	}
	r.next = number + int64(got)
	return n, nil
}

// together returns how many chunks are worth fetching at once, from a number on. A
// reader that has sought is not expected to go on behind one.
func (r *ImageReader) together(number int64) int {
	if !r.c.clocked || number != r.next {
		return 1
	}
	return fetchTogether
}

// has reports whether a chunk was fetched ahead.
func (r *ImageReader) has(number int64) bool {
	return len(r.ahead) > 0 && r.ahead[0].number <= number && number <= r.ahead[len(r.ahead)-1].number
}

// WriteTo implements io.WriterTo: it writes the rest of the image to w. Of the
// store it holds nothing while w writes, however long that takes; but a
// *[bytes.Buffer], a *[strings.Builder], a hash of package crypto/sha256 and [io.Discard],
// which wait for nothing, are lent each chunk where it is in the store's memory,
// without a copy.
func (r *ImageReader) WriteTo(w io.Writer) (n int64, err error) {
	if r.closed {
		return 0, r.c.wrap("read image", "", fs.ErrClosed)
	}
	lent := isMemory(w) && !r.c.clocked
	for r.offset < r.header.Size {
		if number, _, _ := r.at(); lent && number != r.number {
			written, err := r.lend(w)
			n += written
			if err != nil {
				return n, err
			}
			continue
		}
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

// isMemory reports whether a write to w is done with memory and a processor alone,
// so that it may run while the store lends what is written. It goes by the types
// themselves: what implements an interface such as hash.Hash may hand on what it
// is given, and wait for that.
func isMemory(w io.Writer) bool {
	switch w.(type) {
	case *bytes.Buffer, *strings.Builder:
		return true
	}
	return w == io.Discard || reflect.TypeOf(w) == digestType
}

var digestType = reflect.TypeOf(sha256.New())

// lend writes the rest of the chunk at the offset to w, which isMemory, from where the
// store has it. An error of w is returned as it is.
func (r *ImageReader) lend(w io.Writer) (written int64, err error) {
	if err := r.usable(); err != nil {
		return 0, r.c.wrap("read image", "", err)
	}
	number, begin, size := r.at()
	n := uint32(1 + number)
	var own error
	found, err := r.c.backend.Get(r.ctx, encoding.AppendBlobKey(nil, r.account, r.blob, n), func(value []byte) error {
		chunk, err := r.c.verifiedChunk(value, r.blob, n, size)
		if err != nil {
			return err
		}
		var count int
		count, own = w.Write(chunk[begin:])
		if written = int64(count); own == nil && count < size-begin {
			own = io.ErrShortWrite
		}
		return nil
	})
	if err == nil && !found {
		err = ErrImageGone
	}
	r.offset += written
	r.next = number + 1
	if err != nil {
		return written, r.c.wrap("read image", "", err)
	}
	return written, own
}

// verifiedChunk returns the bytes of a chunk of size bytes that is stored as value,
// which they are a part of, and has compared them with their checksum: now, or before
// where that holds on.
func (c *Catalog) verifiedChunk(value []byte, id encoding.BlobID, n uint32, size int) ([]byte, error) {
	if !c.verified.Has(id, n) {
		if _, err := encoding.DecodeChunk(value, id, n); err != nil {
			return nil, err
		}
		c.verified.Add(id, n)
	}
	return encoding.UncheckedChunk(value, size)
}

// copyChunk copies the bytes of a chunk that is stored as value to dst, which has its
// length, and is as sure of them as verifiedChunk.
func (c *Catalog) copyChunk(dst, value []byte, id encoding.BlobID, n uint32) error {
	if !c.verified.Has(id, n) {
		err := encoding.CopyChunk(dst, value, id, n)
		if err == nil {
			c.verified.Add(id, n)
		}
		return err
	}
	chunk, err := encoding.UncheckedChunk(value, len(dst))
	copy(dst, chunk)
	return err
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
	giveBack(r.pooled)
	r.dropAhead(len(r.ahead))
	r.closed, r.pooled, r.chunk, r.number = true, nil, nil, -1
	return nil
}

// dropAhead gives back the memory of the first chunks that were fetched ahead.
func (r *ImageReader) dropAhead(n int) {
	for _, a := range r.ahead[:n] {
		giveBack(a.pooled)
	}
	r.ahead = r.ahead[n:]
}

// at returns the number of the chunk at the offset, where in it that is, and how
// long it is.
func (r *ImageReader) at() (number int64, begin, size int) {
	whole := int64(r.header.ChunkSize)
	number = r.offset / whole
	return number, int(r.offset % whole), r.sizeOf(number)
}

// sizeOf returns how long a chunk is, 0 behind the last.
func (r *ImageReader) sizeOf(number int64) int {
	whole := int64(r.header.ChunkSize)
	return int(max(0, min(whole, r.header.Size-number*whole)))
}

// load has the chunk at the offset in memory.
func (r *ImageReader) load() error {
	number, _, size := r.at()
	if number == r.number {
		return r.usable()
	}
	r.number = -1
	if r.has(number) {
		if err := r.usable(); err != nil {
			return err
		}
		r.dropAhead(int(number - r.ahead[0].number))
		giveBack(r.pooled)
		r.chunk, r.pooled = r.ahead[0].chunk, r.ahead[0].pooled
		r.ahead = r.ahead[1:]
		r.number, r.next = number, max(r.next, number+1)
		return nil
	}
	r.dropAhead(len(r.ahead))
	if cap(r.chunk) < size {
		r.take(size)
	}
	r.chunk = r.chunk[:size]
	into := [][]byte{r.chunk}
	for n := r.together(number); len(into) < n; {
		a := aheadChunk{number: number + int64(len(into))}
		if size = r.sizeOf(a.number); size == 0 {
			break
		}
		a.chunk, a.pooled = memoryFor(size)
		r.ahead, into = append(r.ahead, a), append(into, a.chunk)
	}
	got, err := r.fetch(number, into)
	for _, a := range r.ahead[max(0, got-1):] {
		giveBack(a.pooled)
	}
	r.ahead = r.ahead[:max(0, got-1)]
	if err != nil {
		return err
	}
	r.number, r.next = number, number+int64(got)
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

// take gets the reader memory for a chunk.
func (r *ImageReader) take(size int) {
	giveBack(r.pooled)
	r.chunk, r.pooled = memoryFor(size)
}

// fetch reads chunks from a number on, each into memory of its length, and returns
// how many of them are right, one behind the other. The error is that of the first
// chunk: what is wrong with another is found when that is its turn.
func (r *ImageReader) fetch(number int64, into [][]byte) (got int, err error) {
	if err := r.usable(); err != nil {
		return 0, err
	}
	keys, right := make([][]byte, len(into)), make([]bool, len(into))
	for i := range keys {
		keys[i] = encoding.AppendBlobKey(nil, r.account, r.blob, uint32(1+number)+uint32(i))
	}
	var first error
	take := func(i int, value []byte) error {
		err := r.c.copyChunk(into[i], value, r.blob, uint32(1+number)+uint32(i))
		right[i] = err == nil
		if i == 0 {
			first = err
		}
		return nil
	}
	if len(keys) == 1 {
		_, err = r.c.backend.Get(r.ctx, keys[0], func(value []byte) error { return take(0, value) })
	} else {
		err = r.c.backend.GetMany(r.ctx, keys, take)
	}
	if err == nil {
		err = first
	}
	if err != nil {
		return 0, err
	}
	for got < len(right) && right[got] {
		got++
	}
	if got == 0 {
		return 0, ErrImageGone
	}
	return got, nil
}
