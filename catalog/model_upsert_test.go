package catalog_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/shelflife-db/shelflife/catalog"
)

// upsertWay is one of the three ways of section 3.
type upsertWay int

const (
	wayExplicit upsertWay = iota
	wayInline
	wayOneShot
)

func (w upsertWay) String() string { return [...]string{"upsert", "inline", "one-shot"}[w] }

// fieldState is what a patch says of a field.
type fieldState int

const (
	isAbsent fieldState = iota
	isNull
	isSet
)

// modelPatch is a patch as its random author knows it.
type modelPatch struct {
	title, description, metadata patchText
	daysState                    fieldState
	days                         int
	imagesState                  fieldState
	images                       []modelSource
}

// patchText is a text, or JSON with the form in which it is kept.
type patchText struct {
	state     fieldState
	raw, kept string
	bad       bool
}

// modelSource is one image of a patch: at most one of url, upload and staged
// unless it is wrong.
type modelSource struct {
	url    string
	badURL bool
	upload *modelUpload
	staged string
	// badRef is set if staged is no reference at all.
	badRef          bool
	classifications patchText
}

// modelUpload is one Upload, which may serve several images.
type modelUpload struct {
	sample *sample
	blob   *modelBlob
}

type modelFault struct {
	path string
	code catalog.Code
}

// modelAnswer is an answer that an upsert may give.
type modelAnswer struct {
	faults       []modelFault // of a *ValidationError
	precondition bool
	outcome      catalog.Outcome
	next         *modelProduct
	claims       []*modelStaged
}

func (a modelAnswer) String() string {
	switch {
	case a.precondition:
		return "precondition failed"
	case a.faults != nil:
		return fmt.Sprintf("faults %v", a.faults)
	default:
		return fmt.Sprintf("%v %s", a.outcome, a.next.json())
	}
}

// modelCondition is one condition of a write.
type modelCondition struct {
	name  string
	of    catalog.Condition
	holds func(p *modelProduct) bool
}

func allHold(conds []modelCondition, p *modelProduct) bool {
	return !slices.ContainsFunc(conds, func(c modelCondition) bool { return !c.holds(p) })
}

// nameFaults are those of section 2.
func nameFaults(account, id string) (faults []modelFault) {
	if account == "" || len(account) > 255 || !utf8.ValidString(account) {
		faults = append(faults, modelFault{"account", catalog.CodeValidationFailed})
	}
	switch {
	case id == "":
		faults = append(faults, modelFault{"externalId", catalog.CodeExternalIDRequired})
	case len(id) > 255, !utf8.ValidString(id), id == ".", id == "..", strings.ContainsFunc(id, unicode.IsControl):
		faults = append(faults, modelFault{"externalId", catalog.CodeValidationFailed})
	}
	return faults
}

// fieldFaults are those that the patch alone shows. Those of uploads are apart.
func (p *modelPatch) fieldFaults() (faults, uploads []modelFault) {
	invalid := func(path string) { faults = append(faults, modelFault{path, catalog.CodeValidationFailed}) }
	if p.title.bad || p.title.state == isNull {
		invalid("title")
	}
	if p.description.bad || p.description.state == isNull {
		invalid("description")
	}
	if p.metadata.bad {
		invalid("metadata")
	}
	if p.daysState == isSet && (p.days < 1 || p.days > 365) {
		invalid("validForDays")
	}
	switch {
	case p.imagesState == isNull, len(p.images) > 32:
		invalid("images")
		return faults, nil
	case p.imagesState == isSet && len(p.images) == 0:
		faults = append(faults, modelFault{"images", catalog.CodeImagesRequired})
	}
	for i, s := range p.images {
		path := fmt.Sprintf("images.%d", i)
		sources := 0
		for _, given := range []bool{s.url != "", s.upload != nil, s.staged != ""} {
			if given {
				sources++
			}
		}
		switch {
		case sources != 1:
			faults = append(faults, modelFault{path + ".source", catalog.CodeInvalidImageInput})
		case s.badURL:
			invalid(path + ".source.url")
		case s.badRef:
			faults = append(faults, modelFault{path + ".source", catalog.CodeInvalidImageInput})
		}
		if s.upload != nil && !s.upload.sample.valid {
			uploads = append(uploads, modelFault{path + ".source.fileKey", catalog.CodeInvalidImage})
		}
		if s.classifications.bad {
			invalid(path + ".classifications")
		}
	}
	return faults, uploads
}

// stagedState is what is known of a staged reference.
type stagedState int

const (
	isUnknown  stagedState = iota // not there: refused with the fields
	isFree                        // may be claimed
	isTaken                       // there, but of a product
	isPerhaps                     // free, but perhaps removed when the clock was ahead
	isVanished                    // expired or garbage: perhaps removed
)

func (m *model) stagedState(account, ref string) stagedState {
	s := m.staged[ref]
	if s == nil || s.account != account {
		return isUnknown
	}
	if s.claimed {
		for _, p := range m.products {
			if p.holds(s.blob) {
				if p.livesAt(m.last) {
					return isTaken
				}
				return isVanished
			}
		}
		return isVanished
	}
	switch {
	case m.last >= s.deadline:
		return isVanished
	case s.maybeGone:
		return isPerhaps
	}
	return isFree
}

// upsert returns the answers that the contract allows. There is more than one
// only where a reference may have been removed or not.
func (m *model) upsert(way upsertWay, k modelKey, p *modelPatch, conds []modelCondition) (answers []modelAnswer) {
	uncertain := map[string]bool{}
	for _, s := range p.images {
		if s.staged != "" && !s.badRef && s.url == "" && s.upload == nil {
			if st := m.stagedState(k.account, s.staged); st == isPerhaps || st == isVanished {
				uncertain[s.staged] = true
			}
		}
	}
	refs := slices.Sorted(maps.Keys(uncertain))
	for mask := range 1 << len(refs) {
		there := map[string]bool{}
		for i, ref := range refs {
			there[ref] = mask>>i&1 == 1
		}
		answers = append(answers, m.upsertWith(way, k, p, conds, there))
	}
	return answers
}

// upsertWith is upsert for one possibility of what is still there.
func (m *model) upsertWith(way upsertWay, k modelKey, p *modelPatch, conds []modelCondition, there map[string]bool) modelAnswer {
	// Fields, all of them.
	faults, uploads := p.fieldFaults()
	faults = append(append(nameFaults(k.account, k.id), faults...), uploads...)
	if len(p.images) <= 32 {
		for i, s := range p.images {
			if s.staged == "" || s.badRef {
				continue
			}
			state := m.stagedState(k.account, s.staged)
			known, asked := there[s.staged]
			if state == isUnknown || asked && !known {
				faults = append(faults, modelFault{fmt.Sprintf("images.%d.source", i), catalog.CodeInvalidImageInput})
			}
		}
	}
	if len(faults) > 0 {
		return refused(faults)
	}
	old := m.live(k)
	if !allHold(conds, old) {
		return modelAnswer{precondition: true}
	}
	// What needs the stored product.
	a := modelAnswer{outcome: catalog.Unchanged}
	next := m.begin(way, k, old)
	if old == nil {
		a.outcome = catalog.Created
		if way != wayOneShot && strings.HasPrefix(k.id, "_anon_") {
			faults = append(faults, modelFault{"externalId", catalog.CodeValidationFailed})
		}
		if p.imagesState == isAbsent {
			faults = append(faults, modelFault{"images", catalog.CodeImagesRequired})
		}
	}
	faults = append(faults, m.mergeImages(&a, next, old, p)...)
	if len(faults) > 0 {
		return refused(faults)
	}
	p.mergeFields(next)
	changed := old != nil && next.differs(old)
	switch {
	case old == nil && p.daysState == isAbsent:
		next.days = map[upsertWay]int{wayInline: 15, wayOneShot: 7}[way]
	case old != nil && way == wayExplicit && !next.oneShot && !old.listed:
		next.listed, changed = true, true
	}
	if changed {
		a.outcome = catalog.Edited
		next.updated = max(old.updated, m.last)
	}
	if p.daysState == isSet {
		next.anchor = max(next.anchor, m.last)
	}
	if way != wayExplicit {
		next.used, next.anchor = max(next.used, m.last), max(next.anchor, m.last)
	}
	a.next = next
	return a
}

// begin returns what the upsert starts from.
func (m *model) begin(way upsertWay, k modelKey, old *modelProduct) *modelProduct {
	if old != nil {
		next := *old
		return &next
	}
	return &modelProduct{
		modelKey: k, listed: way == wayExplicit, oneShot: way == wayOneShot,
		created: m.last, updated: m.last, anchor: m.last, life: new(modelLife),
	}
}

func (p *modelPatch) mergeFields(next *modelProduct) {
	if p.title.state == isSet {
		next.title = p.title.kept
	}
	if p.description.state == isSet {
		next.description = p.description.kept
	}
	switch p.metadata.state {
	case isNull:
		next.metadata = ""
	case isSet:
		next.metadata = p.metadata.kept
	}
	switch p.daysState {
	case isNull:
		next.days = 0
	case isSet:
		next.days = p.days
	}
}

// mergeImages sets next's images, and returns the faults of those that the
// patch refers to and can't have.
func (m *model) mergeImages(a *modelAnswer, next, old *modelProduct, p *modelPatch) (faults []modelFault) {
	if p.imagesState != isSet {
		return nil
	}
	var had []modelImage
	if old != nil {
		had = old.images
	}
	next.images = make([]modelImage, len(p.images))
	for i, s := range p.images {
		img := modelImage{url: s.url, classifications: s.classifications.kept}
		var incoming *modelBlob
		switch {
		case s.upload != nil:
			if s.upload.blob == nil {
				s.upload.blob = &modelBlob{sample: s.upload.sample}
			}
			incoming = s.upload.blob
		case s.staged != "":
			incoming = m.staged[s.staged].blob
		}
		switch {
		case strings.HasPrefix(s.url, "upload://"):
			at := slices.IndexFunc(had, func(img modelImage) bool { return img.blob != nil && img.blob.url == s.url })
			if at < 0 {
				faults = append(faults, modelFault{fmt.Sprintf("images.%d.source.url", i), catalog.CodeValidationFailed})
				continue
			}
			img.url, img.blob = "", had[at].blob
		case incoming == nil:
		case old.holds(incoming):
			img.blob = incoming
		case i < len(had) && had[i].blob != nil && had[i].blob.sample == incoming.sample:
			img.blob = had[i].blob
		default:
			img.blob = incoming
			if s.staged == "" {
				break
			}
			if state := m.stagedState(next.account, s.staged); state != isFree && state != isPerhaps {
				faults = append(faults, modelFault{fmt.Sprintf("images.%d.source", i), catalog.CodeInvalidImageInput})
			} else if staged := m.staged[s.staged]; !slices.Contains(a.claims, staged) {
				a.claims = append(a.claims, staged)
			}
		}
		next.images[i] = img
	}
	return faults
}

// differs reports whether what an edit can change is not the same.
func (p *modelProduct) differs(q *modelProduct) bool {
	return p.title != q.title || p.description != q.description || p.metadata != q.metadata || p.days != q.days ||
		!slices.Equal(p.images, q.images)
}

func refused(faults []modelFault) modelAnswer {
	slices.SortFunc(faults, compareFaults)
	return modelAnswer{faults: faults}
}

func compareFaults(a, b modelFault) int {
	return cmp.Or(strings.Compare(a.path, b.path), strings.Compare(string(a.code), string(b.code)))
}

// commit makes an answer of upsert the state of the model.
func (m *model) commit(k modelKey, a modelAnswer) {
	if a.next == nil {
		return
	}
	old := m.products[k]
	if a.outcome == catalog.Created {
		m.all = append(m.all, a.next)
		if old != nil {
			old.life.fate = replaced
		}
	}
	m.replace(k, old, a.next)
	for _, s := range a.claims {
		s.claimed = true
	}
}
