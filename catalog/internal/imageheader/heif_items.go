package imageheader

import "encoding/binary"

const (
	// maxAssociations bounds the bytes of all item property associations; a
	// grid of 10,000 tiles needs some 50 KiB.
	maxAssociations = 256 << 10
	// maxAssociationBoxes is the number of combinations of version and flags;
	// no two of the boxes may agree in both.
	maxAssociationBoxes = 4
	// maxProperties is the highest index that an association can name.
	maxProperties = 1<<15 - 1
)

// itemProperties is what the meta box says about items, as far as the size of
// the primary one needs it. The boxes may come in any order.
type itemProperties struct {
	primary      uint32
	hasPrimary   bool
	hasContainer bool
	extents      map[uint16]extent // by index in the container, from 1
	associations []associations
}

// associations is the content of an ipma box.
type associations struct {
	version byte
	flags   uint32
	data    []byte
}

// readPrimaryExtent returns the size of the primary item, nil if none is named.
func readPrimaryExtent(r *boxReader, meta box) (*extent, error) {
	if _, _, err := r.version(meta); err != nil {
		return nil, err
	}
	p := &itemProperties{extents: map[uint16]extent{}}
	err := r.each(meta, func(b box) error {
		switch {
		case b.is("pitm"):
			return p.readPrimary(r, b)
		case b.is("iprp"):
			return r.each(b, func(b box) error {
				switch {
				case b.is("ipco"):
					return p.readContainer(r, b)
				case b.is("ipma"):
					return p.readAssociations(r, b)
				}
				return nil
			})
		}
		return nil
	})
	if err != nil || !p.hasPrimary {
		return nil, err
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
	return nil
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
		if !b.is("ispe") {
			return nil
		}
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
		return nil
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
	left := int64(maxAssociations)
	for _, a := range p.associations {
		left -= int64(len(a.data))
	}
	data, err := r.rest(ipma, left)
	if err != nil {
		return err
	}
	p.associations = append(p.associations, associations{version, flags, data})
	return nil
}

// primaryExtent returns the one extent associated with the primary item.
func (p *itemProperties) primaryExtent() (*extent, error) {
	var found *extent
	for _, a := range p.associations {
		err := a.each(func(item uint32, index uint16) error {
			if item != p.primary {
				return nil
			}
			e, ok := p.extents[index]
			if !ok {
				return nil
			}
			if found != nil && *found != e {
				return errMalformed
			}
			found = &e
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if found == nil {
		return nil, errNoExtents
	}
	return found, nil
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
