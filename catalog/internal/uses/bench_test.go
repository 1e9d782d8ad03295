package uses

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/encoding"
)

const benchUses = 100_000

// benchOverlay returns an overlay with uses of benchUses products.
func benchOverlay(b *testing.B) (*Overlay, []productkey.Key) {
	b.Helper()
	o := NewOverlay(2*benchUses, nil)
	keys := make([]productkey.Key, benchUses)
	for i := range keys {
		keys[i] = productkey.Of("acme", fmt.Sprintf("sku-%08d", i))
		o.Add(use(keys[i], 1), forever, Token{})
	}
	b.ReportAllocs()
	b.ResetTimer()
	return o, keys
}

func use(k productkey.Key, at int64) encoding.Use {
	return encoding.Use{Account: k.Account, ID: k.ID, Incarnation: 1, At: at}
}

func BenchmarkOverlayAdd(b *testing.B) {
	o, keys := benchOverlay(b)
	b.RunParallel(func(pb *testing.PB) {
		for at := int64(2); pb.Next(); at++ {
			o.Add(use(keys[rand.IntN(len(keys))], at), forever, Token{})
		}
	})
}

func BenchmarkOverlayGet(b *testing.B) {
	o, keys := benchOverlay(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			o.Get(keys[rand.IntN(len(keys))])
		}
	})
}

// One round of a window: all uses are taken for the journal, and encoded.
func BenchmarkOverlayJournal(b *testing.B) {
	o, _ := benchOverlay(b)
	var value []byte
	for b.Loop() {
		fresh := o.takeFresh()
		for i := range fresh {
			value = encoding.AppendUses(value[:0], fresh[i:i+1])
		}
		o.putBack(fresh)
	}
}
