package dashboard

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/shelflife-db/shelflife/catalog"
)

// productPage is what the page of a product shows.
type productPage struct {
	ID, Name, Description  string
	HasTitle               bool
	OneShot                bool
	Pictures               []productPicture
	Metadata               *node
	MetadataText           string
	Life                   lifetime
	Listed                 bool
	Used, Created, Updated moment
	Version                string
	List                   string // the page of the list that one came from
	Use, Edit, Delete      string
	Remote                 remoteChoice
	Sent                   string // when the page was made
}

// productPicture is an image of a product with what is known of it.
type productPicture struct {
	picture
	Number          int
	Source          string // its URL; "" for uploaded bytes
	Facts           string // of uploaded bytes
	Classifications *node
}

func (h *Handler) showProduct(w http.ResponseWriter, r *request) error {
	if err := h.build(r); err != nil {
		return err
	}
	defer r.built()
	p, err := h.catalog.Get(r.Context(), r.account, r.URL.Query().Get("id"))
	if err != nil {
		return err
	}
	remote, now, place := h.showsRemote(r), h.clock.Now(), r.place()
	v := productPage{
		ID: p.ExternalID, Name: name(p), HasTitle: name(p) != p.ExternalID, Description: p.Description,
		OneShot:  isOneShot(p.ExternalID),
		Metadata: parseNode(p.Metadata), MetadataText: indented(p.Metadata),
		Life: newLifetime(p, now), Listed: p.Listed,
		Used: newMoment(p.LastUsedAt, now), Created: newMoment(p.CreatedAt, now), Updated: newMoment(p.UpdatedAt, now),
		Version: p.Version().String(),
		List:    place.ref(), Use: place.to("use"), Edit: place.toProduct("edit", p.ExternalID), Delete: place.toProduct("delete", p.ExternalID),
	}
	for _, i := range p.Images {
		pic := productPicture{picture: newPicture(p, i, remote), Number: i.Order + 1, Classifications: parseNode(i.Classifications)}
		if i.Uploaded() {
			pic.Facts = imageFacts(i)
		} else {
			pic.Source = i.SourceURL
		}
		v.Pictures = append(v.Pictures, pic)
	}
	v.Remote = h.chooseRemote(remote, place.toProduct("product", p.ExternalID), p.Images)
	h.allowRemote(w, remote)
	return h.showTo(w, r, http.StatusOK, "product", page{Title: v.Name, Section: "products", Notice: notice(r), Body: v})
}

// isOneShot reports whether the library made an ID: such a product is never
// listed.
func isOneShot(id string) bool { return strings.HasPrefix(id, "_anon_") }

// indented returns JSON for people, its numbers and strings byte for byte.
func indented(raw json.RawMessage) string {
	if raw == nil {
		return ""
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return string(raw) // not of a sound store
	}
	return out.String()
}

// useProduct records a use.
func (h *Handler) useProduct(w http.ResponseWriter, r *request) error {
	if err := r.ParseForm(); err != nil {
		return formError(err)
	}
	p, err := h.catalog.Use(r.Context(), r.account, r.PostForm.Get("id"))
	if err != nil {
		return err
	}
	what := "used"
	if p.ValidForDays == 0 {
		what = "used-kept"
	}
	redirect(w, withDone(r.place().toProduct("product", p.ExternalID), what))
	return nil
}

// removal is a product that is to be deleted.
type removal struct {
	item
	Version string
}

// deletePage asks whether products are to be deleted, and says what became of
// them.
type deletePage struct {
	Items []removal
	Gone  int // chosen and not there any more
	// Action is where the form is sent; Back is the page to go back to.
	Action, Back string
	// Kept are the products that were edited since the question was asked.
	Kept    []removal
	Deleted int
}

// confirmDelete asks about one product.
func (h *Handler) confirmDelete(w http.ResponseWriter, r *request) error {
	id := r.URL.Query().Get("id")
	return h.askToDelete(w, r, []string{id}, r.place().toProduct("product", id))
}

func (h *Handler) askToDelete(w http.ResponseWriter, r *request, ids []string, back string) error {
	place := r.place()
	p, now, remote := deletePage{Action: place.to("delete"), Back: back}, h.clock.Now(), h.showsRemote(r)
	for _, id := range ids {
		product, err := h.catalog.Get(r.Context(), r.account, id)
		switch {
		case isGone(err) && len(ids) > 1:
			p.Gone++
			continue
		case err != nil:
			return err
		}
		p.Items = append(p.Items, removal{h.newItem(product, place, now, remote), product.Version().String()})
	}
	h.allowRemote(w, remote)
	return h.showTo(w, r, http.StatusOK, "delete", page{Title: "Delete", Section: "products", Body: p})
}

// maxChosen is how many products are deleted at once: more than a page has.
const maxChosen = 100

// deleteProducts is what the list's form asks for, and, with the answer to the
// question in between, what deletes. Each product is deleted as it was when the
// question was asked, or not at all.
func (h *Handler) deleteProducts(w http.ResponseWriter, r *request) error {
	if err := r.ParseForm(); err != nil {
		return formError(err)
	}
	ids, versions := r.PostForm["id"], r.PostForm["version"]
	place := r.place()
	if len(ids) > maxChosen {
		return errTooLarge
	}
	if len(ids) == 0 {
		redirect(w, withDone(place.ref(), "none"))
		return nil
	}
	if r.PostForm.Get("confirmed") == "" || len(versions) != len(ids) {
		return h.askToDelete(w, r, ids, place.ref())
	}
	p, now, remote := deletePage{Back: place.ref()}, h.clock.Now(), h.showsRemote(r)
	for i, id := range ids {
		version, ok := catalog.ParseVersion(versions[i])
		if !ok {
			return errBadForm
		}
		err := h.catalog.Delete(r.Context(), r.account, id, catalog.IfVersion(version))
		switch {
		case isOvertaken(err):
			product, err := h.catalog.Get(r.Context(), r.account, id)
			switch {
			case isGone(err):
				p.Gone++
			case err != nil:
				return err
			default:
				p.Kept = append(p.Kept, removal{h.newItem(product, place, now, remote), product.Version().String()})
			}
		case err != nil:
			return err
		default:
			p.Deleted++
		}
	}
	if len(p.Kept) == 0 && p.Gone == 0 {
		redirect(w, withDone(place.ref(), "deleted"))
		return nil
	}
	h.allowRemote(w, remote)
	return h.showTo(w, r, http.StatusOK, "deleted", page{Title: "Deleted", Section: "products", Body: p})
}

// withDone adds what happened to the reference of a page.
func withDone(ref, what string) string {
	u, err := url.Parse(ref)
	if err != nil {
		return ref
	}
	query := u.Query()
	query.Set("done", what)
	return localReference(strings.TrimPrefix(u.Path, "./"), query.Encode())
}
