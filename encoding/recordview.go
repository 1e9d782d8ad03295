package encoding

import "encoding/binary"

// A RecordView reads a record where its encoding is. All that it returns is a
// part of those bytes, valid only as long as they are, and must not be changed.
type RecordView struct{ data []byte }

// ViewRecord returns a view of the record in data, which [VerifyRecord] has found
// to be right. It looks at every element, so that what it takes can be read to its
// end, and fails where DecodeRecord would.
func ViewRecord(data []byte) (RecordView, error) {
	var r Record
	images, err := BeginRecord(data, &r)
	if err != nil {
		return RecordView{}, err
	}
	for im := (Image{}); images.Next(&im); {
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

// ID returns the product's ID.
func (v RecordView) ID() []byte {
	in := v.behindHeader()
	in.str("account")
	return in.str("ID")
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
