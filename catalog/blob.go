package catalog

import (
	"errors"
	"fmt"
	"iter"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/imagegrace"
	"github.com/shelflife-db/shelflife/encoding"
)

// incomingBlob is image bytes that a commit may bring to a product. They stand
// under a blob ID that no other product ever gets and are never rewritten.
type incomingBlob struct {
	id     encoding.BlobID
	header encoding.BlobHeader
	// chunk is the stored form of the only chunk of a blob that travels in the
	// commit itself; nil for one that is staged.
	chunk []byte
	// pooled is the memory of chunk, if it is to be given back.
	pooled *[]byte
	// field is that of an image which brings it: "source" or
	// "source.fileKey".
	field string
	// ours is set if this upsert staged it, and discards it if it is not used;
	// generation is the backend's at that time.
	ours       bool
	generation uint64
	// claimed is set if the last run of the Update used it.
	claimed bool
}

// checkClaims returns the incoming blobs that next refers to and the old state
// of the same product did not, and checks that they can be had.
func (t *tx) checkClaims(f *found, next *encoding.Record, incoming []*incomingBlob) ([]*incomingBlob, error) {
	var claims []*incomingBlob
	faults := new(ValidationError)
	holds := func(b *incomingBlob) bool {
		return f.stored != nil && f.stored.Incarnation == next.Incarnation && indexOfBlob(f.stored.Images, b.id) >= 0
	}
	for _, b := range incoming {
		if next == nil || indexOfBlob(next.Images, b.id) < 0 || holds(b) {
			continue
		}
		claims = append(claims, b)
		if b.chunk != nil {
			continue
		}
		if b.ours {
			if err := t.since(b.generation); err != nil {
				return nil, err
			}
		}
		h, err := t.blobHeader(f.account, b.id)
		if err != nil {
			return nil, err
		}
		// What this upsert has staged may wait for the rest of its uploads, as long
		// as it is there.
		if h == nil || h.State != encoding.BlobStaged || h.Chunks == 0 || h.Deadline <= t.now && !b.ours {
			b.lost(faults, next)
			continue
		}
		b.header = *h
	}
	return claims, faults.err()
}

// lost notes, at each image of next that refers to b, that it can't be had.
func (b *incomingBlob) lost(faults *ValidationError, next *encoding.Record) {
	reason := "the staged image has expired or belongs to a product already"
	if b.ours {
		reason = errStageLost.Error()
	}
	for i := range next.Images {
		if next.Images[i].Blob == b.id {
			faults.add(fmt.Sprintf("images.%d.%s", i, b.field), CodeInvalidImageInput, "%s", reason)
		}
	}
}

// claimBlob makes a blob that checkClaims found to be free r's own.
func (t *tx) claimBlob(r *encoding.Record, b *incomingBlob) error {
	b.claimed = true
	if b.chunk == nil {
		if err := t.deleteExpiry(blobExpiry(r.Account, b.id, b.header.Deadline)); err != nil {
			return err
		}
	} else if err := t.putChunk(r.Account, b.id, 1, b.chunk); err != nil {
		return err
	}
	h := b.header
	h.State, h.Owner, h.Incarnation, h.Deadline = encoding.BlobOwned, r.ID, r.Incarnation, encoding.None
	return t.putBlobHeader(r.Account, b.id, &h)
}

// release is a blob that a change makes garbage, and its header.
type release struct {
	id     encoding.BlobID
	header *encoding.BlobHeader
}

// checkReleases returns the blobs that only the old state refers to. Where the
// scope of one was not declared, the Update will start again with it.
func (t *tx) checkReleases(f *found, next *encoding.Record) ([]release, error) {
	if f.stored == nil {
		return nil, nil
	}
	var released []release
	for id := range blobsOf(f.stored) {
		if next != nil && indexOfBlob(next.Images, id) >= 0 {
			continue
		}
		if s := blobScope(f.account, id); !t.declared(s) {
			t.missing = append(t.missing, s)
			continue
		}
		h, err := t.blobHeader(f.account, id)
		if errors.Is(err, encoding.ErrCorrupt) {
			// Damage must neither keep the product from being changed nor the
			// bytes from being removed.
			h, err = &encoding.BlobHeader{ChunkSize: chunkSize}, nil
		}
		if err != nil {
			return nil, err
		}
		if h != nil {
			released = append(released, release{id, h})
		}
	}
	return released, nil
}

// releaseBlob leaves a blob to the sweeper, after the readers' grace, or to what
// ends that early.
func (t *tx) releaseBlob(account string, r release) error {
	r.header.State, r.header.Deadline = encoding.BlobGarbage, t.now+t.c.opts.ImageGrace.Milliseconds()
	if err := t.putExpiry(blobExpiry(account, r.id, r.header.Deadline), encoding.ExpiryValue{}); err != nil {
		return err
	}
	waits := imagegrace.Blob{Account: account, ID: r.id, Size: r.header.Size, Deadline: r.header.Deadline}
	t.txn.OnVisible(func() { t.c.released.Add(waits) })
	return t.putBlobHeader(account, r.id, r.header)
}

// removeBlob deletes a blob without an owner, with its current expiry entry.
func (t *tx) removeBlob(account string, id encoding.BlobID, h *encoding.BlobHeader) error {
	start, end := encoding.BlobChunksRange(account, id)
	var keys [][]byte
	for e, err := range t.txn.Scan(t.ctx, backend.Range{Start: start, End: end}, backend.ScanOptions{KeysOnly: true}) {
		if err != nil {
			return err
		}
		keys = append(keys, append([]byte(nil), e.Key...))
	}
	for i, key := range keys {
		size := 0
		if i > 0 {
			size = h.ChunkSize + encoding.ChunkTrailer
		}
		if err := t.txn.Delete(key, size); err != nil {
			return err
		}
	}
	return t.deleteExpiry(blobExpiry(account, id, h.Deadline))
}

// blobHeader returns nil for a blob that does not exist.
func (t *tx) blobHeader(account string, id encoding.BlobID) (h *encoding.BlobHeader, err error) {
	t.key = encoding.AppendBlobKey(t.key[:0], account, id, 0)
	_, err = t.txn.Get(t.ctx, t.key, func(value []byte) error {
		h = new(encoding.BlobHeader)
		return encoding.DecodeBlobHeader(value, h)
	})
	return h, err
}

func (t *tx) putBlobHeader(account string, id encoding.BlobID, h *encoding.BlobHeader) error {
	t.key = encoding.AppendBlobKey(t.key[:0], account, id, 0)
	t.value = encoding.AppendBlobHeader(t.value[:0], h)
	return t.txn.Put(t.key, t.value)
}

// putChunk writes the n-th value of a blob, the stored form of a chunk; 0 would be
// the header.
func (t *tx) putChunk(account string, id encoding.BlobID, n uint32, chunk []byte) error {
	t.key = encoding.AppendBlobKey(t.key[:0], account, id, n)
	return t.txn.Put(t.key, chunk)
}

func blobExpiry(account string, id encoding.BlobID, deadline int64) encoding.Expiry {
	return encoding.Expiry{Kind: encoding.ExpiryBlob, Deadline: deadline, Account: account, ID: string(id[:])}
}

// blobsOf yields each blob that r refers to once.
func blobsOf(r *encoding.Record) iter.Seq[encoding.BlobID] {
	return func(yield func(encoding.BlobID) bool) {
		for i := range r.Images {
			id := r.Images[i].Blob
			if !id.IsZero() && indexOfBlob(r.Images, id) == i && !yield(id) {
				return
			}
		}
	}
}
