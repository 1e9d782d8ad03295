package postgres

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
)

func TestScopeLocks(t *testing.T) {
	s := &Store{lockSalt: "a"}
	set := func(scopes ...backend.Scope) map[backend.Scope]struct{} {
		m := map[backend.Scope]struct{}{}
		for _, x := range scopes {
			m[x] = struct{}{}
		}
		return m
	}
	mode := func(scopes map[backend.Scope]struct{}) map[int64]bool {
		locks, exclusive := s.scopeLocks(scopes)
		require.IsIncreasing(t, append([]int64{-1 << 63}, locks...), "the order in which all processes take them")
		m := map[int64]bool{}
		for i, l := range locks {
			m[l] = exclusive[i]
		}
		return m
	}
	overlap := func(a, b map[backend.Scope]struct{}) bool {
		for l, x := range mode(a) {
			if y, ok := mode(b)[l]; ok && (x || y) {
				return true
			}
		}
		return false
	}
	item := func(g, i string) backend.Scope { return backend.Scope{Group: g, Item: i} }
	many := func(groups, items int) map[backend.Scope]struct{} {
		m := set()
		for g := range groups {
			for i := range items {
				m[item(string(rune('a'+g%26))+string(rune('a'+g/26)), string(rune('0'+i)))] = struct{}{}
			}
		}
		return m
	}
	for name, c := range map[string]struct {
		a, b map[backend.Scope]struct{}
		want bool
	}{
		"same item":       {set(item("g", "i")), set(item("g", "i")), true},
		"other item":      {set(item("g", "i")), set(item("g", "j")), false},
		"other group":     {set(item("g", "i")), set(item("h", "i")), false},
		"group and item":  {set(item("g", "")), set(item("g", "i")), true},
		"groups":          {set(item("g", "")), set(item("g", "")), true},
		"other groups":    {set(item("g", "")), set(item("h", "")), false},
		"bytes move":      {set(item("ga", "b")), set(item("g", "ab")), false},
		"many items":      {many(1, 40), set(item("aa", "x")), true},
		"many of another": {many(1, 40), set(item("bb", "x")), false},
		"many of some":    {many(30, 8), set(item("aa", "x")), true},
		"of another":      {many(30, 8), set(item("zz", "x")), false},
		"very many":       {many(200, 1), set(item("zz", "x")), true},
		"nothing":         {set(), many(200, 1), false},
	} {
		require.Equal(t, c.want, overlap(c.a, c.b), name)
		require.Equal(t, c.want, overlap(c.b, c.a), name)
	}
	locks, _ := s.scopeLocks(many(200, 30))
	require.Len(t, locks, 1, "the table of locks is small")
	locks, _ = s.scopeLocks(many(30, 8))
	require.Len(t, locks, 31, "the groups and the store")
	other := &Store{lockSalt: "b"}
	require.NotEqual(t, s.lockNumber("g", "x"), other.lockNumber("g", "x"), "another store of the database")
}

// TestVersionsNeverRepeat: a version 1 of an old product would validate against
// version 1 of a new one.
func TestVersionsNeverRepeat(t *testing.T) {
	seen := map[int64]bool{}
	for range 10_000 {
		v := newVersion()
		require.Positive(t, v, "0 is absence")
		require.False(t, seen[v])
		seen[v] = true
	}
}

func TestReadPartSum(t *testing.T) {
	var p readPart
	require.Equal(t, "0", p.text())
	for range 5 {
		p.add(1<<63 - 1)
	}
	require.Equal(t, "46116860184273879035", p.text(), "more than 64 bits hold")
	require.EqualValues(t, 5, p.count)
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"table":       {Table: `a"b`},
		"upper case":  {Table: "Shelf"},
		"long table":  {Table: "a234567890123456789012345678901234567890x"},
		"parts":       {Parts: -1},
		"many parts":  {Parts: 1025},
		"connections": {Connections: -1},
		"one":         {Connections: 1},
		"loops":       {Loops: -1},
		"call":        {CallTimeout: -1},
		"commit":      {CommitTimeout: -1},
	} {
		_, err := Open(t.Context(), "postgres://nobody@127.0.0.1:1/none", &o)
		require.ErrorContains(t, err, "postgres: Options.", name)
	}
	for _, name := range []string{"pool_max_conns", "pool_min_conns", "pool_min_idle_conns"} {
		_, err := Open(t.Context(), "postgres://nobody:sesame@127.0.0.1:1/none?"+name+"=4", nil)
		require.ErrorContains(t, err, "sets "+name)
		require.NotContains(t, err.Error(), "sesame")
	}
	_, err := (&Options{}).withDefaults()
	require.NoError(t, err)
}
