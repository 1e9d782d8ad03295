package dump

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"regexp"
	"time"

	"github.com/klauspost/compress/zstd"
)

const (
	format  = "shelflife dump"
	version = 1

	headerName   = "dump.json"
	manifestName = "manifest.json"

	// window is how far the compression looks back, and maxWindow what a reader gives
	// memory for.
	window    = 4 << 20
	maxWindow = 64 << 20

	// trailerMagic begins a frame that decompression skips. It ends a dump with the
	// SHA-256 of all before it.
	trailerMagic = 0x184D2A53
	trailerLen   = 8 + sha256.Size
)

// header is the first file of a dump.
type header struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
}

func (h header) check() error {
	switch {
	case h.Format != format || h.Version < 1:
		return fmt.Errorf("%w: it is no dump", ErrNotIntact)
	case h.Version > version:
		return fmt.Errorf("the dump has version %d of its format, and this program knows version %d", h.Version, version)
	}
	return nil
}

// manifest is the last one.
type manifest struct {
	header
	Accounts   int   `json:"accounts"`
	Products   int   `json:"products"`
	Images     int   `json:"images"`
	ImageBytes int64 `json:"imageBytes"`
	LeftOut    int   `json:"leftOut"`
	// Names is the SHA-256 of the names of all files before this one, each with a
	// line feed. Names hold the sums of what is in the files.
	Names string `json:"names"`
}

// archiveWriter writes the files of a dump.
type archiveWriter struct {
	out   *countingWriter
	zstd  *zstd.Encoder
	tar   *tar.Writer
	names hash.Hash
	files int
}

// countingWriter counts and sums what goes through it.
type countingWriter struct {
	w   io.Writer
	n   int64
	sum hash.Hash
}

// Write implements io.Writer.
func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.sum.Write(p[:n])
	return n, err
}

func newArchiveWriter(w io.Writer) (*archiveWriter, error) {
	a := &archiveWriter{out: &countingWriter{w: w, sum: sha256.New()}, names: sha256.New()}
	var err error
	// One at a time: the same products make the same bytes.
	a.zstd, err = zstd.NewWriter(a.out, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window))
	if err != nil {
		return nil, err
	}
	a.tar = tar.NewWriter(a.zstd)
	return a, a.addJSON(headerName, header{format, version})
}

// add begins a file, whose bytes are then written to a.tar.
func (a *archiveWriter) add(name string, size int64) error {
	fmt.Fprintf(a.names, "%s\n", name)
	return a.tar.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR,
	})
}

func (a *archiveWriter) addJSON(name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	if err := a.add(name, int64(len(text))); err != nil {
		return err
	}
	_, err = a.tar.Write(text)
	return err
}

// addProducts writes lines of products as a file.
func (a *archiveWriter) addProducts(lines []byte) error {
	a.files++
	if err := a.add(fmt.Sprintf("products/%08d.%x.ndjson", a.files, sha256.Sum256(lines)), int64(len(lines))); err != nil {
		return err
	}
	_, err := a.tar.Write(lines)
	return err
}

// imageName is the name of the file of image bytes.
func imageName(sum [32]byte) string { return "images/" + hex.EncodeToString(sum[:]) }

// end writes the manifest and all that is left.
func (a *archiveWriter) end(m manifest) error {
	m.header = header{format, version}
	m.Names = hex.EncodeToString(a.names.Sum(nil))
	if err := a.addJSON(manifestName, m); err != nil {
		return err
	}
	if err := a.tar.Close(); err != nil {
		return err
	}
	if err := a.zstd.Close(); err != nil {
		return err
	}
	_, err := a.out.Write(appendTrailer(nil, a.out.sum))
	return err
}

// appendTrailer appends the frame that ends a dump.
func appendTrailer(dst []byte, sum hash.Hash) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, trailerMagic)
	dst = binary.LittleEndian.AppendUint32(dst, sha256.Size)
	return sum.Sum(dst)
}

// archiveReader reads the files of a dump. It must be closed.
type archiveReader struct {
	in     *tailReader
	zstd   *zstd.Decoder
	tar    *tar.Reader
	names  hash.Hash
	header header
}

func newArchiveReader(r io.Reader) (*archiveReader, error) {
	a := &archiveReader{in: &tailReader{r: r, sum: sha256.New()}, names: sha256.New()}
	var err error
	a.zstd, err = zstd.NewReader(a.in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, a.fault(err)
	}
	a.tar = tar.NewReader(a.zstd)
	if err := a.nextJSON(headerName, &a.header); err != nil {
		a.close()
		return nil, err
	}
	if err := a.header.check(); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *archiveReader) close() { a.zstd.Close() }

// next begins the next file.
func (a *archiveReader) next() (name string, size int64, err error) {
	h, err := a.tar.Next()
	if err == io.EOF {
		return "", 0, fmt.Errorf("%w: it is cut off, its manifest is missing", ErrNotIntact)
	}
	if err != nil {
		return "", 0, a.fault(err)
	}
	if h.Typeflag != tar.TypeReg {
		return "", 0, fmt.Errorf("%w: %q is no file", ErrNotIntact, h.Name)
	}
	if h.Name != manifestName {
		fmt.Fprintf(a.names, "%s\n", h.Name)
	}
	return h.Name, h.Size, nil
}

// nextJSON reads a whole file of a name.
func (a *archiveReader) nextJSON(want string, v any) error {
	name, size, err := a.next()
	if err != nil {
		return err
	}
	if name != want {
		return fmt.Errorf("%w: %q instead of %s", ErrNotIntact, name, want)
	}
	return a.readJSON(size, v)
}

func (a *archiveReader) readJSON(size int64, v any) error {
	const most = 1 << 20
	if size > most {
		return fmt.Errorf("%w: a description of %d bytes", ErrNotIntact, size)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(a.tar, text); err != nil {
		return a.fault(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %w", ErrNotIntact, err)
	}
	return nil
}

// maxLines is the most that a file of products may hold: a line more than the
// writer puts into one.
const maxLines = linesLen + maxLine

var productsName = regexp.MustCompile(`^products/[0-9]{8,}\.([0-9a-f]{64})\.ndjson$`)

// products reads the file that next has begun if it is one of products; ok is false
// for any other.
func (a *archiveReader) products(name string, size int64) (lines []byte, ok bool, err error) {
	sum := productsName.FindStringSubmatch(name)
	if sum == nil {
		return nil, false, nil
	}
	if size > maxLines {
		return nil, false, fmt.Errorf("%w: %s has %d bytes", ErrNotIntact, name, size)
	}
	var b bytes.Buffer // which grows as the bytes come
	if _, err := io.CopyN(&b, a.tar, size); err != nil {
		return nil, false, a.fault(err)
	}
	if got := sha256.Sum256(b.Bytes()); hex.EncodeToString(got[:]) != sum[1] {
		return nil, false, fmt.Errorf("%w: %s holds other bytes than its name says", ErrNotIntact, name)
	}
	return b.Bytes(), true, nil
}

// end makes sure that nothing stands behind the manifest, and that every byte was
// as it was written.
func (a *archiveReader) end() error {
	if _, err := a.tar.Next(); err != io.EOF {
		if err == nil {
			err = errors.New("a file stands behind the manifest")
		}
		return a.fault(err)
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(a.zstd, 1)); err != nil || n > 0 {
		if err == nil {
			err = errors.New("bytes stand behind the manifest")
		}
		return a.fault(err)
	}
	if !bytes.Equal(a.in.tail(), appendTrailer(nil, a.in.sum)) {
		return fmt.Errorf("%w: its sum at the end is missing or not that of its bytes", ErrNotIntact)
	}
	return nil
}

// fault returns the error of the reader where that is why something could not be
// read, and else what is wrong with the dump.
func (a *archiveReader) fault(err error) error {
	switch {
	case a.in.err != nil && a.in.err != io.EOF:
		return a.in.err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: it is cut off", ErrNotIntact)
	}
	return fmt.Errorf("%w: %w", ErrNotIntact, err)
}

// tailReader reads all but the trailer, and sums it.
type tailReader struct {
	r   io.Reader
	n   int64  // bytes that were read
	buf []byte // of them, those from pos on were not handed out
	pos int
	err error // of r
	sum hash.Hash
}

// Read implements io.Reader.
func (t *tailReader) Read(p []byte) (int, error) {
	for t.err == nil && len(t.buf)-t.pos <= trailerLen {
		const ahead = 64 << 10
		if t.buf == nil {
			t.buf = make([]byte, 0, ahead)
		}
		t.buf, t.pos = append(t.buf[:0], t.buf[t.pos:]...), 0
		n, err := t.r.Read(t.buf[len(t.buf):cap(t.buf)])
		t.buf, t.err = t.buf[:len(t.buf)+n], err
		t.n += int64(n)
	}
	have := len(t.buf) - t.pos - trailerLen
	if have <= 0 {
		return 0, t.err
	}
	n := copy(p, t.buf[t.pos:t.pos+have])
	t.sum.Write(p[:n])
	t.pos += n
	return n, nil
}

// tail returns what was not read, when Read has returned io.EOF.
func (t *tailReader) tail() []byte { return t.buf[t.pos:] }
