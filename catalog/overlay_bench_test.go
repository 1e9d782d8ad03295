package catalog

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/shelflife-db/shelflife/encoding"
)

const benchUses = 100_000

// benchOverlay returns an overlay with uses of benchUses products.
func benchOverlay(b *testing.B) (*useOverlay, []productKey) {
	b.Helper()
	o := newUseOverlay(2*benchUses, nil)
	keys := make([]productKey, benchUses)
	for i := range keys {
		keys[i] = productKey{"acme", fmt.Sprintf("sku-%08d", i)}
		o.add(dueUse{keys[i], 1, 1}, encoding.None)
	}
	b.ReportAllocs()
	b.ResetTimer()
	return o, keys
}

func BenchmarkOverlayAdd(b *testing.B) {
	o, keys := benchOverlay(b)
	b.RunParallel(func(pb *testing.PB) {
		for at := int64(2); pb.Next(); at++ {
			o.add(dueUse{keys[rand.IntN(len(keys))], 1, at}, encoding.None)
		}
	})
}

func BenchmarkOverlayGet(b *testing.B) {
	o, keys := benchOverlay(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			o.get(keys[rand.IntN(len(keys))])
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
			d := &fresh[i]
			value = encoding.AppendUses(value[:0], []encoding.Use{{Account: d.account, ID: d.id, Incarnation: d.incarnation, At: d.at}})
		}
		o.putBack(fresh)
	}
}
