package dataset

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// The words that products are made of.
var (
	adjectives = []string{"Linen", "Washed", "Merino", "Quilted", "Cropped", "Relaxed", "Vintage", "Ribbed", "Organic", "Slim", "Oversized", "Waxed"}
	nouns      = []string{"shirt", "jacket", "trousers", "dress", "sweater", "coat", "skirt", "cardigan", "blazer", "tee", "parka", "jumpsuit"}
	categories = []string{"shirts", "outerwear", "denim", "dresses", "knitwear", "accessories", "shoes"}
	brands     = []string{"Nord", "Atelier Lune", "Kobo & Daughters", "Fjell", "Marisol", "Plain Goods", "Øst"}
	materials  = []string{"linen", "cotton", "wool", "polyester", "viscose", "silk", "leather"}
	reviewers  = []string{"Lucas", "Mia", "Noor", "Emil", "Sofía", "Jonas", "Aiko", "Priya"}
	comments   = []string{"Soft and light", "Runs large", "Colour as pictured", "Returned it, too short in the sleeve", "Wears well after many washes", "Would buy again"}
	views      = []string{"front", "back", "side", "detail", "worn"}
	sentences  = []string{
		"A light piece with a soft collar, made to be worn loose on warm days and layered on cool ones.",
		"Cut from a midweight cloth that keeps its shape after washing.",
		"The model is 178 cm tall and wears size M.",
		"Dyed in small lots, so that no two pieces are quite alike.",
		"Side pockets, horn buttons and a curved hem.",
		"Machine wash at 30 degrees, do not tumble dry.",
		"Made in Portugal in a family mill that weaves its own yarn.",
	}
)

// source is the randomness of one product.
type source struct{ *rand.Rand }

func newSource(seed uint64, i int) source {
	return source{rand.New(rand.NewPCG(seed, mix(seed, uint64(i))))}
}

func (r source) pick(words []string) string { return words[r.IntN(len(words))] }

// few returns a count from low to high: most are close to low, a few far above,
// by a Pareto distribution.
func (r source) few(low, high int) int {
	excess := 1.5 * (1/math.Sqrt(1-r.Float64()) - 1)
	return min(low+int(excess), high)
}

// generate makes a product without a key: title, description, four images with
// classifications, nested metadata. About one in five lives for ever, the
// others 1 to 30 days.
func generate(seed uint64, i int) Product {
	r := newSource(seed, i)
	p := Product{
		Title:       fmt.Sprintf("%s %s No. %d", r.pick(adjectives), r.pick(nouns), i),
		Description: describe(r, r.few(2, 40)),
		Images:      make([]Image, 4),
	}
	host := r.Uint32()
	for n := range p.Images {
		p.Images[n] = Image{
			URL:             fmt.Sprintf("https://cdn.example/%08x/%d/%d.webp", host, i, n),
			Classifications: fmt.Appendf(nil, `{"view":%q,"confidence":0.%02d,"background":%t}`, r.pick(views), r.IntN(100), r.IntN(4) == 0),
		}
	}
	p.Metadata = generateMetadata(r)
	if r.IntN(5) > 0 {
		p.ValidForDays = 1 + r.IntN(30)
	}
	return p
}

func describe(r source, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(r.pick(sentences))
	}
	return b.String()
}

func generateMetadata(r source) []byte {
	b := fmt.Appendf(nil, `{"category":%q,"brand":%q,"price":%d.%02d,"currency":"EUR","stock":%d,"tags":[%q,%q],`,
		r.pick(categories), r.pick(brands), 5+r.IntN(300), r.IntN(100), r.IntN(500), r.pick(materials), r.pick(categories))
	b = fmt.Appendf(b, `"dimensions":{"width":%d.%d,"height":%d.%d,"depth":%d.%d},"material":[{"name":%q,"share":%d},{"name":%q,"share":%d}],"sizes":["S","M","L"],"reviews":[`,
		r.IntN(90), r.IntN(10), r.IntN(90), r.IntN(10), r.IntN(20), r.IntN(10), r.pick(materials), 60, r.pick(materials), 40)
	for n := range r.few(1, 30) {
		if n > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"rating":%d,"comment":%q,"reviewer":%q}`, 1+r.IntN(5), r.pick(comments), r.pick(reviewers))
	}
	return append(b, `]}`...)
}

// generateSmall makes a product of some 300 bytes without a key.
func generateSmall(seed uint64, i int) Product {
	bits := mix(seed, uint64(i))
	number := strconv.Itoa(i)
	return Product{
		Title:        nouns[bits%uint64(len(nouns))] + " " + number,
		Images:       []Image{{URL: "https://cdn.example/" + number + ".webp"}},
		Metadata:     append(strconv.AppendUint([]byte(`{"price":`), bits>>32%1000, 10), '}'),
		ValidForDays: 1 + int(bits>>16%30),
	}
}
