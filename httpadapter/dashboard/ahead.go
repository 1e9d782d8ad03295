package dashboard

import (
	"net/http"
	"strconv"
	"time"

	"github.com/shelflife-db/shelflife/catalog"
)

const (
	// aheadDays is how far the chart of expiries goes.
	aheadDays = 28
	// aheadReads bounds the look for it: so many reads of scanSize products.
	aheadReads = 50
)

// aheadPage is the chart of the products that expire per day.
type aheadPage struct {
	Days   []dayAhead
	Most   int
	Looked int
	Cut    bool // there are more products than were looked at
	Took   string
}

// dayAhead is a bar of the chart, in the units of its drawing.
type dayAhead struct {
	Date         time.Time
	Count        int
	X, Y, Height string
}

// Weeks are the days whose dates are written below the chart.
func (p aheadPage) Weeks() (days []time.Time) {
	for i := 0; i < len(p.Days); i += 7 {
		days = append(days, p.Days[i].Date)
	}
	return days
}

// The drawing of the chart.
const (
	chartHeight = 100
	barStep     = 20
)

func (h *Handler) showAhead(w http.ResponseWriter, r *request) error {
	if err := h.build(r); err != nil {
		return err
	}
	defer r.built()
	began, now := h.clock.Elapsed(), h.clock.Now()
	v := aheadPage{Days: make([]dayAhead, aheadDays)}
	o := catalog.ListOptions{Limit: scanSize, Unlisted: true, PastDamage: true}
	for read := 1; ; read++ {
		page, err := h.catalog.List(r.Context(), r.account, o)
		if err != nil {
			return err
		}
		for _, p := range page.Products {
			if day := int(p.ExpiresAt.Sub(now) / (24 * time.Hour)); p.ValidForDays > 0 && day >= 0 && day < aheadDays {
				v.Days[day].Count++
			}
		}
		v.Looked += len(page.Products)
		if !page.HasMore {
			break
		}
		if read == aheadReads {
			v.Cut = true
			break
		}
		o.Cursor = page.NextCursor
	}
	v.draw(now)
	v.Took = h.took(began)
	return h.showTo(w, r, http.StatusOK, "ahead", page{Title: "Expiries ahead", Section: "account", Body: v})
}

// draw gives each day its bar; that of the largest count has the whole height.
func (v *aheadPage) draw(now time.Time) {
	for _, d := range v.Days {
		v.Most = max(v.Most, d.Count)
	}
	for i := range v.Days {
		d := &v.Days[i]
		d.Date = now.UTC().Add(time.Duration(i) * 24 * time.Hour)
		height := 0.0
		if d.Count > 0 {
			height = max(chartHeight*float64(d.Count)/float64(v.Most), 2)
		}
		d.X = strconv.Itoa(i * barStep)
		d.Y, d.Height = strconv.FormatFloat(chartHeight-height, 'f', 1, 64), strconv.FormatFloat(height, 'f', 1, 64)
	}
}
