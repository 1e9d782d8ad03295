package encoding

import "math"

// BlobState says what is to become of a blob.
type BlobState byte

const (
	BlobStaged  BlobState = 1 // no product has claimed it yet
	BlobOwned   BlobState = 2 // the product Owner refers to it
	BlobGarbage BlobState = 3 // kept only for readers that have opened it
)

// A BlobHeader describes the bytes of one uploaded image. It keeps what a newer
// writer added to it, so change a copy of the decoded one instead of building
// another.
type BlobHeader struct {
	State       BlobState
	Owner       string // ID of the product that owns or owned it
	Incarnation uint64 // of that product
	Deadline    int64  // Unix milliseconds; None when owned
	Size        int64  // bytes
	ChunkSize   int    // bytes of every chunk but the last, without its trailer
	Chunks      uint32 // how many there are
	SHA256      [32]byte
	Kind        string // content type
	Width       int    // pixels
	Height      int    // pixels

	extra []byte // the elements that this version does not know
}

// AppendBlobHeader appends the encoding of h to dst.
func AppendBlobHeader(dst []byte, h *BlobHeader) []byte {
	return appendArray(dst, h.extra, Schema, int(h.State), h.Owner, h.Incarnation, h.Deadline,
		h.Size, h.ChunkSize, uint64(h.Chunks), h.SHA256[:], h.Kind, h.Width, h.Height)
}

// DecodeBlobHeader sets *h to the header in data, whatever it held before. It
// shares no memory with data. It fails with [ErrCorrupt] or [ErrNewerSchema];
// *h is then as it was.
func DecodeBlobHeader(data []byte, h *BlobHeader) error {
	const kind = "blob header"
	if err := checkSchema(data, kind); err != nil {
		return err
	}
	var (
		d             BlobHeader
		schema, state int
		chunks        uint64
		hash          []byte
		err           error
	)
	d.extra, err = decodeArray(data, kind, &schema, &state, &d.Owner, &d.Incarnation, &d.Deadline,
		&d.Size, &d.ChunkSize, &chunks, &hash, &d.Kind, &d.Width, &d.Height)
	switch {
	case err != nil:
		return err
	case state < int(BlobStaged) || state > int(BlobGarbage):
		return corrupt(kind, "state")
	case d.Size < 0 || d.ChunkSize < 0 || chunks > math.MaxUint32 || d.Width < 0 || d.Height < 0:
		return corrupt(kind, "size")
	case len(hash) != len(d.SHA256):
		return corrupt(kind, "hash")
	}
	d.State, d.Chunks, d.SHA256 = BlobState(state), uint32(chunks), [32]byte(hash)
	*h = d
	return nil
}
