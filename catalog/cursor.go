package catalog

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
)

const (
	cursorVersion = 1
	cursorMAC     = 8 // bytes
)

// encodeCursor returns the cursor behind the product with the ID. A cursor is
// a position only: version, check, ID. The check is keyed by the store, so
// that only what this store made is taken.
func (c *Catalog) encodeCursor(id string) string {
	raw := make([]byte, 0, 1+cursorMAC+len(id))
	raw = append(raw, cursorVersion)
	raw = append(raw, c.cursorCheck(id)...)
	raw = append(raw, id...)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// decodeCursor returns the ID that encodeCursor was given; ok is false for
// anything that it did not return.
func (c *Catalog) decodeCursor(cursor string) (id string, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) < 1+cursorMAC || len(raw) > 1+cursorMAC+MaxNameBytes || raw[0] != cursorVersion {
		return "", false
	}
	id = string(raw[1+cursorMAC:])
	// RawURLEncoding skips line breaks: only the one exact form is a cursor.
	exact := base64.RawURLEncoding.EncodeToString(raw) == cursor
	return id, exact && hmac.Equal(raw[1:1+cursorMAC], c.cursorCheck(id))
}

func (c *Catalog) cursorCheck(id string) []byte {
	mac := hmac.New(sha256.New, c.secret)
	mac.Write([]byte{cursorVersion})
	mac.Write([]byte(id))
	return mac.Sum(nil)[:cursorMAC]
}
