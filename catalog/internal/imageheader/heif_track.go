package imageheader

import "encoding/binary"

// track is what the boxes of a track say, as far as its size needs it. The
// boxes may come in any order.
type track struct {
	handler [4]byte
	// coded is the size of the stored pixels, by the first sample entry; shown
	// is what a player scales them to, zero where that doesn't matter.
	coded, shown extent
}

// readTrackExtent returns the size of the first visual track, nil if there is
// none. A track of auxiliary pictures, such as the alpha plane, is not visual.
func readTrackExtent(r *boxReader, moov box) (first *extent, err error) {
	err = r.each(moov, func(b box) error {
		if first != nil || !b.is("trak") {
			return nil
		}
		var t track
		if err := t.read(r, b); err != nil {
			return err
		}
		switch string(t.handler[:]) {
		case "pict", "vide":
			first = &t.coded
			if *first == (extent{}) {
				first = &t.shown
			}
		}
		return nil
	})
	return first, err
}

func (t *track) read(r *boxReader, trak box) error {
	return r.each(trak, func(b box) error {
		switch {
		case b.is("tkhd"):
			return t.readHeader(r, b)
		case b.is("mdia"):
			return t.readMedia(r, b)
		}
		return nil
	})
}

// readHeader reads the end of the track header: the sides in 16.16 bits each.
func (t *track) readHeader(r *boxReader, tkhd box) error {
	version, _, err := r.version(tkhd)
	if err != nil {
		return err
	}
	n := 20 // times, ID and duration
	if version == 1 {
		n = 32
	}
	const fixed = 8 + 2 + 2 + 2 + 2 + 36 // reserved, layer, group, volume, reserved, matrix
	n += fixed
	var p [32 + fixed + 8]byte
	if tkhd.end-r.pos < int64(n+8) {
		return nil // judged only where the sample entry has no size
	}
	if err := r.read(tkhd, p[:n+8]); err != nil {
		return err
	}
	t.shown = extent{
		width:  binary.BigEndian.Uint32(p[n:]) >> 16,
		height: binary.BigEndian.Uint32(p[n+4:]) >> 16,
	}
	return nil
}

func (t *track) readMedia(r *boxReader, mdia box) error {
	return r.each(mdia, func(b box) error {
		switch {
		case b.is("hdlr"):
			return t.readHandler(r, b)
		case b.is("minf"):
			return r.each(b, func(b box) error {
				if !b.is("stbl") {
					return nil
				}
				return r.each(b, func(b box) error {
					if !b.is("stsd") {
						return nil
					}
					return t.readSampleEntry(r, b)
				})
			})
		}
		return nil
	})
}

func (t *track) readHandler(r *boxReader, hdlr box) error {
	var p [4 + 4 + 4]byte // version and flags, predefined, handler
	if err := r.read(hdlr, p[:]); err != nil {
		return err
	}
	t.handler = [4]byte(p[8:])
	return nil
}

// readSampleEntry reads the first sample entry. That of a visual track begins
// with 24 other bytes and the sides in 16 bits each; one too short for that is
// of another kind of track.
func (t *track) readSampleEntry(r *boxReader, stsd box) error {
	var head [4 + 4]byte // version and flags, number of entries
	if err := r.read(stsd, head[:]); err != nil {
		return err
	}
	entry, ok, err := r.next(stsd)
	if err != nil || !ok {
		return err
	}
	var p [24 + 4]byte
	if entry.end-r.pos < int64(len(p)) {
		return nil
	}
	if err := r.read(entry, p[:]); err != nil {
		return err
	}
	t.coded = extent{
		width:  uint32(binary.BigEndian.Uint16(p[24:])),
		height: uint32(binary.BigEndian.Uint16(p[26:])),
	}
	return nil
}
