package catalog_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/shelflife-db/shelflife/catalog"
)

// modelOp is one operation of a history. All that is not in it is drawn from
// the seed and the state of the model, so that any part of a history is one.
type modelOp struct {
	do   func(r *modelRun, rng *rand.Rand, k modelKey) error
	key  modelKey
	seed uint64
}

// modelOps are the operations by their share.
var modelOps = []struct {
	share int
	do    func(r *modelRun, rng *rand.Rand, k modelKey) error
}{
	{24, (*modelRun).upsert}, {3, (*modelRun).upsertCanceled}, {3, (*modelRun).upsertMany},
	{14, (*modelRun).use}, {14, (*modelRun).get}, {6, (*modelRun).delete}, {7, (*modelRun).list}, {3, (*modelRun).walk},
	{6, (*modelRun).openImage}, {3, (*modelRun).readHeld}, {1, (*modelRun).readDeleted}, {1, (*modelRun).recreate}, {4, (*modelRun).stage}, {3, (*modelRun).stats},
	{5, (*modelRun).advance}, {2, (*modelRun).advanceToDeadline}, {1, (*modelRun).leap}, {2, (*modelRun).sweep},
}

// rareOps come once in many operations: they cost more, or destroy much.
var rareOps = []func(r *modelRun, rng *rand.Rand, k modelKey) error{
	(*modelRun).reopen, (*modelRun).deleteAccount, (*modelRun).check, (*modelRun).compareAll, (*modelRun).advanceFar,
}

func drawOp(r *rand.Rand) modelOp {
	op := modelOp{key: modelKey{drawAccount(r), drawID(r)}, seed: r.Uint64()}
	if oneIn(r, 40) {
		op.do = pick(r, rareOps)
		return op
	}
	total := 0
	for _, o := range modelOps {
		total += o.share
	}
	n := r.IntN(total)
	for _, o := range modelOps {
		if n -= o.share; n < 0 {
			op.do = o.do
			break
		}
	}
	return op
}

// target is the product that an operation is about: k, or one that lives, or
// now and then one with a generated ID.
func (r *modelRun) target(rng *rand.Rand, k modelKey) modelKey {
	if !oneIn(rng, 12) {
		if live := r.m.alive(k.account); len(live) > 0 && oneIn(rng, 2) {
			return pick(rng, live).modelKey
		}
		return k
	}
	var generated []modelKey
	for _, p := range r.m.all {
		if p.oneShot && len(generated) < 50 {
			generated = append(generated, p.modelKey)
		}
	}
	if len(generated) == 0 {
		return k
	}
	return pick(rng, generated)
}

// requireError checks the class of an error that is not a ValidationError.
func requireError(err error, want error) error {
	if !errors.Is(err, want) {
		return fmt.Errorf("error %v, want %w", err, want)
	}
	return nil
}

func sameFaults(err error, want []modelFault) error {
	var bad *catalog.ValidationError
	if !errors.As(err, &bad) {
		return fmt.Errorf("error %v, want faults %v", err, want)
	}
	var got []modelFault
	for _, f := range bad.Fields {
		got = append(got, modelFault{f.Path, f.Code})
	}
	slices.SortFunc(got, compareFaults)
	if !slices.Equal(got, want) {
		return fmt.Errorf("faults %v, want %v", got, want)
	}
	return nil
}

func options(conds []modelCondition) (out []catalog.Condition) {
	for _, c := range conds {
		out = append(out, c.of)
	}
	return out
}

func names(conds []modelCondition) (out []string) {
	for _, c := range conds {
		out = append(out, c.name)
	}
	return out
}

func (r *modelRun) upsert(rng *rand.Rand, k modelKey) error {
	return r.upsertWith(context.Background(), rng, k)
}

func (r *modelRun) upsertCanceled(rng *rand.Rand, k modelKey) error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return r.upsertWith(ctx, rng, k)
}

// upsertWith upserts in one of the three ways. With a canceled context it may
// fail for that reason, and then has changed nothing.
func (r *modelRun) upsertWith(ctx context.Context, rng *rand.Rand, k modelKey) error {
	way := pick(rng, []upsertWay{wayExplicit, wayExplicit, wayExplicit, wayInline, wayInline, wayOneShot})
	if way == wayOneShot {
		k.id = "_anon_new" // until the answer tells
	} else {
		k = r.target(rng, k)
	}
	p := r.m.drawPatch(rng, k)
	conds := r.m.drawConditions(rng, k)
	r.note("%v %q %q%v conditions %v canceled=%t", way, k.account, short(k.id), p, names(conds), ctx.Err() != nil)
	c := r.c()
	if err := r.validate(c, k, p); err != nil {
		return err
	}
	var res catalog.Result
	var err error
	switch way {
	case wayExplicit:
		if live := r.m.live(k); live != nil && r.editable(c, k, p, conds) && oneIn(rng, 2) {
			r.note("  by Edit")
			res, err = r.edit(ctx, c, k, live, p, conds)
			break
		}
		res, err = c.Upsert(ctx, k.account, k.id, p.patch(), options(conds)...)
	case wayInline:
		res, err = c.UpsertInline(ctx, k.account, k.id, p.patch(), options(conds)...)
	default:
		res, err = c.CreateOneShot(ctx, k.account, p.patch(), options(conds)...)
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return r.settle(way, k, p, conds, res, err)
}

// editable reports whether Edit does with the patch what Upsert does. It takes no
// uploads, and tells faults of the patch behind the conditions.
func (r *modelRun) editable(c *catalog.Catalog, k modelKey, p *modelPatch, conds []modelCondition) bool {
	return c.Validate(k.account, k.id, p.patch()) == nil && !slices.ContainsFunc(p.images, func(s modelSource) bool {
		return s.upload != nil || s.staged != "" && len(conds) > 0
	})
}

// edit edits a product that lives, and compares it with what the edit is shown.
func (r *modelRun) edit(ctx context.Context, c *catalog.Catalog, k modelKey, live *modelProduct, p *modelPatch, conds []modelCondition) (catalog.Result, error) {
	res, err := c.Edit(ctx, k.account, k.id, func(v catalog.ProductView) (catalog.Patch, error) {
		return p.patch(), r.m.compare(v.Product(), live)
	}, options(conds)...)
	var stood *catalog.PreconditionError
	if errors.As(err, &stood) && stood.Version != live.version {
		return res, fmt.Errorf("%w: the version was %v", err, live.version)
	}
	return res, err
}

// validate compares the faults that are told without the stored product.
func (r *modelRun) validate(c *catalog.Catalog, k modelKey, p *modelPatch) error {
	faults, _ := p.fieldFaults()
	if k.id != "" {
		faults = append(faults, nameFaults(k.account, k.id)...)
	} else {
		faults = append(faults, nameFaults(k.account, "x")...)
	}
	bad := c.Validate(k.account, k.id, p.patch())
	if len(faults) == 0 {
		if bad != nil {
			return fmt.Errorf("Validate: %w", bad)
		}
		return nil
	}
	slices.SortFunc(faults, compareFaults)
	return sameFaults(bad, faults)
}

// settle finds the answer that an upsert gave among those that are allowed,
// and makes it the state of the model.
func (r *modelRun) settle(way upsertWay, k modelKey, p *modelPatch, conds []modelCondition, res catalog.Result, err error) error {
	if way == wayOneShot && err == nil {
		k.id = res.Product.ExternalID
		if rest, ok := strings.CutPrefix(k.id, "_anon_"); !ok || len(rest) < 16 || r.m.products[k] != nil {
			return fmt.Errorf("generated ID %q", k.id)
		}
	}
	answers := r.m.upsert(way, k, p, conds)
	var mismatch error
	for _, a := range answers {
		m := r.matches(a, res, err)
		if m == nil {
			return r.accept(k, a, res)
		}
		mismatch = errors.Join(mismatch, fmt.Errorf("want %v: %w", a, m))
	}
	return mismatch
}

func (r *modelRun) matches(a modelAnswer, res catalog.Result, err error) error {
	switch {
	case a.precondition:
		return requireError(err, catalog.ErrPreconditionFailed)
	case a.faults != nil:
		return sameFaults(err, a.faults)
	case err != nil:
		return err
	case res.Outcome != a.outcome:
		return fmt.Errorf("outcome %v", res.Outcome)
	}
	return nil
}

func (r *modelRun) accept(k modelKey, a modelAnswer, res catalog.Result) error {
	if a.next == nil {
		r.answers[map[bool]string{true: "precondition failed", false: "refused"}[a.precondition]]++
		return nil
	}
	r.answers[a.outcome.String()]++
	if len(a.claims) > 0 {
		r.answers["claimed"]++
	}
	if a.outcome != catalog.Unchanged {
		if err := r.m.learnVersion(res.Product, a.next); err != nil {
			return err
		}
	}
	r.m.commit(k, a)
	return r.m.compare(res.Product, a.next)
}

func (r *modelRun) upsertMany(rng *rand.Rand, k modelKey) error {
	type item struct {
		k     modelKey
		p     *modelPatch
		conds []modelCondition
	}
	var items []item
	var given []catalog.UpsertItem
	n := 1 + rng.IntN(12)
	if oneIn(rng, 20) {
		n = 70 // more than one commit
	}
	fresh := oneIn(rng, 6) // most are new then, and near each other
	prefix := drawID(rng)
	for range n {
		ik := r.target(rng, modelKey{k.account, drawID(rng)})
		ik.account = k.account
		if fresh {
			ik.id = fmt.Sprintf("%.200s %04x", prefix, rng.IntN(1<<16))
		}
		i := item{ik, r.m.drawPatch(rng, ik), r.m.drawConditions(rng, ik)}
		items = append(items, i)
		given = append(given, catalog.UpsertItem{ExternalID: ik.id, Patch: i.p.patch(), Conditions: options(i.conds)})
		r.note("many %q %q%v conditions %v", ik.account, short(ik.id), i.p, names(i.conds))
	}
	for i, res := range r.c().UpsertMany(context.Background(), k.account, given) {
		if err := r.settle(wayExplicit, items[i].k, items[i].p, items[i].conds, res.Result, res.Err); err != nil {
			return fmt.Errorf("item %d: %w", i, err)
		}
	}
	return nil
}

// answerFor checks an answer about one product that needs no more than a live
// one. next is its state afterwards.
func (r *modelRun) answerFor(k modelKey, got *catalog.Product, err error, next func(*modelProduct) *modelProduct) error {
	return r.answeredFor(k, err, next, func(after *modelProduct) error { return r.m.compare(got, after) })
}

// answeredFor is answerFor where compare says what is wrong with the answer.
func (r *modelRun) answeredFor(k modelKey, err error, next func(*modelProduct) *modelProduct, compare func(after *modelProduct) error) error {
	if faults := nameFaults(k.account, k.id); len(faults) > 0 {
		return sameFaults(err, faults)
	}
	p := r.m.live(k)
	if p == nil {
		r.answers["not found"]++
		return requireError(err, catalog.ErrNotFound)
	}
	if err != nil {
		return err
	}
	r.answers["found"]++
	after := next(p)
	r.m.replace(k, p, after)
	return compare(after)
}

func (r *modelRun) get(rng *rand.Rand, k modelKey) error {
	k = r.target(rng, k)
	way := pick(rng, []string{"get", "view", "get many"})
	r.note("%s %q %q", way, k.account, k.id)
	ctx, c := context.Background(), r.c()
	var p *catalog.Product
	var err error
	switch {
	case way == "view":
		err = c.View(ctx, k.account, k.id, func(v catalog.ProductView) error {
			p = v.Product()
			return sameForms(p, v)
		})
	case way == "get many" && nameFaults(k.account, k.id) == nil:
		var many []*catalog.Product
		if many, err = c.GetMany(ctx, k.account, []string{"nothing", k.id}); err == nil {
			if p = many[1]; p == nil {
				err = catalog.ErrNotFound
			}
		}
	default:
		p, err = c.Get(ctx, k.account, k.id)
	}
	return r.answerFor(k, p, err, func(p *modelProduct) *modelProduct { return p })
}

func (r *modelRun) use(rng *rand.Rand, k modelKey) error {
	k = r.target(rng, k)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if oneIn(rng, 15) {
		cancel()
	}
	if oneIn(rng, 2) {
		r.note("touch %q %q canceled=%t", k.account, k.id, ctx.Err() != nil)
		return r.touch(ctx, k)
	}
	r.note("use %q %q canceled=%t", k.account, k.id, ctx.Err() != nil)
	p, err := r.c().Use(ctx, k.account, k.id)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return r.answerFor(k, p, err, r.m.use)
}

func (r *modelRun) touch(ctx context.Context, k modelKey) error {
	expires, err := r.c().Touch(ctx, k.account, k.id)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	if err != nil && !expires.IsZero() {
		return fmt.Errorf("%w, and it expires at %v", err, expires)
	}
	return r.answeredFor(k, err, r.m.use, func(after *modelProduct) error {
		want := time.Time{}
		if at, ok := after.deadline(); ok {
			want = time.UnixMilli(at).UTC()
		}
		if expires != want {
			return fmt.Errorf("expires at %v, want %v", expires, want)
		}
		return nil
	})
}

func (r *modelRun) delete(rng *rand.Rand, k modelKey) error {
	k = r.target(rng, k)
	conds := r.m.drawConditions(rng, k)
	r.note("delete %q %q conditions %v", k.account, k.id, names(conds))
	err := r.c().Delete(context.Background(), k.account, k.id, options(conds)...)
	if faults := nameFaults(k.account, k.id); len(faults) > 0 {
		return sameFaults(err, faults)
	}
	p := r.m.live(k)
	switch {
	case !allHold(conds, p):
		return requireError(err, catalog.ErrPreconditionFailed)
	case p == nil:
		return requireError(err, catalog.ErrNotFound)
	case err != nil:
		return err
	}
	p.life.fate = deleted
	r.m.replace(k, p, nil)
	return nil
}

// recreate uses a product, deletes it and makes another of the same ID, which
// the use must not touch, however late it is written.
func (r *modelRun) recreate(rng *rand.Rand, k modelKey) error {
	ctx := context.Background()
	live := r.m.alive(k.account)
	live = slices.DeleteFunc(live, func(p *modelProduct) bool { return p.oneShot })
	if len(live) == 0 {
		return nil
	}
	p := pick(rng, live)
	r.note("use, delete and create %q %q", k.account, short(p.id))
	used, err := r.c().Use(ctx, k.account, p.id)
	if err := r.answerFor(p.modelKey, used, err, r.m.use); err != nil {
		return err
	}
	if err := r.c().Delete(ctx, k.account, p.id); err != nil {
		return err
	}
	p.life.fate = deleted
	r.m.replace(p.modelKey, r.m.products[p.modelKey], nil)
	patch := &modelPatch{imagesState: isSet, images: []modelSource{{url: modelURLs[0]}}, daysState: isSet, days: 1 + rng.IntN(30)}
	res, err := r.c().Upsert(ctx, k.account, p.id, patch.patch())
	return r.settle(wayExplicit, p.modelKey, patch, nil, res, err)
}

func (r *modelRun) deleteAccount(rng *rand.Rand, k modelKey) error {
	if oneIn(rng, 2) {
		k.account = pick(rng, modelAccounts)
	}
	r.note("delete account %q", k.account)
	n, err := r.c().DeleteAccount(context.Background(), k.account)
	if faults := nameFaults(k.account, "x"); len(faults) > 0 {
		return sameFaults(err, faults)
	}
	if err != nil {
		return err
	}
	if want := r.m.deleteAccount(k.account); n != want {
		return fmt.Errorf("%d removed, want %d", n, want)
	}
	return nil
}

func (r *modelRun) openImage(rng *rand.Rand, k modelKey) error {
	if live := r.m.alive(k.account); len(live) > 0 && !oneIn(rng, 5) {
		k = pick(rng, live).modelKey
	}
	order := rng.IntN(4)
	if oneIn(rng, 20) {
		order = -1
	}
	r.note("open image %q %q %d", k.account, k.id, order)
	img, err := r.c().OpenImage(context.Background(), k.account, k.id, order)
	if faults := nameFaults(k.account, k.id); len(faults) > 0 {
		return sameFaults(err, faults)
	}
	p := r.m.live(k)
	if p == nil {
		return requireError(err, catalog.ErrNotFound)
	}
	if order < 0 || order >= len(p.images) || p.images[order].blob == nil {
		return requireError(err, catalog.ErrImageNotFound)
	}
	if err != nil {
		return err
	}
	b := p.images[order].blob
	info, s := img.Info(), b.sample
	want := catalog.ImageInfo{ContentType: "image/png", Size: int64(len(s.data)), Width: s.width, Height: s.height, SHA256: sha256.Sum256(s.data)}
	if info != want {
		return fmt.Errorf("info %+v, want %+v", info, want)
	}
	h := heldImage{img, b, p.life}
	if oneIn(rng, 3) && len(r.held) < 8 {
		r.held = append(r.held, h)
		return nil
	}
	return r.readImage(h)
}

// heldImage is a reader that is read later, perhaps when its product has gone.
type heldImage struct {
	reader *catalog.ImageReader
	blob   *modelBlob
	life   *modelLife
}

func (r *modelRun) readHeld(rng *rand.Rand, _ modelKey) error {
	if len(r.held) == 0 {
		return nil
	}
	i := rng.IntN(len(r.held))
	h := r.held[i]
	r.held = slices.Delete(r.held, i, i+1)
	r.note("read the image opened of %q", h.life.final.id)
	return r.readImage(h)
}

// readDeleted reads an image whose product is deleted and swept meanwhile.
func (r *modelRun) readDeleted(rng *rand.Rand, k modelKey) error {
	ctx := context.Background()
	for _, p := range r.m.alive(k.account) {
		for i, img := range p.images {
			if img.blob == nil {
				continue
			}
			r.note("delete %q %q, whose image %d is being read", k.account, short(p.id), i)
			reader, err := r.c().OpenImage(ctx, k.account, p.id, i)
			if err != nil {
				return err
			}
			if err := r.c().Delete(ctx, k.account, p.id); err != nil {
				return err
			}
			p.life.fate = deleted
			r.m.replace(p.modelKey, p, nil)
			if err := r.move(pick(rng, []time.Duration{time.Minute, 14 * time.Minute, 16 * time.Minute})); err != nil {
				return err
			}
			if err := r.sweepEach(false); err != nil {
				return err
			}
			return r.readImage(heldImage{reader, img.blob, p.life})
		}
	}
	return nil
}

// readImage reads an image to its end. It must get all of it until the grace
// has passed since the product released it.
func (r *modelRun) readImage(h heldImage) error {
	data, err := io.ReadAll(h.reader)
	released := h.blob.released
	if at, ok := h.life.final.deadline(); released == 0 && ok && at <= r.m.last {
		released = at // at the earliest
	}
	if released != 0 && released+r.m.grace <= r.m.last && errors.Is(err, catalog.ErrImageGone) {
		return h.reader.Close()
	}
	if err == nil && !bytes.Equal(data, h.blob.sample.data) {
		err = errors.New("other bytes")
	}
	return errors.Join(err, h.reader.Close())
}

func (r *modelRun) stage(rng *rand.Rand, k modelKey) error {
	s := pick(rng, samples().small)
	switch rng.IntN(20) {
	case 0:
		s = pick(rng, samples().bad)
	case 1, 2:
		s = pick(rng, samples().large)
	}
	r.note("stage %q %s", k.account, s.name)
	img, err := r.c().StageImage(context.Background(), k.account, bytes.NewReader(s.data))
	if faults := nameFaults(k.account, "x"); len(faults) > 0 {
		return sameFaults(err, faults)
	}
	if !s.valid {
		return sameFaults(err, []modelFault{{"", catalog.CodeInvalidImage}})
	}
	if err != nil {
		return err
	}
	deadline := r.m.last + r.m.stage
	want := catalog.StagedImage{
		Ref: img.Ref, ContentType: "image/png", Size: int64(len(s.data)), Width: s.width, Height: s.height,
		ExpiresAt: time.UnixMilli(deadline).UTC(),
	}
	if img != want || r.m.staged[string(img.Ref)] != nil {
		return fmt.Errorf("staged %+v, want %+v", img, want)
	}
	r.m.staged[string(img.Ref)] = &modelStaged{account: k.account, blob: &modelBlob{sample: s}, deadline: deadline}
	r.m.references = append(r.m.references, string(img.Ref))
	return nil
}
