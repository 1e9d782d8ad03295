package encoding_test

import (
	"bytes"
	"fmt"

	"github.com/shelflife-db/shelflife/encoding"
)

// The keys of one account lie in one range, and no other account's do.
func ExampleProductRange() {
	start, end := encoding.ProductRange("a")
	for _, account := range []string{"a", "a/b", "a\x00"} {
		key := encoding.AppendProductKey(nil, account, "c")
		inside := bytes.Compare(start, key) <= 0 && bytes.Compare(key, end) < 0
		fmt.Printf("%q %t\n", account, inside)
	}
	// Output:
	// "a" true
	// "a/b" false
	// "a\x00" false
}

// A scan over one account decodes only the IDs, into memory of its own.
func ExampleAppendKeyID() {
	start, _ := encoding.ProductRange("acme")
	key := encoding.AppendProductKey(nil, "acme", "shirt-42")

	var buf []byte
	buf, err := encoding.AppendKeyID(buf[:0], key, len(start))
	fmt.Println(string(buf), err)
	// Output: shirt-42 <nil>
}

// A change of a decoded record keeps what a newer version wrote into it.
func ExampleDecodeRecord() {
	stored := encoding.AppendRecord(nil, &encoding.Record{
		Listed: true, Edit: 1, Revision: 1, LastUsedAt: encoding.None, IndexedAt: encoding.None,
		Account: "acme", ID: "shirt-42", Title: "Red tee",
		Images: []encoding.Image{{URL: "https://cdn.example/front.jpg"}},
	})

	var r encoding.Record
	if err := encoding.DecodeRecord(stored, &r); err != nil {
		fmt.Println(err)
		return
	}
	r.Title = "Blue tee"
	r.Revision++
	stored = encoding.AppendRecord(stored[:0], &r)

	h, err := encoding.PeekRecord(stored)
	fmt.Println(h.Listed, h.Revision, h.ExpiresAt() == encoding.None, err)
	// Output: true 2 true <nil>
}

func ExampleBlobID() {
	id, ok := encoding.ParseBlobID("000102030405060708090a0b0c0d0e0f")
	fmt.Println(id, ok)
	// Output: 000102030405060708090a0b0c0d0e0f true
}
