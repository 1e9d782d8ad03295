package productjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/internal/jsondepth"
)

// Options of Decode. The zero value reads the whole text as an upsert by a
// client that need not name the product and can't send files.
type Options struct {
	// Limits bound the nesting, counted from the root of the text, and the
	// number of images that are looked at; the other limits are the
	// Validator's. Give those of the catalog. Default: the catalog's defaults.
	// Nesting beyond 10,000 is refused in any case.
	Limits catalog.Limits
	// Member is the name of the member of the text's root that is the upsert.
	// The other members are checked for strictness and otherwise ignored.
	// Default: the whole text is the upsert.
	Member string
	// RequireExternalID makes an external ID that is absent, null or "" a
	// fault with catalog.CodeExternalIDRequired. Default: it may be absent; null
	// and "" are faults with catalog.CodeValidationFailed.
	RequireExternalID bool
	// Strict makes names a fault that neither set something nor are read-only
	// names of a product's JSON form: those of the upsert, of its images and of
	// their sources, each at its path. What stands beside Member, and inside
	// metadata and classifications, is not judged. Beyond the first 100 they are
	// counted in one fault of the upsert. Default: such names are ignored.
	Strict bool
	// Files returns the file that a file key names, nil if there is none. It
	// is called once for each file key that is used unambiguously, in the
	// order of their first use. A *catalog.ValidationError becomes a fault of
	// the images that name the file; any other error ends Decode, which
	// returns it. Default: there are no files.
	Files func(fileKey string) (*catalog.Upload, error)
}

// Decode reads the JSON form of an upsert.
//
// A text that is not strict JSON gives a *catalog.ValidationError with one
// fault. All other faults are kept for [Upsert.Validate]. Any other error is
// one of Options.Files.
func Decode(data []byte, o Options) (*Upsert, error) {
	o.Limits = o.Limits.WithDefaults()
	d := &decoder{options: o, upsert: &Upsert{order: make(map[string]int)}, depth: 1}
	root, isObject, err := d.parser.root(data)
	if err != nil {
		return nil, err
	}
	if !isObject {
		d.fault("", catalog.CodeValidationFailed, "must be a JSON object")
		return d.upsert, nil
	}
	spec := root
	if o.Member != "" {
		if spec, err = d.member(root); err != nil || spec == nil {
			return d.upsert, err
		}
	}
	if err := d.decode(spec); err != nil {
		return nil, err
	}
	if more := d.unknowns - maxUnknowns; more > 0 {
		d.fault("", catalog.CodeValidationFailed, "has %d more names that are not known", more)
	}
	return d.upsert, nil
}

// decoder collects what one text says.
type decoder struct {
	options Options
	upsert  *Upsert
	parser  parser
	depth   int // how many levels enclose the upsert's members
	files   map[string]file

	unknowns int // names, with Options.Strict
}

// maxUnknowns is how many of the names that are not known are faults of their own:
// a text may have any number of them, and each takes more as a fault.
const maxUnknowns = 100

// file is what Options.Files said about a file key.
type file struct {
	upload *catalog.Upload
	faults []catalog.FieldError
}

// fault records a fault at a path below the upsert.
func (d *decoder) fault(path string, code catalog.Code, format string, args ...any) {
	d.upsert.faults = append(d.upsert.faults, catalog.FieldError{Path: path, Code: code, Message: fmt.Sprintf(format, args...)})
}

func (d *decoder) wrongType(path, want string) {
	d.fault(path, catalog.CodeValidationFailed, "must be %s", want)
}

// unknown deals with a member at path that sets nothing, inside depth levels.
// readOnly are the names that are known nevertheless.
func (d *decoder) unknown(path string, m *member, depth int, readOnly []string) {
	if d.tooDeep(path, m.value, depth) || !d.options.Strict || slices.Contains(readOnly, m.name) {
		return
	}
	if d.unknowns++; d.unknowns <= maxUnknowns {
		d.fault(path, catalog.CodeValidationFailed, "is not a known name")
	}
}

// The names that the JSON form of a product, and of an image in it, has beside
// those that can be set.
var (
	readOnlyNames      = []string{"listed", "lastUsedAt", "expiresAt", "createdAt", "updatedAt", "version"}
	readOnlyImageNames = []string{"order", "contentType", "size", "width", "height", "href"}
)

// tooDeep records a fault if value, inside depth levels, exceeds the limit.
func (d *decoder) tooDeep(path string, value []byte, depth int) bool {
	if !jsondepth.Exceeds(value, d.options.Limits.Nesting-depth) {
		return false
	}
	d.fault(path, catalog.CodeValidationFailed, "must not be nested deeper than %d levels", d.options.Limits.Nesting)
	return true
}

// member finds the upsert in the root; nil if it isn't there, which is a
// fault.
func (d *decoder) member(root []member) ([]member, error) {
	for _, m := range root {
		if m.name != d.options.Member {
			d.tooDeep(m.name, m.value, d.depth)
		}
	}
	// From here on paths are relative to the member.
	d.upsert.member = d.options.Member
	d.upsert.outside, d.upsert.faults = d.upsert.faults, nil
	i := slices.IndexFunc(root, func(m member) bool { return m.name == d.options.Member })
	switch {
	case i < 0:
		d.fault("", catalog.CodeValidationFailed, "is required")
		return nil, nil
	case root[i].value.Kind() != '{':
		d.wrongType("", "a JSON object")
		return nil, nil
	}
	d.depth++
	return d.parser.object(root[i].value)
}

func (d *decoder) decode(spec []member) error {
	var images, urls *member
	for i := range spec {
		m := &spec[i]
		d.upsert.order[m.name] = i
		var err error
		sets := true
		switch m.name {
		case "externalId":
			sets, d.upsert.NamesProduct = false, true
			err = d.externalID(m)
		case "title":
			d.upsert.Patch.Title, err = d.text(m)
		case "description":
			d.upsert.Patch.Description, err = d.text(m)
		case "images":
			images = m
		case "imageUrls":
			urls = m
			d.upsert.Deprecated = true
		case "metadata":
			if m.isNull() {
				d.upsert.Patch.Metadata = catalog.Null[json.RawMessage]()
			} else if !d.tooDeep(m.name, m.value, d.depth) {
				d.upsert.Patch.Metadata = catalog.Set(json.RawMessage(m.value))
			}
		case "validForDays":
			d.validForDays(m)
		default:
			sets = false
			d.unknown(m.name, m, d.depth, readOnlyNames)
		}
		if err != nil {
			return err
		}
		d.upsert.SetsFields = d.upsert.SetsFields || sets
	}
	if !d.upsert.NamesProduct && d.options.RequireExternalID {
		d.fault("externalId", catalog.CodeExternalIDRequired, "an external ID is required")
	}
	return d.allImages(images, urls)
}

func (d *decoder) externalID(m *member) error {
	id := ""
	switch m.value.Kind() {
	case '"':
		text, err := unquote(m.value)
		if err != nil {
			return err
		}
		id = text
		d.upsert.ExternalID = catalog.Set(id)
	case 'n':
		d.upsert.ExternalID = catalog.Null[string]()
	default:
		d.wrongType(m.name, "a string")
		return nil
	}
	switch {
	case id != "":
	case d.options.RequireExternalID:
		d.fault(m.name, catalog.CodeExternalIDRequired, "an external ID is required")
	default:
		d.fault(m.name, catalog.CodeValidationFailed, "must not be null or empty; leave it out to have one made")
	}
	return nil
}

func (d *decoder) text(m *member) (catalog.Optional[string], error) {
	switch m.value.Kind() {
	case '"':
		text, err := unquote(m.value)
		return catalog.Set(text), err
	case 'n':
		return catalog.Null[string](), nil // the Validator's to judge
	}
	d.wrongType(m.name, "a string")
	return catalog.Optional[string]{}, nil
}

func (d *decoder) validForDays(m *member) {
	switch m.value.Kind() {
	case '0':
		if days, ok := integerOf(string(m.value)); ok {
			d.upsert.Patch.ValidForDays = catalog.Set(days)
			return
		}
	case 'n':
		d.upsert.Patch.ValidForDays = catalog.Null[int]()
		return
	}
	d.wrongType(m.name, "an integer or null")
}

// allImages reads images and imageUrls. Where the text has both, the upsert
// has the images, and the faults of both.
func (d *decoder) allImages(images, urls *member) (err error) {
	if urls != nil {
		d.upsert.urlList = images == nil
		d.upsert.Patch.Images, d.upsert.forms, err = d.images(urls, d.listedURL)
	}
	if images == nil || err != nil {
		return err
	}
	if urls != nil {
		d.fault(urls.name, catalog.CodeValidationFailed, "must not be given together with images")
	}
	d.upsert.Patch.Images, d.upsert.forms, err = d.images(images, d.image)
	return err
}

// images reads a list with one for each of its entries.
func (d *decoder) images(m *member, one func(path string, value jsontext.Value) (catalog.NewImage, entryForm, error)) (out catalog.Optional[[]catalog.NewImage], forms []entryForm, err error) {
	switch m.value.Kind() {
	case '[':
	case 'n':
		return catalog.Null[[]catalog.NewImage](), nil, nil // the Validator's to judge
	default:
		d.wrongType(m.name, "a list")
		return out, nil, nil
	}
	limit := d.options.Limits.Images
	elements, more, err := d.parser.array(m.value, limit)
	if err != nil {
		return out, nil, err
	}
	if more {
		d.fault(m.name, catalog.CodeValidationFailed, "must hold at most %d images", limit)
		if err := d.surplus(m.value, limit); err != nil {
			return out, nil, err
		}
	}
	list := make([]catalog.NewImage, len(elements))
	forms = make([]entryForm, len(elements))
	for i, value := range elements {
		list[i], forms[i], err = one(m.name+"."+strconv.Itoa(i), value)
		if err != nil {
			return out, nil, err
		}
	}
	return catalog.Set(list), forms, nil
}

// surplus looks for the flat form alone in the entries of a list beyond the
// first ones, of which there may be very many.
func (d *decoder) surplus(list jsontext.Value, first int) error {
	flat, err := d.parser.anyHas(list, first, "url", "fileKey")
	d.upsert.Deprecated = d.upsert.Deprecated || flat
	return err
}

// noSource stands in for the source of an image that is faulty already, so
// that the Validator looks at the rest of it.
var noSource = catalog.NewUpload(strings.NewReader(""))

// listedURL reads an entry of imageUrls.
func (d *decoder) listedURL(path string, value jsontext.Value) (catalog.NewImage, entryForm, error) {
	url, ok, err := d.nonEmpty(path, value)
	if !ok {
		return catalog.NewImage{Upload: noSource}, formAmbiguous, err
	}
	return catalog.NewImage{URL: url}, formFlat, nil
}

// sources are the ways in which an entry of images can name its bytes, nil
// where absent or null.
type sources struct {
	source, returned, url, fileKey jsontext.Value
}

// image reads an entry of images.
func (d *decoder) image(path string, value jsontext.Value) (out catalog.NewImage, form entryForm, err error) {
	out.Upload = noSource
	if value.Kind() != '{' {
		d.wrongType(path, "an object")
		return out, formAmbiguous, nil
	}
	s, err := d.imageMembers(path, value, &out)
	if err != nil {
		return out, formAmbiguous, err
	}
	flat := s.url != nil || s.fileKey != nil
	d.upsert.Deprecated = d.upsert.Deprecated || flat
	switch {
	case flat && (s.source != nil || s.returned != nil), s.source != nil && s.returned != nil:
		d.fault(path, catalog.CodeValidationFailed, "must have only one of source, sourceUrl, and url or fileKey")
		return out, formAmbiguous, nil
	case flat:
		return out, formFlat, d.oneSource(path, s.url, s.fileKey, &out)
	case s.returned != nil:
		url, ok, err := d.nonEmpty(path+".sourceUrl", s.returned)
		if ok {
			out.URL, out.Upload = url, nil
		}
		return out, formReturned, err
	case s.source != nil:
		return out, formSource, d.source(path+".source", s.source, &out)
	}
	d.fault(path+".source", catalog.CodeInvalidImageInput, "must have a url or a fileKey")
	return out, formAmbiguous, nil
}

// imageMembers returns the sources that an entry of images names, and reads the
// rest of it into out.
func (d *decoder) imageMembers(path string, value jsontext.Value, out *catalog.NewImage) (s sources, err error) {
	members, err := d.parser.object(value)
	if err != nil {
		return s, err
	}
	for i := range members {
		m := &members[i]
		value := m.value
		if m.isNull() {
			value = nil
		}
		switch m.name {
		case "source":
			s.source = value
		case "sourceUrl":
			s.returned = value
		case "url":
			s.url = value
		case "fileKey":
			s.fileKey = value
		case "classifications":
			if value != nil && !d.tooDeep(path+".classifications", m.value, d.depth+2) {
				out.Classifications = json.RawMessage(m.value)
			}
		default:
			d.unknown(path+"."+m.name, m, d.depth+2, readOnlyImageNames)
		}
	}
	return s, nil
}

// source reads the source of an image.
func (d *decoder) source(path string, value jsontext.Value, out *catalog.NewImage) error {
	if value.Kind() != '{' {
		d.wrongType(path, "an object")
		return nil
	}
	members, err := d.parser.object(value)
	if err != nil {
		return err
	}
	var url, fileKey jsontext.Value
	for i := range members {
		m := &members[i]
		value := m.value
		if m.isNull() {
			value = nil
		}
		switch m.name {
		case "url":
			url = value
		case "fileKey":
			fileKey = value
		default:
			d.unknown(path+"."+m.name, m, d.depth+3, nil)
		}
	}
	return d.oneSource(path, url, fileKey, out)
}

// oneSource sets the source of out from the url or fileKey of the object at
// path, nil where absent.
func (d *decoder) oneSource(path string, url, fileKey jsontext.Value, out *catalog.NewImage) error {
	switch {
	case url == nil && fileKey == nil:
		d.fault(path, catalog.CodeInvalidImageInput, "must have a url or a fileKey")
		return nil
	case url != nil && fileKey != nil:
		d.fault(path, catalog.CodeInvalidImageInput, "must have a url or a fileKey, not both")
		_, _, errURL := d.nonEmpty(path+".url", url)
		_, _, errKey := d.nonEmpty(path+".fileKey", fileKey)
		return errors.Join(errURL, errKey)
	case url != nil:
		text, ok, err := d.nonEmpty(path+".url", url)
		if ok {
			out.URL, out.Upload = text, nil
		}
		return err
	}
	key, ok, err := d.nonEmpty(path+".fileKey", fileKey)
	if !ok {
		return err
	}
	f, err := d.file(key)
	if err != nil {
		return err
	}
	for _, fault := range f.faults {
		d.fault(path+".fileKey", fault.Code, "%s", fault.Message)
	}
	if f.upload != nil {
		out.Upload = f.upload
	}
	return nil
}

// file looks up a file key once.
func (d *decoder) file(key string) (file, error) {
	f, ok := d.files[key]
	if ok {
		return f, nil
	}
	if d.options.Files != nil {
		upload, err := d.options.Files(key)
		var invalid *catalog.ValidationError
		switch {
		case errors.As(err, &invalid):
			f.faults = invalid.Fields
		case err != nil:
			return file{}, err
		default:
			f.upload = upload
		}
	}
	if f.upload == nil && f.faults == nil {
		f.faults = []catalog.FieldError{{Code: catalog.CodeFileNotFound, Message: "names no file part of this request"}}
	}
	if d.files == nil {
		d.files = make(map[string]file)
	}
	d.files[key] = f
	d.upsert.fileKeys = append(d.upsert.fileKeys, key)
	return f, nil
}

// nonEmpty reads a string; ok is false for the empty one and anything else,
// which are faults.
func (d *decoder) nonEmpty(path string, value jsontext.Value) (text string, ok bool, err error) {
	if value.Kind() == '"' {
		text, err = unquote(value)
		if err != nil || text != "" {
			return text, err == nil, err
		}
	}
	d.wrongType(path, "a non-empty string")
	return "", false, nil
}
