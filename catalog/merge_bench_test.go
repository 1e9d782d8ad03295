package catalog

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/shelflife-db/shelflife/encoding"
)

// BenchmarkMerge merges a patch into a product of four images.
func BenchmarkMerge(b *testing.B) {
	c := &Catalog{limits: Limits{}.WithDefaults()}
	images := make([]NewImage, 4)
	for i := range images {
		images[i] = NewImage{
			URL:             fmt.Sprintf("https://cdn.example/products/42/%d.webp", i),
			Classifications: []byte(`{"view":"front","model":{"score":0.93}}`),
		}
	}
	whole := Patch{
		Title:        Set("Linen shirt"),
		Description:  Set("A light shirt of washed linen with a soft collar."),
		Images:       Set(images),
		Metadata:     Set(json.RawMessage(`{"brand":"Nord","price":89.9,"stock":12,"tags":["linen","summer"]}`)),
		ValidForDays: Set(30),
	}
	prepare := func(p Patch) *preparedPatch {
		var faults ValidationError
		prepared := c.prepare(&faults, p)
		if err := faults.err(); err != nil {
			b.Fatal(err)
		}
		return prepared
	}
	random := func() uint64 { return 1 }
	old := new(encoding.Record)
	if err := explicit.create(old, "acme", "shirt-42", prepare(whole), 1, random); err != nil {
		b.Fatal(err)
	}
	for _, bench := range []struct {
		name  string
		patch Patch
	}{
		{"metadata", Patch{Metadata: Set(json.RawMessage(`{"brand":"Nord","price":79.9,"stock":11}`))}},
		{"everything", whole},
		{"nothing new", Patch{Title: Set("Linen shirt")}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, _, err := explicit.edit(old, prepare(bench.patch), 2, random); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("create", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var r encoding.Record
			if err := explicit.create(&r, "acme", "shirt-42", prepare(whole), 1, random); err != nil {
				b.Fatal(err)
			}
		}
	})
}
