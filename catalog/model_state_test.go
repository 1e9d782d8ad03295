package catalog_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shelflife-db/shelflife/catalog"
)

// model is what the contract says that a store holds, in plain maps. It knows
// nothing of how the catalog does it.
type model struct {
	grace, stage int64 // ms: ImageGrace, StageLifetime
	last         int64 // the latest time that the open catalogs have seen
	latest       int64 // the latest time that any catalog has seen
	products     map[modelKey]*modelProduct
	staged       map[string]*modelStaged // by reference
	references   []string                // of staged, in their order
	all          []*modelProduct         // every product that ever was
	versions     map[catalog.Version]bool
	etags        map[string]string     // to account and JSON
	bodies       map[string]string     // from version, account and JSON to ETag
	urls         map[string]*modelBlob // by reference
	urlsSeen     []string              // of urls, in their order
}

type modelKey struct{ account, id string }

// modelProduct is a product of section 1. Times are Unix milliseconds.
type modelProduct struct {
	modelKey
	title, description             string
	images                         []modelImage
	metadata                       string // "" where there is none
	days                           int    // 0 = kept forever
	listed, oneShot                bool
	created, updated, used, anchor int64 // used is 0 before the first use
	version                        catalog.Version
	life                           *modelLife
}

// modelLife is what all states of one product have in common.
type modelLife struct {
	// fate is how the product ended: "" while it lives or has expired where
	// it stands.
	fate string
	// maybeGone is set if a sweeper was allowed to remove it.
	maybeGone bool
	// final is its latest state.
	final *modelProduct
}

// The fates of a product.
const (
	deleted  = "deleted"
	replaced = "replaced after its expiry"
	swept    = "swept"
	wiped    = "removed with its account after its expiry"
)

type modelImage struct {
	url             string // "" for an uploaded one
	blob            *modelBlob
	classifications string // "" where there are none
}

// modelBlob is uploaded bytes of one product.
type modelBlob struct {
	sample *sample
	url    string // learned from the first answer that shows it
	// released is when the product released it, 0 while it has it.
	released int64
}

// modelStaged is bytes of an account that wait for a product.
type modelStaged struct {
	account   string
	blob      *modelBlob
	deadline  int64
	claimed   bool
	maybeGone bool
}

func newModel() *model {
	return &model{
		grace: (15 * time.Minute).Milliseconds(), stage: time.Hour.Milliseconds(),
		products: map[modelKey]*modelProduct{}, staged: map[string]*modelStaged{},
		versions: map[catalog.Version]bool{}, etags: map[string]string{}, bodies: map[string]string{},
		urls: map[string]*modelBlob{},
	}
}

// observe notes that the open catalogs have seen the time.
func (m *model) observe(now time.Time) {
	m.last = max(m.last, now.UnixMilli())
	m.latest = max(m.latest, m.last)
}

func (p *modelProduct) deadline() (at int64, ok bool) {
	return p.anchor + int64(p.days)*day.Milliseconds(), p.days != 0
}

func (p *modelProduct) livesAt(now int64) bool {
	at, ok := p.deadline()
	return !ok || now < at
}

// live returns the product that readers see, nil if there is none.
func (m *model) live(k modelKey) *modelProduct {
	if p := m.products[k]; p != nil && p.livesAt(m.last) {
		return p
	}
	return nil
}

// list returns what an account shows, in order.
func (m *model) list(account, prefix, after string, unlisted bool) (out []*modelProduct) {
	for k, p := range m.products {
		if k.account == account && strings.HasPrefix(k.id, prefix) && (after == "" || k.id > after) &&
			(p.listed || unlisted) && p.livesAt(m.last) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b *modelProduct) int { return strings.Compare(a.id, b.id) })
	return out
}

// alive returns the live products of an account in the order of their creation,
// which is the same whenever a history is replayed: generated IDs are not.
func (m *model) alive(account string) (out []*modelProduct) {
	for _, first := range m.all {
		p := m.live(first.modelKey)
		if first.account == account && p != nil && p.life == first.life {
			out = append(out, p)
		}
	}
	return out
}

// json returns the form of section 1.
func (p *modelProduct) json() string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"externalId":%s,"title":%s,"description":%s,"images":[`, quoted(p.id), quoted(p.title), quoted(p.description))
	for i, img := range p.images {
		if i > 0 {
			b.WriteByte(',')
		}
		source := img.url
		if img.blob != nil {
			source = img.blob.url
		}
		fmt.Fprintf(&b, `{"sourceUrl":%s,"order":%d`, quoted(source), i)
		if img.classifications != "" {
			b.WriteString(`,"classifications":` + img.classifications)
		}
		if img.blob != nil {
			s := img.blob.sample
			fmt.Fprintf(&b, `,"contentType":"image/png","size":%d,"width":%d,"height":%d`, len(s.data), s.width, s.height)
		}
		b.WriteByte('}')
	}
	days, expires := "null", "null"
	if at, ok := p.deadline(); ok {
		days, expires = strconv.Itoa(p.days), stamp(at)
	}
	metadata := p.metadata
	if metadata == "" {
		metadata = "null"
	}
	used := "null"
	if p.used != 0 {
		used = stamp(p.used)
	}
	fmt.Fprintf(&b, `],"metadata":%s,"validForDays":%s,"listed":%t,"lastUsedAt":%s,"expiresAt":%s,"createdAt":%s,"updatedAt":%s,"version":"%v"}`,
		metadata, days, p.listed, used, expires, stamp(p.created), stamp(p.updated), p.version)
	return b.String()
}

func stamp(ms int64) string {
	return time.UnixMilli(ms).UTC().Format(`"2006-01-02T15:04:05.000Z"`)
}

// quoted returns s as JSON, for the strings that the model uses.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\x00", `\u0000`).Replace(s) + `"`
}

// replace puts next in the place of old, either may be nil, and lets go of the
// bytes that only old had.
func (m *model) replace(k modelKey, old, next *modelProduct) {
	if old != nil {
		released := m.last
		if at, ok := old.deadline(); ok {
			released = min(released, at) // a sweeper may have been there first
		}
		for _, img := range old.images {
			if img.blob != nil && !next.holds(img.blob) {
				img.blob.released = released
			}
		}
	}
	if next == nil {
		delete(m.products, k)
		return
	}
	m.products[k] = next
	next.life.final = next
}

func (p *modelProduct) holds(b *modelBlob) bool {
	return p != nil && slices.ContainsFunc(p.images, func(img modelImage) bool { return img.blob == b })
}

// use records a use of a live product.
func (m *model) use(p *modelProduct) *modelProduct {
	next := *p
	next.used, next.anchor = max(p.used, m.last), max(p.anchor, m.last)
	return &next
}

// sweepable notes what a sweeper may remove when removals are up to horizon.
func (m *model) sweepable(horizon int64) {
	for _, p := range m.products {
		if at, ok := p.deadline(); ok && at <= horizon {
			p.life.maybeGone = true
		}
	}
	for _, s := range m.staged {
		if s.deadline <= horizon {
			s.maybeGone = true
		}
	}
}

// deleteAccount removes all products of an account, and what was staged for it,
// and returns how many lived.
func (m *model) deleteAccount(account string) (live int) {
	for k, p := range m.products {
		if k.account != account {
			continue
		}
		if p.livesAt(m.last) {
			live++
			p.life.fate = deleted
		} else {
			p.life.fate = wiped
		}
		m.replace(k, p, nil)
	}
	for ref, st := range m.staged {
		if st.account == account && !st.claimed {
			delete(m.staged, ref)
		}
	}
	return live
}

func (m *model) stats(account string) (s catalog.AccountStats) {
	for _, p := range m.list(account, "", "", true) {
		s.Products++
		if p.listed {
			s.Listed++
		}
		if p.days != 0 {
			s.Expiring++
		}
		s.Images += len(p.images)
		seen := map[*modelBlob]bool{}
		for _, img := range p.images {
			if img.blob != nil && !seen[img.blob] {
				seen[img.blob] = true
				s.Uploads++
				s.ImageBytes += int64(len(img.blob.sample.data))
			}
		}
	}
	return s
}

// compare checks what the catalog says of a product against the model: every
// byte of the JSON, that a version names one edit only, and an ETag one
// representation.
func (m *model) compare(got *catalog.Product, want *modelProduct) error {
	if got == nil {
		return fmt.Errorf("no product, want %s", want.json())
	}
	if err := m.learn(got, want); err != nil {
		return err
	}
	body := string(got.AppendJSON(nil))
	if body != want.json() {
		return fmt.Errorf("got  %s\nwant %s", body, want.json())
	}
	if got.Version() != want.version {
		return fmt.Errorf("version of %q is %v, was %v", got.ExternalID, got.Version(), want.version)
	}
	tag, whole := got.ETag(), want.account+" "+body
	if v, ok := catalog.ETagVersion(tag); !ok || v != want.version {
		return fmt.Errorf("ETag %s names another version", tag)
	}
	if was, ok := m.etags[tag]; ok && was != whole {
		return fmt.Errorf("ETag %s of\n%s\nwas that of\n%s", tag, whole, was)
	}
	m.etags[tag] = whole
	same := want.version.String() + whole
	if was, ok := m.bodies[same]; ok && was != tag {
		return fmt.Errorf("ETag of one representation is %s, was %s", tag, was)
	}
	m.bodies[same] = tag
	return nil
}

// learn takes over the references that the catalog gave uploads of want.
func (m *model) learn(got *catalog.Product, want *modelProduct) error {
	if len(got.Images) != len(want.images) {
		return fmt.Errorf("%d images, want %d", len(got.Images), len(want.images))
	}
	for i, img := range want.images {
		url := got.Images[i].SourceURL
		if img.blob == nil || img.blob.url != "" {
			continue
		}
		if m.urls[url] != nil || !got.Images[i].Uploaded() {
			return fmt.Errorf("%s is not a new reference", url)
		}
		img.blob.url = url
		m.urls[url] = img.blob
		m.urlsSeen = append(m.urlsSeen, url)
	}
	return nil
}

// learnVersion takes over the version of a new edit.
func (m *model) learnVersion(got *catalog.Product, want *modelProduct) error {
	v := got.Version()
	if m.versions[v] {
		return fmt.Errorf("version %v names two edits", v)
	}
	m.versions[v] = true
	want.version = v
	return nil
}
