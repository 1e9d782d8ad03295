// Package repeats finds out which of many hashes come more than once, and then
// says of each, as they come again, whether it is the first and whether more
// follow. It takes a bounded amount of memory: beyond that, hashes are sorted in
// files, of 32 bytes for each that is added and 40 for each that repeats.
package repeats

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
)

// A Hash is a SHA-256.
type Hash = [32]byte

const (
	// DefaultMost is how many hashes are in memory: 8 MiB of them.
	DefaultMost = 1 << 18

	hashLen  = len(Hash{})
	entryLen = hashLen + 8
	// mergeBuffer is what is read ahead of each sorted run.
	mergeBuffer = 16 << 10
)

// Counter counts hashes. It must be closed.
type Counter struct {
	dir  string
	most int
	run  []Hash
	runs []io.Reader // sorted, in file
	file *os.File    // nil as long as all are in memory
	end  int64       // of file
	// entries are the hashes that repeat, sorted, each with how many are to come
	// and how many were taken: in memory or in table.
	entries memory
	table   *os.File
	count   int64 // of entries
}

// New returns a counter that keeps at most so many hashes in memory, at least 1, and
// the others in files in dir; "" is that of the system.
func New(dir string, most int) *Counter {
	return &Counter{dir: dir, most: max(most, 1)}
}

// Add counts a hash.
func (c *Counter) Add(h Hash) error {
	if len(c.run) == c.most {
		if err := c.spill(); err != nil {
			return err
		}
	}
	c.run = append(c.run, h)
	return nil
}

// spill sorts the hashes in memory into the file.
func (c *Counter) spill() (err error) {
	if c.file == nil {
		if c.file, err = os.CreateTemp(c.dir, "shelflife-hashes-*"); err != nil {
			return err
		}
	}
	slices.SortFunc(c.run, compare)
	w := bufio.NewWriter(c.file)
	for i := range c.run {
		_, _ = w.Write(c.run[i][:]) // Flush says so
	}
	if err := w.Flush(); err != nil {
		return err
	}
	size := int64(len(c.run)) * int64(hashLen)
	c.runs = append(c.runs, io.NewSectionReader(c.file, c.end, size))
	c.end += size
	c.run = c.run[:0]
	return nil
}

// Counted is called when all were added.
func (c *Counter) Counted() (err error) {
	if c.file == nil {
		slices.SortFunc(c.run, compare)
		w := bytes.NewBuffer(nil)
		_ = c.collect(w, func(yield func(Hash) error) error { // a Buffer does not fail
			for _, h := range c.run {
				_ = yield(h)
			}
			return nil
		})
		c.entries, c.run = w.Bytes(), nil
		return nil
	}
	if err := c.spill(); err != nil {
		return err
	}
	c.run = nil
	if c.table, err = os.CreateTemp(c.dir, "shelflife-hashes-*"); err != nil {
		return err
	}
	w := bufio.NewWriter(c.table)
	if err := c.collect(w, c.merged); err != nil {
		return err
	}
	return w.Flush()
}

// collect writes an entry for each hash that repeats in a sorted sequence.
func (c *Counter) collect(w io.Writer, sorted func(yield func(Hash) error) error) error {
	var last Hash
	n := uint32(0)
	end := func() error {
		if n < 2 {
			return nil
		}
		c.count++
		_, err := w.Write(binary.BigEndian.AppendUint64(last[:], uint64(n)<<32))
		return err
	}
	err := sorted(func(h Hash) error {
		if n > 0 && h == last {
			n++
			return nil
		}
		if err := end(); err != nil {
			return err
		}
		last, n = h, 1
		return nil
	})
	return cmp.Or(err, end())
}

// merged yields the hashes of all runs in order.
func (c *Counter) merged(yield func(Hash) error) error {
	var m merger
	for _, r := range c.runs {
		next := &head{r: bufio.NewReaderSize(r, mergeBuffer)}
		if err := next.read(); err == nil {
			m = append(m, next)
		} else if err != io.EOF {
			return err
		}
	}
	heap.Init(&m)
	for len(m) > 0 {
		if err := yield(m[0].hash); err != nil {
			return err
		}
		switch err := m[0].read(); err {
		case nil:
			heap.Fix(&m, 0)
		case io.EOF:
			heap.Pop(&m)
		default:
			return err
		}
	}
	return nil
}

// Take says of a hash that comes again whether it is the first of its kind that is
// taken, and whether more may come that are neither taken nor passed.
func (c *Counter) Take(h Hash) (first, more bool, err error) {
	left, taken, err := c.update(h, 1)
	return taken <= 1, left > 0, err
}

// Pass says that a hash that comes again is not taken.
func (c *Counter) Pass(h Hash) error {
	_, _, err := c.update(h, 0)
	return err
}

// update counts down what is left of a hash, adds to what was taken of it, and
// returns both as they are then.
func (c *Counter) update(h Hash, take uint32) (left, taken uint32, err error) {
	var t interface {
		io.ReaderAt
		io.WriterAt
	} = c.entries
	if c.table != nil {
		t = c.table
	}
	var entry [entryLen]byte
	low, high := int64(0), c.count
	for low < high {
		middle := (low + high) / 2
		if _, err := t.ReadAt(entry[:], middle*int64(entryLen)); err != nil {
			return 0, 0, err
		}
		switch bytes.Compare(entry[:hashLen], h[:]) {
		case -1:
			low = middle + 1
		case 1:
			high = middle
		default:
			counts := entry[hashLen:]
			left, taken = binary.BigEndian.Uint32(counts)-1, binary.BigEndian.Uint32(counts[4:])+take
			binary.BigEndian.PutUint32(counts, left)
			binary.BigEndian.PutUint32(counts[4:], taken)
			_, err := t.WriteAt(counts, middle*int64(entryLen)+int64(hashLen))
			return left, taken, err
		}
	}
	return 0, take, nil
}

// Close removes the files.
func (c *Counter) Close() error {
	var errs []error
	for _, f := range []*os.File{c.file, c.table} {
		if f != nil {
			errs = append(errs, f.Close(), os.Remove(f.Name()))
		}
	}
	return errors.Join(errs...)
}

func compare(a, b Hash) int { return bytes.Compare(a[:], b[:]) }

// memory is a file in memory, of a fixed length.
type memory []byte

// ReadAt implements io.ReaderAt.
func (m memory) ReadAt(p []byte, off int64) (int, error) { return copy(p, m[off:]), nil }

// WriteAt implements io.WriterAt.
func (m memory) WriteAt(p []byte, off int64) (int, error) { return copy(m[off:], p), nil }

// head is the next hash of a run.
type head struct {
	hash Hash
	r    io.Reader
}

func (h *head) read() error {
	_, err := io.ReadFull(h.r, h.hash[:])
	return err
}

// merger is a heap of runs.
type merger []*head

func (m merger) Len() int           { return len(m) }
func (m merger) Less(i, j int) bool { return compare(m[i].hash, m[j].hash) < 0 }
func (m merger) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }

// Push implements heap.Interface.
func (m *merger) Push(x any) { *m = append(*m, x.(*head)) }

// Pop implements heap.Interface.
func (m *merger) Pop() any {
	last := (*m)[len(*m)-1]
	*m = (*m)[:len(*m)-1]
	return last
}
