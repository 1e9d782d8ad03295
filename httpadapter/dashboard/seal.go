package dashboard

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"
)

// minSessionKey is how many bytes Options.SessionKey has at least.
const minSessionKey = 32

// session is what a cookie holds.
type session struct {
	account, key string
	checked      time.Time // when the key was last found valid; milliseconds
}

// sealer encrypts and authenticates sessions.
type sealer struct {
	aead cipher.AEAD
	// cookie is the name of the cookie. It depends on the key, because browsers
	// take no notice of ports: two servers of one machine would overwrite each
	// other's sessions.
	cookie string
}

func newSealer(key []byte) (*sealer, error) {
	switch {
	case key == nil:
		key = make([]byte, minSessionKey)
		_, _ = rand.Read(key) // never fails
	case len(key) < minSessionKey:
		return nil, errors.New("dashboard: Options.SessionKey has less than 32 bytes")
	}
	secret, err := hkdf.Key(sha256.New, key, nil, "shelflife dashboard: session", 32)
	if err != nil {
		return nil, err
	}
	name, err := hkdf.Key(sha256.New, key, nil, "shelflife dashboard: name of the cookie", 4)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &sealer{aead: aead, cookie: "shelflife_" + hex.EncodeToString(name)}, nil
}

// sealVersion begins a sealed session, and is authenticated with it.
const sealVersion = 1

// sealed returns s in the form in which the cookie has it.
func (s *sealer) sealed(v session) string {
	plain := binary.BigEndian.AppendUint64(nil, uint64(v.checked.UnixMilli()))
	plain = append(plain, byte(len(v.account))) // an account has 255 bytes at most
	plain = append(plain, v.account...)
	plain = append(plain, v.key...)
	out := s.aead.Seal([]byte{sealVersion}, nil, plain, []byte{sealVersion})
	return base64.RawURLEncoding.EncodeToString(out)
}

// open reads what sealed returned; ok is false for anything else.
func (s *sealer) open(text string) (v session, ok bool) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(data) == 0 || data[0] != sealVersion {
		return session{}, false
	}
	plain, err := s.aead.Open(nil, nil, data[1:], data[:1])
	if err != nil || len(plain) < 9 || len(plain) < 9+int(plain[8]) {
		return session{}, false
	}
	v.checked = time.UnixMilli(int64(binary.BigEndian.Uint64(plain)))
	end := 9 + int(plain[8])
	v.account, v.key = string(plain[9:end]), string(plain[end:])
	return v, true
}
