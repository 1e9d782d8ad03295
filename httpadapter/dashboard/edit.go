package dashboard

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/shelflife-db/shelflife/catalog"
)

// editPage is the form of a product.
type editPage struct {
	Form   *form
	New    bool
	Name   string
	Back   string
	Faults map[string][]string // by field
	// Other are the faults that belong to no field.
	Other []string
	// Conflict says that the product was edited since the form was made; Stored is
	// what it is now, field by field where they differ.
	Conflict bool
	Stored   *form
	// Lists says that saving will list the product.
	Lists     bool
	MaxImages int
	MaxBytes  string
}

// FaultsOf returns the faults of a field.
func (p editPage) FaultsOf(field string) []string { return p.Faults[field] }

// HasFaults reports whether something is wrong.
func (p editPage) HasFaults() bool { return len(p.Faults)+len(p.Other) > 0 || p.anyImageFault() }

func (p editPage) anyImageFault() bool {
	for _, i := range p.Form.Images {
		if len(i.Faults) > 0 {
			return true
		}
	}
	return false
}

func (h *Handler) showEdit(w http.ResponseWriter, r *request) error {
	p, err := h.catalog.Get(r.Context(), r.account, r.URL.Query().Get("id"))
	if err != nil {
		return err
	}
	return h.showForm(w, r, http.StatusOK, editPage{Form: newForm(p)}, p)
}

func (h *Handler) showNew(w http.ResponseWriter, r *request) error {
	return h.showForm(w, r, http.StatusOK, editPage{Form: &form{Forever: true}}, nil)
}

// showForm shows a form; p is the product as it is now, nil for one that is new.
func (h *Handler) showForm(w http.ResponseWriter, r *request, status int, v editPage, p *catalog.Product) error {
	v.MaxImages, v.MaxBytes = h.limits.Images, byteCount(h.limits.ImageBytes)
	title := "Add a product"
	stored := map[string]catalog.Image{}
	if p == nil {
		v.New, v.Name, v.Back = true, title, "./"
		p = &catalog.Product{}
	} else {
		v.Name, v.Back = name(p), productRef(p.ExternalID)
		v.Lists = !p.Listed && !isOneShot(p.ExternalID)
		title = "Edit " + v.Name
		for _, i := range p.Images {
			stored[i.SourceURL] = i
		}
	}
	remote := h.options.RemoteImages == RemoteImagesShow
	for n := range v.Form.Images {
		row := &v.Form.Images[n]
		image, ok := stored[row.Source]
		switch {
		case row.Staged != "":
			row.Picture = picture{Kind: "Uploaded", Note: "is added when you save"}
		case ok:
			row.Picture = newPicture(p, image, remote)
		default:
			row.Picture = picture{Kind: "Gone", Note: "the product has it no more"}
		}
		if row.Position == "" {
			row.Position = strconv.Itoa(n + 1)
		}
	}
	h.allowRemote(w, remote)
	return h.showTo(w, r, status, "edit", page{Title: title, Section: "products", Body: v})
}

// saveEdit saves what the form changes, if the product is as the form's page
// showed it.
func (h *Handler) saveEdit(w http.ResponseWriter, r *request) error {
	f, err := h.readForm(r)
	if err != nil {
		return err
	}
	p, err := h.catalog.Get(r.Context(), r.account, f.ID)
	if err != nil {
		return err
	}
	version, ok := catalog.ParseVersion(f.Version)
	switch {
	case !ok:
		return errBadForm
	case version != p.Version():
		return h.showConflict(w, r, f, p)
	}
	patch, images, faults := f.patch(p)
	if faults = append(faults, f.faults...); len(faults) == 0 && patch.IsEmpty() {
		redirect(w, productRef(f.ID)+"&done=unchanged")
		return nil
	}
	faults = append(faults, h.faultsOf(r, f.ID, patch)...)
	if len(faults) > 0 {
		return h.showFaults(w, r, f, images, faults, p)
	}
	res, err := h.catalog.Upsert(r.Context(), r.account, f.ID, patch, catalog.IfVersion(version))
	switch v := (*catalog.ValidationError)(nil); {
	case errors.As(err, &v):
		return h.showFaults(w, r, f, images, v.Fields, p)
	case isOvertaken(err):
		if p, err = h.catalog.Get(r.Context(), r.account, f.ID); err != nil {
			return err
		}
		return h.showConflict(w, r, f, p)
	case err != nil:
		return err
	}
	what := "saved"
	if res.Outcome == catalog.Unchanged {
		what = "unchanged"
	}
	redirect(w, productRef(f.ID)+"&done="+what)
	return nil
}

// saveNew adds a product whose ID no other has.
func (h *Handler) saveNew(w http.ResponseWriter, r *request) error {
	f, err := h.readForm(r)
	if err != nil {
		return err
	}
	patch, images, faults := f.patch(nil)
	faults = append(faults, f.faults...)
	if f.ID == "" {
		faults = append(faults, catalog.FieldError{Path: "externalId", Code: catalog.CodeExternalIDRequired, Message: "is required"})
	}
	faults = append(faults, h.faultsOf(r, f.ID, patch)...)
	if len(faults) > 0 {
		return h.showFaults(w, r, f, images, faults, nil)
	}
	_, err = h.catalog.Upsert(r.Context(), r.account, f.ID, patch, catalog.CreateOnly())
	switch v := (*catalog.ValidationError)(nil); {
	case errors.As(err, &v):
		return h.showFaults(w, r, f, images, v.Fields, nil)
	case isOvertaken(err):
		taken := catalog.FieldError{Path: "externalId", Message: "another product has this ID"}
		return h.showFaults(w, r, f, images, []catalog.FieldError{taken}, nil)
	case err != nil:
		return err
	}
	redirect(w, productRef(f.ID)+"&done=created")
	return nil
}

// faultsOf returns what the catalog finds wrong before it is asked to write.
func (h *Handler) faultsOf(r *request, id string, patch catalog.Patch) []catalog.FieldError {
	v := (*catalog.ValidationError)(nil)
	if errors.As(h.catalog.Validate(r.account, id, patch), &v) {
		return v.Fields
	}
	return nil
}

// showFaults shows a form again with each fault at its field.
func (h *Handler) showFaults(w http.ResponseWriter, r *request, f *form, images []chosen, faults []catalog.FieldError, p *catalog.Product) error {
	v := editPage{Form: f, Faults: map[string][]string{}}
	for _, fault := range faults {
		field, rest, _ := strings.Cut(fault.Path, ".")
		switch field {
		case "images":
			f.placeImageFault(&v, images, rest, fault.Message)
		case "externalId", "title", "description", "metadata", "validForDays":
			v.Faults[field] = append(v.Faults[field], fault.Message)
		default:
			v.Other = append(v.Other, fault.Message)
		}
	}
	return h.showForm(w, r, http.StatusBadRequest, v, p)
}

// placeImageFault puts a fault of images, at rest of its path, where it belongs:
// at the row of the image, at the URLs, or at the images as a whole.
func (f *form) placeImageFault(v *editPage, images []chosen, rest, message string) {
	number, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(number)
	switch {
	case err != nil || n < 0 || n >= len(images):
		v.Faults["images"] = append(v.Faults["images"], message)
	case images[n].row < 0:
		v.Faults["urls"] = append(v.Faults["urls"], images[n].URL+": "+message)
	default:
		row := &f.Images[images[n].row]
		row.Faults = append(row.Faults, message)
	}
}

// showConflict shows both versions: the form as it was sent, and what is stored
// now where that differs. Saving it again replaces that.
func (h *Handler) showConflict(w http.ResponseWriter, r *request, f *form, p *catalog.Product) error {
	stored := newForm(p)
	f.Version = stored.Version
	return h.showForm(w, r, http.StatusConflict, editPage{Form: f, Conflict: true, Stored: stored}, p)
}

// DiffersIn reports whether what is stored now differs from the form.
func (p editPage) DiffersIn(field string) bool {
	if !p.Conflict {
		return false
	}
	a, b := p.Form, p.Stored
	switch field {
	case "title":
		return a.Title != formText(b.Title)
	case "description":
		return a.Description != formText(b.Description)
	case "metadata":
		return !sameJSON(jsonText(a.Metadata), jsonText(compacted(b.Metadata)))
	case "validForDays":
		return a.Forever != b.Forever || !a.Forever && a.Days != b.Days
	}
	return !sameSources(a, b)
}

func sameSources(a, b *form) bool {
	images := a.chosenImages()
	if len(images) != len(b.Images) {
		return false
	}
	for n, i := range images {
		if i.Staged != "" || i.URL != b.Images[n].Source || !sameJSON(i.Classifications, jsonText(compacted(b.Images[n].Classifications))) {
			return false
		}
	}
	return true
}

// Action is where the form is sent.
func (p editPage) Action() string {
	if p.New {
		return "./new"
	}
	return "./edit?" + url.Values{"id": {p.Form.ID}}.Encode()
}
