package catalog

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/catalog/internal/uses"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

// TestSaidAhead: what an entry said is given once, as the last scan met it, whatever the
// order in which entries come back.
func TestSaidAhead(t *testing.T) {
	key := func(i int) string { return fmt.Sprintf("key-%08d", i) }
	size := func(i int) encoding.ExpiryValue { return encoding.ExpiryValue{RecordSize: uint32(i)} }
	c := &Catalog{exclusive: true, opts: &Options{}, now: ttl.NewMonotone(ttl.NewManualClock(time.UnixMilli(5)))}
	scan := func(a *saidAhead, from, to int) *aheadScan {
		s := a.begin(c)
		for i := from; i < to; i++ {
			require.Equal(t, key(i), s.entry(0, []byte(key(i)), size(i)).Key)
		}
		return s
	}
	a := new(saidAhead)
	first := scan(a, 0, 1000) // more than a piece of memory has
	second := scan(a, 900, 1500)
	for i := 0; i < 1500; i++ {
		if i%7 == 0 {
			continue // it has gone
		}
		from, value := a.take(key(i))
		require.Equal(t, size(i), value)
		if i < 900 {
			require.Same(t, first, from)
		} else {
			require.Same(t, second, from)
		}
		for _, before := range []int{0, i - i%7, i} {
			from, _ = a.take(key(before))
			require.Nil(t, from)
		}
	}
	require.Nil(t, first.said)
	require.Nil(t, second.said)
	third := scan(a, 2000, 2010)
	from, _ := a.take(key(2009))
	require.Same(t, third, from)
	from, _ = a.take(key(3000))
	require.Nil(t, from)
	require.Len(t, a.scans, aheadScans)

	c.exclusive = false
	require.Nil(t, a.begin(c))
}

// TestSaysStill: what a scan met is no longer known to hold when the store was healed, or
// when an Update on the product has ended since, or is at work.
func TestSaysStill(t *testing.T) {
	k := productkey.Of("a", "p")
	e := &dueEntry{scan: &aheadScan{began: 100, generation: 7}}
	x := &tx{c: &Catalog{renewals: uses.NewRenewals(false)}}
	x.generation = 7
	require.True(t, x.saysStill(e, k))
	x.generation = 8
	require.False(t, x.saysStill(e, k))
	x.generation = 7
	require.False(t, x.saysStill(&dueEntry{}, k))

	renewal := x.c.renewals.Begin(k)
	require.False(t, x.saysStill(e, k))
	renewal.End(0, 99)
	require.True(t, x.saysStill(e, k))
	x.c.renewals.Begin(k).End(0, 100)
	require.False(t, x.saysStill(e, k))
}
