package catalog

import (
	"context"
	"errors"
	"fmt"

	"github.com/shelflife-db/shelflife/encoding"
)

// Edit does to a live product what [Catalog.Upsert] does with the patch that fn
// returns, and fails with ErrNotFound where none lives. fn sees the product as it
// is when the edit commits: no other write of the product comes between the two, so
// that nothing has to be repeated, however many edit it at once. conds are judged
// before it is called.
//
// fn may run more than once, of which the last run counts, and other writes of the
// product wait for it: it computes a patch, quickly, and calls nothing of the
// catalog, which could wait for this very edit. The view is lent until fn returns.
// A patch with an Upload is refused, since bytes are not read while others wait:
// see [Catalog.StageImage]. The first error of fn ends the edit, with nothing
// written, and is returned as it is.
func (c *Catalog) Edit(ctx context.Context, account, externalID string, fn func(ProductView) (Patch, error), conds ...Condition) (Result, error) {
	ctx, call := c.begin(ctx, OpEdit)
	e := editing{c: c, fn: fn, conds: conds, staged: make(map[encoding.BlobID]*incomingBlob), in: &intake{account: account}}
	res, err := e.run(ctx, externalID)
	if errors.Is(err, errStopped) {
		_ = call.end(nil) // it is fn's
		return Result{}, e.own
	}
	return res, call.upserted(res.Outcome, c.wrap("edit", externalID, err))
}

// editing is an Edit on its way.
type editing struct {
	c     *Catalog
	fn    func(ProductView) (Patch, error)
	conds []Condition
	in    *intake
	own   error // that fn returned in the run that counts
	// staged are the staged images that were looked up, nil where there is none,
	// and unknown those that the last run asked for besides.
	staged  map[encoding.BlobID]*incomingBlob
	unknown []encoding.BlobID
}

// errMoreStaged ends a run of an Update that met staged images which were not
// looked up yet.
var errMoreStaged = errors.New("staged images have to be looked up")

func (e *editing) run(ctx context.Context, id string) (res Result, err error) {
	c, account := e.c, e.in.account
	if err := checkNames(account, id); err != nil {
		return Result{}, err
	}
	if err := c.calls.Enter(); err != nil {
		return Result{}, err
	}
	defer c.calls.Exit()
	for {
		scopes := append(e.in.scopes(), productScope(account, id))
		err := c.update(ctx, scopes, c.updateOptions(), func(t *tx) (err error) {
			res, err = e.edit(t, id)
			return err
		})
		if !errors.Is(err, errMoreStaged) {
			return res, err
		}
		if err := e.lookUp(ctx); err != nil {
			return Result{}, err
		}
	}
}

// edit is one run of the Update.
func (e *editing) edit(t *tx, id string) (Result, error) {
	e.own = nil
	for _, b := range e.in.blobs {
		b.claimed = false
	}
	f, err := t.load(e.in.account, id)
	switch {
	case err != nil:
		return Result{}, err
	case !conditionsHold(e.conds, f.live):
		return Result{}, preconditionFailed(f.live)
	case f.live == nil:
		return Result{}, ErrNotFound
	}
	p, err := e.fn(f.view())
	if err != nil {
		e.own = err
		return Result{}, errStopped
	}
	if err := e.prepare(p); err != nil {
		return Result{}, err
	}
	return t.editLive(explicit, f, e.in)
}

// prepare checks the patch, as receive does.
func (e *editing) prepare(p Patch) error {
	faults := new(ValidationError)
	e.in.patch = e.c.prepare(faults, p)
	images, _ := p.Images.Get()
	if len(images) != len(e.in.patch.images) {
		return faults.err() // too many to look at each
	}
	e.unknown = e.unknown[:0]
	for i := range images {
		if images[i].Upload != nil {
			faults.add(fmt.Sprintf("images.%d.source.fileKey", i), CodeInvalidImageInput,
				"an edit takes no upload: stage the image first")
		}
		id, ok := encoding.ParseBlobID(string(images[i].Staged))
		if images[i].Staged == "" || !ok {
			continue
		}
		b, known := e.staged[id]
		switch {
		case !known:
			e.unknown = append(e.unknown, id)
		case b == nil:
			faults.addUnknownStaged(stagedPath(i))
		default:
			e.in.patch.images[i].blob = b
		}
	}
	if len(e.unknown) > 0 {
		return errMoreStaged
	}
	return faults.err()
}

// lookUp looks for the staged images that the last run asked for. Whether they can
// be claimed is judged by the commit.
func (e *editing) lookUp(ctx context.Context) error {
	for _, id := range e.unknown {
		if _, twice := e.staged[id]; twice {
			continue
		}
		b, err := e.c.stagedBlob(ctx, e.in.account, id)
		if err != nil {
			return err
		}
		if e.staged[id] = b; b != nil {
			e.in.blobs = append(e.in.blobs, b)
		}
	}
	return nil
}
