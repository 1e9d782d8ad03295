package encoding

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"slices"
	"unsafe"
)

const (
	// None is the absence of a time.
	None int64 = -1

	// Schema is the schema that this version writes, and the newest that it
	// reads.
	Schema = 1

	dayMillis = 86_400_000
)

// A Record is a product as it is stored. Times are Unix milliseconds or [None].
//
// A Record keeps what a newer writer added to it, so change a copy of the
// decoded one instead of building another.
type Record struct {
	Listed    bool // appears in lists
	Generated bool // the library made its ID

	Incarnation uint64 // random, for the life of the product
	Edit        uint64 // random, new at each edit that changes something
	Revision    uint64 // counts the edits

	CreatedAt  int64
	UpdatedAt  int64
	LastUsedAt int64
	Anchor     int64 // when the lifetime began
	IndexedAt  int64 // deadline of the current expiry entry

	// ValidForDays is the lifetime in days of 24 hours, counted from Anchor;
	// 0 = kept for ever. Decoders refuse one below 0 or above 2^31-1.
	ValidForDays int

	// FeedPosition is where the product stands in the feed of changes; 0 = no
	// feed has had it yet.
	FeedPosition uint64

	Account     string
	ID          string
	Title       string
	Description string
	Metadata    []byte  // compact JSON, nil = null
	Images      []Image // nil when there is none

	flags uint16 // the bits that this version does not know
	extra []byte // the elements that this version does not know
}

// An Image is one image of a [Record]. One with a zero Blob is a URL only.
type Image struct {
	URL             string
	Blob            BlobID
	ContentType     string
	Size            int64 // bytes
	Width           int   // pixels
	Height          int   // pixels
	SHA256          [32]byte
	Classifications []byte // compact JSON, nil = null

	extra []byte // the elements that this version does not know
}

// A Header is the part of a record that stands first and has a fixed width. Its
// fields are those of [Record].
type Header struct {
	Listed, Generated                                   bool
	Incarnation, Edit, Revision                         uint64
	CreatedAt, UpdatedAt, LastUsedAt, Anchor, IndexedAt int64
	ValidForDays                                        int
	FeedPosition                                        uint64
}

// The bits of a record's flags.
const (
	flagListed    = 1 << 0
	flagGenerated = 1 << 1
	// flagPlain says that hasPlainTexts, so that whoever writes the texts as JSON need
	// not look at them. It is set by what is encoded, never kept: a record that is
	// edited may have other texts.
	flagPlain  = 1 << 2
	flagsKnown = flagListed | flagGenerated | flagPlain
)

// Where the elements of fixed width stand. Each begins with its code; the array
// takes the form of 16 bits whatever its length.
const (
	offSchema      = 3
	offChecksum    = offSchema + 1
	offFlags       = offChecksum + 5
	offIncarnation = offFlags + 3
	offEdit        = offIncarnation + 9
	offRevision    = offEdit + 9
	offCreatedAt   = offRevision + 9
	offUpdatedAt   = offCreatedAt + 9
	offLastUsedAt  = offUpdatedAt + 9
	offAnchor      = offLastUsedAt + 9
	offIndexedAt   = offAnchor + 9
	offValidFor    = offIndexedAt + 9
	offPosition    = offValidFor + 9
	offImages      = offPosition + 9
	headerLen      = offImages + 5

	headerElements = 14
	recordElements = headerElements + 6
	imageElements  = 8

	// minImageLen is the length of an image whose elements are all empty.
	minImageLen = 1 + imageElements
	// maxImageFixed bounds the length of an image without its strings.
	maxImageFixed = 3 + 3*5 + 18 + 34 + 3*9
)

// ExpiresAt returns when the product expires in Unix milliseconds, [None] if
// never.
func (r *Record) ExpiresAt() int64 { return ExpiresAt(r.Anchor, r.ValidForDays) }

// ExpiresAt returns when the product expires in Unix milliseconds, [None] if
// never.
func (h *Header) ExpiresAt() int64 { return ExpiresAt(h.Anchor, h.ValidForDays) }

// ExpiresAt is [Record.ExpiresAt] of a record with that Anchor and ValidForDays.
func ExpiresAt(anchor int64, days int) int64 {
	if days <= 0 {
		return None
	}
	lifetime := int64(days) * dayMillis
	if anchor > math.MaxInt64-lifetime {
		return math.MaxInt64
	}
	return anchor + lifetime
}

// AppendRecord appends the encoding of r to dst. An empty list of images, an
// empty metadata and empty classifications are written as absent.
func AppendRecord(dst []byte, r *Record) []byte {
	dst = slices.Grow(dst, recordBound(r))
	begin := len(dst)
	dst = appendHeader(dst, r)
	dst = appendStr(dst, r.Account)
	dst = appendStr(dst, r.ID)
	dst = appendStr(dst, r.Title)
	dst = appendStr(dst, r.Description)
	dst = appendJSON(dst, r.Metadata)
	dst = append(dst, r.extra...)
	images := len(dst) - begin
	dst = appendArrayLen(dst, len(r.Images))
	for i := range r.Images {
		dst = appendImage(dst, &r.Images[i])
	}
	data := dst[begin:]
	binary.BigEndian.PutUint32(data[offImages+1:], uint32(images))
	binary.BigEndian.PutUint32(data[offChecksum+1:], recordSum(data))
	return dst
}

// recordSum returns the checksum of the record in data, which holds a whole
// header: CRC32C over what follows the checksum, begun with the four bytes before
// it, so that it is that of all but itself.
func recordSum(data []byte) uint32 {
	return crc32.Update(binary.BigEndian.Uint32(data), castagnoli, data[offFlags:])
}

// VerifyRecord compares the checksum of the record in data with its bytes. Do so
// once with what was read from the store: nothing else here but DecodeRecord and
// DecodeRecordAliasing does. It fails with [ErrCorrupt] or [ErrNewerSchema].
func VerifyRecord(data []byte) error {
	if _, err := checkHeader(data); err != nil {
		return err
	}
	if binary.BigEndian.Uint32(data[offChecksum+1:]) != recordSum(data) {
		return corrupt("record", "checksum")
	}
	return nil
}

// DecodeRecord verifies the record in data and sets *r to it, whatever it held
// before. The result shares no memory with data: it is copied once, and every
// string and slice of r is a part of that copy. Treat the slices as immutable when
// r is shared.
//
// It fails with [ErrCorrupt] or [ErrNewerSchema]; *r is then undefined.
func DecodeRecord(data []byte, r *Record) error {
	if err := VerifyRecord(data); err != nil {
		return err
	}
	r.Images = nil
	return decode(bytes.Clone(data), r)
}

// DecodeRecordAliasing is [DecodeRecord] without the copy: the strings and
// slices of r are parts of data, valid only as long as data is neither changed
// nor reused. It takes the memory of r.Images if that is large enough.
func DecodeRecordAliasing(data []byte, r *Record) error {
	if err := VerifyRecord(data); err != nil {
		return err
	}
	return decode(data, r)
}

func decode(data []byte, r *Record) error {
	images, err := BeginRecord(data, r)
	if err != nil {
		return err
	}
	return images.Rest(r)
}

// BeginRecord is [DecodeRecordAliasing] in steps, of data that [VerifyRecord] has
// found to be right, for callers that build something other than a Record or need
// no images: it sets all but the images, which come next, and then [Images.End];
// or [Images.Rest] all at once.
func BeginRecord(data []byte, r *Record) (Images, error) {
	count, err := decodeHeader(data, r)
	if err != nil {
		return Images{}, err
	}
	in := reader{data: data, off: headerLen}
	r.Account = alias(in.str("account"))
	r.ID = alias(in.str("ID"))
	r.Title = alias(in.str("title"))
	r.Description = alias(in.str("description"))
	r.Metadata = decodeJSON(&in, "metadata")
	r.extra = in.elements(count-recordElements, "unknown elements")
	s := beginImages(in)
	if s.in.bad != "" {
		return Images{}, corrupt("record", s.in.bad)
	}
	return s, nil
}

// beginImages returns the images that in has come to, which stand where the header
// says.
func beginImages(in reader) Images {
	if in.bad == "" && in.off != int(binary.BigEndian.Uint32(in.data[offImages+1:])) {
		in.fail("where the images are")
	}
	s := Images{in: in}
	s.left = s.in.arrayLen("images")
	if s.left > s.in.left()/minImageLen {
		s.in.fail("number of images")
	}
	return s
}

// PeekRecord decodes only the front of the record in data, in a time that does
// not depend on its length, and so does not verify it. It fails as [DecodeRecord]
// does, but looks at nothing behind the front.
func PeekRecord(data []byte) (h Header, err error) {
	if _, err := checkHeader(data); err != nil {
		return Header{}, err
	}
	return frontOf(data), nil
}

// frontOf decodes the front of data, which holds a whole header.
func frontOf(data []byte) Header {
	flags := binary.BigEndian.Uint16(data[offFlags+1:])
	return Header{
		Listed:       flags&flagListed != 0,
		Generated:    flags&flagGenerated != 0,
		Incarnation:  uint64At(data, offIncarnation),
		Edit:         uint64At(data, offEdit),
		Revision:     uint64At(data, offRevision),
		CreatedAt:    int64(uint64At(data, offCreatedAt)),
		UpdatedAt:    int64(uint64At(data, offUpdatedAt)),
		LastUsedAt:   int64(uint64At(data, offLastUsedAt)),
		Anchor:       int64(uint64At(data, offAnchor)),
		IndexedAt:    int64(uint64At(data, offIndexedAt)),
		ValidForDays: int(uint64At(data, offValidFor)),
		FeedPosition: uint64At(data, offPosition),
	}
}

// recordBound returns a length that the encoding of r does not exceed.
func recordBound(r *Record) int {
	n := headerLen + 6*5 + len(r.Account) + len(r.ID) + len(r.Title) + len(r.Description) +
		len(r.Metadata) + len(r.extra)
	for i := range r.Images {
		im := &r.Images[i]
		n += maxImageFixed + len(im.URL) + len(im.ContentType) + len(im.Classifications) + len(im.extra)
	}
	return n
}

// appendHeader appends the elements of fixed width, but for the checksum and the
// offset of the images; dst has room for them.
func appendHeader(dst []byte, r *Record) []byte {
	count := recordElements + countElements(r.extra)
	flags := r.flags &^ flagsKnown
	if r.Listed {
		flags |= flagListed
	}
	if r.Generated {
		flags |= flagGenerated
	}
	if hasPlainTexts(r) {
		flags |= flagPlain
	}
	n := len(dst)
	dst = dst[:n+headerLen]
	b := (*[headerLen]byte)(dst[n:])
	b[0], b[1], b[2] = codeArray16, byte(count>>8), byte(count)
	b[offSchema] = Schema
	b[offChecksum], b[offImages] = codeUint32, codeUint32
	b[offFlags], b[offFlags+1], b[offFlags+2] = codeUint16, byte(flags>>8), byte(flags)
	putUint64(b, offIncarnation, codeUint64, r.Incarnation)
	putUint64(b, offEdit, codeUint64, r.Edit)
	putUint64(b, offRevision, codeUint64, r.Revision)
	putUint64(b, offCreatedAt, codeInt64, uint64(r.CreatedAt))
	putUint64(b, offUpdatedAt, codeInt64, uint64(r.UpdatedAt))
	putUint64(b, offLastUsedAt, codeInt64, uint64(r.LastUsedAt))
	putUint64(b, offAnchor, codeInt64, uint64(r.Anchor))
	putUint64(b, offIndexedAt, codeInt64, uint64(r.IndexedAt))
	putUint64(b, offValidFor, codeInt64, uint64(int64(r.ValidForDays)))
	putUint64(b, offPosition, codeUint64, r.FeedPosition)
	return dst
}

func appendImage(dst []byte, im *Image) []byte {
	dst = appendArrayLen(dst, imageElements+countElements(im.extra))
	dst = appendStr(dst, im.URL)
	if im.Blob.IsZero() {
		dst = append(dst, codeNil)
	} else {
		dst = append(append(dst, codeBin8, byte(len(im.Blob))), im.Blob[:]...)
	}
	dst = appendStr(dst, im.ContentType)
	dst = appendInt(dst, im.Size)
	dst = appendInt(dst, int64(im.Width))
	dst = appendInt(dst, int64(im.Height))
	if im.SHA256 == [32]byte{} {
		dst = append(dst, codeNil)
	} else {
		dst = append(append(dst, codeBin8, byte(len(im.SHA256))), im.SHA256[:]...)
	}
	dst = appendJSON(dst, im.Classifications)
	return append(dst, im.extra...)
}

func appendJSON(dst, json []byte) []byte {
	if len(json) == 0 {
		return append(dst, codeNil)
	}
	return appendStr(dst, json)
}

func putUint64(b *[headerLen]byte, off int, code byte, v uint64) {
	b[off] = code
	binary.BigEndian.PutUint64(b[off+1:], v)
}

func uint64At(data []byte, off int) uint64 { return binary.BigEndian.Uint64(data[off+1:]) }

// checkHeader returns the number of elements of the record in data. When it
// succeeds, data holds a whole header.
func checkHeader(data []byte) (count int, err error) {
	if len(data) < headerLen || data[0] != codeArray16 || data[offSchema] != Schema {
		if err := checkSchema(data, "record"); err != nil {
			return 0, err
		}
		return 0, corrupt("record", "header")
	}
	b := (*[headerLen]byte)(data)
	if b[offChecksum] != codeUint32 || b[offFlags] != codeUint16 ||
		b[offIncarnation] != codeUint64 || b[offEdit] != codeUint64 || b[offRevision] != codeUint64 ||
		b[offCreatedAt] != codeInt64 || b[offUpdatedAt] != codeInt64 || b[offLastUsedAt] != codeInt64 ||
		b[offAnchor] != codeInt64 || b[offIndexedAt] != codeInt64 || b[offValidFor] != codeInt64 ||
		b[offPosition] != codeUint64 || b[offImages] != codeUint32 {
		return 0, corrupt("record", "header")
	}
	if uint64At(data, offValidFor) > math.MaxInt32 {
		return 0, corrupt("record", "valid for days")
	}
	count = int(binary.BigEndian.Uint16(data[1:]))
	if count < recordElements {
		return 0, corrupt("record", "number of elements")
	}
	return count, nil
}

func decodeHeader(data []byte, r *Record) (count int, err error) {
	if count, err = checkHeader(data); err != nil {
		return 0, err
	}
	flags := binary.BigEndian.Uint16(data[offFlags+1:])
	r.Listed = flags&flagListed != 0
	r.Generated = flags&flagGenerated != 0
	r.flags = flags &^ flagsKnown
	r.Incarnation = uint64At(data, offIncarnation)
	r.Edit = uint64At(data, offEdit)
	r.Revision = uint64At(data, offRevision)
	r.CreatedAt = int64(uint64At(data, offCreatedAt))
	r.UpdatedAt = int64(uint64At(data, offUpdatedAt))
	r.LastUsedAt = int64(uint64At(data, offLastUsedAt))
	r.Anchor = int64(uint64At(data, offAnchor))
	r.IndexedAt = int64(uint64At(data, offIndexedAt))
	r.ValidForDays = int(uint64At(data, offValidFor))
	r.FeedPosition = uint64At(data, offPosition)
	return count, nil
}

// Images are the images of a record that is being decoded, see [BeginRecord].
type Images struct {
	in   reader
	left int
}

// Len returns how many images are left.
func (s *Images) Len() int {
	if s.in.bad != "" {
		return 0
	}
	return s.left
}

// Next sets *im to the next image, and returns false where there is none or the
// record is damaged: End says which.
func (s *Images) Next(im *Image) bool {
	if s.Len() == 0 {
		return false
	}
	s.left--
	decodeImage(&s.in, im)
	return s.in.bad == ""
}

// skip looks at the next image, of which there is one, as Next does.
func (s *Images) skip() {
	s.left--
	in := &s.in
	n := in.arrayLen("image")
	if n < imageElements {
		in.fail("number of an image's elements")
		return
	}
	in.str("image URL")
	if !in.takeURLOnly() {
		var hash [len(Image{}.SHA256)]byte
		in.bin(hash[:len(BlobID{})], "image blob")
		in.str("image content type")
		in.int("image size")
		in.smallInt("image width")
		in.smallInt("image height")
		in.bin(hash[:], "image hash")
	}
	decodeJSON(in, "image classifications")
	if n > imageElements {
		in.elements(n-imageElements, "unknown elements of an image")
	}
}

// Rest sets r.Images to all that is left. It takes the memory of r.Images if that
// is large enough.
func (s *Images) Rest(r *Record) error {
	n := s.Len()
	if n == 0 {
		r.Images = nil
	} else if cap(r.Images) >= n {
		r.Images = r.Images[:n]
	} else {
		r.Images = make([]Image, n)
	}
	for i := range r.Images {
		s.Next(&r.Images[i])
	}
	return s.End()
}

// End returns nil if the record ends behind the images, all of which were taken.
func (s *Images) End() error {
	if s.in.bad == "" && s.in.left() != 0 {
		s.in.fail("bytes after the end")
	}
	if s.in.bad != "" {
		return corrupt("record", s.in.bad)
	}
	return nil
}

// urlOnly is what stands between the URL and the classifications of an image that is
// no more than a URL, as most are: no blob, content type, size, width, height and hash.
const urlOnly = "\xc0\xa0\x00\x00\x00\xc0"

// takeURLOnly reports whether urlOnly comes next, and takes it if so.
func (r *reader) takeURLOnly() bool {
	if rest := r.data[r.off:]; len(rest) < len(urlOnly) || string(rest[:len(urlOnly)]) != urlOnly {
		return false
	}
	r.off += len(urlOnly)
	return true
}

func decodeImage(in *reader, im *Image) {
	n := in.arrayLen("image")
	if n < imageElements {
		in.fail("number of an image's elements")
		return
	}
	im.URL = alias(in.str("image URL"))
	if in.takeURLOnly() {
		im.Blob, im.ContentType, im.Size, im.Width, im.Height, im.SHA256 = BlobID{}, "", 0, 0, 0, [32]byte{}
	} else {
		in.bin(im.Blob[:], "image blob")
		im.ContentType = alias(in.str("image content type"))
		im.Size = in.int("image size")
		im.Width = in.smallInt("image width")
		im.Height = in.smallInt("image height")
		in.bin(im.SHA256[:], "image hash")
	}
	im.Classifications = decodeJSON(in, "image classifications")
	im.extra = in.elements(n-imageElements, "unknown elements of an image")
}

func decodeJSON(in *reader, what string) []byte {
	if in.isNil() {
		return nil
	}
	return in.str(what)
}

// alias returns b as a string that shares its memory.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
