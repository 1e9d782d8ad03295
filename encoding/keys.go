package encoding

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// The spaces of the store: the first byte of every key.
const (
	SpaceMeta    byte = 0x01
	SpaceProduct byte = 0x10
	SpaceListed  byte = 0x18
	SpaceBlob    byte = 0x20
	SpaceExpiry  byte = 0x30
)

const (
	escape     byte = 0x00 // begins an escaped zero or the end of a component
	escapedNUL byte = 0xFF // after escape: a zero byte
	terminator byte = 0x01 // after escape: the end of the component

	blobNumberLen = 4
	expiryHeadLen = 1 + 1 + 8 + 1 // space, shard, deadline, kind
)

// ExpiryKind says what an expiry entry is about.
type ExpiryKind byte

const (
	ExpiryProduct ExpiryKind = 1
	ExpiryBlob    ExpiryKind = 2
)

// An Expiry is the content of an expiry key: at Deadline, look at the thing.
type Expiry struct {
	Shard    byte  // see [Shard]
	Deadline int64 // Unix milliseconds
	Kind     ExpiryKind
	Account  string
	// ID is the product's ID or, for [ExpiryBlob], the 16 raw bytes of the
	// blob's ID. A blob entry whose ID has another length makes a key that
	// does not decode.
	ID string
}

// BlobID returns the ID of the blob that e is about. It is false if e is about
// something else.
func (e Expiry) BlobID() (BlobID, bool) {
	if e.Kind != ExpiryBlob || len(e.ID) != len(BlobID{}) {
		return BlobID{}, false
	}
	return BlobID([]byte(e.ID)), true
}

// AppendMetaKey appends the key of a meta entry.
func AppendMetaKey(dst []byte, name string) []byte {
	return appendComponent(append(dst, SpaceMeta), name)
}

// AppendProductKey appends the key of a product's record.
func AppendProductKey(dst []byte, account, id string) []byte {
	return appendComponent(appendAccount(dst, SpaceProduct, account), id)
}

// AppendListedKey appends the key of a product's entry among the listed ones.
func AppendListedKey(dst []byte, account, id string) []byte {
	return appendComponent(appendAccount(dst, SpaceListed, account), id)
}

// AppendListedOf is [AppendListedKey] of the product whose record has a key.
func AppendListedOf(dst, productKey []byte) []byte {
	return append(append(dst, SpaceListed), productKey[1:]...)
}

// AppendBlobKey appends the key of a part of a blob: n = 0 is its header,
// n = 1+i its chunk i.
func AppendBlobKey(dst []byte, account string, id BlobID, n uint32) []byte {
	dst = append(appendAccount(dst, SpaceBlob, account), id[:]...)
	return binary.BigEndian.AppendUint32(dst, n)
}

// AppendExpiryKey appends the key of an expiry entry.
func AppendExpiryKey(dst []byte, e Expiry) []byte {
	dst = append(appendDeadline(dst, e.Shard, e.Deadline), byte(e.Kind))
	dst = appendComponent(dst, e.Account)
	if e.Kind == ExpiryBlob {
		return append(dst, e.ID...)
	}
	return appendComponent(dst, e.ID)
}

// AppendSuccessor appends the smallest key that is greater than key.
func AppendSuccessor(dst, key []byte) []byte {
	return append(append(dst, key...), 0)
}

// DecodeMetaKey returns the name in a key that [AppendMetaKey] made.
// Its error wraps [ErrCorrupt].
func DecodeMetaKey(key []byte) (name string, err error) {
	rest, ok := cutSpace(key, SpaceMeta)
	if !ok {
		return "", corrupt("meta key", "space")
	}
	c, rest, ok := cutComponent(rest)
	if !ok || len(rest) != 0 {
		return "", corrupt("meta key", "name")
	}
	return c.text(), nil
}

// DecodeProductKey returns the account and the ID in a key that
// [AppendProductKey] made. They share no memory with key. The error wraps
// [ErrCorrupt].
func DecodeProductKey(key []byte) (account, id string, err error) {
	return decodeAccountID(key, SpaceProduct, "product key")
}

// DecodeListedKey is [DecodeProductKey] for the keys of [AppendListedKey].
func DecodeListedKey(key []byte) (account, id string, err error) {
	return decodeAccountID(key, SpaceListed, "listed key")
}

// DecodeBlobKey returns what is in a key that [AppendBlobKey] made. The account
// shares no memory with key. The error wraps [ErrCorrupt].
func DecodeBlobKey(key []byte) (account string, id BlobID, n uint32, err error) {
	c, id, n, err := cutBlobKey(key)
	if err != nil {
		return "", BlobID{}, 0, err
	}
	return c.text(), id, n, nil
}

// DecodeExpiryKey returns what is in a key that [AppendExpiryKey] made. Its
// strings share no memory with key. The error wraps [ErrCorrupt].
func DecodeExpiryKey(key []byte) (Expiry, error) {
	head, account, id, err := cutExpiryKey(key)
	if err != nil {
		return Expiry{}, err
	}
	head.Account, head.ID = account.text(), id.text()
	return head, nil
}

// DecodeExpiryKeyAfter is [DecodeExpiryKey] of a key that often follows one of the same
// account, with whose entry it then shares that.
func DecodeExpiryKeyAfter(before Expiry, key []byte) (Expiry, error) {
	head, account, id, err := cutExpiryKey(key)
	if err != nil {
		return Expiry{}, err
	}
	if head.ID = id.text(); !account.escaped && string(account.raw) == before.Account {
		head.Account = before.Account
	} else {
		head.Account = account.text()
	}
	return head, nil
}

// ExpiryDeadline is [DecodeExpiryKey] of the deadline alone, without memory of its own
// for what the entry is of.
func ExpiryDeadline(key []byte) (int64, error) {
	head, _, _, err := cutExpiryKey(key)
	return head.Deadline, err
}

// AppendKeyID appends the ID in a product or listed key to dst. The first
// prefixLen bytes of key, the length of start in [ProductRange] or
// [ListedRange] of its account, are the caller's business and not looked at;
// scans over one account need no more than this. The error wraps [ErrCorrupt];
// dst is then returned as it was.
func AppendKeyID(dst, key []byte, prefixLen int) ([]byte, error) {
	if prefixLen < 0 || prefixLen > len(key) {
		return dst, corrupt("key", "shorter than its prefix")
	}
	c, rest, ok := cutComponent(key[prefixLen:])
	if !ok || len(rest) != 0 {
		return dst, corrupt("key", "ID")
	}
	return c.appendTo(dst), nil
}

// FNV-1a of 64 bits.
const (
	fnvOffset uint64 = 14695981039346656037
	fnvPrime  uint64 = 1099511628211
)

// MaxShards is the largest number of shards.
const MaxShards = 256

// Shard returns the expiry shard of a product, or of a blob if id is the 16 raw
// bytes of its ID. It is part of the format: the same for ever. A count below 2
// means one shard, one above [MaxShards] means MaxShards.
func Shard(account, id string, count int) byte {
	if count <= 1 {
		return 0
	}
	h := fnvOffset
	for i := range len(account) {
		h = (h ^ uint64(account[i])) * fnvPrime
	}
	h *= fnvPrime // a zero byte between the two
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * fnvPrime
	}
	return byte(h % uint64(min(count, MaxShards)))
}

func appendAccount(dst []byte, space byte, account string) []byte {
	return appendComponent(append(dst, space), account)
}

func appendDeadline(dst []byte, shard byte, deadline int64) []byte {
	dst = append(dst, SpaceExpiry, shard)
	return binary.BigEndian.AppendUint64(dst, uint64(deadline)^1<<63)
}

func appendComponent(dst []byte, s string) []byte {
	return append(appendEscaped(dst, s), escape, terminator)
}

func appendEscaped(dst []byte, s string) []byte {
	for {
		i := strings.IndexByte(s, escape)
		if i < 0 {
			return append(dst, s...)
		}
		dst = append(append(dst, s[:i]...), escape, escapedNUL)
		s = s[i+1:]
	}
}

// A component is the part of a key that holds one, without its end. It aliases
// the key.
type component struct {
	raw     []byte
	escaped bool // raw holds escaped zeros
}

// text returns a decoded copy.
func (c component) text() string {
	if !c.escaped {
		return string(c.raw)
	}
	return string(c.appendTo(nil))
}

func (c component) appendTo(dst []byte) []byte {
	raw := c.raw
	if c.escaped {
		for {
			i := bytes.IndexByte(raw, escape)
			if i < 0 {
				break
			}
			dst = append(dst, raw[:i+1]...)
			raw = raw[i+2:]
		}
	}
	return append(dst, raw...)
}

// cutComponent splits the component off the front of b.
func cutComponent(b []byte) (c component, rest []byte, ok bool) {
	for i := 0; ; i += 2 {
		j := bytes.IndexByte(b[i:], escape)
		if j < 0 || i+j+1 >= len(b) {
			return component{}, nil, false
		}
		i += j
		switch b[i+1] {
		case terminator:
			c.raw = b[:i]
			return c, b[i+2:], true
		case escapedNUL:
			c.escaped = true
		default:
			return component{}, nil, false
		}
	}
}

func cutSpace(key []byte, space byte) (rest []byte, ok bool) {
	if len(key) == 0 || key[0] != space {
		return nil, false
	}
	return key[1:], true
}

func decodeAccountID(key []byte, space byte, kind string) (account, id string, err error) {
	a, i, err := cutAccountID(key, space, kind)
	if err != nil {
		return "", "", err
	}
	return a.text(), i.text(), nil
}

func cutAccountID(key []byte, space byte, kind string) (account, id component, err error) {
	rest, ok := cutSpace(key, space)
	if !ok {
		return component{}, component{}, corrupt(kind, "space")
	}
	if account, rest, ok = cutComponent(rest); !ok {
		return component{}, component{}, corrupt(kind, "account")
	}
	if id, rest, ok = cutComponent(rest); !ok || len(rest) != 0 {
		return component{}, component{}, corrupt(kind, "ID")
	}
	return account, id, nil
}

func cutBlobKey(key []byte) (account component, id BlobID, n uint32, err error) {
	rest, ok := cutSpace(key, SpaceBlob)
	if !ok {
		return component{}, BlobID{}, 0, corrupt("blob key", "space")
	}
	if account, rest, ok = cutComponent(rest); !ok {
		return component{}, BlobID{}, 0, corrupt("blob key", "account")
	}
	if len(rest) != len(id)+blobNumberLen {
		return component{}, BlobID{}, 0, corrupt("blob key", "length")
	}
	return account, BlobID(rest), binary.BigEndian.Uint32(rest[len(id):]), nil
}

// CutExpiryKey returns what an expiry entry is about, and the rest of its key, not
// copied. Of a product it is what the keys of its record and of its listed entry have
// behind the space. What the rest holds is not checked.
func CutExpiryKey(key []byte) (kind ExpiryKind, rest []byte, ok bool) {
	if len(key) < expiryHeadLen || key[0] != SpaceExpiry {
		return 0, nil, false
	}
	return ExpiryKind(key[expiryHeadLen-1]), key[expiryHeadLen:], true
}

// cutExpiryKey returns the parts of fixed width in head, the others as they
// stand in key.
func cutExpiryKey(key []byte) (head Expiry, account, id component, err error) {
	fail := func(what string) (Expiry, component, component, error) {
		return Expiry{}, component{}, component{}, corrupt("expiry key", what)
	}
	if len(key) < expiryHeadLen || key[0] != SpaceExpiry {
		return fail("space or length")
	}
	head.Shard = key[1]
	head.Deadline = int64(binary.BigEndian.Uint64(key[2:]) ^ 1<<63)
	head.Kind = ExpiryKind(key[expiryHeadLen-1])
	account, rest, ok := cutComponent(key[expiryHeadLen:])
	if !ok {
		return fail("account")
	}
	switch head.Kind {
	case ExpiryProduct:
		if id, rest, ok = cutComponent(rest); !ok || len(rest) != 0 {
			return fail("ID")
		}
	case ExpiryBlob:
		if len(rest) != len(BlobID{}) {
			return fail("blob ID")
		}
		id.raw = rest
	default:
		return fail("kind")
	}
	return head, account, id, nil
}
