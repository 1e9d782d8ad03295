// Package picture makes images for loads.
package picture

import (
	"bytes"
	"image"
	"image/png"
	"math/rand/v2"
)

// Noise returns a square PNG that can't be compressed: some four bytes for each
// pixel.
func Noise(rng *rand.Rand, side int) []byte {
	img := image.NewRGBA(image.Rect(0, 0, side, side))
	for i := range img.Pix {
		img.Pix[i] = byte(rng.Uint32())
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.NoCompression}).Encode(&b, img); err != nil {
		panic(err) // to memory
	}
	return b.Bytes()
}
