package dump_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/backendtest"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/backend/pebble"
	"github.com/shelflife-db/shelflife/backend/postgres"
	"github.com/shelflife-db/shelflife/backend/postgres/postgrestest"
	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/catalog/dump"
	"github.com/shelflife-db/shelflife/encoding"
	"github.com/shelflife-db/shelflife/ttl"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

var epoch = time.Date(2026, 5, 13, 10, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// stores are the kinds of store between which dumps go.
var stores = []struct {
	name string
	open func(t *testing.T) backend.Backend
}{
	{"memory", func(*testing.T) backend.Backend { return memory.New(nil) }},
	{"shared", func(*testing.T) backend.Backend { return memory.New(&memory.Options{Shared: true, Shards: 4}) }},
	{"pebble", func(t *testing.T) backend.Backend {
		b, err := pebble.Open(t.Context(), "store", &pebble.Options{FS: vfs.NewMem()})
		require.NoError(t, err)
		return b
	}},
	{"postgres", func(t *testing.T) backend.Backend {
		o := &postgres.Options{
			Table:     fmt.Sprint("dump_", os.Getpid(), "_", postgresTables.Add(1)),
			Partition: encoding.AccountPartition{}, Parts: 4, Connections: 4, Loops: 4,
		}
		b, err := postgres.Open(context.Background(), postgrestest.Shared(t), o)
		require.NoError(t, err)
		return b
	}},
}

var postgresTables atomic.Int64

// open opens a catalog, which is checked and closed when the test ends.
func open(t *testing.T, b backend.Backend, clock ttl.Clock) *catalog.Catalog {
	t.Helper()
	if b.Properties().Clock {
		b = backendtest.Clocked(b, clock.Now)
	}
	c, err := catalog.Open(t.Context(), b, &catalog.Options{Clock: clock})
	require.NoError(t, err)
	t.Cleanup(func() {
		requireSound(t, c)
		require.NoError(t, c.Close())
	})
	return c
}

func inMemory(t *testing.T, clock ttl.Clock) *catalog.Catalog {
	t.Helper()
	return open(t, memory.New(nil), clock)
}

func requireSound(t *testing.T, c *catalog.Catalog) {
	t.Helper()
	report, err := c.Check(context.Background())
	require.NoError(t, err)
	require.True(t, report.Sound(), "%v", report.Problems)
}

// write returns a dump.
func write(t *testing.T, c *catalog.Catalog) []byte {
	t.Helper()
	var b bytes.Buffer
	info, err := dump.Write(t.Context(), &b, c, nil)
	require.NoError(t, err)
	require.EqualValues(t, b.Len(), info.Bytes)
	return b.Bytes()
}

func load(t *testing.T, c *catalog.Catalog, text []byte, o *dump.Options) dump.Info {
	t.Helper()
	info, err := dump.Load(t.Context(), c, bytes.NewReader(text), o)
	require.NoError(t, err)
	return info
}

// imageSizes are those of images that travel with their product, that are staged,
// and that have several chunks.
var imageSizes = []int{4, 60, 310, 500}

// pngOf returns a PNG image of incompressible noise.
func pngOf(seed uint64, side int) []byte {
	noise := rand.New(rand.NewPCG(seed, uint64(side)))
	img := image.NewGray(image.Rect(0, 0, side, side))
	for i := range img.Pix {
		img.Pix[i] = color.Gray{Y: uint8(noise.Uint32())}.Y
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.NoCompression}).Encode(&b, img); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func url(n int) catalog.NewImage {
	return catalog.NewImage{URL: fmt.Sprint("https://cdn.example/", n, ".jpg?a=<&>")}
}

func uploaded(data []byte) catalog.NewImage {
	return catalog.NewImage{Upload: catalog.NewUpload(bytes.NewReader(data))}
}

func product(images ...catalog.NewImage) catalog.Patch {
	return catalog.Patch{Images: catalog.Set(images)}
}

// historian does at random what clients do.
type historian struct {
	*rand.Rand
	c     *catalog.Catalog
	clock *ttl.ManualClock
	ids   [][2]string // accounts and IDs, some of products that are gone
}

var accounts = []string{"shop", "shop/a", "Ä\u2028 <b>", "a\x00b"}

func (h *historian) step(ctx context.Context) error {
	account := accounts[h.IntN(len(accounts))]
	id := []string{"p", "p/q", "p q", "emoji 😀", "<&>", "\u2028"}[h.IntN(6)] + fmt.Sprint(h.IntN(8))
	if len(h.ids) > 0 && h.IntN(2) == 0 {
		known := h.ids[h.IntN(len(h.ids))]
		account, id = known[0], known[1]
	}
	p := h.patch()
	var err error
	switch h.IntN(10) {
	case 0, 1, 2, 3:
		_, err = h.c.Upsert(ctx, account, id, p)
	case 4:
		_, err = h.c.UpsertInline(ctx, account, id, p)
	case 5:
		var res catalog.Result
		if res, err = h.c.CreateOneShot(ctx, account, p); err == nil {
			id = res.Product.ExternalID
		}
	case 6, 7:
		_, err = h.c.Use(ctx, account, id)
	case 8:
		err = h.c.Delete(ctx, account, id)
	case 9:
		h.clock.Advance(time.Duration(h.Int64N(int64(2 * day))))
	}
	h.ids = append(h.ids, [2]string{account, id})
	var invalid *catalog.ValidationError
	if asError(err, &invalid) || isAny(err, catalog.ErrNotFound) {
		return nil // as when one is created under a reserved ID
	}
	return err
}

func (h *historian) patch() catalog.Patch {
	var p catalog.Patch
	images := make([]catalog.NewImage, 1+h.IntN(3))
	for i := range images {
		if images[i] = url(h.IntN(3)); h.IntN(2) == 0 {
			// Few, so that many products have the same.
			n := h.IntN(8)
			images[i] = uploaded(pngOf(uint64(n), imageSizes[n%len(imageSizes)]))
		}
		if h.IntN(3) == 0 {
			images[i].Classifications = json.RawMessage(`{"view":"front<>"}`)
		}
	}
	p.Images = catalog.Set(images)
	if h.IntN(2) == 0 {
		p.Title, p.Description = catalog.Set("t<>&\u2028"+fmt.Sprint(h.IntN(9))), catalog.Set(strings.Repeat("d\x01", h.IntN(50)))
	}
	if h.IntN(2) == 0 {
		p.Metadata = catalog.Set(json.RawMessage([]string{`{"b":1.10,"a":[1e400]}`, `"<\u003c\/>"`, `0`, `"\u2028` + "\u2028" + `"`}[h.IntN(4)]))
	}
	if h.IntN(2) == 0 {
		p.ValidForDays = catalog.Set(1 + h.IntN(20))
	}
	return p
}

// everything returns all that readers see, tags and image bytes included.
func everything(t *testing.T, c *catalog.Catalog) []string {
	t.Helper()
	var all []string
	for account, err := range c.Accounts(t.Context(), catalog.AccountsOptions{}) {
		require.NoError(t, err)
		for p, err := range c.All(t.Context(), account, catalog.AllOptions{Unlisted: true}) {
			require.NoError(t, err)
			text := fmt.Sprintf("%q %s %s", account, p.ETag(), p.AppendJSON(nil))
			for i, img := range p.Images {
				if img.Uploaded() {
					text += fmt.Sprintf(" %x", sumOf(t, c, account, p.ExternalID, i))
				}
			}
			all = append(all, text)
		}
	}
	return all
}

func sumOf(t *testing.T, c *catalog.Catalog, account, id string, order int) []byte {
	t.Helper()
	r, err := c.OpenImage(t.Context(), account, id, order)
	require.NoError(t, err)
	defer r.Close()
	sum := newSum()
	_, err = io.Copy(sum, r)
	require.NoError(t, err)
	info := r.Info()
	require.Equal(t, info.SHA256[:], sum.Sum(nil))
	return sum.Sum(nil)
}
