package encoding

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// A Use is an entry of the use journal: a product was used.
type Use struct {
	Account     string
	ID          string
	Incarnation uint64 // of the product
	At          int64  // Unix milliseconds
}

// UseJournalStart is the name of the meta entry that says where the use journal
// starts: see [AppendUseJournalStart].
const UseJournalStart = "uses"

const (
	useJournalPrefix = "uses/"
	useElements      = 4
	// minUseLen is the length of a Use whose strings are empty.
	minUseLen = 1 + 1 + 9 + 9
)

// UseJournalName returns the name of the meta entry that holds the part of the
// use journal with the number n. Names ascend with the numbers.
func UseJournalName(n uint64) string {
	return fmt.Sprintf("%s%016x", useJournalPrefix, n)
}

// ParseUseJournalName returns the number in a name that [UseJournalName] made;
// ok is false for any other name.
func ParseUseJournalName(name string) (n uint64, ok bool) {
	digits, ok := strings.CutPrefix(name, useJournalPrefix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 16, 64)
	return n, err == nil && UseJournalName(n) == name
}

// UseJournalRange returns the range of exactly the meta keys of the parts of the
// use journal.
func UseJournalRange() (start, end []byte) {
	return prefixRange(appendEscaped([]byte{SpaceMeta}, useJournalPrefix))
}

// AppendUseJournalStart appends the encoding of the number below which every part
// of the use journal has been removed, and none is written any more.
func AppendUseJournalStart(dst []byte, n uint64) []byte {
	return appendArray(dst, nil, Schema, n)
}

// DecodeUseJournalStart returns the number in data. It fails with [ErrCorrupt] or
// [ErrNewerSchema].
func DecodeUseJournalStart(data []byte) (n uint64, err error) {
	const kind = "start of the use journal"
	if err := checkSchema(data, kind); err != nil {
		return 0, err
	}
	var schema int
	_, err = decodeArray(data, kind, &schema, &n)
	return n, err
}

// AppendUses appends the encoding of a part of the use journal to dst.
func AppendUses(dst []byte, uses []Use) []byte {
	dst = appendArrayLen(dst, 1+useElements*len(uses))
	dst = appendInt(dst, Schema)
	for i := range uses {
		u := &uses[i]
		dst = appendStr(dst, u.Account)
		dst = appendStr(dst, u.ID)
		dst = binary.BigEndian.AppendUint64(append(dst, codeUint64), u.Incarnation)
		dst = binary.BigEndian.AppendUint64(append(dst, codeInt64), uint64(u.At))
	}
	return dst
}

// DecodeUses returns the entries in data, which AppendUses made. They share no
// memory with it. It fails with [ErrCorrupt] or [ErrNewerSchema].
func DecodeUses(data []byte) ([]Use, error) {
	const kind = "use journal"
	if err := checkSchema(data, kind); err != nil {
		return nil, err
	}
	in := reader{data: append([]byte(nil), data...)}
	n := in.arrayLen("array") - 1
	in.smallInt("schema")
	if n%useElements != 0 || n/useElements > in.left()/minUseLen {
		return nil, corrupt(kind, "number of elements")
	}
	uses := make([]Use, n/useElements)
	for i := range uses {
		uses[i] = Use{
			Account:     alias(in.str("account")),
			ID:          alias(in.str("ID")),
			Incarnation: in.fixed64(codeUint64, "incarnation"),
			At:          int64(in.fixed64(codeInt64, "time")),
		}
	}
	if in.bad == "" && in.left() != 0 {
		in.fail("bytes after the end")
	}
	if in.bad != "" {
		return nil, corrupt(kind, in.bad)
	}
	return uses, nil
}
