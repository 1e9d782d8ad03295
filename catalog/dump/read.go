package dump

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"github.com/shelflife-db/shelflife/encoding"
)

// A consumer is handed what a dump holds, each piece when it was verified but for
// image bytes, which are while they are read.
type consumer interface {
	// begin is called with each product.
	begin(r *encoding.Record, uploads []*upload) error
	// bytes is called with each upload of that product that is new.
	bytes(u *upload, from io.Reader) error
	// end is called when the product's new uploads were read.
	end() error
}

// errBytes says that image bytes in a dump are not those of their name.
var errBytes = fmt.Errorf("%w: image bytes are others than their name says", ErrNotIntact)

// Verify reads a dump to its end, compares every byte, and returns what it holds. An
// error that matches ErrNotIntact says that Load would refuse it.
func Verify(ctx context.Context, r io.Reader) (Info, error) {
	return read(ctx, r, ignoring{})
}

// ignoring is a consumer that needs nothing.
type ignoring struct{}

func (ignoring) begin(*encoding.Record, []*upload) error { return nil }
func (ignoring) end() error                              { return nil }

func (ignoring) bytes(_ *upload, from io.Reader) error {
	_, err := io.Copy(io.Discard, from)
	return err
}

// read hands a dump to a consumer.
func read(ctx context.Context, r io.Reader, to consumer) (info Info, err error) {
	a, err := newArchiveReader(r)
	if err != nil {
		return info, err
	}
	defer a.close()
	p := &parser{archive: a, to: to}
	defer func() {
		info = p.info
		info.Bytes = a.in.n
	}()
	for {
		if err := ctx.Err(); err != nil {
			return info, err
		}
		name, size, err := a.next()
		if err != nil {
			return info, err
		}
		lines, ok, err := a.products(name, size)
		switch {
		case err != nil:
			return info, err
		case ok:
			if err := p.products(ctx, lines); err != nil {
				return info, err
			}
		case name == manifestName:
			return info, p.end(size)
		default:
			return info, fmt.Errorf("%w: %q is not expected here", ErrNotIntact, name)
		}
	}
}

// parser reads the products of a dump.
type parser struct {
	archive     *archiveReader
	to          consumer
	info        Info
	account, id string // of the last product
}

// products hands on a file of products.
func (p *parser) products(ctx context.Context, lines []byte) error {
	for len(lines) > 0 {
		text, rest, found := bytes.Cut(lines, []byte("\n"))
		if !found {
			return fmt.Errorf("%w: a line has no end", ErrNotIntact)
		}
		if err := p.product(ctx, text, len(rest) == 0); err != nil {
			return err
		}
		lines = rest
	}
	return nil
}

// product hands on a line, the last of its file or not, with the images behind it.
func (p *parser) product(ctx context.Context, text []byte, last bool) error {
	r, uploads, err := parseLine(text)
	if err != nil {
		return fmt.Errorf("%w: behind %d products: %v", ErrNotIntact, p.info.Products, err)
	}
	if p.info.Products > 0 && cmp.Or(cmp.Compare(r.Account, p.account), cmp.Compare(r.ID, p.id)) <= 0 {
		return fmt.Errorf("%w: account %q, product %q is not in its place", ErrNotIntact, r.Account, r.ID)
	}
	if p.info.Products == 0 || r.Account != p.account {
		p.info.Accounts++
	}
	p.info.Products++
	p.account, p.id = r.Account, r.ID
	if err := p.to.begin(r, uploads); err != nil {
		return err
	}
	for _, u := range uploads {
		if !u.new {
			continue
		}
		if !last {
			return fmt.Errorf("%w: images of account %q, product %q are missing", ErrNotIntact, r.Account, r.ID)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.image(u); err != nil {
			return err
		}
	}
	return p.to.end()
}

// image hands on the bytes of an upload.
func (p *parser) image(u *upload) error {
	img := u.images[0]
	name, size, err := p.archive.next()
	if err != nil {
		return err
	}
	if name != imageName(img.SHA256) || size != img.Size {
		return fmt.Errorf("%w: %q of %d bytes in the place of image bytes", ErrNotIntact, name, size)
	}
	p.info.Images++
	p.info.ImageBytes += size
	from := &summingReader{archive: p.archive, left: size, sum: sha256.New()}
	err = p.to.bytes(u, from)
	if from.left == 0 && [sha256.Size]byte(from.sum.Sum(nil)) != img.SHA256 {
		return errBytes // before whatever the consumer says of them
	}
	return err
}

// end compares what was read with the manifest.
func (p *parser) end(size int64) error {
	var m manifest
	if err := p.archive.readJSON(size, &m); err != nil {
		return err
	}
	p.info.LeftOut = m.LeftOut
	want := manifest{
		header: m.header, Accounts: p.info.Accounts, Products: p.info.Products,
		Images: p.info.Images, ImageBytes: p.info.ImageBytes, LeftOut: m.LeftOut,
		Names: hex.EncodeToString(p.archive.names.Sum(nil)),
	}
	if m != want || m.header != p.archive.header {
		return fmt.Errorf("%w: its manifest says %d products and %d images, and it holds %d and %d, or others",
			ErrNotIntact, m.Products, m.Images, p.info.Products, p.info.Images)
	}
	return p.archive.end()
}

// summingReader reads the bytes of a file, and sums them.
type summingReader struct {
	archive *archiveReader
	left    int64
	sum     hash.Hash
}

// Read implements io.Reader.
func (s *summingReader) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n, err := s.archive.tar.Read(p)
	s.left -= int64(n)
	s.sum.Write(p[:n])
	if s.left == 0 {
		return n, nil
	}
	if err != nil {
		err = s.archive.fault(err)
	}
	return n, err
}
