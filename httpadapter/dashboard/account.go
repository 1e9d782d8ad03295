package dashboard

import (
	"net/http"
	"time"

	"github.com/shelflife-db/shelflife/catalog"
)

// accountPage is the page about the account. What takes time is in pages of its
// own, which the script puts in place.
type accountPage struct{ Store bool }

func (h *Handler) showAccount(w http.ResponseWriter, r *request) error {
	return h.showTo(w, r, http.StatusOK, "account", page{Title: "Account", Section: "account", Body: accountPage{Store: h.options.Store}})
}

// figuresPage is what an account has.
type figuresPage struct {
	catalog.AccountStats
	ImageSize, RecordSize string
	Took                  string
}

// showFigures counts exactly, which takes as long as the account is large.
func (h *Handler) showFigures(w http.ResponseWriter, r *request) error {
	if err := h.build(r); err != nil {
		return err
	}
	defer r.built()
	began := h.clock.Elapsed()
	stats, err := h.catalog.Stats(r.Context(), r.account)
	if err != nil {
		return err
	}
	v := figuresPage{AccountStats: stats, ImageSize: byteCount(stats.ImageBytes), RecordSize: byteCount(stats.RecordBytes), Took: h.took(began)}
	return h.showTo(w, r, http.StatusOK, "figures", page{Title: "Products of the account", Section: "account", Body: v})
}

// took says how long ago began was.
func (h *Handler) took(began time.Duration) string {
	d := (h.clock.Elapsed() - began).Round(time.Millisecond)
	if d == 0 {
		return "less than a millisecond"
	}
	return d.String()
}

// storePage is what is known of the store of all accounts.
type storePage struct {
	Products, Images     string // sizes; "" for one that is not measured yet
	PendingUses, Expired int
	Swept                moment
	Paused               bool
	Health               string
	Bad                  bool
	SweeperErrors        int
}

func (h *Handler) showStore(w http.ResponseWriter, r *request) error {
	if !h.options.Store {
		return errNoSuchPage
	}
	stats, err := h.catalog.StoreStats(r.Context())
	if err != nil {
		return err
	}
	v := storePage{
		Products: aboutBytes(stats.ProductBytes), Images: aboutBytes(stats.ImageBytes), PendingUses: stats.PendingUses,
		Expired: int(stats.Sweeper.Expired), Paused: stats.Sweeper.Paused, SweeperErrors: int(stats.Sweeper.Errors),
	}
	if stats.Sweeper.SweptTo > 0 {
		v.Swept = newMoment(time.UnixMilli(stats.Sweeper.SweptTo), h.clock.Now())
	}
	switch {
	case h.catalog.Ready() != nil:
		v.Health, v.Bad = "Nothing can be changed at the moment; the log of the server says why.", true
	case h.catalog.Damage() != nil:
		v.Health, v.Bad = "A part of it can't be read; the log of the server says which.", true
	default:
		v.Health = "It works: products can be read and changed."
	}
	return h.showTo(w, r, http.StatusOK, "store", page{Title: "The store", Section: "account", Body: v})
}

// aboutBytes says how many bytes an estimate is, "" where it is none: a store does
// not count what it has in memory.
func aboutBytes(n int64) string {
	if n <= 0 {
		return ""
	}
	return "About " + byteCount(n)
}
