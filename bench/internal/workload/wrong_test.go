package workload

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/httppeer"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
	"github.com/shelflife-db/shelflife/bench/internal/peer/bolt"
)

// defective is a store that is right but for one thing.
type defective struct {
	peer.Store
	flaw *flaw
}

// flaw replaces operations; a nil one is right.
type flaw struct {
	edit  func(s peer.Store, k dataset.Key, metadata []byte) error
	use   func() error
	get   func(s peer.Store, k dataset.Key) (any, error)
	image func(data []byte) []byte
	page  func(got any) any
	sweep func(n int) int
	// create is called before a product is created.
	create func(p *dataset.Product)
}

func (d *defective) Edit(ctx context.Context, k dataset.Key, metadata []byte) error {
	if d.flaw.edit != nil {
		return d.flaw.edit(d.Store, k, metadata)
	}
	return d.Store.Edit(ctx, k, metadata)
}

func (d *defective) Use(ctx context.Context, k dataset.Key) error {
	if d.flaw.use != nil {
		return d.flaw.use()
	}
	return d.Store.Use(ctx, k)
}

func (d *defective) Get(ctx context.Context, k dataset.Key, keep bool) (any, error) {
	if d.flaw.get != nil {
		return d.flaw.get(d.Store, k)
	}
	return d.Store.Get(ctx, k, keep)
}

func (d *defective) Create(ctx context.Context, p *dataset.Product) error {
	if d.flaw.create != nil {
		d.flaw.create(p)
	}
	return d.Store.Create(ctx, p)
}

func (d *defective) PutImage(ctx context.Context, k dataset.Key, data []byte) error {
	if d.flaw.image != nil {
		data = d.flaw.image(data)
	}
	return d.Store.PutImage(ctx, k, data)
}

func (d *defective) Page(ctx context.Context, p dataset.Page, keep bool) (any, error) {
	if d.flaw.page != nil {
		p.Limit--
	}
	return d.Store.Page(ctx, p, keep)
}

func (d *defective) Sweep(ctx context.Context) (int, error) {
	n, err := d.Store.Sweep(ctx)
	if d.flaw.sweep != nil {
		n = d.flaw.sweep(n)
	}
	return n, err
}

func withFlaw(f flaw) peer.Peer {
	p := bolt.Peer()
	open := p.Open
	p.Open = func(ctx context.Context, dir string, o peer.Options) (peer.Store, error) {
		s, err := open(ctx, dir, o)
		if err != nil {
			return nil, err
		}
		return &defective{s, &f}, nil
	}
	return p
}

func tiny(t *testing.T, workloads ...string) Config {
	return Config{
		Workloads: workloads, Products: 200, Writers: []int{2}, Readers: 1, Clients: 1,
		Rounds: 1, Duration: time.Minute, MaxOps: 200, Seed: 1, Dir: t.TempDir(),
	}
}

// A peer that returns wrong data fails the run.
func TestWrongDataFailsTheRun(t *testing.T) {
	ctx := context.Background()
	another := func(k dataset.Key) dataset.Key {
		if !strings.HasPrefix(k.ID, "sku-00000001") {
			k.ID = "sku-00000001"
			k.Account = "acct-000000"
		}
		return k
	}
	for name, tc := range map[string]struct {
		workload string
		flaw     flaw
		says     string
	}{
		"another product": {"get-uniform", flaw{get: func(s peer.Store, k dataset.Key) (any, error) {
			return s.Get(ctx, another(k), true)
		}}, "wrong data"},
		"finds what is not there": {"get-miss", flaw{get: func(s peer.Store, k dataset.Key) (any, error) {
			return s.Get(ctx, dataset.Key{Account: k.Account, ID: strings.TrimSuffix(k.ID, "-none")}, true)
		}}, "should not be there"},
		"short page": {"page-50", flaw{page: func(got any) any { return got }}, "has 49 products"},
		"forgotten edit": {"edit-durable-2", flaw{edit: func(peer.Store, dataset.Key, []byte) error {
			return nil
		}}, "an update was lost"},
		"older edit": {"edit-buffered-2", flaw{edit: func(s peer.Store, k dataset.Key, metadata []byte) error {
			revision, err := dataset.Revision(metadata)
			if err != nil || revision&1 == 1 {
				return err
			}
			return s.Edit(ctx, k, metadata)
		}}, "an update was lost"},
		"edit that garbles": {"edit-durable-2", flaw{edit: func(s peer.Store, k dataset.Key, metadata []byte) error {
			return s.Edit(ctx, k, append(metadata, ' '))
		}}, "metadata"},
		"forgotten use":    {"use-durable", flaw{use: func() error { return nil }}, "shows no use"},
		"another creation": {"create-durable", flaw{create: func(p *dataset.Product) { p.Title += "!" }}, "title"},
		"another image":    {"image-upload", flaw{image: func(data []byte) []byte { return data[1:] }}, "is not the last"},
		"image as read":    {"image-read", flaw{image: func(data []byte) []byte { return data[1:] }}, "differs"},
		"sweep too little": {"sweep", flaw{sweep: func(n int) int { return n - 1 }}, "the sweep removed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Run(t.Context(), tiny(t, tc.workload), []peer.Peer{withFlaw(tc.flaw)}, nil, io.Discard)
			require.ErrorContains(t, err, tc.says)
		})
	}
}

func TestFlawlessPeerPasses(t *testing.T) {
	c := tiny(t, "get-*", "page-50", "edit-*", "use-*", "touch", "create-*", "image-*", "sweep*", "open-clean")
	run, err := Run(t.Context(), c, []peer.Peer{withFlaw(flaw{})}, nil, io.Discard)
	require.NoError(t, err)
	require.NotEmpty(t, run.Measurements)
	left, err := os.ReadDir(c.Dir)
	require.NoError(t, err)
	require.Empty(t, left, "a run cleans up")
}

// wrongServer answers with another product.
type wrongServer struct{ httppeer.Server }

func (s wrongServer) Get(i int) httppeer.Request { return s.Server.Get((i + 1) % 50) }

func (s wrongServer) List(p dataset.Page) httppeer.Request {
	p.First, p.Limit = 0, p.Limit-1
	return s.Server.(httppeer.Lister).List(p)
}

func (s wrongServer) Products(body []byte) ([]dataset.Product, error) {
	return s.Server.(httppeer.Lister).Products(body)
}

func (s wrongServer) Image(int) httppeer.Request { return s.Server.Get(0) }

func TestWrongAnswersFailTheRun(t *testing.T) {
	p := httppeer.Shelflife()
	open := p.Open
	p.Open = func(ctx context.Context, dir string, d httppeer.Data) (httppeer.Server, error) {
		server, err := open(ctx, dir, d)
		return wrongServer{server}, err
	}
	for workload, says := range map[string]string{
		"http-get": "http-get: wrong data", "http-list-handler": "http-list-handler: wrong data", "http-image": "http-image: wrong data",
	} {
		c := tiny(t, workload)
		c.HTTPProducts = 150
		_, err := Run(t.Context(), c, nil, []httppeer.Peer{p}, io.Discard)
		require.ErrorContains(t, err, says)
	}
}
