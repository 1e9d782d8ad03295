package imageheader

import (
	"encoding/binary"
	"io"
)

const (
	// maxBrands bounds the bytes of the list of brands; real files have under 100.
	maxBrands = 4 << 10
	// maxAssociations bounds the bytes of all item property associations; a
	// grid of 1,000 tiles needs some 10 KiB.
	maxAssociations = 1 << 20
	// maxAssociationBoxes is the number of combinations of version and flags;
	// no two of the boxes may agree in both.
	maxAssociationBoxes = 4
	// maxProperties is the highest index that an association can name.
	maxProperties = 1<<15 - 1
)

// readHEIF reads an AVIF or HEIC file (ISO/IEC 23008-12) up to the end of its
// meta box.
func readHEIF(src *source) (header, error) {
	r := &boxReader{src: src}
	ftyp, ok, err := r.next(wholeFile)
	if err != nil {
		return header{}, err
	}
	if !ok || ftyp.kind != "ftyp" {
		return header{}, errMalformed
	}
	kind, err := readBrands(r, ftyp)
	if err != nil {
		return header{}, err
	}
	for {
		b, ok, err := r.next(wholeFile)
		switch {
		case err != nil:
			return header{}, err
		case !ok:
			return header{}, io.ErrUnexpectedEOF
		case b.kind == "meta":
			size, err := readPrimarySize(r, b)
			return header{kind: kind, width: size.width, height: size.height}, err
		}
		if err := r.skip(b); err != nil {
			return header{}, err
		}
	}
}

// readBrands tells the kind by the major brand or, where that only says HEIF,
// by the first compatible brand that says more.
func readBrands(r *boxReader, ftyp box) (kind string, err error) {
	brands, err := r.rest(ftyp, maxBrands)
	if err != nil {
		return "", err
	}
	if len(brands) < 8 {
		return "", errMalformed
	}
	if kind := brandKind(string(brands[:4])); kind != "" {
		return kind, nil
	}
	for rest := brands[8:]; len(rest) >= 4; rest = rest[4:] { // a version stands between
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

// itemProperties is what the meta box says about items, as far as the size of
// the primary one needs it. The boxes may come in any order.
type itemProperties struct {
	primary      uint32
	hasPrimary   bool
	hasContainer bool
	extents      map[uint16]extent // by index in the container, from 1
	associations []associations
}

// extent is the content of an ispe property.
type extent struct{ width, height uint32 }

// associations is the content of an ipma box.
type associations struct {
	version byte
	flags   uint32
	data    []byte
}

func readPrimarySize(r *boxReader, meta box) (extent, error) {
	if _, _, err := r.version(meta); err != nil {
		return extent{}, err
	}
	p := &itemProperties{extents: map[uint16]extent{}}
	err := r.each(meta, func(b box) error {
		switch b.kind {
		case "pitm":
			return p.readPrimary(r, b)
		case "iprp":
			return r.each(b, func(b box) error {
				switch b.kind {
				case "ipco":
					return p.readContainer(r, b)
				case "ipma":
					return p.readAssociations(r, b)
				}
				return r.skip(b)
			})
		}
		return r.skip(b)
	})
	if err != nil {
		return extent{}, err
	}
	return p.primaryExtent()
}

func (p *itemProperties) readPrimary(r *boxReader, pitm box) error {
	version, _, err := r.version(pitm)
	if err != nil {
		return err
	}
	if p.hasPrimary || version > 1 {
		return errMalformed
	}
	p.hasPrimary = true
	var id [4]byte // shorter in version 0
	if err := r.read(pitm, id[2-2*version:]); err != nil {
		return err
	}
	p.primary = binary.BigEndian.Uint32(id[:])
	return r.skip(pitm)
}

func (p *itemProperties) readContainer(r *boxReader, ipco box) error {
	if p.hasContainer {
		return errMalformed
	}
	p.hasContainer = true
	index := 0
	return r.each(ipco, func(b box) error {
		if index++; index > maxProperties {
			return errMalformed
		}
		if b.kind == "ispe" {
			if _, _, err := r.version(b); err != nil {
				return err
			}
			var sides [8]byte
			if err := r.read(b, sides[:]); err != nil {
				return err
			}
			p.extents[uint16(index)] = extent{
				width:  binary.BigEndian.Uint32(sides[:]),
				height: binary.BigEndian.Uint32(sides[4:]),
			}
		}
		return r.skip(b)
	})
}

func (p *itemProperties) readAssociations(r *boxReader, ipma box) error {
	version, flags, err := r.version(ipma)
	if err != nil {
		return err
	}
	if len(p.associations) == maxAssociationBoxes {
		return errMalformed
	}
	data, err := r.rest(ipma, maxAssociations/maxAssociationBoxes)
	if err != nil {
		return err
	}
	p.associations = append(p.associations, associations{version, flags, data})
	return nil
}

// primaryExtent returns the one extent associated with the primary item.
func (p *itemProperties) primaryExtent() (extent, error) {
	if !p.hasPrimary {
		return extent{}, errMalformed
	}
	var found []extent
	for _, a := range p.associations {
		err := a.each(func(item uint32, index uint16) error {
			e, ok := p.extents[index]
			if !ok || item != p.primary {
				return nil
			}
			if len(found) > 0 && found[0] != e {
				return errMalformed
			}
			found = append(found[:0], e)
			return nil
		})
		if err != nil {
			return extent{}, err
		}
	}
	if len(found) == 0 {
		return extent{}, errMalformed
	}
	return found[0], nil
}

// each calls fn with every pair of item and property index.
func (a associations) each(fn func(item uint32, index uint16) error) error {
	data := a.data
	// number consumes an unsigned integer of size bytes.
	number := func(size int) (n uint32, ok bool) {
		if len(data) < size {
			return 0, false
		}
		for _, b := range data[:size] {
			n = n<<8 | uint32(b)
		}
		data = data[size:]
		return n, true
	}
	idSize, indexSize, indexMask := 2, 1, uint32(0x7F) // the top bit says "essential"
	if a.version > 0 {
		idSize = 4
	}
	if a.flags&1 != 0 {
		indexSize, indexMask = 2, 0x7FFF
	}
	entries, ok := number(4)
	for ; ok && entries > 0; entries-- {
		var item, count uint32
		if item, ok = number(idSize); !ok {
			break
		}
		for count, ok = number(1); ok && count > 0; count-- {
			var index uint32
			if index, ok = number(indexSize); !ok {
				break
			}
			if err := fn(item, uint16(index&indexMask)); err != nil {
				return err
			}
		}
	}
	if !ok {
		return errMalformed
	}
	return nil
}
