package encoding

import (
	"bytes"
	"math"
)

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

// blobElements is how many elements of a header this version knows.
const blobElements = 12

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
	in := reader{data: data}
	n := in.arrayLen("array")
	if n < blobElements {
		return corrupt(kind, "number of elements")
	}
	in.int("schema")
	d := BlobHeader{}
	state := in.int("state")
	owner := in.str("owner")
	d.Incarnation = in.uint("incarnation")
	d.Deadline = in.int("deadline")
	d.Size = in.int("size")
	d.ChunkSize = in.smallInt("chunk size")
	chunks := in.uint("chunks")
	if in.isNil() {
		in.fail("hash")
	}
	in.bin(d.SHA256[:], "hash")
	contentType := in.str("content type")
	d.Width = in.smallInt("width")
	d.Height = in.smallInt("height")
	extra := in.elements(n-blobElements, "unknown elements")
	if in.bad == "" && in.left() != 0 {
		in.fail("bytes after the end")
	}
	switch {
	case in.bad != "":
		return corrupt(kind, in.bad)
	case state < int64(BlobStaged) || state > int64(BlobGarbage):
		return corrupt(kind, "state")
	case d.Size < 0 || d.ChunkSize < 0 || chunks > math.MaxUint32 || d.Width < 0 || d.Height < 0:
		return corrupt(kind, "size")
	}
	d.State, d.Chunks = BlobState(state), uint32(chunks)
	d.Owner, d.Kind, d.extra = string(owner), string(contentType), bytes.Clone(extra)
	*h = d
	return nil
}
