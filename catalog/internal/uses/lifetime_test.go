package uses

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/encoding"
)

const testDay = 24 * 60 * 60 * 1000

var forever = LifetimeOf(&encoding.Header{})

// until returns a lifetime of a day that ends at the deadline.
func until(deadline int64) Lifetime {
	return LifetimeOf(&encoding.Header{Anchor: deadline - testDay, ValidForDays: 1})
}

// overlayAt returns an overlay at the time that *now is.
func overlayAt(now *int64) *Overlay { return NewOverlay(10, func() int64 { return *now }) }

func TestRenew(t *testing.T) {
	k := productkey.Of("a", "p")
	now := int64(10 * testDay)
	for name, test := range map[string]struct {
		life  Lifetime
		at    int64 // relative to now, as is want
		want  int64
		holds bool
	}{
		"used":                  {until(now + 500), 0, testDay, true},
		"a little late":         {until(now + 500), -5, testDay - 5, true},
		"later in the record":   {until(now + 2*testDay), 0, 2 * testDay, true},
		"outside of the margin": {until(now + 101), 0, testDay, true},
		"at the margin":         {until(now + 100), 0, 0, false},
		"past":                  {until(now - 1), 0, 0, false},
		"not known":             {Lifetime{}, 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			o := overlayAt(&now)
			require.True(t, o.Add(useOf("p", 7, now-50), forever, Token{}))
			o.stripe(k).uses[k].life = test.life
			deadline, ok := o.Renew(k, now+test.at, 100)
			require.Equal(t, test.holds, ok)
			if !test.holds {
				require.Equal(t, now-50, o.Get(k).at)
				return
			}
			require.Equal(t, now+test.want, deadline)
			require.Equal(t, now+test.at, o.Get(k).at)
			require.Equal(t, []encoding.Use{useOf("p", 7, now+test.at)}, o.takeFresh())
			_, err := o.Renew(k, now+test.at-3, 100)
			require.True(t, err)
			require.Equal(t, now+test.at, o.Get(k).at, "times never go back")
		})
	}
	t.Run("forever", func(t *testing.T) {
		o := overlayAt(&now)
		require.True(t, o.Add(useOf("p", 7, 1), forever, o.BeforeRead(k)))
		deadline, ok := o.Renew(k, now, 100)
		require.True(t, ok)
		require.Equal(t, encoding.None, deadline)
	})
	t.Run("no entry", func(t *testing.T) {
		_, ok := overlayAt(&now).Renew(k, now, 100)
		require.False(t, ok)
	})
	// An earlier use with a later time was seen already: the end is that which it
	// gave the product.
	t.Run("used later", func(t *testing.T) {
		o := overlayAt(&now)
		require.True(t, o.Add(useOf("p", 7, now+3), until(now+500), o.BeforeRead(k)))
		deadline, ok := o.Renew(k, now, 100)
		require.True(t, ok)
		require.Equal(t, now+3+testDay, deadline)
	})
}

// A lifetime that was read before or while a writer was at work is not kept, and
// one that is known is forgotten before the writer changes anything.
func TestLifetimesBesideWriters(t *testing.T) {
	k := productkey.Of("a", "p")
	now := int64(0)
	renews := func(o *Overlay) bool {
		_, ok := o.Renew(k, 1, 0)
		return ok
	}
	add := func(o *Overlay, token Token) { require.True(t, o.Add(useOf("p", 7, 1), until(100), token)) }
	for name, order := range map[string]func(o *Overlay) Token{
		"no token": func(*Overlay) Token { return Token{} },
		"read, then marked": func(o *Overlay) Token {
			token := o.BeforeRead(k)
			o.Mark(k)
			return token
		},
		"read while marked": func(o *Overlay) Token {
			o.Mark(k)
			return o.BeforeRead(k)
		},
		"read, then written": func(o *Overlay) Token {
			token := o.BeforeRead(k)
			o.Mark(k)
			o.Unmark(k)
			return token
		},
		"read while marked, then written": func(o *Overlay) Token {
			o.Mark(k)
			token := o.BeforeRead(k)
			o.Unmark(k)
			return token
		},
		"read between two writers": func(o *Overlay) Token {
			o.Mark(k)
			o.Mark(k)
			o.Unmark(k)
			return o.BeforeRead(k)
		},
		"read before it was taken back": func(o *Overlay) Token {
			token := o.BeforeRead(k)
			o.Forget()
			return token
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := overlayAt(&now)
			add(o, order(o))
			require.False(t, renews(o))
		})
	}
	for name, forget := range map[string]func(o *Overlay){
		"marked":     func(o *Overlay) { o.Mark(k) },
		"written":    func(o *Overlay) { o.Mark(k); o.Unmark(k) },
		"taken back": func(o *Overlay) { o.Forget() },
		"restored":   func(o *Overlay) { o.restore(useOf("p", 8, 5)) },
	} {
		t.Run(name, func(t *testing.T) {
			o := overlayAt(&now)
			add(o, o.BeforeRead(k))
			require.True(t, renews(o))
			forget(o)
			require.False(t, renews(o))
		})
	}
	t.Run("restored, then used", func(t *testing.T) {
		o := overlayAt(&now)
		o.restore(useOf("p", 7, 5))
		require.False(t, renews(o), "0 days would be forever")
		add(o, o.BeforeRead(k))
		require.True(t, renews(o))
	})
}
