package encoding

// Every range is half open: start <= key < end. The two bounds are memory of
// their own.

// SpaceRange returns the range of every key of a space. For the space FF, which
// has no upper bound, end is nil.
func SpaceRange(space byte) (start, end []byte) {
	return prefixRange([]byte{space})
}

// ProductRange returns the range of exactly the product keys of an account.
func ProductRange(account string) (start, end []byte) {
	return prefixRange(appendAccount(nil, SpaceProduct, account))
}

// ListedRange returns the range of exactly the listed keys of an account.
func ListedRange(account string) (start, end []byte) {
	return prefixRange(appendAccount(nil, SpaceListed, account))
}

// ProductPrefixRange returns the range of exactly the product keys of an
// account whose IDs begin with idPrefix.
func ProductPrefixRange(account, idPrefix string) (start, end []byte) {
	return prefixRange(appendEscaped(appendAccount(nil, SpaceProduct, account), idPrefix))
}

// ListedPrefixRange returns the range of exactly the listed keys of an account
// whose IDs begin with idPrefix.
func ListedPrefixRange(account, idPrefix string) (start, end []byte) {
	return prefixRange(appendEscaped(appendAccount(nil, SpaceListed, account), idPrefix))
}

// BlobRange returns the range of exactly the blob keys of an account.
func BlobRange(account string) (start, end []byte) {
	return prefixRange(appendAccount(nil, SpaceBlob, account))
}

// BlobChunksRange returns the range of exactly the header and the chunks of a
// blob; start is the key of its header.
func BlobChunksRange(account string, id BlobID) (start, end []byte) {
	prefix := append(appendAccount(nil, SpaceBlob, account), id[:]...)
	_, end = prefixRange(prefix)
	return append(prefix, make([]byte, blobNumberLen)...), end
}

// ExpiryRange returns the range of exactly the expiry keys of a shard whose
// deadlines are from <= deadline < to. It is empty if from >= to.
func ExpiryRange(shard byte, from, to int64) (start, end []byte) {
	return appendDeadline(nil, shard, from), appendDeadline(nil, shard, to)
}

// prefixRange returns the range of exactly the keys that begin with prefix; start
// is prefix itself.
func prefixRange(prefix []byte) (start, end []byte) {
	for n := len(prefix); n > 0; n-- {
		if prefix[n-1] != 0xFF {
			end = append(make([]byte, 0, n), prefix[:n]...)
			end[n-1]++
			break
		}
	}
	return prefix, end
}
