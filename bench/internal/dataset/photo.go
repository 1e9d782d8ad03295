package dataset

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
)

const (
	photoSide  = 258 // three bytes a pixel: about 200 KB
	photoCount = 8
)

// Photos returns a few different PNG images of about 200 KB that can't be
// compressed.
func Photos(seed uint64) ([][]byte, error) {
	photos := make([][]byte, photoCount)
	for n := range photos {
		r := rand.New(rand.NewPCG(seed, uint64(n)))
		img := image.NewRGBA(image.Rect(0, 0, photoSide, photoSide))
		for y := range photoSide {
			for x := range photoSide {
				bits := r.Uint32()
				img.Set(x, y, color.RGBA{uint8(bits), uint8(bits >> 8), uint8(bits >> 16), 255})
			}
		}
		var b bytes.Buffer
		if err := (&png.Encoder{CompressionLevel: png.NoCompression}).Encode(&b, img); err != nil {
			return nil, err
		}
		photos[n] = b.Bytes()
	}
	return photos, nil
}
