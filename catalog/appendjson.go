package catalog

import (
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/shelflife-db/shelflife/encoding"
)

// jsonFields are what follows the images in the JSON form of a product.
type jsonFields struct {
	metadata                                    []byte
	validForDays                                int
	listed                                      bool
	lastUsedAt, expiresAt, createdAt, updatedAt int64
	version                                     Version
}

// appendTexts begins a product. plain is as in appendText.
func appendTexts(dst, id, title, description []byte, plain bool) []byte {
	dst = append(dst, `{"externalId":`...)
	dst = appendText(dst, id, plain)
	dst = append(dst, `,"title":`...)
	dst = appendText(dst, title, plain)
	dst = append(dst, `,"description":`...)
	dst = appendText(dst, description, plain)
	return append(dst, `,"images":[`...)
}

func (f *jsonFields) append(dst []byte) []byte {
	dst = append(dst, `],"metadata":`...)
	if f.metadata == nil {
		dst = append(dst, `null`...)
	} else {
		dst = append(dst, f.metadata...)
	}
	dst = append(dst, `,"validForDays":`...)
	if f.validForDays == 0 {
		dst = append(dst, `null`...)
	} else {
		dst = strconv.AppendInt(dst, int64(f.validForDays), 10)
	}
	dst = append(dst, `,"listed":`...)
	dst = strconv.AppendBool(dst, f.listed)
	dst = append(dst, `,"lastUsedAt":`...)
	dst = appendMillis(dst, f.lastUsedAt)
	dst = append(dst, `,"expiresAt":`...)
	dst = appendMillis(dst, f.expiresAt)
	dst = append(dst, `,"createdAt":`...)
	created := len(dst)
	dst = appendMillis(dst, f.createdAt)
	written := dst[created:]
	dst = append(dst, `,"updatedAt":`...)
	if f.updatedAt == f.createdAt {
		dst = append(dst, written...)
	} else {
		dst = appendMillis(dst, f.updatedAt)
	}
	dst = append(dst, `,"version":"`...)
	dst = f.version.append(dst)
	return append(dst, `"}`...)
}

// hrefs are the paths of uploaded images.
type hrefs struct {
	of   func() string // nil where there are none
	path string        // what it returned, empty before
}

// append appends the href of an image.
func (h *hrefs) append(dst []byte, order int) []byte {
	if h.path == "" {
		h.path = h.of() + "/"
	}
	return appendText(dst, bytesOf(h.path+strconv.Itoa(order)), false)
}

// appendPlace appends what every image has behind its source.
func appendPlace(dst []byte, order int, classifications []byte) []byte {
	dst = append(dst, `,"order":`...)
	dst = strconv.AppendInt(dst, int64(order), 10)
	if classifications != nil {
		dst = append(dst, `,"classifications":`...)
		dst = append(dst, classifications...)
	}
	return dst
}

// jsonUpload is what an image that was uploaded has behind the classifications.
type jsonUpload struct {
	contentType   []byte
	size          int64
	width, height int
}

// append appends it for the image at the position order. plain is as in appendText.
func (u *jsonUpload) append(dst []byte, order int, hrefs *hrefs, plain bool) []byte {
	dst = append(dst, `,"contentType":`...)
	dst = appendText(dst, u.contentType, plain)
	dst = append(dst, `,"size":`...)
	dst = strconv.AppendInt(dst, u.size, 10)
	dst = append(dst, `,"width":`...)
	dst = strconv.AppendInt(dst, int64(u.width), 10)
	dst = append(dst, `,"height":`...)
	dst = strconv.AppendInt(dst, int64(u.height), 10)
	if hrefs.of != nil {
		dst = append(dst, `,"href":`...)
		dst = hrefs.append(dst, order)
	}
	return dst
}

// appendUploaded appends the source of an image that is more than a URL, and what
// follows it.
func appendUploaded(dst []byte, i *encoding.ImageView, order int, hrefs *hrefs, plain bool) []byte {
	u := i.Upload()
	if u.Blob.IsZero() {
		dst = appendText(dst, i.URL(), plain)
	} else {
		dst = append(dst, '"')
		dst = append(appendUploadURL(dst, u.Blob), '"')
	}
	dst = appendPlace(dst, order, i.Classifications())
	if len(u.ContentType) > 0 {
		rest := jsonUpload{u.ContentType, u.Size, u.Width, u.Height}
		dst = rest.append(dst, order, hrefs, plain)
	}
	return dst
}

// appendJSON is AppendJSONWithHref; a nil imagesPath leaves href out.
func (v ProductView) appendJSON(dst []byte, imagesPath func() string) []byte {
	hrefs := hrefs{of: imagesPath}
	v.record.Prefetch()
	plain := v.record.Plain()
	t := v.record.Texts()
	dst = appendTexts(dst, t.ID, t.Title, t.Description, plain)
	images := v.record.Images()
	var i encoding.ImageView
	for order := 0; images.NextView(&i); order++ {
		if order > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"sourceUrl":`...)
		if i.URLOnly() {
			dst = appendText(dst, i.URL(), plain)
			dst = appendPlace(dst, order, i.Classifications())
		} else {
			dst = appendUploaded(dst, &i, order, &hrefs, plain)
		}
		dst = append(dst, '}')
	}
	rest := jsonFields{
		t.Metadata, v.record.ValidForDays(), v.record.Listed(),
		jsonMillis(v.lastUsedAt), jsonMillis(v.expiresAt()), jsonMillis(v.record.CreatedAt()), jsonMillis(v.record.UpdatedAt()),
		v.Version(),
	}
	return rest.append(dst)
}

// appendText appends s in quotes. The catalog stores valid UTF-8 only, for which
// quoting can't fail; in a product that a caller changed, invalid bytes become
// U+FFFD. plain says that [encoding.IsPlainText] is known to hold for s.
func appendText(dst, s []byte, plain bool) []byte {
	if !plain && !encoding.IsPlainText(s) {
		dst, _ = jsontext.AppendQuote(dst, s)
		return dst
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

const (
	// timeLayout is RFC 3339 with exactly three digits of a second.
	timeLayout = "2006-01-02T15:04:05.000Z"
	dayMillis  = 86_400_000
	// year10000 is the first time whose year has more than four digits.
	year10000 = 253_402_300_800_000
)

// noTime is a time that there is none of, in jsonFields.
const noTime = math.MinInt64

// jsonMillis translates encoding.None.
func jsonMillis(ms int64) int64 {
	if ms == encoding.None {
		return noTime
	}
	return ms
}

// jsonMillisOf cuts t to whole milliseconds.
func jsonMillisOf(t time.Time) int64 {
	if t.IsZero() {
		return noTime
	}
	return t.UnixMilli()
}

// appendMillis appends a time of Unix milliseconds in timeLayout and quotes, or
// null.
func appendMillis(dst []byte, ms int64) []byte {
	if ms == noTime {
		return append(dst, `null`...)
	}
	if ms < 0 || ms >= year10000 {
		dst = append(dst, '"')
		dst = time.UnixMilli(ms).UTC().AppendFormat(dst, timeLayout)
		return append(dst, '"')
	}
	year, month, day := civil(uint32(ms / dayMillis))
	rest := uint32(ms % dayMillis)
	b := [26]byte([]byte(`"0000-00-00T00:00:00.000Z"`))
	put2(b[1:], year/100)
	put2(b[3:], year%100)
	put2(b[6:], month)
	put2(b[9:], day)
	put2(b[12:], rest/3_600_000)
	put2(b[15:], rest/60_000%60)
	put2(b[18:], rest/1000%60)
	b[21] += byte(rest % 1000 / 100)
	put2(b[22:], rest%100)
	return append(dst, b[:]...)
}

func put2(b []byte, n uint32) {
	b[0], b[1] = byte('0'+n/10), byte('0'+n%10)
}

// civil returns the date of a number of days since 1970, in the Gregorian calendar
// and before the year 10000. Years are counted from March on, so that a leap day
// is the last of one: of 1461 days are four years, of 153 days are five months.
func civil(days uint32) (year, month, day uint32) {
	const before = 719_468 // days from March 1 of the year 0 to 1970
	days += before
	century := (4*days + 3) / 146_097
	ofCentury := days - century*146_097/4
	quarter := (4*ofCentury + 3) / 1461
	ofYear := ofCentury - quarter*1461/4
	year = 100*century + quarter
	m := (5*ofYear + 2) / 153
	day = ofYear - (153*m+2)/5 + 1
	if month = m + 3; month > 12 {
		month -= 12
		year++
	}
	return year, month, day
}

// etagSize is more than the length of an entity tag.
const etagSize = 64

// appendETag appends the entity tag of a product's JSON form.
func appendETag(dst []byte, v Version, lastUsedAt, expiresAt int64) []byte {
	dst = append(dst, '"')
	dst = v.append(dst)
	dst = append(dst, '.')
	dst = strconv.AppendInt(dst, etagFormat, 10)
	dst = append(dst, '.')
	dst = strconv.AppendInt(dst, lastUsedAt, 36)
	dst = append(dst, '.')
	dst = strconv.AppendInt(dst, expiresAt, 36)
	return append(dst, '"')
}
