package encoding

import (
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random tests; 0: random")

// newRand returns a generator whose seed is in the log of a failed test.
func newRand(t *testing.T) *rand.Rand {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("replay with -seed=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// randomName returns a short string of the bytes that the key codec treats
// specially, their neighbours and a few plain ones.
func randomName(r *rand.Rand) string {
	const alphabet = "\x00\x00\x01\x02\xfe\xffab/"
	b := make([]byte, r.IntN(6))
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

func randomText(r *rand.Rand) string {
	lengths := []int{0, 1, 31, 32, 255, 256, 300, 65535, 65536}
	n := lengths[r.IntN(len(lengths))]
	if n > 300 && r.IntN(8) != 0 {
		n = r.IntN(300)
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

func randomJSON(r *rand.Rand) []byte {
	if s := randomText(r); s != "" {
		return []byte(s)
	}
	return nil
}

// randomInt returns values of every encoded width.
func randomInt(r *rand.Rand) int64 {
	return int64(r.Uint64()) >> r.IntN(64)
}

func randomRecord(r *rand.Rand) *Record {
	rec := &Record{
		Listed:       r.IntN(2) == 0,
		Generated:    r.IntN(2) == 0,
		Incarnation:  r.Uint64(),
		Edit:         r.Uint64(),
		Revision:     r.Uint64(),
		CreatedAt:    randomInt(r),
		UpdatedAt:    randomInt(r),
		LastUsedAt:   None,
		Anchor:       randomInt(r),
		IndexedAt:    randomInt(r),
		ValidForDays: r.IntN(366),
		FeedPosition: r.Uint64() >> r.IntN(65),
		Account:      randomName(r),
		ID:           randomText(r),
		Title:        randomText(r),
		Description:  randomText(r),
		Metadata:     randomJSON(r),
	}
	for range r.IntN(20) {
		im := Image{URL: randomText(r)}
		if r.IntN(2) == 0 {
			im.ContentType = "image/png"
			im.Size = randomInt(r)
			im.Width, im.Height = int(int32(randomInt(r))), int(int32(randomInt(r)))
			for i := range im.Blob {
				im.Blob[i] = byte(r.Uint32())
			}
			im.SHA256[r.IntN(32)] = 1
		}
		im.Classifications = randomJSON(r)
		rec.Images = append(rec.Images, im)
	}
	return rec
}

// eachChange calls fn with good changed in one way after the other: each byte
// flipped in one bit and in several, left out, and followed by another.
func eachChange(r *rand.Rand, good []byte, fn func(changed []byte, what string, at int)) {
	changed := slices.Clone(good)
	for at := range good {
		for _, flip := range []byte{1 << r.IntN(8), byte(1 + r.IntN(255))} {
			changed[at] ^= flip
			fn(changed, "a flip", at)
			changed[at] ^= flip
		}
		fn(slices.Delete(slices.Clone(good), at, at+1), "a byte left out", at)
		fn(slices.Insert(slices.Clone(good), at, byte(r.Uint32())), "a byte more", at)
		fn(good[:at], "cut", at)
	}
	fn(append(slices.Clone(good), byte(r.Uint32())), "a byte more", len(good))
}

// place returns an index below n, which is positive, made of any number.
func place(at, n int) int { return int(uint(at) % uint(n)) }
