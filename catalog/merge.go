package catalog

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/shelflife-db/shelflife/catalog/internal/uses"
	"github.com/shelflife-db/shelflife/encoding"
)

// upsertKind is the call that an upsert came by: the three differ in what they mean for a
// product's lifetime, uses and listing.
type upsertKind int

const (
	explicit upsertKind = iota
	inline
	oneShot
)

// defaultDays is the lifetime of a product that is created without one.
func (kind upsertKind) defaultDays() int {
	switch kind {
	case inline:
		return 15
	case oneShot:
		return 7
	default:
		return 0
	}
}

// isUse reports whether the upsert counts as a use.
func (kind upsertKind) isUse() bool { return kind != explicit }

// identities makes the random numbers of products and edits.
type identities func() uint64

// create sets *r to the product that p makes under id, and takes the memory of
// r.Images if that is large enough. Every fault that keeps it from being made is in the
// error; the product is then incomplete.
func (kind upsertKind) create(r *encoding.Record, account, id string, p *preparedPatch, now int64, random identities) error {
	faults := new(ValidationError)
	if kind != oneShot && strings.HasPrefix(id, generatedPrefix) {
		faults.add("externalId", CodeValidationFailed, "the prefix %q is reserved for IDs that are generated", generatedPrefix)
	}
	if p.images == nil {
		faults.add("images", CodeImagesRequired, "a product needs at least one image")
	}
	*r = encoding.Record{
		Listed:       kind == explicit,
		Generated:    kind == oneShot,
		Incarnation:  random(),
		Edit:         random(),
		Revision:     1,
		CreatedAt:    now,
		UpdatedAt:    now,
		LastUsedAt:   encoding.None,
		Anchor:       now,
		IndexedAt:    encoding.None,
		ValidForDays: kind.defaultDays(),
		Account:      account,
		ID:           id,
		Title:        p.title.text,
		Description:  p.description.text,
		Images:       mergeImages(faults, r.Images[:0], nil, p.images),
		Metadata:     p.metadata,
	}
	if p.setDays {
		r.ValidForDays = p.days
	}
	if kind.isUse() {
		r.LastUsedAt = now
	}
	return faults.err()
}

// edit returns what p makes of old, which is not changed; where there is an
// error it is incomplete. changed reports whether that is an edit, renewed whether
// the patch restarted the clock. Times never go back, though now may lie before
// what another clock wrote.
func (kind upsertKind) edit(old *encoding.Record, p *preparedPatch, now int64, random identities) (next *encoding.Record, changed, renewed bool, err error) {
	faults := new(ValidationError)
	r := *old
	changed = p.editFields(faults, old, &r)
	if p.setDays {
		renewed = p.days != 0
		changed = changed || p.days != old.ValidForDays
		r.ValidForDays = p.days
	}
	if kind == explicit && !old.Listed && !old.Generated {
		r.Listed, changed = true, true
	}
	if err := faults.err(); err != nil {
		return &r, false, false, err
	}
	if changed {
		r.Edit = random()
		r.Revision++
		r.UpdatedAt = max(now, old.UpdatedAt)
	}
	if renewed {
		r.Anchor = max(now, r.Anchor)
	}
	if kind.isUse() {
		uses.Touch(&r, now)
	}
	return &r, changed, renewed, nil
}

// editFields puts the fields that p sets into r, a copy of old, and reports whether
// that changed one.
func (p *preparedPatch) editFields(faults *ValidationError, old, r *encoding.Record) (changed bool) {
	if p.title.set && p.title.text != old.Title {
		r.Title, changed = p.title.text, true
	}
	if p.description.set && p.description.text != old.Description {
		r.Description, changed = p.description.text, true
	}
	if p.images != nil {
		r.Images = mergeImages(faults, nil, old.Images, p.images)
		changed = changed || !slices.EqualFunc(r.Images, old.Images, sameImage)
	}
	if p.setMetadata && !bytes.Equal(p.metadata, old.Metadata) {
		r.Metadata, changed = p.metadata, true
	}
	return changed
}

// isLive reports whether the product has not expired at now.
func isLive(r *encoding.Record, now int64) bool {
	return livesAt(r.ExpiresAt(), now)
}

func livesAt(deadline, now int64) bool { return deadline == encoding.None || now < deadline }

// mergeImages returns the images that a patch makes of old ones, in space if there is
// enough. Bytes that the product holds already are kept where the patch refers to
// them, and where it brings equal ones at the same position.
func mergeImages(faults *ValidationError, space, old []encoding.Image, patch []preparedImage) []encoding.Image {
	if patch == nil {
		return nil
	}
	out := append(space, make([]encoding.Image, len(patch))...)
	for i := range patch {
		p := &patch[i]
		switch {
		case p.blob == nil && p.keep.IsZero():
			if i < len(old) && old[i].URL == p.url {
				out[i] = old[i]
			}
			out[i].URL = p.url
		case p.blob == nil:
			at := indexOfBlob(old, p.keep)
			if at < 0 {
				faults.add(fmt.Sprintf("images.%d.source.url", i), CodeValidationFailed,
					"not a reference to an uploaded image of this product")
				continue
			}
			out[i] = old[at]
		case indexOfBlob(old, p.blob.id) >= 0:
			out[i] = old[indexOfBlob(old, p.blob.id)]
		case i < len(old) && !old[i].Blob.IsZero() && old[i].SHA256 == p.blob.header.SHA256 && old[i].Size == p.blob.header.Size:
			out[i] = old[i]
		default:
			h := &p.blob.header
			out[i] = encoding.Image{
				Blob: p.blob.id, ContentType: h.Kind, Size: h.Size,
				Width: h.Width, Height: h.Height, SHA256: h.SHA256,
			}
		}
		out[i].Classifications = p.classifications
	}
	return out
}

func sameImage(a, b encoding.Image) bool {
	return a.URL == b.URL && a.Blob == b.Blob && bytes.Equal(a.Classifications, b.Classifications)
}

// indexOfBlob returns the first image that refers to the blob, or -1.
func indexOfBlob(images []encoding.Image, id encoding.BlobID) int {
	return slices.IndexFunc(images, func(img encoding.Image) bool { return img.Blob == id })
}
