package dataset

import (
	"bytes"
	"fmt"
	"strconv"
)

// Edits makes the metadata that edits write. What revision r looks like is
// known from r alone, and r stands in it, so that whatever edit won can be
// told and checked. Making one costs a copy.
type Edits struct {
	variants [][]byte
}

const (
	revisionName   = `{"benchRevision":"`
	revisionDigits = 16
	editVariants   = 1024
)

// NewEdits takes the metadata of the first products of s as models.
func NewEdits(s *Set) *Edits {
	e := &Edits{variants: make([][]byte, min(editVariants, s.Len()))}
	for i := range e.variants {
		v := append([]byte(revisionName), bytes.Repeat([]byte{'0'}, revisionDigits)...)
		v = append(v, '"')
		base := s.Product(i).Metadata
		switch {
		case len(base) > 2 && base[0] == '{':
			v = append(append(v, ','), base[1:]...)
		case len(base) > 0:
			v = append(append(append(v, `,"base":`...), base...), '}')
		default:
			v = append(v, '}')
		}
		e.variants[i] = v
	}
	return e
}

// Variants returns how many models there are: revision r is made from model
// r modulo this number, which comes from the product of that number.
func (e *Edits) Variants() int { return len(e.variants) }

// Append appends the metadata of a revision, which is not 0.
func (e *Edits) Append(dst []byte, revision uint64) []byte {
	begin := len(dst)
	dst = append(dst, e.variants[revision%uint64(len(e.variants))]...)
	PutRevision(dst[begin:], revision)
	return dst
}

// PutRevision writes a revision over the one in metadata that Append made.
func PutRevision(metadata []byte, revision uint64) {
	const hex = "0123456789abcdef"
	digits := metadata[len(revisionName) : len(revisionName)+revisionDigits]
	for i := range digits {
		digits[i] = hex[revision>>(4*(revisionDigits-1-i))&15]
	}
}

// Revision returns the revision that metadata is of, 0 for a product that was
// never edited.
func Revision(metadata []byte) (uint64, error) {
	rest, ok := bytes.CutPrefix(metadata, []byte(revisionName))
	if !ok {
		return 0, nil
	}
	if len(rest) < revisionDigits {
		return 0, fmt.Errorf("dataset: cut off metadata %q", metadata)
	}
	return strconv.ParseUint(string(rest[:revisionDigits]), 16, 64)
}

// Check returns nil if got is product i of s, as it was made or after an edit,
// and the revision that it is of. whole says that edits replace the product by
// their model's instead of its metadata alone.
func (e *Edits) Check(s *Set, i int, got *Product, whole bool) (revision uint64, err error) {
	want := s.Product(i)
	if revision, err = Revision(got.Metadata); err != nil {
		return 0, err
	}
	if revision != 0 {
		if whole {
			want = s.Product(int(revision % uint64(len(e.variants))))
		}
		want.Metadata = e.Append(nil, revision)
	}
	return revision, Same(&want, got)
}
