package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

var (
	errUploadInJSON = errors.New("image bytes have no JSON form: they travel beside it, see package httpadapter")
	errStagedInJSON = errors.New("a staged image has no JSON form: its reference is of use to this catalog alone")
)

// Patch returns the patch that would write the product again as it is: every
// field is set, ValidForDays to null for a product that is kept forever, and an
// uploaded image is kept by its reference. As an upsert of the same product it
// edits nothing; like any that carries a number for ValidForDays it restarts
// the lifetime. Change fields of it to edit the product, or of p before.
//
// References to uploaded images are good for this product alone, and while it
// has the images: for another product, or one that was deleted and created
// again, give the bytes.
func (p *Product) Patch() Patch {
	out := Patch{
		Title:        Set(p.Title),
		Description:  Set(p.Description),
		Metadata:     Null[json.RawMessage](),
		ValidForDays: Null[int](),
	}
	images := make([]NewImage, len(p.Images))
	for i := range p.Images {
		images[i] = p.Images[i].NewImage()
	}
	out.Images = Set(images)
	if p.Metadata != nil {
		out.Metadata = Set(p.Metadata)
	}
	if p.ValidForDays != 0 {
		out.ValidForDays = Set(p.ValidForDays)
	}
	return out
}

// AppendJSON appends the compact JSON form of the patch, in which package
// productjson and POST /products take it, without the external ID: a field that
// is absent has no name there, a null one is null. It fails for an image given
// by Upload or Staged, whose bytes JSON can't carry, and for what is no valid
// JSON or UTF-8; other faults are left to its reader.
func (p Patch) AppendJSON(dst []byte) ([]byte, error) {
	w := patchWriter{dst: append(dst, '{')}
	if w.begin("title", p.Title.state) {
		w.text("title", p.Title.value)
	}
	if w.begin("description", p.Description.state) {
		w.text("description", p.Description.value)
	}
	if w.begin("images", p.Images.state) {
		w.images(p.Images.value)
	}
	if w.begin("metadata", p.Metadata.state) {
		w.raw("metadata", p.Metadata.value)
	}
	if w.begin("validForDays", p.ValidForDays.state) {
		w.dst = strconv.AppendInt(w.dst, int64(p.ValidForDays.value), 10)
	}
	if w.err != nil {
		return dst, fmt.Errorf("shelflife: patch: %w", w.err)
	}
	return append(w.dst, '}'), nil
}

var _ json.Marshaler = Patch{}

// MarshalJSON returns the form of [Patch.AppendJSON]. Encoders may change what
// it returns: encoding/json escapes <, > and & unless told not to. Reading is
// left to package productjson: encoding/json ignores the case of names and
// takes the last of two.
func (p Patch) MarshalJSON() ([]byte, error) { return p.AppendJSON(nil) }

// patchWriter appends the JSON of a patch and keeps the first error.
type patchWriter struct {
	dst []byte
	err error
}

func (w *patchWriter) fail(path string, err error) {
	if w.err == nil && err != nil {
		w.err = fmt.Errorf("%s: %w", path, err)
	}
}

// begin writes the name of a field that is not absent, and null if it is that; it
// reports whether a value must follow.
func (w *patchWriter) begin(name string, state optionalState) bool {
	if state == absent {
		return false
	}
	w.name(name)
	if state == null {
		w.dst = append(w.dst, "null"...)
	}
	return state == set
}

// name begins the next member of an object.
func (w *patchWriter) name(name string) {
	if w.dst[len(w.dst)-1] != '{' {
		w.dst = append(w.dst, ',')
	}
	w.dst = append(w.dst, '"')
	w.dst = append(w.dst, name...)
	w.dst = append(w.dst, '"', ':')
}

func (w *patchWriter) text(path, s string) {
	var err error
	w.dst, err = jsontext.AppendQuote(w.dst, s)
	w.fail(path, err)
}

// raw appends a JSON value in compact form, null for nil.
func (w *patchWriter) raw(path string, value []byte) {
	if value == nil {
		w.dst = append(w.dst, "null"...)
		return
	}
	var err error
	w.dst, err = jsontext.AppendFormat(w.dst, value, jsontext.PreserveRawStrings(true))
	w.fail(path, err)
}

func (w *patchWriter) images(images []NewImage) {
	w.dst = append(w.dst, '[')
	for i := range images {
		if i > 0 {
			w.dst = append(w.dst, ',')
		}
		w.image("images."+strconv.Itoa(i), &images[i])
	}
	w.dst = append(w.dst, ']')
}

// image appends an image. One without any source has an empty source in JSON
// too, which is the same fault.
func (w *patchWriter) image(path string, img *NewImage) {
	switch {
	case img.Upload != nil:
		w.fail(path, errUploadInJSON)
	case img.Staged != "":
		w.fail(path, errStagedInJSON)
	}
	w.dst = append(w.dst, `{"source":{`...)
	if img.URL != "" {
		w.name("url")
		w.text(path+".source.url", img.URL)
	}
	w.dst = append(w.dst, '}')
	if img.Classifications != nil {
		w.name("classifications")
		w.raw(path+".classifications", img.Classifications)
	}
	w.dst = append(w.dst, '}')
}
