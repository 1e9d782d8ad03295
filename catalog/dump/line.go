package dump

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/shelflife-db/shelflife/encoding"
)

// line is a product as a line of a dump has it. Times are Unix milliseconds.
type line struct {
	Account      string          `json:"account"`
	ExternalID   string          `json:"externalId"`
	Title        string          `json:"title,omitempty"`
	Description  string          `json:"description,omitempty"`
	Images       []lineImage     `json:"images"`
	Metadata     json.RawMessage `json:"metadata,omitempty"`
	ValidForDays int             `json:"validForDays,omitempty"` // 0: kept forever
	Listed       bool            `json:"listed,omitempty"`
	OneShot      bool            `json:"oneShot,omitempty"`
	CreatedAt    int64           `json:"createdAt"`
	UpdatedAt    int64           `json:"updatedAt"`
	LastUsedAt   *int64          `json:"lastUsedAt,omitempty"` // nil: never
	Anchor       int64           `json:"anchor"`
	Incarnation  number          `json:"incarnation"`
	Edit         number          `json:"edit"`
	Revision     uint64          `json:"revision"`
	// Flags and Unknown are what a newer version has added to the record.
	Flags   uint16 `json:"flags,omitempty"`
	Unknown []byte `json:"unknown,omitempty"`
}

type lineImage struct {
	URL             string          `json:"url,omitempty"`
	Upload          *lineUpload     `json:"upload,omitempty"`
	Classifications json.RawMessage `json:"classifications,omitempty"`
	Unknown         []byte          `json:"unknown,omitempty"`
}

type lineUpload struct {
	ID          string `json:"id"`
	SHA256      string `json:"sha256"`
	ContentType string `json:"contentType"`
	Size        int64  `json:"size"`
	Width       int    `json:"width"`
	Height      int    `json:"height"`
	// New says that the bytes follow behind the file of this line, and Again that a
	// later product may have the same. The first image of a product that has these
	// bytes speaks for all.
	New   bool `json:"new,omitempty"`
	Again bool `json:"again,omitempty"`
}

// number is 64 random bits, written as text: many decoders take a number in JSON
// for a float64.
type number uint64

// MarshalText implements encoding.TextMarshaler.
func (n number) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%016x", uint64(n)), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *number) UnmarshalText(text []byte) error {
	v, err := strconv.ParseUint(string(text), 16, 64)
	if back, _ := number(v).MarshalText(); err != nil || !bytes.Equal(back, text) {
		return fmt.Errorf("%q is not of 16 hexadecimal digits", text)
	}
	*n = number(v)
	return nil
}

// upload is image bytes of a product.
type upload struct {
	// images are those that have them, each under another ID.
	images     []*encoding.Image
	new, again bool
}

// uploadsOf returns the uploads of a record, in the order of their first images.
func uploadsOf(r *encoding.Record) []*upload {
	var uploads []*upload
	for i := range r.Images {
		if img := &r.Images[i]; !img.Blob.IsZero() {
			uploads = addUpload(uploads, img)
		}
	}
	return uploads
}

func addUpload(uploads []*upload, img *encoding.Image) []*upload {
	for _, u := range uploads {
		if u.images[0].SHA256 != img.SHA256 {
			continue
		}
		for _, other := range u.images {
			if other.Blob == img.Blob {
				return uploads
			}
		}
		u.images = append(u.images, img)
		return uploads
	}
	return append(uploads, &upload{images: []*encoding.Image{img}})
}

// checkText refuses a record that a line would not give back as it is.
func checkText(r *encoding.Record) error {
	ok := utf8.ValidString(r.Account) && utf8.ValidString(r.ID) && utf8.ValidString(r.Title) && utf8.ValidString(r.Description) &&
		isJSON(r.Metadata)
	for i := range r.Images {
		img := &r.Images[i]
		ok = ok && utf8.ValidString(img.URL) && utf8.ValidString(img.ContentType) && isJSON(img.Classifications) && (img.URL == "") != img.Blob.IsZero()
		if img.Blob.IsZero() {
			ok = ok && img.ContentType == "" && img.Size == 0 && img.Width == 0 && img.Height == 0 && img.SHA256 == [32]byte{}
		}
	}
	if !ok {
		return errors.New("the record holds what no product does")
	}
	return nil
}

func isJSON(raw []byte) bool { return raw == nil || utf8.Valid(raw) && json.Valid(raw) }

// appendLine writes a record as a line.
func appendLine(w *bytes.Buffer, r *encoding.Record, uploads []*upload) error {
	l := line{
		Account: r.Account, ExternalID: r.ID, Title: r.Title, Description: r.Description, Metadata: r.Metadata,
		ValidForDays: r.ValidForDays, Listed: r.Listed, OneShot: r.Generated,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, Anchor: r.Anchor,
		Incarnation: number(r.Incarnation), Edit: number(r.Edit), Revision: r.Revision,
		Images: make([]lineImage, len(r.Images)),
	}
	if r.LastUsedAt != encoding.None {
		l.LastUsedAt = &r.LastUsedAt
	}
	l.Flags, l.Unknown = r.Unknown()
	for i := range r.Images {
		img := &r.Images[i]
		l.Images[i] = lineImage{URL: img.URL, Classifications: img.Classifications, Unknown: img.Unknown()}
		if img.Blob.IsZero() {
			continue
		}
		l.Images[i].Upload = &lineUpload{
			ID: img.Blob.String(), SHA256: hex.EncodeToString(img.SHA256[:]),
			ContentType: img.ContentType, Size: img.Size, Width: img.Width, Height: img.Height,
		}
		for _, u := range uploads {
			if u.images[0] == img {
				l.Images[i].Upload.New, l.Images[i].Upload.Again = u.new, u.again
			}
		}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // metadata stays byte for byte
	return e.Encode(&l)
}

// parseLine reads a line, and the uploads in it.
func parseLine(text []byte) (*encoding.Record, []*upload, error) {
	var l line
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return nil, nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, nil, errors.New("a line holds more than a product")
	}
	r := &encoding.Record{
		Account: l.Account, ID: l.ExternalID, Title: l.Title, Description: l.Description, Metadata: l.Metadata,
		ValidForDays: l.ValidForDays, Listed: l.Listed, Generated: l.OneShot,
		CreatedAt: l.CreatedAt, UpdatedAt: l.UpdatedAt, LastUsedAt: encoding.None, Anchor: l.Anchor, IndexedAt: encoding.None,
		Incarnation: uint64(l.Incarnation), Edit: uint64(l.Edit), Revision: l.Revision,
		Images: make([]encoding.Image, len(l.Images)),
	}
	if l.LastUsedAt != nil {
		r.LastUsedAt = *l.LastUsedAt
	}
	if err := r.SetUnknown(l.Flags, l.Unknown); err != nil {
		return nil, nil, err
	}
	var uploads []*upload
	for i := range l.Images {
		var err error
		if uploads, err = l.Images[i].parse(&r.Images[i], uploads); err != nil {
			return nil, nil, fmt.Errorf("image %d: %w", i, err)
		}
	}
	return r, uploads, checkRecord(r)
}

// parse sets *to to the image, and adds its bytes to the uploads.
func (l *lineImage) parse(to *encoding.Image, uploads []*upload) ([]*upload, error) {
	to.URL, to.Classifications = l.URL, l.Classifications
	if err := to.SetUnknown(l.Unknown); err != nil {
		return nil, err
	}
	if len(l.Classifications) > 0 && l.Classifications[0] != '{' {
		return nil, errors.New("classifications are an object")
	}
	u := l.Upload
	if (l.URL == "") == (u == nil) {
		return nil, errors.New("an image has either a URL or an upload")
	}
	if u == nil {
		return uploads, nil
	}
	sum, err := hex.DecodeString(u.SHA256)
	if err != nil || len(sum) != len(to.SHA256) || hex.EncodeToString(sum) != u.SHA256 {
		return nil, fmt.Errorf("%q is no SHA-256", u.SHA256)
	}
	id, ok := encoding.ParseBlobID(u.ID)
	if !ok || id.IsZero() {
		return nil, fmt.Errorf("%q is no ID of an upload", u.ID)
	}
	to.Blob, to.SHA256 = id, [32]byte(sum)
	to.ContentType, to.Size, to.Width, to.Height = u.ContentType, u.Size, u.Width, u.Height
	for _, other := range uploads {
		if other.images[0].SHA256 == to.SHA256 && other.images[0].Size != to.Size {
			return nil, errors.New("the same bytes have two sizes")
		}
	}
	before := len(uploads)
	if uploads = addUpload(uploads, to); len(uploads) > before {
		uploads[before].new, uploads[before].again = u.New, u.Again
	} else if u.New || u.Again {
		return nil, errors.New("the same bytes are announced twice")
	}
	return uploads, nil
}

// checkRecord refuses what would be no product. Limits are not looked at: a dump
// holds what its store was allowed to hold.
func checkRecord(r *encoding.Record) error {
	const mostDays = 365
	switch {
	case len(r.Images) == 0:
		return errors.New("it has no image")
	case r.ValidForDays < 0 || r.ValidForDays > mostDays:
		return fmt.Errorf("a lifetime of %d days is none", r.ValidForDays)
	case r.Listed && r.Generated:
		return errors.New("a one-shot is never listed")
	case r.Generated != strings.HasPrefix(r.ID, "_anon_"):
		return errors.New("one-shots alone have IDs that begin with _anon_")
	}
	return nil
}
