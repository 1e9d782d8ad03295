package catalog

import (
	"errors"
	"fmt"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/catalog/internal/productkey"
	"github.com/shelflife-db/shelflife/encoding"
)

// spaceNames say what a space holds.
var spaceNames = map[byte]string{
	encoding.SpaceMeta:    "entries about the store itself",
	encoding.SpaceProduct: "product records",
	encoding.SpaceListed:  "entries of the list",
	encoding.SpaceBlob:    "image bytes",
	encoding.SpaceExpiry:  "expiry entries",
}

// damaged reports a stretch of a space that can't be read.
func (k *checker) damaged(space byte, d *backend.DamageError) {
	k.report.Unreadable++
	if space == encoding.SpaceBlob {
		k.blob.unread = true
	}
	start, end := d.Range.Start, d.Range.End
	if account, id, err := encoding.DecodeProductKey(start); err == nil && string(end) == string(start)+"\x00" {
		_ = k.named(account, id, d)
		return
	}
	if n := len(start); n > 0 && start[n-1] == 0 {
		start = start[:n-1] // the stretch begins right behind this key
	}
	account, from := position(start)
	until, to := position(end)
	if account == "" {
		account = until
	}
	if account != until {
		until = ""
	}
	where := "from the first to the last"
	switch {
	case from != "" && to != "" && until != "":
		where = fmt.Sprintf("after %s and before %s", from, to)
	case from != "":
		where = fmt.Sprintf("after %s", from)
	case to != "":
		where = fmt.Sprintf("before %s", to)
	}
	k.problem(account, "", "%s %s can't be read", spaceNames[space], where)
}

// position says in words where a key lies within its space.
func position(key []byte) (account, place string) {
	if len(key) == 0 {
		return "", ""
	}
	switch key[0] {
	case encoding.SpaceProduct:
		if account, id, err := encoding.DecodeProductKey(key); err == nil {
			return account, fmt.Sprintf("product %q", id)
		}
	case encoding.SpaceListed:
		if account, id, err := encoding.DecodeListedKey(key); err == nil {
			return account, fmt.Sprintf("product %q", id)
		}
	case encoding.SpaceBlob:
		if account, id, n, err := encoding.DecodeBlobKey(key); err == nil {
			return account, fmt.Sprintf("chunk %d of %s", n, id)
		}
	case encoding.SpaceExpiry:
		if e, err := encoding.DecodeExpiryKey(key); err == nil {
			return "", fmt.Sprintf("those of %s", timeOf(e.Deadline).Format(timeLayout))
		}
	case encoding.SpaceMeta:
		if name, err := encoding.DecodeMetaKey(key); err == nil {
			return "", fmt.Sprintf("%q", name)
		}
	}
	return "", ""
}

// unread turns the error of a read that met damage, reported where the space of
// it is walked, into unread.
func (k *checker) unread(err error) (unread bool, other error) {
	var damage *backend.DamageError
	if errors.As(err, &damage) {
		return true, nil
	}
	return false, err
}

// named reports a product whose record can't be read, once, if err says that.
func (k *checker) named(account, id string, err error) error {
	unread, err := k.unread(err)
	if !unread {
		return err
	}
	key := productkey.Of(account, id)
	if _, said := k.unreadable[key]; !said {
		if k.unreadable == nil {
			k.unreadable = make(map[productkey.Key]struct{})
		}
		k.unreadable[key] = struct{}{}
		k.problem(account, id, "its record can't be read")
	}
	return nil
}
