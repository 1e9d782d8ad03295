package encoding

// A scope is what a writer holds while it changes a product or a blob: a group
// (an account, or the meta space) and an item in it. Groups of different kinds,
// and items of different kinds in one group, never collide, whatever the names.
const (
	metaGroup     = "m"
	accountPrefix = 'a'
	productPrefix = 'p'
	blobPrefix    = 'b'
)

// MetaScope returns the scope of a meta entry.
func MetaScope(name string) (group, item string) { return metaGroup, name }

// AccountScope returns the group that holds all scopes of an account.
func AccountScope(account string) (group string) { return string(accountPrefix) + account }

// ProductScope returns the scope of a product: its record, its listed entry and
// its expiry entries.
func ProductScope(account, id string) (group, item string) {
	both := string(accountPrefix) + account + string(productPrefix) + id
	end := 1 + len(account)
	return both[:end], both[end:]
}

// AppendProductItem appends the item in the scope of a product with an ID.
func AppendProductItem(dst []byte, id string) []byte {
	return append(append(dst, productPrefix), id...)
}

// BlobScope returns the scope of a blob: its header, chunks and expiry entries.
func BlobScope(account string, id BlobID) (group, item string) {
	return AccountScope(account), string(blobPrefix) + string(id[:])
}

// ScopeOf returns the scope that key belongs to. It is false for a key that
// this package did not make.
func ScopeOf(key []byte) (group, item string, ok bool) {
	if len(key) == 0 {
		return "", "", false
	}
	switch key[0] {
	case SpaceMeta:
		name, err := DecodeMetaKey(key)
		if err != nil {
			return "", "", false
		}
		return metaGroup, name, true
	case SpaceProduct, SpaceListed:
		account, id, err := cutAccountID(key, key[0], "key")
		if err != nil {
			return "", "", false
		}
		return account.textAfter(accountPrefix), id.textAfter(productPrefix), true
	case SpaceBlob:
		account, id, _, err := cutBlobKey(key)
		if err != nil {
			return "", "", false
		}
		return account.textAfter(accountPrefix), string(blobPrefix) + string(id[:]), true
	case SpaceExpiry:
		head, account, id, err := cutExpiryKey(key)
		if err != nil {
			return "", "", false
		}
		prefix := byte(productPrefix)
		if head.Kind == ExpiryBlob {
			prefix = blobPrefix
		}
		return account.textAfter(accountPrefix), id.textAfter(prefix), true
	}
	return "", "", false
}

// textAfter returns a decoded copy with prefix before it, in one allocation.
func (c component) textAfter(prefix byte) string {
	var buf [256]byte
	return string(c.appendTo(append(buf[:0], prefix)))
}
