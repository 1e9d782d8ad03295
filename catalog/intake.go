package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/encoding"
)

// intake is what an upsert was given, checked and received as far as that goes
// without the stored product.
type intake struct {
	account string
	patch   *preparedPatch
	blobs   []*incomingBlob
}

// receive checks the arguments of an upsert and takes in its uploads. Where it
// returns an error, nothing is left behind.
func (c *Catalog) receive(ctx context.Context, account, id string, p Patch) (*intake, error) {
	faults := new(ValidationError)
	checkAccount(faults, account)
	checkExternalID(faults, id)
	in := &intake{account: account, patch: c.prepare(faults, p)}
	images, _ := p.Images.Get()
	if len(images) != len(in.patch.images) {
		return nil, faults.err() // too many to look at each
	}
	if err := c.receiveUploads(ctx, faults, in, images); err != nil {
		in.discard(ctx, c)
		return nil, err
	}
	if err := c.findStaged(ctx, faults, in, images); err != nil {
		in.discard(ctx, c)
		return nil, err
	}
	if err := faults.err(); err != nil {
		in.discard(ctx, c)
		return nil, err
	}
	return in, nil
}

// receiveUploads takes in each upload once. After a fault it only looks for
// more of them.
func (c *Catalog) receiveUploads(ctx context.Context, faults *ValidationError, in *intake, images []NewImage) error {
	type receipt struct {
		blob  *incomingBlob
		fault *ValidationError
	}
	received := make(map[*Upload]receipt)
	budget := inlineBudget
	for i := range images {
		up := images[i].Upload
		if up == nil || up.r == nil {
			continue
		}
		path := fmt.Sprintf("images.%d.source.fileKey", i)
		got, ok := received[up]
		if !ok {
			r, err := up.begin()
			if err != nil {
				return err
			}
			if len(faults.Fields) == 0 {
				got.blob, err = c.receiveBlob(ctx, in.account, r, budget, backend.UpdateOptions{Buffered: true})
			} else {
				err = c.checkUpload(r)
			}
			up.end()
			if err != nil && !errors.As(err, &got.fault) {
				return err
			}
			received[up] = got
			if b := got.blob; b != nil {
				b.field = "source.fileKey"
				if b.ours = b.chunk == nil; !b.ours {
					budget -= int(b.header.Size)
				}
				in.blobs = append(in.blobs, b)
			}
		}
		if got.fault != nil {
			faults.add(path, got.fault.Code(), "%s", got.fault.Fields[0].Message)
		}
		in.patch.images[i].blob = got.blob
	}
	return nil
}

// checkUpload reads an image as receiveBlob does and returns the same faults,
// but keeps nothing.
func (c *Catalog) checkUpload(r io.Reader) error {
	limited := &io.LimitedReader{R: r, N: min(c.limits.ImageBytes, math.MaxInt64-1) + 1}
	err := c.InspectUpload(limited)
	if err == nil {
		_, err = io.Copy(io.Discard, limited)
	}
	if limited.N <= 0 {
		return c.imageTooLarge()
	}
	return err
}

func (c *Catalog) imageTooLarge() error {
	return invalid("", CodePayloadTooLarge, "an image must be at most %d bytes long", c.limits.ImageBytes)
}

// findStaged looks up the staged images that the patch refers to. Whether they
// can be claimed is judged by the commit.
func (c *Catalog) findStaged(ctx context.Context, faults *ValidationError, in *intake, images []NewImage) error {
	found := make(map[StagedRef]*incomingBlob)
	for i := range images {
		ref := images[i].Staged
		id, ok := encoding.ParseBlobID(string(ref))
		if ref == "" || !ok {
			continue
		}
		path := stagedPath(i)
		b := found[ref]
		if b == nil {
			var err error
			if b, err = c.stagedBlob(ctx, in.account, id); err != nil {
				return err
			}
			if b == nil {
				faults.addUnknownStaged(path)
				continue
			}
			found[ref] = b
			in.blobs = append(in.blobs, b)
		}
		in.patch.images[i].blob = b
	}
	return nil
}

// stagedBlob returns a staged image, nil where there is none.
func (c *Catalog) stagedBlob(ctx context.Context, account string, id encoding.BlobID) (*incomingBlob, error) {
	b := &incomingBlob{id: id, field: "source"}
	exists, err := c.backend.Get(ctx, encoding.AppendBlobKey(nil, account, id, 0), func(value []byte) error {
		return encoding.DecodeBlobHeader(value, &b.header)
	})
	if err != nil || !exists || b.header.Chunks == 0 {
		return nil, err
	}
	return b, nil
}

// stagedPath is that of a staged reference of the image at the position i.
func stagedPath(i int) string { return fmt.Sprintf("images.%d.source", i) }

func (e *ValidationError) addUnknownStaged(path string) {
	e.add(path, CodeInvalidImageInput, "there is no such staged image")
}

// scopes returns those of the blobs that the commit may claim.
func (in *intake) scopes() []backend.Scope {
	scopes := make([]backend.Scope, 0, 1+len(in.blobs))
	for _, b := range in.blobs {
		scopes = append(scopes, blobScope(in.account, b.id))
	}
	return scopes
}

// failed notes that the Update which may have claimed blobs did not commit, as
// far as that is known.
func (in *intake) failed(err error) {
	if errors.Is(err, backend.ErrUnknownOutcome) {
		return
	}
	for _, b := range in.blobs {
		b.claimed = false
	}
}

// discard removes what was staged for this upsert and not used, and gives back the
// memory of what was to travel in the commit. A failure is no harm: the sweeper
// finds what is left.
func (in *intake) discard(ctx context.Context, c *Catalog) {
	for _, b := range in.blobs {
		giveBack(b.pooled)
		b.pooled = nil
		if b.ours && !b.claimed {
			c.discardStaged(ctx, in.account, b.id)
		}
	}
}

// size estimates what the upsert will write, in bytes.
func (in *intake) size() int {
	n := len(in.patch.metadata) + len(in.patch.description.text)
	for i := range in.patch.images {
		n += len(in.patch.images[i].url) + len(in.patch.images[i].classifications)
	}
	for _, b := range in.blobs {
		n += len(b.chunk)
	}
	return n
}
