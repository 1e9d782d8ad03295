package catalog

import (
	"encoding/binary"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

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

func appendTexts(dst, id, title, description []byte) []byte {
	dst = append(dst, `{"externalId":`...)
	dst = appendText(dst, id)
	dst = append(dst, `,"title":`...)
	dst = appendText(dst, title)
	dst = append(dst, `,"description":`...)
	dst = appendText(dst, description)
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
	dst = appendMillis(dst, f.createdAt)
	dst = append(dst, `,"updatedAt":`...)
	dst = appendMillis(dst, f.updatedAt)
	dst = append(dst, `,"version":"`...)
	dst = f.version.append(dst)
	return append(dst, `"}`...)
}

// jsonImage is an image without its source, in the JSON form of a product.
type jsonImage struct {
	order           int
	classifications []byte
	contentType     []byte
	size            int64
	width, height   int
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
	return appendText(dst, bytesOf(h.path+strconv.Itoa(order)))
}

// append appends what follows the source.
func (i *jsonImage) append(dst []byte, hrefs *hrefs) []byte {
	dst = append(dst, `,"order":`...)
	dst = strconv.AppendInt(dst, int64(i.order), 10)
	if i.classifications != nil {
		dst = append(dst, `,"classifications":`...)
		dst = append(dst, i.classifications...)
	}
	if len(i.contentType) > 0 {
		dst = append(dst, `,"contentType":`...)
		dst = appendText(dst, i.contentType)
		dst = append(dst, `,"size":`...)
		dst = strconv.AppendInt(dst, i.size, 10)
		dst = append(dst, `,"width":`...)
		dst = strconv.AppendInt(dst, int64(i.width), 10)
		dst = append(dst, `,"height":`...)
		dst = strconv.AppendInt(dst, int64(i.height), 10)
		if hrefs.of != nil {
			dst = append(dst, `,"href":`...)
			dst = hrefs.append(dst, i.order)
		}
	}
	return append(dst, '}')
}

// appendJSON is AppendJSONWithHref; a nil imagesPath leaves href out.
func (v ProductView) appendJSON(dst []byte, imagesPath func() string) []byte {
	hrefs := hrefs{of: imagesPath}
	t := v.record.Texts()
	dst = appendTexts(dst, t.ID, t.Title, t.Description)
	images := v.record.Images()
	var i encoding.Image
	for order := 0; images.Next(&i); order++ {
		if order > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"sourceUrl":`...)
		if i.Blob.IsZero() {
			dst = appendText(dst, bytesOf(i.URL))
		} else {
			dst = append(dst, '"')
			dst = append((&ImageView{image: i}).appendSourceURL(dst), '"')
		}
		rest := jsonImage{order, i.Classifications, bytesOf(i.ContentType), i.Size, i.Width, i.Height}
		dst = rest.append(dst, &hrefs)
	}
	h := v.header()
	rest := jsonFields{
		t.Metadata, h.ValidForDays, h.Listed,
		jsonMillis(h.LastUsedAt), jsonMillis(h.ExpiresAt()), jsonMillis(h.CreatedAt), jsonMillis(h.UpdatedAt),
		Version{h.Incarnation, h.Edit},
	}
	return rest.append(dst)
}

const (
	everyByte = 0x0101010101010101
	highBits  = 0x80 * everyByte
)

// appendText appends s in quotes. The catalog stores valid UTF-8 only, for which
// quoting can't fail; in a product that a caller changed, invalid bytes become
// U+FFFD.
func appendText(dst, s []byte) []byte {
	if !isPlainText(s) {
		dst, _ = jsontext.AppendQuote(dst, s)
		return dst
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

// isPlainText reports whether s stands in JSON as it is: valid UTF-8 without
// control characters, quotes and backslashes. It looks at eight bytes at a time.
// In each byte of a word x without a high bit, x-n*everyByte has one where the byte
// is below n; the borrow goes no further than to bytes behind such a one.
func isPlainText(s []byte) bool {
	var escaped, all uint64
	rest := s
	for len(rest) >= 32 {
		w, x := binary.LittleEndian.Uint64(rest), binary.LittleEndian.Uint64(rest[8:])
		y, z := binary.LittleEndian.Uint64(rest[16:]), binary.LittleEndian.Uint64(rest[24:])
		escaped |= escapes(w) | escapes(x) | escapes(y) | escapes(z)
		all |= w | x | y | z
		rest = rest[32:]
	}
	for len(rest) >= 8 {
		x := binary.LittleEndian.Uint64(rest)
		escaped |= escapes(x)
		all |= x
		rest = rest[8:]
	}
	if len(rest) > 0 {
		x := lastWord(s, rest)
		escaped |= escapes(x)
		all |= x
	}
	return escaped == 0 && (all&highBits == 0 || utf8.Valid(s))
}

// lastWord returns the last eight bytes of s, which ends with rest, or rest with spaces
// behind it where s is shorter.
func lastWord(s, rest []byte) uint64 {
	if len(s) >= 8 {
		return binary.LittleEndian.Uint64(s[len(s)-8:])
	}
	x := uint64(' ') * everyByte
	for i, b := range rest {
		shift := 8 * i
		x = x&^(0xff<<shift) | uint64(b)<<shift
	}
	return x
}

// escapes is 0 if none of the bytes of x has to be escaped.
func escapes(x uint64) uint64 {
	control := x - ' '*everyByte
	quote := (x ^ '"'*everyByte) - everyByte
	backslash := (x ^ '\\'*everyByte) - everyByte
	return (control | quote | backslash) & ^x & highBits
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
