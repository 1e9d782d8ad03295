package catalog_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/shelflife-db/shelflife/catalog"
)

// sample is image bytes, each of them once, so that equal bytes are equal
// pointers.
type sample struct {
	name          string
	data          []byte
	width, height int
	valid         bool
}

// samples are small images, some that are staged on the way in for their size,
// and bytes that are refused.
var samples = sync.OnceValue(func() (s struct{ small, large, bad []*sample }) {
	make := func(name string, seed uint64, w, h int) *sample {
		return &sample{name, pngOf(seed, w, h), w, h, true}
	}
	for i := range 6 {
		s.small = append(s.small, make(fmt.Sprintf("small%d", i), uint64(i), 1+i, 2))
	}
	// Of two chunks; and one of which six are too much for a commit.
	s.large = []*sample{make("large0", 10, 310, 300), make("large1", 11, 300, 310), make("medium", 12, 250, 250)}
	s.bad = []*sample{
		{name: "empty"}, {name: "text", data: []byte("<svg/>")},
		{name: "cut off", data: pngOf(1, 2, 2)[:20]},
	}
	return s
})

var (
	modelAccounts = []string{"a", "a/b", "A", "a\x00", "a\x00\x01", "é"}
	badAccounts   = []string{"", "\xff", strings.Repeat("x", 256)}
	modelIDs      = []string{
		"a", "a/", "a//b", "a/../b", "b/c", "/", "...", " ", "%2e", "?", "é", "e\u0301", "😀", "\u202egnp",
		"_anon", "_anon_", "_anon_x", "_anona", "\U0010ffff", "\U0010ffff\U0010ffff", strings.Repeat("z", 255),
	}
	badIDs        = []string{"", ".", "..", "a\n", "\x00", "a\u0085", "\xc3", strings.Repeat("z", 256)}
	modelPrefixes = []string{"", "", "a", "a/", "n", "n1", "_anon_", "_", "e", "\U0010ffff", strings.Repeat("z", 255)}
	modelTitles   = []string{"", "red", "blue", "\"quoted\\\"", "日本\n"}
	modelURLs     = []string{"https://a.example/1.jpg", "http://b.example/2?x=%20", "HTTPS://C.example", "https://[::1]:8/x"}
	badURLs       = []string{"ftp://a.example/x", "/x", "https://", "http:///x", "upload://", "upload://zz", "https://a.example/" + strings.Repeat("x", 2048)}
	goodJSON      = []patchText{
		{raw: `{}`, kept: `{}`}, {raw: `{"view": "front"}`, kept: `{"view":"front"}`}, {raw: ` {"b":1.0, "a":[ ]}`, kept: `{"b":1.0,"a":[]}`},
		{raw: `{"x":"\u00e9 \/"}`, kept: `{"x":"\u00e9 \/"}`}, {raw: ` null `},
	}
	otherJSON = []patchText{{raw: `19.90`, kept: `19.90`}, {raw: `"x y"`, kept: `"x y"`}, {raw: "[1,\n2]", kept: `[1,2]`}, {raw: "1e400", kept: "1e400"}}
	badJSON   = []patchText{{raw: ``, bad: true}, {raw: `{"a":1,"a":2}`, bad: true}, {raw: `{} x`, bad: true}, {raw: `"\ud800"`, bad: true}, {raw: `{`, bad: true}}
)

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// oneIn is true once in n times.
func oneIn(r *rand.Rand, n int) bool { return r.IntN(n) == 0 }

// drawID returns an ID from a pool small enough to meet again, rarely a bad
// one.
func drawID(r *rand.Rand) string {
	switch {
	case oneIn(r, 60):
		return pick(r, badIDs)
	case oneIn(r, 3):
		return fmt.Sprintf("n%02d", r.IntN(40))
	default:
		return pick(r, modelIDs)
	}
}

func drawAccount(r *rand.Rand) string {
	switch {
	case oneIn(r, 150):
		return pick(r, badAccounts)
	case oneIn(r, 3):
		return pick(r, modelAccounts)
	default:
		return modelAccounts[0]
	}
}

// drawPatch makes a patch for a product as it is now.
func (m *model) drawPatch(r *rand.Rand, k modelKey) *modelPatch {
	p := new(modelPatch)
	if oneIn(r, 2) {
		p.title = drawText(r)
	}
	if oneIn(r, 4) {
		p.description = drawText(r)
	}
	switch r.IntN(8) {
	case 0:
		p.metadata.state = isNull
	case 1, 2:
		p.metadata = pick(r, append(slices.Clone(goodJSON), otherJSON...))
		p.metadata.state = isSet
	}
	if oneIn(r, 80) {
		p.metadata = pick(r, badJSON)
		p.metadata.state = isSet
	}
	switch r.IntN(8) {
	case 0:
		p.daysState = isNull
	case 1, 2, 3:
		p.daysState, p.days = isSet, pick(r, []int{1, 1, 2, 7, 30, 365})
	}
	if oneIn(r, 80) {
		p.daysState, p.days = isSet, pick(r, []int{0, -1, 366})
	}
	if k.id == "" || m.live(k) == nil && !oneIn(r, 8) || oneIn(r, 3) {
		m.drawImages(r, k, p)
	}
	return p
}

func drawText(r *rand.Rand) patchText {
	switch r.IntN(60) {
	case 0:
		return patchText{state: isNull}
	case 1:
		return patchText{state: isSet, raw: strings.Repeat("ü", 20_001), bad: true}
	case 2:
		return patchText{state: isSet, raw: "\xff", bad: true}
	default:
		s := pick(r, modelTitles)
		return patchText{state: isSet, raw: s, kept: s}
	}
}

func (m *model) drawImages(r *rand.Rand, k modelKey, p *modelPatch) {
	p.imagesState = isSet
	n := 1 + r.IntN(3)
	switch r.IntN(100) {
	case 0:
		p.imagesState = isNull
		return
	case 1:
		n = 0
	case 2:
		n = 33
	case 3:
		n = 32
	case 4: // more than one commit carries
		shared := samples().large[2]
		for range 6 {
			p.images = append(p.images, modelSource{upload: &modelUpload{sample: shared}})
		}
		return
	}
	var has []modelImage
	if old := m.products[k]; old != nil {
		has = old.images
	}
	var given []*modelUpload
	for i := range n {
		s := m.drawSource(r, k, has, i, &given)
		if oneIn(r, 3) {
			s.classifications = pick(r, goodJSON)
		}
		if oneIn(r, 100) {
			s.classifications = pick(r, append(slices.Clone(badJSON), patchText{raw: `[]`, bad: true}))
		}
		if s.classifications.raw != "" || s.classifications.bad {
			s.classifications.state = isSet
		}
		p.images = append(p.images, s)
	}
}

// drawSource makes the image for position i of a product that has images.
func (m *model) drawSource(r *rand.Rand, k modelKey, has []modelImage, i int, given *[]*modelUpload) (s modelSource) {
	switch r.IntN(12) {
	case 0, 1, 2:
		s.url = pick(r, modelURLs)
	case 3, 4: // small bytes
		s.upload = &modelUpload{sample: pick(r, samples().small)}
		*given = append(*given, s.upload)
	case 5: // the same Upload once more
		if len(*given) > 0 {
			s.upload = pick(r, *given)
		} else {
			s.upload = &modelUpload{sample: pick(r, samples().small)}
			*given = append(*given, s.upload)
		}
	case 6, 7: // what is there at this position
		if i < len(has) {
			s.url, s.classifications = has[i].url, patchText{raw: has[i].classifications, kept: has[i].classifications}
			if b := has[i].blob; b != nil && oneIn(r, 2) {
				s.upload = &modelUpload{sample: b.sample}
			} else if b != nil {
				s.url = b.url
			}
		} else {
			s.url = modelURLs[0]
		}
	case 8: // an upload of this product, or of any
		s.url = m.drawReference(r, has)
	case 9, 10:
		if s.staged = m.drawStaged(r, k.account); m.stagedState(k.account, s.staged) != isFree && !oneIn(r, 4) {
			s.staged, s.url = "", pick(r, modelURLs)
		}
	default:
		switch r.IntN(24) {
		case 0:
			s.url, s.badURL = pick(r, badURLs), true
		case 1:
			s.upload = &modelUpload{sample: pick(r, samples().bad)}
		case 2: // no source
		case 3:
			s.url, s.upload = modelURLs[0], &modelUpload{sample: samples().small[0]}
		case 4:
			s.staged, s.badRef = "no reference", true
		case 5, 6:
			s.upload = &modelUpload{sample: pick(r, samples().large)}
		default:
			s.url = pick(r, modelURLs)
		}
	}
	return s
}

// drawReference returns the reference of an upload: mostly of this product.
func (m *model) drawReference(r *rand.Rand, has []modelImage) string {
	var own []string
	for _, img := range has {
		if img.blob != nil {
			own = append(own, img.blob.url)
		}
	}
	if len(own) > 0 && !oneIn(r, 4) {
		return pick(r, own)
	}
	if len(m.urlsSeen) == 0 || oneIn(r, 6) {
		return "upload://000102030405060708090a0b0c0d0e0f"
	}
	return pick(r, m.urlsSeen)
}

// drawStaged returns a staged reference: mostly one that can be claimed.
func (m *model) drawStaged(r *rand.Rand, account string) string {
	var free []string
	for _, ref := range m.references {
		if m.stagedState(account, ref) == isFree {
			free = append(free, ref)
		}
	}
	switch {
	case len(free) > 0 && !oneIn(r, 3):
		return pick(r, free)
	case len(m.references) > 0 && !oneIn(r, 5):
		return pick(r, m.references)
	default:
		return "000102030405060708090a0b0c0d0e0f"
	}
}

// drawConditions makes conditions on a product as it is now.
func (m *model) drawConditions(r *rand.Rand, k modelKey) (conds []modelCondition) {
	if !oneIn(r, 4) {
		return nil
	}
	for range 1 + r.IntN(2) {
		conds = append(conds, m.drawCondition(r, k))
	}
	return conds
}

func (m *model) drawCondition(r *rand.Rand, k modelKey) modelCondition {
	switch r.IntN(6) {
	case 0:
		return modelCondition{"create-only", catalog.CreateOnly(), func(p *modelProduct) bool { return p == nil }}
	case 1:
		return modelCondition{"exists", catalog.IfExists(), func(p *modelProduct) bool { return p != nil }}
	case 2:
		return modelCondition{"zero", catalog.Condition{}, func(*modelProduct) bool { return true }}
	}
	var versions []catalog.Version
	if p := m.products[k]; p != nil && !oneIn(r, 4) {
		versions = append(versions, p.version)
	}
	if len(m.all) > 0 && oneIn(r, 3) {
		versions = append(versions, pick(r, m.all).version) // perhaps an old one
	}
	return modelCondition{fmt.Sprint("version", versions), catalog.IfVersion(versions...), func(p *modelProduct) bool {
		return p != nil && slices.Contains(versions, p.version)
	}}
}

// patch returns what the catalog is given, with readers of its own.
func (p *modelPatch) patch() (out catalog.Patch) {
	text := func(t patchText) (o catalog.Optional[string]) {
		switch t.state {
		case isNull:
			return catalog.Null[string]()
		case isSet:
			return catalog.Set(t.raw)
		}
		return o
	}
	out.Title, out.Description = text(p.title), text(p.description)
	switch p.metadata.state {
	case isNull:
		out.Metadata = catalog.Null[json.RawMessage]()
	case isSet:
		out.Metadata = catalog.Set(json.RawMessage(p.metadata.raw))
	}
	switch p.daysState {
	case isNull:
		out.ValidForDays = catalog.Null[int]()
	case isSet:
		out.ValidForDays = catalog.Set(p.days)
	}
	switch p.imagesState {
	case isNull:
		out.Images = catalog.Null[[]catalog.NewImage]()
	case isSet:
		readers := map[*modelUpload]*catalog.Upload{}
		images := []catalog.NewImage{}
		for _, s := range p.images {
			img := catalog.NewImage{URL: s.url, Staged: catalog.StagedRef(s.staged)}
			if s.upload != nil {
				if readers[s.upload] == nil {
					readers[s.upload] = catalog.NewUpload(bytes.NewReader(s.upload.sample.data))
				}
				img.Upload = readers[s.upload]
			}
			if s.classifications.state == isSet {
				img.Classifications = json.RawMessage(s.classifications.raw)
			}
			images = append(images, img)
		}
		out.Images = catalog.Set(images)
	}
	return out
}

// String is for the history that is printed.
func (p *modelPatch) String() string {
	var b strings.Builder
	field := func(name string, state fieldState, v any) {
		switch state {
		case isNull:
			fmt.Fprintf(&b, " %s=null", name)
		case isSet:
			fmt.Fprintf(&b, " %s=%s", name, short(fmt.Sprint(v)))
		}
	}
	field("title", p.title.state, fmt.Sprintf("%q", p.title.raw))
	field("description", p.description.state, fmt.Sprintf("%q", p.description.raw))
	field("metadata", p.metadata.state, p.metadata.raw)
	field("days", p.daysState, p.days)
	field("images", p.imagesState, len(p.images))
	for i, s := range p.images {
		fmt.Fprintf(&b, " [%d:", i)
		if s.url != "" {
			fmt.Fprintf(&b, " %s", short(s.url))
		}
		if s.upload != nil {
			fmt.Fprintf(&b, " bytes %s(%p)", s.upload.sample.name, s.upload)
		}
		if s.staged != "" {
			fmt.Fprintf(&b, " staged %s", s.staged)
		}
		if s.classifications.state == isSet {
			fmt.Fprintf(&b, " %s", s.classifications.raw)
		}
		b.WriteByte(']')
	}
	return b.String()
}

// short cuts what is too long to print.
func short(s string) string {
	const limit = 60
	if len(s) <= limit {
		return s
	}
	return fmt.Sprintf("%s... (%d bytes)", strings.ToValidUTF8(s[:limit], ""), len(s))
}
