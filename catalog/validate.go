package catalog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/shelflife-db/shelflife/catalog/internal/imageheader"
	"github.com/shelflife-db/shelflife/catalog/internal/jsondepth"
	"github.com/shelflife-db/shelflife/catalog/internal/plainjson"
	"github.com/shelflife-db/shelflife/encoding"
)

// MaxNameBytes is the greatest length of an account and of an external ID, in bytes.
const MaxNameBytes = 255

const (
	maxDays      = 365
	uploadScheme = "upload://"
	// generatedPrefix is reserved for IDs that the catalog makes.
	generatedPrefix = "_anon_"
	// metadataDepth and classificationsDepth are how many levels enclose these
	// values in the JSON form of an upsert: the body; the body, the list and
	// the image.
	metadataDepth        = 1
	classificationsDepth = 3
)

// preparedPatch is a Patch that was found valid as far as that can be told
// without the stored product, in the form in which it is merged.
type preparedPatch struct {
	title, description preparedText
	images             []preparedImage // nil = absent
	metadata           []byte          // nil with setMetadata = cleared
	setMetadata        bool
	days               int // 0 with setDays = kept forever
	setDays            bool
}

// preparedText is a text that a patch sets, if it does.
type preparedText struct {
	text string
	set  bool
}

// preparedImage has one source: a URL, a blob that the product should hold
// already (keep), or one that the commit brings (blob).
type preparedImage struct {
	url             string
	keep            encoding.BlobID
	blob            *incomingBlob
	classifications []byte
}

// Validate returns a *ValidationError with every fault of an upsert's arguments
// that can be found without the stored product and without reading uploads, nil
// if there is none. The upserts themselves report the same faults. An empty
// externalID is not reported: it is for callers that find or generate one later.
func (c *Catalog) Validate(account, externalID string, p Patch) error {
	faults := new(ValidationError)
	checkAccount(faults, account)
	if externalID != "" {
		checkExternalID(faults, externalID)
	}
	c.prepare(faults, p)
	return faults.err()
}

// InspectUpload reads the header of an image from r and returns a
// *ValidationError if the catalog would refuse the image, nil if not, or the
// error of r.
func (c *Catalog) InspectUpload(r io.Reader) error {
	if isNil(r) {
		return invalid("", CodeInvalidImage, "there is nothing to read the image from")
	}
	_, err := imageheader.Read(r, c.limits.ImagePixels)
	if bad := (*imageheader.Error)(nil); errors.As(err, &bad) {
		return invalid("", CodeInvalidImage, "%s", bad.Reason)
	}
	return err
}

func checkAccount(faults *ValidationError, account string) {
	switch {
	case account == "" || len(account) > MaxNameBytes:
		faults.add("account", CodeValidationFailed, "account must be 1 to %d bytes long, not %d", MaxNameBytes, len(account))
	case !utf8.ValidString(account):
		faults.add("account", CodeValidationFailed, "account must be valid UTF-8")
	}
}

func checkExternalID(faults *ValidationError, id string) {
	const path = "externalId"
	switch {
	case id == "":
		faults.add(path, CodeExternalIDRequired, "an external ID is required")
	case len(id) > MaxNameBytes:
		faults.add(path, CodeValidationFailed, "must be at most %d bytes long, not %d", MaxNameBytes, len(id))
	case !utf8.ValidString(id):
		faults.add(path, CodeValidationFailed, "must be valid UTF-8")
	case strings.ContainsFunc(id, unicode.IsControl):
		faults.add(path, CodeValidationFailed, "must not contain control characters")
	case id == "." || id == "..":
		faults.add(path, CodeValidationFailed, "%q can't be an ID: clients fold it out of a URL", id)
	}
}

// checkNames checks what every operation on one product is given.
func checkNames(account, id string) error {
	if isPlainName(account) && isPlainName(id) {
		return nil
	}
	faults := new(ValidationError)
	checkAccount(faults, account)
	checkExternalID(faults, id)
	return faults.err()
}

// isPlainName reports whether s is a valid account and a valid ID at first sight,
// as most are: printable ASCII, and not one of the names that URLs fold away.
func isPlainName(s string) bool {
	if s == "" || len(s) > MaxNameBytes || s[0] == '.' {
		return false
	}
	// Of a plain byte neither x-' ' nor x+1 borrows, carries or has the high bit, so
	// that a word of plain bytes shows none.
	var bad uint64
	rest := bytesOf(s)
	for len(rest) >= 8 {
		x := binary.LittleEndian.Uint64(rest)
		bad |= (x - ' '*everyByte) | (x + ('\x7f'-'~')*everyByte) | x
		rest = rest[8:]
	}
	if len(rest) > 0 && len(s) >= 8 {
		x := binary.LittleEndian.Uint64(bytesOf(s)[len(s)-8:])
		bad |= (x - ' '*everyByte) | (x + ('\x7f'-'~')*everyByte) | x
		rest = nil
	}
	for _, b := range rest {
		if b < ' ' || b > '~' {
			return false
		}
	}
	return bad&highBits == 0
}

const (
	everyByte = 0x0101010101010101
	highBits  = 0x80 * everyByte
)

// prepare checks p and adds its faults. What it returns is of use only if there
// are none; uploads and staged images are resolved later.
func (c *Catalog) prepare(faults *ValidationError, p Patch) *preparedPatch {
	out := new(preparedPatch)
	out.title = c.prepareText(faults, "title", p.Title, c.limits.TitleLength)
	out.description = c.prepareText(faults, "description", p.Description, c.limits.DescriptionLength)
	c.prepareImages(faults, p.Images, out)
	if raw, ok := p.Metadata.Get(); ok {
		var fault string
		out.metadata, fault = prepareJSON(raw, c.limits.MetadataBytes, c.limits.Nesting, metadataDepth)
		if fault != "" {
			faults.add("metadata", CodeValidationFailed, "%s", fault)
		}
	}
	out.setMetadata = !p.Metadata.IsAbsent()
	if days, ok := p.ValidForDays.Get(); ok {
		if days < 1 || days > maxDays {
			faults.add("validForDays", CodeValidationFailed, "must be 1 to %d, or null, not %d", maxDays, days)
		}
		out.days = days
	}
	out.setDays = !p.ValidForDays.IsAbsent()
	return out
}

func (c *Catalog) prepareText(faults *ValidationError, path string, o Optional[string], limit int) preparedText {
	if o.IsNull() {
		faults.add(path, CodeValidationFailed, "must not be null; an empty string clears it")
	}
	s, ok := o.Get()
	if !ok {
		return preparedText{}
	}
	if !utf8.ValidString(s) {
		faults.add(path, CodeValidationFailed, "must be valid UTF-8")
	} else if n := utf8.RuneCountInString(s); n > limit {
		faults.add(path, CodeValidationFailed, "must be at most %d characters long, not %d", limit, n)
	}
	return preparedText{s, true}
}

func (c *Catalog) prepareImages(faults *ValidationError, o Optional[[]NewImage], out *preparedPatch) {
	const path = "images"
	if o.IsNull() {
		faults.add(path, CodeValidationFailed, "must not be null")
	}
	images, ok := o.Get()
	if !ok {
		return
	}
	switch {
	case len(images) == 0:
		faults.add(path, CodeImagesRequired, "must hold at least one image")
	case len(images) > c.limits.Images:
		faults.add(path, CodeValidationFailed, "must hold at most %d images, not %d", c.limits.Images, len(images))
		return
	}
	out.images = make([]preparedImage, len(images))
	for i := range images {
		out.images[i] = c.prepareImage(faults, i, &images[i])
	}
}

func (c *Catalog) prepareImage(faults *ValidationError, order int, img *NewImage) (out preparedImage) {
	const (
		source          = "images.%d.source"
		fileKey         = source + ".fileKey"
		classifications = "images.%d.classifications"
	)
	sources := 0
	for _, given := range [...]bool{img.URL != "", img.Upload != nil, img.Staged != ""} {
		if given {
			sources++
		}
	}
	switch {
	case sources != 1:
		faults.add(fmt.Sprintf(source, order), CodeInvalidImageInput, "must have exactly one source, not %d", sources)
	case img.URL != "":
		c.prepareURL(faults, order, img.URL, &out)
	case img.Upload != nil && img.Upload.r == nil:
		faults.add(fmt.Sprintf(fileKey, order), CodeInvalidImageInput, "the upload has no reader")
	case img.Staged != "":
		if _, ok := encoding.ParseBlobID(string(img.Staged)); !ok {
			faults.add(fmt.Sprintf(source, order), CodeInvalidImageInput, "not the reference of a staged image")
		}
	}
	raw, fault := prepareJSON(img.Classifications, c.limits.ClassificationBytes, c.limits.Nesting, classificationsDepth)
	if fault == "" && raw != nil && raw[0] != '{' {
		fault = "must be a JSON object or null"
	}
	if fault != "" {
		faults.add(fmt.Sprintf(classifications, order), CodeValidationFailed, "%s", fault)
	}
	out.classifications = raw
	return out
}

func (c *Catalog) prepareURL(faults *ValidationError, order int, raw string, out *preparedImage) {
	refuse := func(format string, args ...any) {
		faults.add(fmt.Sprintf("images.%d.source.url", order), CodeValidationFailed, format, args...)
	}
	if ref, ok := strings.CutPrefix(raw, uploadScheme); ok {
		id, ok := encoding.ParseBlobID(ref)
		if !ok || id.IsZero() {
			refuse("not a reference to an uploaded image of this product")
		}
		out.keep = id
		return
	}
	out.url = raw
	if len(raw) > c.limits.URLBytes {
		refuse("must be at most %d bytes long, not %d", c.limits.URLBytes, len(raw))
		return
	}
	if fault := urlFault(raw); fault != "" {
		refuse("%s", fault)
	}
}

// prepareJSON returns the compact form of raw, nil for null and nothing, or what
// is wrong with it.
func prepareJSON(raw []byte, maxBytes, maxNesting, enclosing int) (compact []byte, fault string) {
	if raw == nil {
		return nil, ""
	}
	var err error
	if plainjson.Is(raw) {
		compact = raw // the caller's, as the texts are: what outlives the call is a copy
	} else {
		// The compact form is rarely longer.
		compact, err = jsontext.AppendFormat(make([]byte, 0, len(raw)), raw, jsontext.PreserveRawStrings(true))
	}
	switch {
	case err != nil:
		return nil, "must be one valid JSON value without duplicate names or lone surrogates"
	case len(compact) > maxBytes:
		return nil, fmt.Sprintf("must be at most %d bytes long in compact form, not %d", maxBytes, len(compact))
	case jsondepth.Exceeds(compact, maxNesting-enclosing):
		return nil, fmt.Sprintf("must not be nested deeper than %d levels", maxNesting)
	case string(compact) == "null":
		return nil, ""
	}
	return compact, ""
}
