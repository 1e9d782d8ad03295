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
	ID, Name, Title, Description string
	OneShot                      bool
	Pictures                     []productPicture
	Metadata                     *node
	MetadataText                 string
	Life                         lifetime
	Listed                       bool
	Used, Created, Updated       moment
	Version                      string
	Edit, Delete, Self           string
	ShowRemote                   string
	Sent                         string // when the page was made
}

// productPicture is an image of a product with what is known of it.
type productPicture struct {
	picture
	Number          int
	Source          string // its URL; "" for uploaded bytes
	ContentType     string
	Size            string
	Classifications *node
}

func (h *Handler) showProduct(w http.ResponseWriter, r *request) error {
	done, err := h.build(r.Context())
	if err != nil {
		return err
	}
	defer done()
	p, err := h.catalog.Get(r.Context(), r.account, r.URL.Query().Get("id"))
	if err != nil {
		return err
	}
	remote, now := h.showsRemote(r), h.clock.Now()
	id := url.Values{"id": {p.ExternalID}}.Encode()
	v := productPage{
		ID: p.ExternalID, Name: name(p), Title: p.Title, Description: p.Description,
		OneShot:  isOneShot(p.ExternalID),
		Metadata: parseNode(p.Metadata), MetadataText: indented(p.Metadata),
		Life: newLifetime(p, now), Listed: p.Listed,
		Used: newMoment(p.LastUsedAt, now), Created: newMoment(p.CreatedAt, now), Updated: newMoment(p.UpdatedAt, now),
		Version: p.Version().String(),
		Edit:    "./edit?" + id, Delete: "./delete?" + id, Self: productRef(p.ExternalID),
	}
	for _, i := range p.Images {
		pic := productPicture{picture: newPicture(p, i, remote), Number: i.Order + 1, ContentType: i.ContentType, Classifications: parseNode(i.Classifications)}
		if i.Uploaded() {
			pic.Size = byteCount(i.Size)
		} else {
			pic.Source = i.SourceURL
			if h.options.RemoteImages == RemoteImagesAsk && !remote && strings.HasPrefix(strings.ToLower(i.SourceURL), "https:") {
				v.ShowRemote = productRef(p.ExternalID) + "&remote=1"
			}
		}
		v.Pictures = append(v.Pictures, pic)
	}
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
	redirect(w, productRef(p.ExternalID)+"&done=used")
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
	// Back is the page to go back to.
	Back string
	// Kept are the products that were edited since the question was asked.
	Kept    []removal
	Deleted int
}

// confirmDelete asks about one product.
func (h *Handler) confirmDelete(w http.ResponseWriter, r *request) error {
	id := r.URL.Query().Get("id")
	return h.askToDelete(w, r, []string{id}, productRef(id))
}

func (h *Handler) askToDelete(w http.ResponseWriter, r *request, ids []string, back string) error {
	p := deletePage{Back: back}
	now := h.clock.Now()
	for _, id := range ids {
		product, err := h.catalog.Get(r.Context(), r.account, id)
		switch {
		case isGone(err) && len(ids) > 1:
			p.Gone++
			continue
		case err != nil:
			return err
		}
		p.Items = append(p.Items, removal{h.newItem(product, now, false), product.Version().String()})
	}
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
	back := h.nextPage(r.PostForm.Get("back"))
	if len(ids) > maxChosen {
		return errTooLarge
	}
	if len(ids) == 0 {
		redirect(w, back)
		return nil
	}
	if r.PostForm.Get("confirmed") == "" || len(versions) != len(ids) {
		return h.askToDelete(w, r, ids, back)
	}
	p, now := deletePage{Back: "./"}, h.clock.Now()
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
				p.Kept = append(p.Kept, removal{h.newItem(product, now, false), product.Version().String()})
			}
		case err != nil:
			return err
		default:
			p.Deleted++
		}
	}
	if len(p.Kept) == 0 && p.Gone == 0 {
		if route := strings.TrimPrefix(back, "./"); strings.HasPrefix(route, "product") {
			back = "./"
		}
		redirect(w, withDone(back, "deleted"))
		return nil
	}
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
