package dashboard

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strconv"
	"strings"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/httpadapter/internal/formparts"
)

// form is what the page for editing sends, and what it shows again where
// something is wrong with it.
type form struct {
	ID, Version                  string
	Title, Description, Metadata string
	Forever                      bool
	Days                         string
	Images                       []formImage
	URLs                         string
	faults                       []catalog.FieldError // of the uploads
}

// formImage is an image in a form: one that the product has, or bytes that wait
// for the product to be saved.
type formImage struct {
	Source          string // the URL, of uploaded bytes too
	Staged          string // the reference of bytes that wait
	Name            string // of their file
	Position        string
	Classifications string
	Remove          bool

	Picture picture // for the page
	Facts   string  // of uploaded bytes that the product has
	Faults  []string
	// MendsClassifications says that the faults are theirs. What else may be wrong
	// with an image that is there is mended by removing it.
	MendsClassifications bool
}

const (
	// maxFieldBytes limits one text field, and maxFormBytes all of them: what the
	// catalog takes fits many times over.
	maxFieldBytes = 1 << 20
	maxFormBytes  = 4 << 20
	// textFactor is how often the texts of a form are held: as they came, as what
	// was made of them, and in the page that shows them again.
	textFactor = 4
	// maxFields limits the number of parts of a form.
	maxFields = 4096
)

// parts returns the parts of a form.
func (r *request) parts() (*formparts.Reader, error) {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "multipart/form-data" || params["boundary"] == "" {
		return nil, errors.Join(errBadForm, err)
	}
	return formparts.NewReader(r.Body, params["boundary"]), nil
}

// readForm reads a form, and keeps its files in the catalog until the product is
// saved: so they are not lost where something else is wrong. They go there as they
// come; nothing holds a whole one.
func (h *Handler) readForm(r *request) (*form, error) {
	parts, err := r.parts()
	if err != nil {
		return nil, err
	}
	f, size := &form{}, 0
	for n := 0; ; n++ {
		part, err := parts.Next()
		switch {
		case err == io.EOF:
			return f, nil
		case err != nil:
			return nil, formError(err)
		case n == maxFields:
			return nil, errTooLarge
		}
		if part.FormName() == "files" {
			if err := h.stage(r, f, part); err != nil {
				return nil, err
			}
			continue
		}
		text, err := io.ReadAll(io.LimitReader(&charged{part, r.claim}, maxFieldBytes+1))
		if err != nil {
			return nil, formError(err)
		}
		if size += len(text); len(text) > maxFieldBytes || size > maxFormBytes {
			return nil, errTooLarge
		}
		f.set(part.FormName(), formText(string(text)))
	}
}

// charged is a reader of text that takes memory for it as it comes: a client may
// stop in the midst of it.
type charged struct {
	io.Reader
	claim *httpadapter.Claim
}

// Read implements io.Reader.
func (c *charged) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if e := c.claim.Grow(textFactor * int64(n)); e != nil {
		return n, e
	}
	return n, err
}

// stage keeps an uploaded file. A field for files that has none is sent too.
func (h *Handler) stage(r *request, f *form, part *multipart.Part) error {
	name := cutText(part.FileName(), 255)
	if name == "" {
		return nil
	}
	if len(f.Images) > 2*h.limits.Images {
		return errTooLarge
	}
	refuse := func(code catalog.Code, why string) {
		f.faults = append(f.faults, catalog.FieldError{Path: "images", Code: code, Message: fmt.Sprintf("the file %q was not taken: %s", name, why)})
	}
	file := bufio.NewReader(part)
	if _, err := file.Peek(1); err == io.EOF {
		refuse(catalog.CodeInvalidImage, "it is empty")
		return nil
	}
	staged, err := h.catalog.StageImage(r.Context(), r.account, file)
	if v := (*catalog.ValidationError)(nil); errors.As(err, &v) {
		for _, fault := range v.Fields {
			refuse(fault.Code, fault.Message)
		}
		// What is left of it is read by the next look for a part.
		return nil
	}
	if err != nil {
		return err
	}
	f.Images = append(f.Images, formImage{
		Staged: string(staged.Ref), Name: fmt.Sprintf("%s, %d × %d, %s", name, staged.Width, staged.Height, byteCount(staged.Size)),
	})
	return nil
}

// formText returns text as browsers send it of what a page showed: they write
// line breaks in one way, and can't show NUL.
func formText(text string) string {
	return lineBreaks.Replace(strings.ToValidUTF8(text, "\uFFFD"))
}

var lineBreaks = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\x00", "\uFFFD")

// set takes in a field. The fields of an image begin with the one that says what
// it is.
func (f *form) set(name, text string) {
	switch name {
	case "id":
		f.ID = text
	case "version":
		f.Version = text
	case "title":
		f.Title = text
	case "description":
		f.Description = text
	case "metadata":
		f.Metadata = text
	case "keep":
		f.Forever = text == "forever"
	case "days":
		f.Days = strings.TrimSpace(text)
	case "urls":
		f.URLs = text
	case "image":
		f.Images = append(f.Images, formImage{Source: text})
	case "staged":
		f.Images = append(f.Images, formImage{Staged: text})
	}
	if len(f.Images) == 0 {
		return
	}
	image := &f.Images[len(f.Images)-1]
	switch name {
	case "name":
		image.Name = text
	case "position":
		image.Position = strings.TrimSpace(text)
	case "classifications":
		image.Classifications = text
	case "remove":
		image.Remove = true
	}
}

// newForm returns the form that shows a product as it is.
func newForm(p *catalog.Product) *form {
	f := &form{
		ID: p.ExternalID, Version: p.Version().String(), Title: p.Title, Description: p.Description,
		Metadata: indented(p.Metadata), Forever: p.ValidForDays == 0,
	}
	if !f.Forever {
		f.Days = strconv.Itoa(p.ValidForDays)
	}
	for _, i := range p.Images {
		f.Images = append(f.Images, formImage{Source: i.SourceURL, Position: strconv.Itoa(i.Order + 1), Classifications: indented(i.Classifications)})
	}
	return f
}
