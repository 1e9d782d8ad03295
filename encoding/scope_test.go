package encoding

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestScopeOf(t *testing.T) {
	type scope struct{ group, item string }
	of := func(group, item string) scope { return scope{group, item} }
	seen := map[scope]string{}
	check := func(want scope, what string, keys ...[]byte) {
		t.Helper()
		for _, key := range keys {
			group, item, ok := ScopeOf(key)
			require.True(t, ok, "%x", key)
			require.Equal(t, want, scope{group, item})
		}
		require.Empty(t, seen[want], "%s has the scope of another", what)
		seen[want] = what
	}
	accounts := append([]string{"m", "am", "p1", "pb", StoreMetaName}, names...)
	for _, a := range accounts {
		check(of(MetaScope(a)), "meta "+a, AppendMetaKey(nil, a))
		id := BlobID(append([]byte("p"), make([]byte, 15)...))
		blob := string(id[:])
		check(of(BlobScope(a, id)), "blob "+a,
			AppendBlobKey(nil, a, id, 0), AppendBlobKey(nil, a, id, 9),
			AppendExpiryKey(nil, Expiry{1, 2, ExpiryBlob, a, blob}))
		for _, i := range append([]string{blob, "b" + blob, "p"}, names...) {
			check(of(ProductScope(a, i)), "product "+a+" "+i,
				AppendProductKey(nil, a, i), AppendListedKey(nil, a, i),
				AppendExpiryKey(nil, Expiry{1, 2, ExpiryProduct, a, i}))
			group, _ := ProductScope(a, i)
			require.Equal(t, AccountScope(a), group)
		}
	}
}

func TestScopeOfLongNames(t *testing.T) {
	a, i := strings.Repeat("a\x00", 400), strings.Repeat("i", 5000)
	group, item, ok := ScopeOf(AppendProductKey(nil, a, i))
	require.True(t, ok)
	wantGroup, wantItem := ProductScope(a, i)
	require.Equal(t, wantGroup, group)
	require.Equal(t, wantItem, item)
}

func TestScopeOfRefusesOtherKeys(t *testing.T) {
	for _, key := range []string{
		"", "\x00", "\x01", "\x10", "\x10a\x00\x01", "\x18a\x00\x01b", "\x20a\x00\x01short", "\x30", "\x40a\x00\x01", "\xff",
	} {
		group, item, ok := ScopeOf([]byte(key))
		require.False(t, ok, "%x", key)
		require.Empty(t, group+item)
	}
}
