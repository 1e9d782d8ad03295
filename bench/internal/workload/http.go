package workload

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/shelflife-db/shelflife/bench/internal/dataset"
	"github.com/shelflife-db/shelflife/bench/internal/httppeer"
	"github.com/shelflife-db/shelflife/bench/internal/measure"
	"github.com/shelflife-db/shelflife/bench/internal/peer"
	"github.com/shelflife-db/shelflife/bench/internal/result"
)

// overHTTP measures servers on loopback, with the clients in this process, and
// their handlers alone.
func (r *run) overHTTP(ctx context.Context) (err error) {
	if !r.wants(httpWorkloads...) || r.HTTPProducts == 0 {
		return nil
	}
	set := r.set.Resize(min(r.HTTPProducts, r.set.Len()))
	pages := set.Pages(50)
	data := httppeer.Data{Set: set, Photos: r.photos, Image: r.images[0], Pages: pages[:min(preparedPages, len(pages))]}
	var sites []*site
	defer func() {
		for _, s := range sites {
			err = errors.Join(err, s.close(context.WithoutCancel(ctx)))
		}
	}()
	for _, p := range r.servers {
		s, err := r.openSite(ctx, p, data)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
		sites = append(sites, s)
	}
	for round := range r.Rounds {
		for _, s := range sites {
			if err := s.measure(ctx, round); err != nil {
				return fmt.Errorf("%s: %w", s.peer.Name, err)
			}
		}
	}
	return nil
}

// site is a server that listens.
type site struct {
	*run
	peer   httppeer.Peer
	server httppeer.Server
	data   httppeer.Data
	set    *dataset.Set
	zipf   *dataset.Zipf
	keys   []dataset.Key
	base   string // URL
	http   *http.Server
	served chan error
	client *http.Client
	// scratch takes the answers of the handler that is called by one goroutine.
	scratch []byte
}

func (r *run) openSite(ctx context.Context, p httppeer.Peer, data httppeer.Data) (*site, error) {
	dir := filepath.Join(r.Dir, p.Name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	server, err := p.Open(ctx, dir, data)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	set := data.Set
	s := &site{
		run: r, peer: p, server: server, data: data, set: set, zipf: dataset.NewZipf(set.Len(), r.Seed), keys: set.Keys(),
		base: "http://" + listener.Addr().String(), http: &http.Server{Handler: server}, served: make(chan error, 1),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: r.Clients, MaxConnsPerHost: r.Clients}},
	}
	go func() { s.served <- s.http.Serve(listener) }()
	return s, nil
}

func (s *site) close(ctx context.Context) error {
	s.client.CloseIdleConnections()
	err := s.http.Shutdown(ctx)
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return errors.Join(err, s.server.Close())
}

// send is how a request reaches a server: over a connection or straight. The body
// is good until the next call of the same goroutine.
type send func(ctx context.Context, account string, q httppeer.Request) (body []byte, err error)

func (s *site) measure(ctx context.Context, round int) error {
	for _, w := range []struct {
		result.Workload
		send    send
		clients int
		start   func(s *site, send send, segment uint64, clients int) (task, error)
	}{
		{httpGet, s.dial, s.Clients, getRequests},
		{httpList, s.dial, s.Clients, listRequests},
		{httpImage, s.dial, s.Clients, imageRequests},
		{httpUse, s.dial, s.Clients, useRequests},
		{httpPost, s.dial, s.Clients, editRequests},
		{httpGetHandler, s.call, 1, getRequests},
		{httpListHandler, s.call, 1, listRequests},
		{httpImageHandler, s.call, 1, imageRequests},
		{httpPostHandler, s.call, 1, editRequests},
	} {
		if !s.wants(w.Workload) {
			continue
		}
		once := func(seg measure.Segment) (sample measure.Sample, err error) {
			s.segments++
			t, err := w.start(s, w.send, s.segments, w.clients)
			if err != nil {
				return sample, err
			}
			if sample, err = seg.Run(ctx, t.op); err != nil {
				return sample, err
			}
			if err := t.verify(ctx, sample); err != nil {
				return sample, fmt.Errorf("wrong data: %w", err)
			}
			return sample, nil
		}
		_, err := once(s.warmUp(w.clients))
		if errors.Is(err, peer.ErrNotOffered) {
			s.skip(w.Workload, s.peer.Name, "not offered")
			continue
		}
		var sample measure.Sample
		if err == nil {
			err = s.profiled(round, func() (err error) {
				sample, err = once(s.segment(w.clients))
				return err
			})
		}
		if err != nil {
			return fmt.Errorf("%s: %w", w.Name, err)
		}
		s.add(w.Workload, s.peer.Name, round, result.Of(sample))
	}
	return nil
}

// dial sends over a connection.
func (s *site) dial(ctx context.Context, account string, q httppeer.Request) ([]byte, error) {
	var reader io.Reader
	if q.Body != nil {
		reader = bytes.NewReader(q.Body)
	}
	req, err := http.NewRequestWithContext(ctx, q.Method, s.base+q.Path, reader)
	if err != nil {
		return nil, err
	}
	req.Header.Set(httppeer.AccountHeader, account)
	req.Header.Set("Content-Type", "application/json")
	res, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	body := bytes.NewBuffer(make([]byte, 0, max(res.ContentLength, 0)+bytes.MinRead))
	_, err = body.ReadFrom(res.Body)
	err = errors.Join(err, res.Body.Close())
	return body.Bytes(), errors.Join(err, expectOK(q, res.StatusCode, body.Bytes()))
}

func expectOK(q httppeer.Request, status int, body []byte) error {
	if status != http.StatusOK {
		return fmt.Errorf("%s %s: %d %.300s", q.Method, q.Path, status, body)
	}
	return nil
}

// answer is a response in memory.
type answer struct {
	header http.Header
	status int
	body   []byte
}

var _ http.ResponseWriter = (*answer)(nil)

func (a *answer) Header() http.Header    { return a.header }
func (a *answer) WriteHeader(status int) { a.status = status }
func (a *answer) Write(b []byte) (int, error) {
	a.body = append(a.body, b...)
	return len(b), nil
}

// call serves a request in this goroutine.
func (s *site) call(ctx context.Context, account string, q httppeer.Request) ([]byte, error) {
	path, query, _ := strings.Cut(q.Path, "?")
	target := &url.URL{Path: path, RawQuery: query}
	req := &http.Request{
		Method: q.Method, URL: target, RequestURI: q.Path, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"X-Api-Key": {account}, "Content-Type": {"application/json"}},
		Body:   io.NopCloser(bytes.NewReader(q.Body)), ContentLength: int64(len(q.Body)), RemoteAddr: "127.0.0.1:1",
	}
	a := &answer{header: http.Header{}, status: http.StatusOK, body: s.scratch[:0]}
	s.server.ServeHTTP(a, req.WithContext(ctx))
	s.scratch = a.body
	return a.body, expectOK(q, a.status, a.body)
}

func getRequests(s *site, send send, segment uint64, clients int) (task, error) {
	random, results := s.sources(segment, clients), make([]kept[int], clients)
	op := func(ctx context.Context, w, n int) error {
		i := s.zipf.Next(random[w])
		body, err := send(ctx, s.keys[i].Account, s.server.Get(i))
		if err == nil && results[w].wants(n) {
			results[w].add(i, bytes.Clone(body))
		}
		return err
	}
	verify := func(context.Context, measure.Sample) error {
		for _, k := range results {
			for n, i := range k.what {
				if _, _, err := s.check(i, k.got[n].([]byte)); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return task{op, verify}, nil
}

// listRequests asks for pages.
func listRequests(s *site, send send, segment uint64, clients int) (task, error) {
	lister, ok := s.server.(httppeer.Lister)
	if !ok {
		return task{}, peer.ErrNotOffered
	}
	if len(s.data.Pages) == 0 {
		return task{}, errors.New("no account has 50 products")
	}
	random, results := s.sources(segment, clients), make([]kept[dataset.Page], clients)
	op := func(ctx context.Context, w, n int) error {
		p := s.data.Pages[random[w].IntN(len(s.data.Pages))]
		body, err := send(ctx, p.Account, lister.List(p))
		if err == nil && results[w].wants(n) {
			results[w].add(p, bytes.Clone(body))
		}
		return err
	}
	verify := func(context.Context, measure.Sample) error {
		for _, k := range results {
			for n, p := range k.what {
				if err := s.checkPage(lister, p, k.got[n].([]byte)); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return task{op, verify}, nil
}

// imageRequests asks for uploaded images.
func imageRequests(s *site, send send, segment uint64, clients int) (task, error) {
	gallery, ok := s.server.(httppeer.Gallery)
	if !ok {
		return task{}, peer.ErrNotOffered
	}
	random, keys := s.sources(segment, clients), s.data.Photos.Keys()
	op := func(ctx context.Context, w, n int) error {
		i := random[w].IntN(len(keys))
		body, err := send(ctx, keys[i].Account, gallery.Image(i))
		if err == nil && n%keepEvery == 0 && !bytes.Equal(body, s.data.Image) {
			err = fmt.Errorf("wrong data: the image of %v differs", keys[i])
		}
		return err
	}
	return task{op, verifyNothing}, nil
}

func useRequests(s *site, send send, segment uint64, clients int) (task, error) {
	random := s.sources(segment, clients)
	op := func(ctx context.Context, w, _ int) error {
		i := s.zipf.Next(random[w])
		_, err := send(ctx, s.keys[i].Account, s.server.Use(i))
		return err
	}
	verify := func(ctx context.Context, sample measure.Sample) error {
		return s.sampleOps(segment, sample, s.zipf, func(i int) error {
			p, _, err := s.fetch(ctx, i)
			if err == nil && !p.Used && !s.peer.Floor {
				err = fmt.Errorf("product %d shows no use", i)
			}
			return err
		})
	}
	return task{op, verify}, nil
}

func editRequests(s *site, send send, segment uint64, clients int) (task, error) {
	random, buffers := s.sources(segment, clients), make([][]byte, clients)
	access := dataset.Uniform(s.set.Len())
	op := func(ctx context.Context, w, n int) error {
		i := access.Next(random[w])
		buffers[w] = s.edits.Append(buffers[w][:0], revisionOf(segment, w, n))
		_, err := send(ctx, s.keys[i].Account, s.server.Edit(i, buffers[w]))
		return err
	}
	verify := func(ctx context.Context, sample measure.Sample) error {
		return s.sampleOps(segment, sample, access, func(i int) error {
			_, revision, err := s.fetch(ctx, i)
			if err == nil && revision>>segmentShift != segment && !s.peer.Floor {
				err = fmt.Errorf("product %d has revision %x: an update was lost", i, revision)
			}
			return err
		})
	}
	return task{op, verify}, nil
}

// sampleOps calls fn with some of the products that a segment has touched.
func (s *site) sampleOps(segment uint64, sample measure.Sample, access dataset.Access, fn func(i int) error) error {
	clients := len(sample.Ops)
	for w, r := range s.sources(segment, clients) {
		for range min(sample.Ops[w], verifiedProducts/clients+1) {
			if err := fn(access.Next(r)); err != nil {
				return err
			}
		}
	}
	return nil
}

// fetch reads product i and checks it.
func (s *site) fetch(ctx context.Context, i int) (dataset.Product, uint64, error) {
	body, err := s.dial(ctx, s.keys[i].Account, s.server.Get(i))
	if err != nil {
		return dataset.Product{}, 0, err
	}
	return s.check(i, body)
}

// check compares an answer with product i, whatever the order of JSON members
// and the form of numbers in it, and returns its revision.
func (s *site) check(i int, body []byte) (got dataset.Product, revision uint64, err error) {
	if got, err = s.server.Product(body); err != nil {
		return got, 0, err
	}
	revision, err = s.compare(i, &got)
	return got, revision, err
}

// checkPage compares an answer with a page.
func (s *site) checkPage(lister httppeer.Lister, p dataset.Page, body []byte) error {
	products, err := lister.Products(body)
	if err != nil {
		return err
	}
	if len(products) != p.Limit {
		return fmt.Errorf("page of %s from %d on has %d products", p.Account, p.First, len(products))
	}
	for i := range products {
		if _, err := s.compare(p.First+i, &products[i]); err != nil {
			return err
		}
	}
	return nil
}

// compare compares a product of an answer with product i.
func (s *site) compare(i int, got *dataset.Product) (revision uint64, err error) {
	if got.Account == "" {
		got.Account = s.keys[i].Account
	}
	if revision, err = dataset.Revision(canonical(got.Metadata)); err != nil {
		return 0, err
	}
	want := s.set.Product(i)
	if revision != 0 {
		want.Metadata = s.edits.Append(nil, revision)
	}
	reorder(&want)
	reorder(got)
	return revision, dataset.Same(&want, got)
}

func reorder(p *dataset.Product) {
	p.Metadata = canonical(p.Metadata)
	for i := range p.Images {
		p.Images[i].Classifications = canonical(p.Images[i].Classifications)
	}
}

// canonical returns JSON with its members in order, but for the revision, which
// comes first, and its numbers in their shortest form. Null and nothing are the
// same.
func canonical(raw []byte) []byte {
	var value any
	if err := json.Unmarshal(raw, &value); err != nil || value == nil {
		return nil
	}
	const name = "benchRevision"
	members, ok := value.(map[string]any)
	revision, edited := members[name].(string)
	if ok && edited {
		delete(members, name)
	}
	out, err := json.Marshal(value)
	if err != nil || !edited {
		return out
	}
	separator := ","
	if len(members) == 0 {
		separator = ""
	}
	return []byte(`{"` + name + `":"` + revision + `"` + separator + strings.TrimPrefix(string(out), "{"))
}
