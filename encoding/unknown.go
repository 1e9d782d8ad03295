package encoding

// What a newer writer has added to a record goes with it as bytes, for code that
// carries records from one store to another in a form of its own.

// Unknown returns what this version does not know of r: bits of its flags, and
// elements.
func (r *Record) Unknown() (flags uint16, elements []byte) { return r.flags, r.extra }

// SetUnknown gives r what Unknown has returned. It fails with [ErrCorrupt] for
// anything else.
func (r *Record) SetUnknown(flags uint16, elements []byte) error {
	if flags&flagsKnown != 0 || !areElements(elements, recordElements) {
		return corrupt("record", "unknown elements")
	}
	r.flags, r.extra = flags, elements
	return nil
}

// Unknown returns the elements of im that this version does not know.
func (im *Image) Unknown() (elements []byte) { return im.extra }

// SetUnknown gives im what Unknown has returned. It fails with [ErrCorrupt] for
// anything else.
func (im *Image) SetUnknown(elements []byte) error {
	if !areElements(elements, imageElements) {
		return corrupt("image", "unknown elements")
	}
	im.extra = elements
	return nil
}

// areElements reports whether raw is a number of whole elements that an array has
// room for beside its known ones.
func areElements(raw []byte, known int) bool {
	const most = 1<<16 - 1
	n := 0
	for len(raw) > 0 {
		size, ok := elementSize(raw)
		if !ok {
			return false
		}
		raw = raw[size:]
		n++
	}
	return known+n <= most
}
