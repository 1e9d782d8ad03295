package imageheader

import (
	"encoding/binary"
	"errors"
)

// maxBrands bounds the bytes of the list of brands; real files have under 100.
const maxBrands = 4 << 10

// readHEIF reads an AVIF or HEIC file (ISO/IEC 23008-12).
func readHEIF(src *source) (header, error) {
	r := &boxReader{src: src}
	ftyp, ok, err := r.next(wholeFile)
	if err != nil {
		return header{}, err
	}
	if !ok || !ftyp.is("ftyp") {
		return header{}, errMalformed
	}
	kind, err := readBrands(r, ftyp)
	if err != nil {
		return header{}, err
	}
	size, err := findExtent(r)
	return header{kind: kind, width: size.width, height: size.height}, err
}

// readBrands finds the kind by the major brand or, where that says only how the
// file is built, by the first other brand that says more.
func readBrands(r *boxReader, ftyp box) (kind string, err error) {
	brands, err := r.rest(ftyp, maxBrands)
	if err != nil {
		return "", err
	}
	if len(brands) < 8 {
		return "", errMalformed
	}
	major, minor := string(brands[:4]), string(brands[4:8])
	if kind := brandKind(major); kind != "" {
		return kind, nil
	}
	if major == "mif3" { // then the minor version is a brand
		if kind := brandKind(minor); kind != "" {
			return kind, nil
		}
	}
	for rest := brands[8:]; len(rest) >= 4; rest = rest[4:] {
		if kind := brandKind(string(rest[:4])); kind != "" {
			return kind, nil
		}
	}
	return "", errNotImage
}

func brandKind(brand string) string {
	switch brand {
	case "avif", "avis":
		return AVIF
	case "heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs":
		return HEIC
	}
	return ""
}

// extent is the size of an image as the file declares it.
type extent struct{ width, height uint32 }

// errFound ends the walk over a file in which the size was found.
var errFound = errors.New("found")

// findExtent returns the size of the primary item or, of a file without one,
// that of its first visual track. The item goes before the track wherever they
// stand, so a file without an item is read to its end; what can't be read
// behind the track doesn't matter then, no more than broken pixels do.
func findExtent(r *boxReader) (extent, error) {
	var item, track *extent
	err := r.each(wholeFile, func(b box) (err error) {
		switch {
		case b.is("meta"):
			item, err = readPrimaryExtent(r, b)
		case b.is("mini"):
			item, err = readMinimizedExtent(r, b)
		case b.is("moov") && track == nil:
			track, err = readTrackExtent(r, b)
		}
		if err == nil && item != nil {
			return errFound
		}
		return err
	})
	switch {
	case err == errFound:
		return *item, nil
	case track != nil:
		return *track, nil
	case err != nil:
		return extent{}, err
	}
	return extent{}, errNoPicture
}

// readMinimizedExtent reads the start of a mini box, which stands in place of
// a meta box in files of the brand mif3: flags, then a bit that says whether
// the sides less one follow in 15 bits each or in 7.
func readMinimizedExtent(r *boxReader, mini box) (*extent, error) {
	var p [6]byte
	const small = 4 // bytes up to sides of 7 bits
	if err := r.read(mini, p[:small]); err != nil {
		return nil, err
	}
	if version := p[0] >> 6; version != 0 {
		return nil, errMiniVersion
	}
	if p[2]&0x80 == 0 {
		return &extent{width: uint32(p[2]&0x7F) + 1, height: uint32(p[3]>>1) + 1}, nil
	}
	if err := r.read(mini, p[small:]); err != nil {
		return nil, err
	}
	return &extent{
		width:  uint32(binary.BigEndian.Uint16(p[2:])&0x7FFF) + 1,
		height: uint32(binary.BigEndian.Uint16(p[4:])>>1) + 1,
	}, nil
}
