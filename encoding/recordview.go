package encoding

import "encoding/binary"

// A RecordView reads a record where its encoding is. All that it returns is a
// part of those bytes, valid only as long as they are, and must not be changed.
type RecordView struct{ data []byte }

// ViewRecord returns a view of the record in data, which [VerifyRecord] has found
// to be right. It looks at every element, so that what it takes can be read to its
// end, and fails where DecodeRecord would.
func ViewRecord(data []byte) (RecordView, error) {
	count, err := checkHeader(data)
	if err != nil {
		return RecordView{}, err
	}
	in := reader{data: data, off: headerLen}
	in.str("account")
	in.str("ID")
	in.str("title")
	in.str("description")
	decodeJSON(&in, "metadata")
	if count > recordElements {
		in.elements(count-recordElements, "unknown elements")
	}
	images := beginImages(in)
	for images.Len() > 0 {
		images.skip()
	}
	return RecordView{data}, images.End()
}

// ViewChecked is [ViewRecord] of data that it has taken before, or that
// AppendRecord has made, without looking. Of other data a view returns nothing
// that means anything.
func ViewChecked(data []byte) RecordView { return RecordView{data} }

// RecordTexts are the elements of a record that stand between the header and the
// images. What is empty or null is nil.
type RecordTexts struct {
	Account, ID, Title, Description []byte
	Metadata                        []byte // compact JSON
}

// Header returns the front of the record.
func (v RecordView) Header() Header {
	if len(v.data) < headerLen {
		return Header{}
	}
	return frontOf(v.data)
}

// The fields of the header one by one, for those who want few of them.

// ValidForDays is as in [Record].
func (v RecordView) ValidForDays() int { return int(v.at(offValidFor)) }

// Listed is as in [Record].
func (v RecordView) Listed() bool { return v.flags()&flagListed != 0 }

// Plain reports whether the encoder found that [IsPlainText] holds for the ID, the
// title, the description, and the URLs and content types of the images.
func (v RecordView) Plain() bool { return v.flags()&flagPlain != 0 }

func (v RecordView) flags() uint16 {
	if len(v.data) < headerLen {
		return 0
	}
	return binary.BigEndian.Uint16(v.data[offFlags+1:])
}

// CreatedAt is as in [Record].
func (v RecordView) CreatedAt() int64 { return int64(v.at(offCreatedAt)) }

// UpdatedAt is as in [Record].
func (v RecordView) UpdatedAt() int64 { return int64(v.at(offUpdatedAt)) }

// Version returns the incarnation and the edit.
func (v RecordView) Version() (incarnation, edit uint64) { return v.at(offIncarnation), v.at(offEdit) }

// at returns the element of 64 bits of the header whose code stands at off.
func (v RecordView) at(off int) uint64 {
	if len(v.data) < headerLen {
		return 0
	}
	return uint64At(v.data, off)
}

// ID returns the product's ID.
func (v RecordView) ID() []byte { return v.text(1) }

// Title returns the title.
func (v RecordView) Title() []byte { return v.text(2) }

// Description returns the description.
func (v RecordView) Description() []byte { return v.text(3) }

// text returns the n-th of the strings behind the header, of which the account is the
// first, at 0.
func (v RecordView) text(n int) []byte {
	in := v.behindHeader()
	for range n {
		in.str("text")
	}
	return in.str("text")
}

// Texts returns the elements between the header and the images.
func (v RecordView) Texts() (t RecordTexts) {
	in := v.behindHeader()
	t.Account = in.str("account")
	t.ID = in.str("ID")
	t.Title = in.str("title")
	t.Description = in.str("description")
	t.Metadata = decodeJSON(&in, "metadata")
	return t
}

// Images returns the images. Each shares the memory of the record.
func (v RecordView) Images() Images {
	if len(v.data) < headerLen {
		return Images{}
	}
	s := Images{in: reader{data: v.data, off: int(binary.BigEndian.Uint32(v.data[offImages+1:]))}}
	if s.in.off < headerLen || s.in.off > len(v.data) {
		return Images{}
	}
	s.left = s.in.arrayLen("images")
	return s
}

func (v RecordView) behindHeader() reader {
	return reader{data: v.data, off: min(headerLen, len(v.data))}
}

// Clone returns a copy of the encoding.
func (v RecordView) Clone() []byte { return append([]byte(nil), v.data...) }

const (
	cacheLine = 64
	// prefetched is more than most records are long. What is behind it is read in large
	// pieces, in which the processor looks ahead by itself.
	prefetched = 4 << 10
)

// Prefetch is for a caller that reads most of a record which may have lain in memory
// for long. The lines of memory are asked for at once, where reading one element
// behind the other waits for each of them: a fifth of the time of JSON.
func (v RecordView) Prefetch() { touchLines(v.data[:min(len(v.data), prefetched)]) }

// touchLines reads a byte of each line. Inlined, its reads would be left out, since
// nobody wants the result.
//
//go:noinline
func touchLines(b []byte) (x byte) {
	for i := 0; i < len(b); i += cacheLine {
		x |= b[i]
	}
	return x
}
