package productjson

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/shelflife-db/shelflife/catalog"
)

// Validator finds the faults of an upsert that can be told without the stored
// product. It is implemented by *catalog.Catalog.
type Validator interface {
	// Validate returns a *catalog.ValidationError with every fault, at the paths
	// of the canonical form, or nil. It does not read uploads and does not
	// complain of an empty externalID.
	Validate(account, externalID string, p catalog.Patch) error
}

var _ Validator = (*catalog.Catalog)(nil)

// Upsert is what a text says. It refers to the bytes that it was decoded from,
// which must not change while it is in use.
type Upsert struct {
	// ExternalID is null where the text says so, and absent also where it has
	// something else than a string.
	ExternalID catalog.Optional[string]
	// NamesProduct reports whether the text has an externalId, even null or
	// something else than a string.
	NamesProduct bool
	// Patch is what the upsert sets. It is fit for the catalog only if
	// Validate found no fault.
	Patch catalog.Patch
	// SetsFields reports whether the text has any of the names that set
	// something, even with a wrong value.
	SetsFields bool
	// Deprecated reports whether the text uses a deprecated form: a url or
	// fileKey directly in an image, or imageUrls.
	Deprecated bool

	member   string         // that begins every path; "" for the whole text
	order    map[string]int // place of each known name in the text
	forms    []entryForm    // of the images
	urlList  bool           // the images are those of imageUrls
	fileKeys []string       // that images name, without repetition
	faults   []catalog.FieldError
	outside  []catalog.FieldError // of the other members of the root
}

// entryForm is how the text gives an image.
type entryForm uint8

const (
	formSource    entryForm = iota // {"source": {"url" or "fileKey"}}
	formReturned                   // {"sourceUrl"}, as a product has it
	formFlat                       // {"url" or "fileKey"}, deprecated
	formAmbiguous                  // none or several of them
)

// Faulty reports whether faults were found already, so that Validate returns an
// error whatever the catalog thinks.
func (u *Upsert) Faulty() bool { return len(u.faults)+len(u.outside) > 0 }

// FileKeys returns the file keys that the images name, each once, in the order
// of their first use.
func (u *Upsert) FileKeys() []string { return slices.Clone(u.fileKeys) }

// Validate returns a *catalog.ValidationError with every fault of the text,
// those that v finds and extra ones, or nil if there are none. An error of v
// that is no *catalog.ValidationError is returned as it is. Faults come in
// the order of the text, those that have no place in it first; those outside
// Options.Member and extra ones, which keep their paths, come last.
func (u *Upsert) Validate(v Validator, account string, extra ...catalog.FieldError) error {
	fields := slices.Clone(u.faults)
	id, _ := u.ExternalID.Get()
	if err := v.Validate(account, id, u.Patch); err != nil {
		var found *catalog.ValidationError
		if !errors.As(err, &found) {
			return err
		}
		fields = append(fields, found.Fields...)
	}
	fields = slices.Concat(u.inBodyTerms(fields), u.outside, extra)
	if len(fields) == 0 {
		return nil
	}
	return &catalog.ValidationError{Fields: fields}
}

// Rewrite returns err with the paths of a *catalog.ValidationError in it
// turned into those of the text. Any other error, and nil, is returned as it
// is. It must be applied once only, and not to what Validate returned.
func (u *Upsert) Rewrite(err error) error {
	var invalid *catalog.ValidationError
	if !errors.As(err, &invalid) {
		return err
	}
	return &catalog.ValidationError{Fields: u.inBodyTerms(slices.Clone(invalid.Fields))}
}

// inBodyTerms sorts fields and rewrites their paths in place.
func (u *Upsert) inBodyTerms(fields []catalog.FieldError) []catalog.FieldError {
	type ranked struct {
		place, image int
		field        catalog.FieldError
	}
	all := make([]ranked, len(fields))
	for i, f := range fields {
		f.Path = u.bodyPath(f.Path)
		name, rest, _ := strings.Cut(f.Path, ".")
		all[i] = ranked{place: -1, image: -1, field: f}
		if place, ok := u.order[name]; ok {
			all[i].place = place
		}
		if index, _, _ := strings.Cut(rest, "."); name == "images" || name == "imageUrls" {
			if n, err := strconv.Atoi(index); err == nil {
				all[i].image = n
			}
		}
	}
	slices.SortStableFunc(all, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.place, b.place), cmp.Compare(a.image, b.image))
	})
	for i, r := range all {
		fields[i] = r.field
		switch {
		case u.member == "":
		case r.field.Path == "":
			fields[i].Path = u.member
		default:
			fields[i].Path = u.member + "." + r.field.Path
		}
	}
	return fields
}

// bodyPath turns a path of the canonical form into that of the form in which
// the text has the image. Paths in the text's own form stay as they are.
func (u *Upsert) bodyPath(path string) string {
	rest, ok := strings.CutPrefix(path, "images")
	if !ok || rest != "" && rest[0] != '.' {
		return path
	}
	if rest == "" {
		if u.urlList {
			return "imageUrls"
		}
		return path
	}
	index, field, _ := strings.Cut(rest[1:], ".")
	n, err := strconv.Atoi(index)
	if err != nil || n < 0 || n >= len(u.forms) {
		return path
	}
	if u.urlList {
		return "imageUrls." + index
	}
	entry := "images." + index
	leaf, ok := strings.CutPrefix(field, "source.")
	switch {
	case ok && u.forms[n] == formReturned:
		return entry + ".sourceUrl"
	case ok && u.forms[n] == formFlat:
		return entry + "." + leaf
	}
	return path
}
