package kill

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/shelflife-db/shelflife/prooftest/internal/picture"
)

const (
	writers   = 6
	useWindow = time.Second
)

func accountOf(i int) string { return fmt.Sprintf("account-%d", i) }
func keyOf(i int) string     { return fmt.Sprintf("key-of-account-%d", i) }

// product is one as it is answered; raw is the body without what a use changes.
type product struct {
	ExternalID, Title string
	Metadata          struct{ Token string }
	Images            []struct {
		SourceURL string
		Size      int64
	}
	LastUsedAt *time.Time
	UpdatedAt  time.Time
	stable     string
}

func parse(body []byte) (*product, error) {
	p := new(product)
	if err := json.Unmarshal(body, p); err != nil {
		return nil, fmt.Errorf("%w in %q", err, body)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, err
	}
	delete(members, "lastUsedAt")
	delete(members, "expiresAt")
	stable, err := json.Marshal(members)
	p.stable = string(stable)
	return p, err
}

// use is one that was acknowledged: what it set, and when.
type use struct {
	at    time.Time // lastUsedAt
	acked time.Time
}

type attempt struct {
	kind  string // "upsert", "one-shot", "delete" or "use"
	id    string
	token string
}

// writer works on the products of an account, one call after the other, so that
// it knows which one a crash can have caught.
type writer struct {
	account int
	rng     *rand.Rand
	client  *http.Client
	url     string
	urls    []string // several servers of one store, in place of url
	stop    atomic.Bool

	known   map[string]*product // acknowledged
	uses    map[string][]use    // of the products as they are known
	pending *attempt            // not answered
	tokens  int
	acked   int
}

// run calls until the server is gone.
func (w *writer) run() error {
	for !w.stop.Load() {
		w.pending = w.draw()
		err := w.call(*w.pending)
		if gone := (*url.Error)(nil); errors.As(err, &gone) || errors.Is(err, errCutOff) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s, %+v: %w", accountOf(w.account), *w.pending, err)
		}
		w.pending = nil
		w.acked++
	}
	return nil
}

func (w *writer) draw() *attempt {
	w.tokens++
	a := &attempt{id: fmt.Sprintf("p/%d", w.rng.IntN(40)), token: fmt.Sprintf("%d-%d", w.account, w.tokens)}
	switch n := w.rng.IntN(20); {
	case n < 9:
		a.kind = "upsert"
	case n < 10:
		a.kind = "one-shot"
		a.id = ""
	case n < 18:
		a.kind = "use"
	default:
		a.kind = "delete"
	}
	return a
}

// errCutOff says that the connection ended within an answer.
var errCutOff = errors.New("cut off")

func (w *writer) send(method, path, contentType string, body []byte) (status int, answer []byte, err error) {
	base := w.url
	if len(w.urls) > 0 {
		base = w.urls[w.rng.IntN(len(w.urls))]
	}
	r, err := http.NewRequest(method, base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("X-API-Key", keyOf(w.account))
	r.Header.Set("Content-Type", contentType)
	res, err := w.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(res.Body)
	if err != nil {
		err = fmt.Errorf("%w: %w", errCutOff, err)
	}
	return res.StatusCode, answer, err
}

func (w *writer) call(a attempt) error {
	path := "/products/" + url.PathEscape(a.id)
	switch a.kind {
	case "upsert", "one-shot":
		return w.upsert(a)
	case "use":
		status, answer, err := w.send("POST", path+"/use", "application/json", nil)
		if err != nil {
			return err
		}
		now := time.Now()
		if have := w.known[a.id]; have == nil {
			return expect(status, http.StatusNotFound, answer)
		}
		if err := expect(status, http.StatusOK, answer); err != nil {
			return err
		}
		p, err := parse(answer)
		if err != nil {
			return err
		}
		w.uses[a.id] = append(w.uses[a.id], use{*p.LastUsedAt, now})
	case "delete":
		status, answer, err := w.send("DELETE", path, "", nil)
		if err != nil {
			return err
		}
		want := http.StatusNoContent
		if w.known[a.id] == nil {
			want = http.StatusNotFound
		}
		if err := expect(status, want, answer); err != nil {
			return err
		}
		delete(w.known, a.id)
		delete(w.uses, a.id)
	}
	return nil
}

func expect(status, want int, answer []byte) error {
	if status != want {
		return &statusError{status, want, answer}
	}
	return nil
}

// statusError is an answer other than what was expected.
type statusError struct {
	status, want int
	answer       []byte
}

func (e *statusError) Error() string {
	return fmt.Sprintf("status %d, not %d: %s", e.status, e.want, e.answer)
}

// upsert says in the title, the metadata and the images one and the same
// token.
func (w *writer) upsert(a attempt) error {
	doc := map[string]any{
		"title": a.token, "metadata": map[string]string{"token": a.token}, "validForDays": 30,
		"images": []any{
			map[string]any{"source": map[string]string{"url": "https://cdn.example/" + a.token}},
			map[string]any{"source": map[string]string{"fileKey": "f"}},
		},
	}
	path := "/uses"
	if a.kind == "upsert" {
		doc["externalId"] = a.id
		path = "/products"
	}
	data, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	if err := form.WriteField("data", string(data)); err != nil {
		return err
	}
	part, err := form.CreateFormFile("f", "f.png")
	if err != nil {
		return err
	}
	if _, err := part.Write(imageOf(a.token)); err != nil {
		return err
	}
	if err := form.Close(); err != nil {
		return err
	}
	status, answer, err := w.send("POST", path, form.FormDataContentType(), body.Bytes())
	if err != nil {
		return err
	}
	want := http.StatusCreated
	if w.known[a.id] != nil {
		want = http.StatusOK
	}
	if err := expect(status, want, answer); err != nil {
		return err
	}
	p, err := parse(answer)
	if err != nil {
		return err
	}
	if want == http.StatusCreated {
		delete(w.uses, p.ExternalID)
	}
	w.known[p.ExternalID] = p
	return nil
}

// imageOf returns a picture that a token has for itself, of up to 100 KB.
func imageOf(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	rng := rand.New(rand.NewPCG(binary.LittleEndian.Uint64(sum[:]), 0))
	return picture.Noise(rng, []int{4, 30, 160}[rng.IntN(3)])
}

// list returns all products of the account.
func (w *writer) list() (map[string]*product, error) {
	found := map[string]*product{}
	for cursor := ""; ; {
		status, answer, err := w.send("GET", "/products?limit=50&unlisted=true&cursor="+cursor, "", nil)
		if err != nil {
			return nil, err
		}
		if err := expect(status, http.StatusOK, answer); err != nil {
			return nil, err
		}
		var page struct {
			Items      []json.RawMessage
			NextCursor *string
		}
		if err := json.Unmarshal(answer, &page); err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			p, err := parse(item)
			if err != nil {
				return nil, err
			}
			if found[p.ExternalID] != nil {
				return nil, fmt.Errorf("%q is listed twice", p.ExternalID)
			}
			found[p.ExternalID] = p
		}
		if page.NextCursor == nil {
			return found, nil
		}
		cursor = *page.NextCursor
	}
}

// figures say what a crash was found to have done.
type figures struct {
	products, images, applied, lost, usesLost int
	oldestLost                                time.Duration // use, at the kill
}

// verify compares what is there after a crash at killed with what was
// acknowledged, and takes it over.
func (w *writer) verify(killed time.Time, f *figures) error {
	found, err := w.list()
	if err != nil {
		return err
	}
	caught := attempt{}
	if w.pending != nil {
		caught = *w.pending
	}
	for id, p := range w.known {
		if found[id] == nil && (caught.kind != "delete" || caught.id != id) {
			return fmt.Errorf("%s: acknowledged %s is gone", accountOf(w.account), p.stable)
		}
	}
	if id := caught.id; caught.kind == "delete" && w.known[id] != nil {
		f.count(found[id] == nil)
		if found[id] == nil {
			delete(w.known, id)
			delete(w.uses, id)
		}
	}
	applied := false
	for id, p := range found {
		have := w.known[id]
		isCaught := p.Title == caught.token && (caught.kind == "upsert" && caught.id == id || caught.kind == "one-shot" && strings.HasPrefix(id, "_anon_"))
		switch {
		case have != nil && have.stable == p.stable:
		case isCaught:
			applied = true
			if have == nil {
				delete(w.uses, id)
			}
		default:
			return fmt.Errorf("%s: found %s, acknowledged %+v, under way %+v", accountOf(w.account), p.stable, have, caught)
		}
		if err := w.whole(p); err != nil {
			return fmt.Errorf("%s: %s: %w", accountOf(w.account), p.stable, err)
		}
		if err := w.keptUses(p, killed, f); err != nil {
			return err
		}
		w.known[id] = p
		f.products++
		f.images++
	}
	if caught.kind == "upsert" || caught.kind == "one-shot" {
		f.count(applied)
	}
	w.pending = nil
	return nil
}

func (f *figures) count(applied bool) {
	if applied {
		f.applied++
	} else {
		f.lost++
	}
}

// whole checks that a product is all of one upsert, its bytes included.
func (w *writer) whole(p *product) error {
	if p.Metadata.Token != p.Title || len(p.Images) != 2 || p.Images[0].SourceURL != "https://cdn.example/"+p.Title {
		return errors.New("half of an upsert")
	}
	status, data, err := w.send("GET", "/products/"+url.PathEscape(p.ExternalID)+"/images/1", "", nil)
	if err != nil {
		return err
	}
	if err := expect(status, http.StatusOK, data); err != nil {
		return err
	}
	if !bytes.Equal(data, imageOf(p.Title)) {
		return errors.New("the image has other bytes")
	}
	return nil
}

// keptUses checks that only uses of the last window are missing.
func (w *writer) keptUses(p *product, killed time.Time, f *figures) error {
	for _, u := range w.uses[p.ExternalID] {
		if p.LastUsedAt != nil && !p.LastUsedAt.Before(u.at) {
			continue
		}
		f.usesLost++
		age := killed.Sub(u.acked)
		f.oldestLost = max(f.oldestLost, age)
		// The catalog itself counts on five: see Options.UseWindow. A process
		// that others keep from running may be late.
		if age > 5*useWindow {
			return fmt.Errorf("%s: %q: a use acknowledged %v before the kill is lost", accountOf(w.account), p.ExternalID, age)
		}
	}
	w.uses[p.ExternalID] = nil
	return nil
}
