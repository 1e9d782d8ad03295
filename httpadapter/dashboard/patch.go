package dashboard

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/shelflife-db/shelflife/catalog"
)

// chosen is an image that a form wants the product to have.
type chosen struct {
	catalog.NewImage
	row int // of the form's images; -1 for a line of its URLs
}

// chosenImages returns the images in the order in which the form wants them.
func (f *form) chosenImages() []chosen {
	type placed struct {
		chosen
		position float64
	}
	var all []placed
	for row, i := range f.Images {
		if i.Remove {
			continue
		}
		position, err := strconv.ParseFloat(i.Position, 64)
		if err != nil {
			position = float64(len(f.Images)) // behind those that have one
		}
		image := catalog.NewImage{Classifications: jsonText(i.Classifications)}
		if i.Staged != "" {
			image.Staged = catalog.StagedRef(i.Staged)
		} else {
			image.URL = i.Source
		}
		all = append(all, placed{chosen{image, row}, position})
	}
	slices.SortStableFunc(all, func(a, b placed) int { return cmp.Compare(a.position, b.position) })
	images := make([]chosen, 0, len(all))
	for _, p := range all {
		images = append(images, p.chosen)
	}
	for line := range strings.Lines(f.URLs) {
		if line = strings.TrimSpace(line); line != "" {
			images = append(images, chosen{catalog.NewImage{URL: line}, -1})
		}
	}
	return images
}

// jsonText returns a text field as JSON, nil for an empty one. White space that
// JSON does not know is left to the catalog to refuse.
func jsonText(text string) json.RawMessage {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	return json.RawMessage(text)
}

// patch returns what the form changes of p, nil for a product that is new: what it
// leaves as it was is absent, so that an edit of the title does not renew the
// lifetime. images are those of the patch, by their positions in it.
func (f *form) patch(p *catalog.Product) (patch catalog.Patch, images []chosen, faults []catalog.FieldError) {
	old := &catalog.Product{}
	if p != nil {
		old = p
	}
	if f.Title != formText(old.Title) {
		patch.Title = catalog.Set(f.Title)
	}
	if f.Description != formText(old.Description) {
		patch.Description = catalog.Set(f.Description)
	}
	if metadata := jsonText(f.Metadata); !sameJSON(metadata, old.Metadata) {
		patch.Metadata = catalog.Set(metadata)
	}
	switch days, err := strconv.Atoi(f.Days); {
	case f.Forever && f.Days != "" && (err != nil || days != old.ValidForDays):
		// Days that were typed are meant, it seems.
		faults = append(faults, catalog.FieldError{Path: fieldKeep, Code: catalog.CodeValidationFailed, Message: `choose "Keep for" too, or empty the number of days`})
	case f.Forever:
		if p != nil && old.ValidForDays != 0 {
			patch.ValidForDays = catalog.Null[int]()
		}
	case err != nil:
		faults = append(faults, catalog.FieldError{Path: "validForDays", Code: catalog.CodeValidationFailed, Message: "must be a whole number of days, 1 to 365"})
	case days != old.ValidForDays || p == nil:
		patch.ValidForDays = catalog.Set(days)
	}
	images = f.chosenImages()
	if p == nil || !sameImages(images, old.Images) {
		list := make([]catalog.NewImage, 0, len(images))
		for _, i := range images {
			list = append(list, i.NewImage)
		}
		patch.Images = catalog.Set(list)
	}
	return patch, images, faults
}

func sameImages(images []chosen, old []catalog.Image) bool {
	return slices.EqualFunc(images, old, func(a chosen, b catalog.Image) bool {
		return a.Staged == "" && a.URL == b.SourceURL && sameJSON(a.Classifications, b.Classifications)
	})
}

// sameJSON reports whether text is stored, but for white space. The JSON value
// null is none.
func sameJSON(text, stored json.RawMessage) bool {
	if text == nil || stored == nil {
		return text == nil && stored == nil || string(bytes.TrimSpace(text)) == "null" && stored == nil
	}
	var compact bytes.Buffer
	return json.Compact(&compact, text) == nil && bytes.Equal(compact.Bytes(), stored)
}

// compacted returns JSON without the white space that it was shown with.
func compacted(text string) string {
	var out bytes.Buffer
	if json.Compact(&out, []byte(text)) != nil {
		return text
	}
	return out.String()
}
