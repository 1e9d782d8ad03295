package imageheader_test

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"strings"

	"github.com/shelflife-db/shelflife/catalog/internal/imageheader"
)

func ExampleRead() {
	var upload bytes.Buffer
	if err := png.Encode(&upload, image.NewGray(image.Rect(0, 0, 800, 1200))); err != nil {
		fmt.Println(err)
		return
	}

	// Read consumes the header; the tee keeps it for storing the whole image.
	var head bytes.Buffer
	info, err := imageheader.Read(io.TeeReader(&upload, &head), 100e6)
	if err != nil {
		fmt.Println(err)
		return
	}
	whole := io.MultiReader(&head, &upload)
	m, err := png.Decode(whole)
	fmt.Println(info.ContentType, info.Width, info.Height)
	fmt.Println(m.Bounds(), err)
	// Output:
	// image/png 800 1200
	// (0,0)-(800,1200) <nil>
}

func ExampleError() {
	_, err := imageheader.Read(strings.NewReader("<svg/>"), 100e6)
	if bad, ok := errors.AsType[*imageheader.Error](err); ok {
		fmt.Println(bad.Reason)
	}
	// Output:
	// not a JPEG, PNG, GIF, WebP, AVIF or HEIC image
}
