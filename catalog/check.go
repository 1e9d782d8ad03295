package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"math"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/encoding"
)

// maxProblems ends a check that finds nothing but damage.
const maxProblems = 1000

// CheckReport is what [Catalog.Check] found.
type CheckReport struct {
	Products int // records, expired ones that are still stored included
	Expired  int // of them, those that have expired, and are removed in the background
	Listed   int // entries of the list
	Blobs    int // stored images, those waiting for removal included
	Entries  int // entries of the expiry space
	// Stale counts the entries of the expiry space that stand for nothing any
	// more. The sweeper drops them when they are due. Of products there are none in a
	// sound store but those that a store has from before there was a version 1.
	Stale int
	// Unreadable counts the stretches of the store that can't be read. What is
	// in them is in none of the counts above.
	Unreadable int
	// Problems are the broken invariants; none in a sound store.
	Problems []Problem
	// Truncated says that the check ended early, after 1,000 problems.
	Truncated bool
	// Complete says that the whole store was walked. It is false in the report
	// of a check that failed.
	Complete bool
}

// Sound reports whether the whole store was walked and nothing is wrong with it.
func (r CheckReport) Sound() bool { return r.Complete && len(r.Problems) == 0 }

// Problem is one broken invariant.
type Problem struct {
	Account    string // "" where it is not known
	ExternalID string // "" where it is not known
	What       string
}

// String returns a line that names the product, as far as it is known, and the
// problem.
func (p Problem) String() string {
	switch {
	case p.Account == "":
		return p.What
	case p.ExternalID == "":
		return fmt.Sprintf("account %q: %s", p.Account, p.What)
	}
	return fmt.Sprintf("account %q, product %q: %s", p.Account, p.ExternalID, p.What)
}

// Check reads the whole store, as it is at one instant, and reports every
// broken invariant: a product without its current expiry entry, or with another
// one, or one that does not say what there is to remove with it, a list that
// disagrees with the products, a key that disagrees with its record, a record that
// says of its texts what is not so, an image
// whose bytes are missing, damaged or without an owner, a part of the use journal that
// can't be read. Where a stretch of the store can't be read at all, it names the
// products concerned, as far as the rest of the store knows them, and otherwise
// those between which they lie, and reads on behind. It changes nothing.
func (c *Catalog) Check(ctx context.Context) (CheckReport, error) {
	ctx, call := c.begin(ctx, OpCheck)
	var report CheckReport
	err := c.long(ctx, func(ctx context.Context) (err error) {
		report, err = c.check(ctx, nil)
		return err
	})
	return report, call.end(c.wrap("check", "", err))
}

// check is Check at a pace.
func (c *Catalog) check(ctx context.Context, pace *pace) (CheckReport, error) {
	snapshot, err := c.backend.Snapshot(ctx)
	if err != nil {
		return CheckReport{}, err
	}
	defer snapshot.Close()
	k := &checker{c: c, ctx: ctx, reader: snapshot, pace: pace}
	for _, space := range []struct {
		space byte
		visit func(key, value []byte) error
	}{
		{encoding.SpaceMeta, k.meta},
		{encoding.SpaceProduct, k.product},
		{encoding.SpaceListed, k.listed},
		{encoding.SpaceBlob, k.blobKey},
		{encoding.SpaceExpiry, k.expiry},
	} {
		if err := k.walk(space.space, space.visit); err != nil {
			return k.report, err
		}
	}
	k.report.Complete = !k.report.Truncated
	return k.report, nil
}

type checker struct {
	c      *Catalog
	ctx    context.Context
	reader backend.Reader
	pace   *pace
	report CheckReport
	blob   blobCheck // the blob whose keys are being walked
	// unreadable are the products that were said to be.
	unreadable map[productkey.Key]struct{}
}

func (k *checker) walk(space byte, visit func(key, value []byte) error) error {
	start, end := encoding.SpaceRange(space)
	o := backend.ScanOptions{PastDamage: true}
	for e, err := range k.reader.Scan(k.ctx, backend.Range{Start: start, End: end}, o) {
		var damage *backend.DamageError
		switch {
		case errors.As(err, &damage):
			k.damaged(space, damage)
		case err != nil:
			return err
		default:
			if err := visit(e.Key, e.Value); err != nil {
				return err
			}
			if err := k.pace.rest(k.ctx); err != nil {
				return err
			}
		}
		if len(k.report.Problems) >= maxProblems {
			k.report.Truncated = true
			return nil
		}
	}
	if space == encoding.SpaceBlob {
		k.endBlob()
	}
	return nil
}

func (k *checker) problem(account, id, format string, args ...any) {
	k.report.Problems = append(k.report.Problems, Problem{account, id, fmt.Sprintf(format, args...)})
}

// meta checks what is about the store itself. What the use journal says needs no
// check: a use of a product that is gone stands for nothing.
func (k *checker) meta(key, value []byte) error {
	name, err := encoding.DecodeMetaKey(key)
	if err != nil {
		k.problem("", "", "meta key %x: %v", key, err)
		return nil
	}
	if err := checkMetaValue(name, value); err != nil {
		k.problem("", "", "meta entry %s: %v", name, err)
	}
	return nil
}

// checkMetaValue returns nil if the value of a meta entry can be understood.
func checkMetaValue(name string, value []byte) (err error) {
	_, part := encoding.ParseUseJournalName(name)
	switch {
	case name == encoding.StoreMetaName:
		err = encoding.DecodeStoreMeta(value, new(encoding.StoreMeta))
	case name == encoding.SweepProgressName:
		_, err = encoding.DecodeSweepProgress(value)
	case name == encoding.SweepLeaseName:
		_, err = encoding.DecodeSweepLease(value)
	case name == encoding.UseJournalStart:
		_, err = encoding.DecodeUseJournalStart(value)
	case part:
		_, err = encoding.DecodeUses(value)
	}
	return err
}

func (k *checker) product(key, value []byte) error {
	k.report.Products++
	account, id, err := encoding.DecodeProductKey(key)
	if err != nil {
		k.problem("", "", "product key %x: %v", key, err)
		return nil
	}
	var r encoding.Record
	if err := encoding.DecodeRecord(value, &r); err != nil {
		k.problem(account, id, "%v", err)
		return nil
	}
	if r.Account != account || r.ID != id {
		k.problem(account, id, "the record says account %q, product %q", r.Account, r.ID)
		return nil
	}
	if err := encoding.CheckTexts(value, &r); err != nil {
		k.problem(account, id, "%v", err) // its JSON would be broken
	}
	if !isLive(k.c.uses.On(&r), k.c.now.Now()) {
		k.report.Expired++
	}
	if r.Listed && r.Generated {
		k.problem(account, id, "listed under a generated ID")
	}
	if len(r.Images) == 0 {
		k.problem(account, id, "has no image")
	}
	if err := k.productExpiry(&r); err != nil {
		return err
	}
	listed, err := k.exists(encoding.AppendListedKey(nil, account, id))
	if unread, err := k.unread(err); unread || err != nil {
		return err
	}
	if listed != r.Listed {
		k.problem(account, id, "listed is %t but its entry in the list says %t", r.Listed, listed)
	}
	return k.productImages(&r)
}

func (k *checker) productExpiry(r *encoding.Record) error {
	deadline := r.ExpiresAt()
	if deadline == encoding.None {
		if r.IndexedAt != encoding.None {
			k.problem(r.Account, r.ID, "kept forever but indexed at %d", r.IndexedAt)
		}
		return nil
	}
	if r.IndexedAt == encoding.None || r.IndexedAt > deadline {
		k.problem(r.Account, r.ID, "expires at %d but indexed at %d", deadline, r.IndexedAt)
		return nil
	}
	e := encoding.Expiry{Kind: encoding.ExpiryProduct, Deadline: r.IndexedAt, Account: r.Account, ID: r.ID}
	ok, err := k.hasExpiry(e)
	if err == nil && !ok {
		k.problem(r.Account, r.ID, "has no expiry entry at %d", r.IndexedAt)
	}
	_, err = k.unread(err)
	return err
}

func (k *checker) productImages(r *encoding.Record) error {
	for i := range r.Images {
		img := &r.Images[i]
		if img.Blob.IsZero() {
			continue
		}
		h, err := k.header(r.Account, img.Blob)
		unread, err := k.unread(err)
		if err != nil {
			return err
		}
		switch {
		case unread:
			k.problem(r.Account, r.ID, "image %d: what is known of its bytes %s can't be read", i, img.Blob)
		case h == nil:
			k.problem(r.Account, r.ID, "image %d: its bytes %s are missing", i, img.Blob)
		case h.State != encoding.BlobOwned || h.Owner != r.ID || h.Incarnation != r.Incarnation:
			k.problem(r.Account, r.ID, "image %d: its bytes %s are not its own", i, img.Blob)
		case h.Size != img.Size || h.SHA256 != img.SHA256:
			k.problem(r.Account, r.ID, "image %d: its bytes %s are others than the product says", i, img.Blob)
		}
	}
	return nil
}

func (k *checker) listed(key, value []byte) error {
	k.report.Listed++
	account, id, err := encoding.DecodeListedKey(key)
	if err != nil {
		k.problem("", "", "list key %x: %v", key, err)
		return nil
	}
	if err := encoding.CheckListedValue(value); err != nil {
		k.problem(account, id, "its entry in the list: %v", err)
	}
	ok, err := k.exists(encoding.AppendProductKey(nil, account, id))
	if err == nil && !ok {
		k.problem(account, id, "in the list but does not exist")
	}
	return k.named(account, id, err)
}

// blobCheck is what was seen of a blob whose keys are being walked.
type blobCheck struct {
	account string
	id      encoding.BlobID
	header  *encoding.BlobHeader
	unread  bool // some of it can't be read, which has been said
	damaged bool // so is some of it, which has been said
	chunks  uint32
	size    int64
	hash    hash.Hash
}

func (k *checker) blobKey(key, value []byte) error {
	account, id, n, err := encoding.DecodeBlobKey(key)
	if err != nil {
		k.problem("", "", "image key %x: %v", key, err)
		return nil
	}
	if n == 0 {
		k.endBlob()
		return k.beginBlob(account, id, value)
	}
	b := &k.blob
	if b.account != account || b.id != id {
		unread := b.unread
		k.endBlob()
		k.blob = blobCheck{account: account, id: id}
		if !unread {
			k.problem(account, "", "image bytes %s have no header", id)
		}
		return nil
	}
	if b.header == nil {
		return nil // said already
	}
	chunk, err := encoding.DecodeChunk(value, id, n)
	if err != nil {
		k.problem(account, b.header.Owner, "image bytes %s, chunk %d: %v", id, n, err)
		b.damaged = true
	}
	if n != b.chunks+1 && !b.unread {
		k.problem(account, b.header.Owner, "image bytes %s: chunk %d is missing", id, b.chunks+1)
	}
	b.chunks = n
	b.size += int64(len(chunk))
	b.hash.Write(chunk)
	return nil
}

func (k *checker) beginBlob(account string, id encoding.BlobID, value []byte) error {
	k.report.Blobs++
	k.blob = blobCheck{account: account, id: id}
	h := new(encoding.BlobHeader)
	if err := encoding.DecodeBlobHeader(value, h); err != nil {
		k.problem(account, "", "image bytes %s: %v", id, err)
		return nil
	}
	k.blob.header, k.blob.hash = h, sha256.New()
	if h.State == encoding.BlobOwned {
		return k.owned(account, id, h)
	}
	ok, err := k.hasExpiry(blobExpiry(account, id, h.Deadline))
	if err == nil && !ok {
		k.problem(account, h.Owner, "image bytes %s wait for removal but have no expiry entry at %d", id, h.Deadline)
	}
	_, err = k.unread(err)
	return err
}

// owned checks that the owner of a blob refers to it.
func (k *checker) owned(account string, id encoding.BlobID, h *encoding.BlobHeader) error {
	var r encoding.Record
	found, err := k.reader.Get(k.ctx, encoding.AppendProductKey(nil, account, h.Owner), func(value []byte) error {
		if err := encoding.DecodeRecord(value, &r); err != nil {
			r = encoding.Record{} // reported with the product
		}
		return nil
	})
	if err == nil && (!found || r.Incarnation != h.Incarnation || indexOfBlob(r.Images, id) < 0) {
		k.problem(account, h.Owner, "does not refer to the image bytes %s that it owns", id)
	}
	return k.named(account, h.Owner, err)
}

// endBlob checks the bytes of the blob that was walked. Those of a staged one
// may be on their way in.
func (k *checker) endBlob() {
	b := k.blob
	k.blob = blobCheck{}
	if b.header == nil || b.header.State != encoding.BlobOwned {
		return
	}
	if b.unread {
		k.problem(b.account, b.header.Owner, "image bytes %s can't be read whole", b.id)
		return
	}
	if b.damaged {
		return
	}
	if b.header.Size <= chunkSize && b.chunks > 1 {
		k.problem(b.account, b.header.Owner, "image bytes %s are in %d chunks, not in one", b.id, b.chunks)
	}
	if b.chunks != b.header.Chunks || b.size != b.header.Size || !bytes.Equal(b.hash.Sum(nil), b.header.SHA256[:]) {
		k.problem(b.account, b.header.Owner, "image bytes %s are damaged", b.id)
	}
}

// unknownFlags stand for those of an entry that can't be read.
const unknownFlags encoding.ExpiryFlags = math.MaxUint32

func (k *checker) expiry(key, value []byte) error {
	k.report.Entries++
	e, err := encoding.DecodeExpiryKey(key)
	if err != nil {
		k.problem("", "", "expiry key %x: %v", key, err)
		return nil
	}
	v, err := encoding.DecodeExpiryValue(value)
	if err != nil {
		k.problem(e.Account, e.ID, "its expiry entry at %d: %v", e.Deadline, err)
		v.Flags = unknownFlags // said already
	}
	if e.Shard != encoding.Shard(e.Account, e.ID, k.c.shards) {
		k.problem(e.Account, e.ID, "expiry entry in shard %d", e.Shard)
	}
	current, err := k.isCurrent(e, v)
	if err == nil && !current {
		k.report.Stale++
	}
	if e.Kind == encoding.ExpiryProduct {
		return k.named(e.Account, e.ID, err)
	}
	_, err = k.unread(err) // said where images are walked
	return err
}

// isCurrent reports whether e is the current entry of what it stands for, or that
// can't be known, and checks what its value says of a product.
func (k *checker) isCurrent(e encoding.Expiry, v encoding.ExpiryValue) (current bool, err error) {
	if blob, ok := e.BlobID(); ok {
		h, err := k.header(e.Account, blob)
		return h != nil && h.State != encoding.BlobOwned && h.Deadline == e.Deadline, err
	}
	_, err = k.reader.Get(k.ctx, encoding.AppendProductKey(nil, e.Account, e.ID), func(value []byte) error {
		var r encoding.Record
		if encoding.DecodeRecord(value, &r) != nil {
			current = true // what is said of the record is said already
			return nil
		}
		if current = r.IndexedAt == e.Deadline; current {
			k.expiryFlags(&r, v.Flags)
		}
		return nil
	})
	// One that has the record read is harmless.
	if err == nil && !current && v.Flags.Known() {
		k.problem(e.Account, e.ID, "has an expiry entry at %d that is not its own", e.Deadline)
	}
	return current, err
}

// expiryFlags checks what the current entry of a product says.
func (k *checker) expiryFlags(r *encoding.Record, flags encoding.ExpiryFlags) {
	want := expiryValue(r, 0).Flags
	switch missing := want &^ flags; {
	case !flags.Known() || flags == want:
	case missing&encoding.ExpiryRenewed != 0:
		k.problem(r.Account, r.ID, "its expiry entry doesn't say that it was renewed")
	case missing&encoding.ExpiryUploads != 0:
		k.problem(r.Account, r.ID, "its expiry entry doesn't say that it has uploads")
	default:
		k.problem(r.Account, r.ID, "its expiry entry says %b of it, and not %b", flags, want)
	}
}

// header returns nil for a blob that is missing or damaged; damage is reported
// where blobs are walked.
func (k *checker) header(account string, id encoding.BlobID) (h *encoding.BlobHeader, err error) {
	_, err = k.reader.Get(k.ctx, encoding.AppendBlobKey(nil, account, id, 0), func(value []byte) error {
		h = new(encoding.BlobHeader)
		if encoding.DecodeBlobHeader(value, h) != nil {
			h = nil
		}
		return nil
	})
	return h, err
}

func (k *checker) hasExpiry(e encoding.Expiry) (bool, error) {
	e.Shard = encoding.Shard(e.Account, e.ID, k.c.shards)
	return k.exists(encoding.AppendExpiryKey(nil, e))
}

func (k *checker) exists(key []byte) (bool, error) {
	return k.reader.Get(k.ctx, key, func([]byte) error { return nil })
}
