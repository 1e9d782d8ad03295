package dashboard

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/shelflife-db/shelflife/catalog"
)

// editPage is the form of a product.
type editPage struct {
	Form   *form
	New    bool
	Name   string
	Action string // where the form is sent
	Back   string
	Faults map[string][]string // by field
	// Other are the faults that belong to no field.
	Other []string
	// Conflict says that the product was edited since the form was made; Stored is
	// what it is now, field by field where they differ.
	Conflict bool
	Stored   *form
	// Gone says that the product of the form is there no more.
	Gone bool
	// Lists says that saving will list the product.
	Lists     bool
	Remote    remoteChoice
	MaxImages int
	MaxBytes  string
}

// HasFaults reports whether something is wrong.
func (p editPage) HasFaults() bool { return p.faulty() != "" || len(p.Other) > 0 }

// fieldsAbove and fieldsBelow are the fields in the order of the page, above the
// rows of images and below them.
var fieldsAbove, fieldsBelow = []string{"externalId", "title", "description"}, []string{"images", "urls", "validForDays", "metadata"}

// faulty returns the first field of the page with a fault, "" if there is none.
func (p editPage) faulty() string {
	for _, field := range fieldsAbove {
		if len(p.Faults[field]) > 0 {
			return field
		}
	}
	for n, i := range p.Form.Images {
		if len(i.Faults) > 0 {
			return rowField(n)
		}
	}
	for _, field := range fieldsBelow {
		if len(p.Faults[field]) > 0 {
			return field
		}
	}
	return ""
}

// fieldKeep is the choice of a lifetime, which is shown with its days.
const fieldKeep = "keep"

// rowField names the row of an image as a field.
func rowField(n int) string { return "image-" + strconv.Itoa(n+1) }

// faultyField is what a page says at a field: what is wrong with it, and for
// screen readers, which don't see where the message stands, that something is.
type faultyField struct {
	Name   string
	Faults []string
	Help   string // the ID of what always stands at the field, "" for none
	Focus  bool   // it is the first that has to be mended
}

// Field returns what stands at a field.
func (p editPage) Field(name, help string) faultyField {
	return faultyField{name, p.Faults[name], help, name == p.faulty()}
}

// Row returns what stands at the image of a row.
func (p editPage) Row(n int) faultyField {
	return faultyField{Name: rowField(n), Faults: p.Form.Images[n].Faults, Focus: p.faulty() == rowField(n)}
}

// Describers are the IDs of what describes the field.
func (f faultyField) Describers() string {
	if len(f.Faults) == 0 {
		return f.Help
	}
	return strings.TrimSpace(f.ID() + " " + f.Help)
}

// ID is that of the faults.
func (f faultyField) ID() string { return f.Name + "-fault" }

func (h *Handler) showEdit(w http.ResponseWriter, r *request) error {
	p, err := h.catalog.Get(r.Context(), r.account, r.URL.Query().Get("id"))
	if err != nil {
		return err
	}
	// Not where the form was refused: what was typed would be lost by it.
	choice := h.chooseRemote(h.showsRemote(r), r.place().toProduct("edit", p.ExternalID), p.Images)
	return h.showForm(w, r, http.StatusOK, editPage{Form: newForm(p), Remote: choice}, p)
}

func (h *Handler) showNew(w http.ResponseWriter, r *request) error {
	return h.showForm(w, r, http.StatusOK, editPage{Form: &form{Forever: true}}, nil)
}

// showForm shows a form; p is the product as it is now, nil for one that is new.
func (h *Handler) showForm(w http.ResponseWriter, r *request, status int, v editPage, p *catalog.Product) error {
	v.MaxImages, v.MaxBytes = h.limits.Images, byteCount(h.limits.ImageBytes)
	title, place := "Add a product", r.place()
	stored := map[string]catalog.Image{}
	if p == nil {
		v.New, v.Name, v.Action, v.Back = true, title, place.to("new"), place.ref()
		p = &catalog.Product{}
	} else {
		v.Name, v.Action, v.Back = name(p), place.toProduct("edit", p.ExternalID), place.toProduct("product", p.ExternalID)
		v.Lists = !p.Listed && !isOneShot(p.ExternalID)
		title = "Edit " + v.Name
		for _, i := range p.Images {
			stored[i.SourceURL] = i
		}
	}
	remote := h.showsRemote(r)
	for n := range v.Form.Images {
		row := &v.Form.Images[n]
		image, ok := stored[row.Source]
		switch {
		case row.Staged != "":
			row.Picture = picture{Kind: "Uploaded", Note: "Added when you save"}
		case v.New:
			row.Picture = picture{Kind: "On the web", Note: "Added when you save"}
		case ok:
			if row.Picture = newPicture(p, image, remote); image.Uploaded() {
				row.Facts = imageFacts(image)
			}
		default:
			row.Picture = picture{Kind: "Gone", Note: "No longer in the product"}
		}
		if row.Position == "" {
			row.Position = strconv.Itoa(n + 1)
		}
	}
	if v.Conflict {
		for n := range v.Stored.Images {
			v.Stored.Images[n].Picture = newPicture(p, p.Images[n], remote)
		}
	}
	h.allowRemote(w, remote)
	return h.showTo(w, r, status, "edit", page{Title: title, Section: "products", Notice: notice(r), Body: v})
}

// saveEdit saves what the form changes, if the product is as the form's page
// showed it.
func (h *Handler) saveEdit(w http.ResponseWriter, r *request) error {
	f, err := h.readForm(r)
	if err != nil {
		return err
	}
	p, err := h.catalog.Get(r.Context(), r.account, f.ID)
	if errors.Is(err, catalog.ErrNotFound) {
		return h.showGone(w, r, f)
	}
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
		redirect(w, withDone(r.place().toProduct("product", f.ID), "unchanged"))
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
		p, err = h.catalog.Get(r.Context(), r.account, f.ID)
		if errors.Is(err, catalog.ErrNotFound) {
			return h.showGone(w, r, f)
		}
		if err != nil {
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
	redirect(w, withDone(r.place().toProduct("product", f.ID), what))
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
		taken := catalog.FieldError{Path: "externalId", Message: "another product has this ID already"}
		return h.showFaults(w, r, f, images, []catalog.FieldError{taken}, nil)
	case err != nil:
		return err
	}
	redirect(w, withDone(r.place().toProduct("product", f.ID), "created"))
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
			f.placeImageFault(&v, images, rest, fault)
		case fieldKeep:
			v.Faults["validForDays"] = append(v.Faults["validForDays"], faultText(fault, ""))
		case "externalId", "title", "description", "metadata", "validForDays":
			v.Faults[field] = append(v.Faults[field], faultText(fault, f.Metadata))
		default:
			v.Other = append(v.Other, faultText(fault, ""))
		}
	}
	return h.showForm(w, r, http.StatusBadRequest, v, p)
}

// placeImageFault puts a fault of images, at rest of its path, where it belongs:
// at the row of the image, at the URLs, or at the images as a whole.
func (f *form) placeImageFault(v *editPage, images []chosen, rest string, fault catalog.FieldError) {
	number, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(number)
	switch {
	case err != nil || n < 0 || n >= len(images):
		v.Faults["images"] = append(v.Faults["images"], faultText(fault, ""))
	case images[n].row < 0:
		v.Faults["urls"] = append(v.Faults["urls"], images[n].URL+": "+faultText(fault, ""))
	default:
		row := &f.Images[images[n].row]
		row.Faults = append(row.Faults, faultText(fault, row.Classifications))
		row.MendsClassifications = strings.Contains(rest, ".classifications")
	}
}

// showConflict shows both versions: the form as it was sent, and what is stored
// now where that differs. Saving it again replaces that.
func (h *Handler) showConflict(w http.ResponseWriter, r *request, f *form, p *catalog.Product) error {
	stored := newForm(p)
	f.Version = stored.Version
	return h.showForm(w, r, http.StatusConflict, editPage{Form: f, Conflict: true, Stored: stored}, p)
}

// showGone shows the form of a product that expired or was deleted meanwhile as one
// for a new product, so that what was typed is not lost. The bytes of its images
// are.
func (h *Handler) showGone(w http.ResponseWriter, r *request, f *form) error {
	f.Images = slices.DeleteFunc(f.Images, func(i formImage) bool { return strings.HasPrefix(i.Source, "upload://") })
	return h.showForm(w, r, http.StatusNotFound, editPage{Form: f, Gone: true}, nil)
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
