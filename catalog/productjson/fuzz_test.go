package productjson_test

import (
	"encoding/json"
	"testing"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/productjson"
)

// FuzzDecode checks that whatever is decoded without a fault is JSON by the
// judgement of encoding/json, that what the catalog takes comes back from it
// as a patch that changes nothing, and that nothing fails in any other way
// than with faults.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{
		`{"externalId":"a","images":[{"source":{"url":"https://a.example/x"},"classifications":{"a":1}}],"metadata":[1.0,null],"validForDays":1.5e1}`,
		`{"externalId":"a","imageUrls":["https://a.example/x"]}`,
		`{"images":[{"url":"https://a.example/x"},{"fileKey":"good"},{"sourceUrl":"upload://x"},null,{}]}`,
		`{"product":{"images":[{}]},"a":[[]]}`,
		`{"title":"\ud800"}`, `{"a":1,"a":2}`, `[[[[`, `{}x`, ``,
	} {
		f.Add([]byte(text), "")
		f.Add([]byte(text), "product")
	}
	c := open(f)
	f.Fuzz(func(t *testing.T, data []byte, member string) {
		u, err := productjson.Decode(data, productjson.Options{Member: member})
		if err != nil {
			if list(t, err) == nil {
				t.Fatal("an error without faults")
			}
			return
		}
		if !json.Valid(data) {
			t.Fatal("encoding/json finds it invalid")
		}
		if err := u.Validate(c, "acct"); err != nil {
			list(t, err)
			return
		}
		id, _ := u.ExternalID.Get()
		if id == "" {
			id = "id"
		}
		wire, err := u.Patch.AppendJSON(nil)
		if err != nil {
			t.Fatal(err)
		}
		same, err := productjson.Decode(wire, productjson.Options{Strict: true})
		if err != nil || same.Validate(c, "acct") != nil {
			t.Fatalf("the JSON form of a valid patch: %s: %v", wire, err)
		}
		if twice, err := same.Patch.AppendJSON(nil); err != nil || string(twice) != string(wire) {
			t.Fatalf("%s, and read back %s: %v", wire, twice, err)
		}
		res, err := c.Upsert(t.Context(), "acct", id, u.Patch)
		if err != nil {
			list(t, u.Rewrite(err)) // needs the stored product
			return
		}
		again, err := productjson.Decode(res.Product.AppendJSON(nil), productjson.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, patch := range []catalog.Patch{again.Patch, same.Patch, res.Product.Patch()} {
			back, err := c.Upsert(t.Context(), "acct", id, patch)
			if err != nil || back.Outcome != catalog.Unchanged {
				t.Fatalf("posted back: %v, %v", back.Outcome, err)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	data := []byte(`{"externalId":"shirt-42","title":"Red tee","description":"Soft cotton","images":[{"source":{"url":"https://cdn.example/front.jpg"},` +
		`"classifications":{"view":"front"}},{"source":{"url":"https://cdn.example/back.jpg"}}],"metadata":{"price":19.90,"tags":["a","b"]},"validForDays":30}`)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := productjson.Decode(data, productjson.Options{RequireExternalID: true}); err != nil {
			b.Fatal(err)
		}
	}
}
