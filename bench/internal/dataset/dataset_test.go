package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProductsDependOnSeedAndNumberAlone(t *testing.T) {
	a, b := New(1000, 1), New(5000, 1)
	for i := range 1000 {
		p, q := a.Product(i), b.Product(i)
		require.NoError(t, Same(&p, &q))
	}
	other := New(1000, 2).Product(0)
	mine := a.Product(0)
	require.Error(t, Same(&mine, &other))
}

// The data of committed results must stay what they were.
func TestProductsArePinned(t *testing.T) {
	h := sha256.New()
	s := New(1000, 1)
	for i := range s.Len() {
		require.NoError(t, json.NewEncoder(h).Encode(s.Product(i)))
	}
	small := s.Small().Product(3)
	require.NoError(t, json.NewEncoder(h).Encode(small))
	require.Equal(t, "2cfc305f501fa64b", hex.EncodeToString(h.Sum(nil))[:16])
}

func TestProductsAreRealistic(t *testing.T) {
	s := New(5000, 1)
	var sizes []int
	total, mortal := 0, 0
	for i := range s.Len() {
		p := s.Product(i)
		require.True(t, json.Valid(p.Metadata), "%s", p.Metadata)
		require.Len(t, p.Images, 4)
		size := len(p.Title) + len(p.Description) + len(p.Metadata)
		for _, im := range p.Images {
			require.True(t, json.Valid(im.Classifications), "%s", im.Classifications)
			size += len(im.URL) + len(im.Classifications)
		}
		if p.ValidForDays > 0 {
			mortal++
			require.LessOrEqual(t, p.ValidForDays, 30)
		}
		sizes = append(sizes, size)
		total += size
	}
	mean := float64(total) / float64(s.Len())
	require.InDelta(t, 950, mean, 100)
	largest := 0
	for _, n := range sizes {
		largest = max(largest, n)
	}
	require.Greater(t, float64(largest), 1.8*mean, "sizes have a tail")
	require.InDelta(t, 0.8, float64(mortal)/float64(s.Len()), 0.05)
}

func TestKeysAscendWithinAccounts(t *testing.T) {
	s := New(1234, 1)
	keys := s.Keys()
	accounts := map[string]int{}
	for i, k := range keys {
		require.Equal(t, s.Key(i), k)
		if i > 0 && keys[i-1].Account == k.Account {
			require.Less(t, keys[i-1].ID, k.ID)
		}
		if i > 0 && keys[i-1].Account != k.Account {
			require.Zero(t, accounts[k.Account], "an account is in one piece")
		}
		accounts[k.Account]++
	}
	require.Equal(t, 160, accounts[keys[0].Account])
	require.Equal(t, 16, len(accounts))
}

func TestPagesLieWithinOneAccount(t *testing.T) {
	s := New(1000, 1)
	pages := s.Pages(50)
	require.NotEmpty(t, pages)
	middle := 0
	for _, p := range pages {
		require.Equal(t, p.Account, s.Key(p.First).Account)
		require.Equal(t, p.Account, s.Key(p.First+p.Limit-1).Account)
		if p.After != "" {
			require.Equal(t, Key{p.Account, p.After}, s.Key(p.First-1))
			middle++
		}
	}
	require.Positive(t, middle)
}

func TestEveryIsAPart(t *testing.T) {
	whole := New(1000, 1)
	part := whole.Every(300)
	require.Equal(t, 4, part.Len())
	for i := range part.Len() {
		want, got := whole.Product(300*i), part.Product(i)
		require.NoError(t, Same(&want, &got))
		require.Equal(t, whole.Key(300*i), part.Key(i))
	}
}

func TestMortalSetsDieInADay(t *testing.T) {
	s := New(100, 1).Mortal("short")
	p := s.Product(7)
	require.Equal(t, 1, p.ValidForDays)
	require.True(t, strings.HasPrefix(p.Account, "short-"))
}

func TestSameNamesTheField(t *testing.T) {
	base := New(10, 1).Product(1)
	for name, change := range map[string]func(*Product){
		"account":     func(p *Product) { p.Account += "x" },
		"id":          func(p *Product) { p.ID += "x" },
		"title":       func(p *Product) { p.Title += "x" },
		"description": func(p *Product) { p.Description += "x" },
		"metadata":    func(p *Product) { p.Metadata = nil },
		"lifetime":    func(p *Product) { p.ValidForDays += 3 },
		"images":      func(p *Product) { p.Images = p.Images[1:] },
		"image 2":     func(p *Product) { p.Images = append([]Image{}, p.Images...); p.Images[2].URL = "x" },
	} {
		got := base
		change(&got)
		require.ErrorContains(t, Same(&base, &got), name)
	}
	same := New(10, 1).Product(1)
	require.NoError(t, Same(&base, &same))
}

func TestZipfFollowsItsLaw(t *testing.T) {
	const n, draws = 1000, 1_000_000
	z := NewZipf(n, 1)
	counts := make([]int, n)
	r := rand.New(rand.NewPCG(3, 4))
	for range draws {
		counts[z.Next(r)]++
	}
	sum := 0.0
	for k := 1; k <= n; k++ {
		sum += math.Pow(float64(k), -ZipfExponent)
	}
	for _, rank := range []int{1, 2, 3, 10, 100, 1000} {
		want := draws * math.Pow(float64(rank), -ZipfExponent) / sum
		got := float64(counts[z.slots[rank-1].own])
		require.InDelta(t, want, got, 5*math.Sqrt(want), "rank %d", rank)
	}
}

func TestZipfScattersItsRanks(t *testing.T) {
	z := NewZipf(1000, 1)
	seen := map[int32]bool{}
	ascending := 0
	for rank, slot := range z.slots {
		require.False(t, seen[slot.own])
		seen[slot.own] = true
		if rank > 0 && slot.own == z.slots[rank-1].own+1 {
			ascending++
		}
	}
	require.Less(t, ascending, 20)
	require.Equal(t, z.slots, NewZipf(1000, 1).slots)
	require.NotEqual(t, z.slots, NewZipf(1000, 2).slots)
}

func TestAccessesStayInRange(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{1, 2, 7} {
		for _, a := range []Access{Uniform(n), NewZipf(n, 1)} {
			seen := map[int]bool{}
			for range 1000 {
				i := a.Next(r)
				require.True(t, i >= 0 && i < n)
				seen[i] = true
			}
			require.Len(t, seen, n, "%T of %d", a, n)
		}
	}
}

func TestEditsNameTheirRevision(t *testing.T) {
	s := New(300, 1)
	e := NewEdits(s)
	for _, revision := range []uint64{1, 255, 1 << 40, math.MaxUint64} {
		raw := e.Append([]byte("before"), revision)[len("before"):]
		require.True(t, json.Valid(raw), "%s", raw)
		got, err := Revision(raw)
		require.NoError(t, err)
		require.Equal(t, revision, got)

		p := s.Product(5)
		p.Metadata = raw
		got, err = e.Check(s, 5, &p, false)
		require.NoError(t, err)
		require.Equal(t, revision, got)

		p.Title += "!"
		_, err = e.Check(s, 5, &p, false)
		require.Error(t, err)

		p = s.Product(5)
		p.Metadata = append([]byte{}, raw...)
		p.Metadata[len(p.Metadata)-2]++
		_, err = e.Check(s, 5, &p, false)
		require.Error(t, err)
	}
	untouched := s.Product(5)
	revision, err := e.Check(s, 5, &untouched, false)
	require.NoError(t, err)
	require.Zero(t, revision)
}

func TestEditsOfTheFloorAreWholeModels(t *testing.T) {
	s := New(300, 1)
	e := NewEdits(s)
	p := s.Product(7 % e.Variants())
	p.Metadata = e.Append(nil, 7)
	_, err := e.Check(s, 123, &p, true)
	require.NoError(t, err)
	_, err = e.Check(s, 123, &p, false)
	require.Error(t, err)
}

func TestReadNDJSON(t *testing.T) {
	const file = `{"title":"A","description":"d","images":[{"source":{"url":"https://x/1"},"classifications":{ "v": 1 }},{"sourceUrl":"https://x/2"}],"metadata":{"b": 1, "a":2},"validForDays":3}

{"name":"B","price":1.50}
{"title":"C","imageUrls":["https://x/3"],"metadata":null}
`
	s, err := ReadNDJSON(strings.NewReader(file), 7, 1)
	require.NoError(t, err)
	require.Equal(t, 7, s.Len())
	a, again := s.Product(0), s.Product(3)
	require.Equal(t, "A", a.Title)
	require.Equal(t, `{"b":1,"a":2}`, string(a.Metadata))
	require.Equal(t, []Image{{"https://x/1", []byte(`{"v":1}`)}, {URL: "https://x/2"}}, a.Images)
	require.Equal(t, 3, a.ValidForDays)
	require.NotEqual(t, a.ID, again.ID)
	require.Equal(t, a.Title, again.Title)
	b := s.Product(1)
	require.Equal(t, "B", b.Title)
	require.Equal(t, `{"name":"B","price":1.50}`, string(b.Metadata))
	require.Len(t, b.Images, 1)
	require.Nil(t, s.Product(2).Metadata)

	e := NewEdits(s)
	for revision := range uint64(7) {
		require.True(t, json.Valid(e.Append(nil, revision)))
	}
	for i, bad := range []string{"", "\n\n", "{", "[1]"} {
		_, err := ReadNDJSON(strings.NewReader(bad), 3, 1)
		require.Error(t, err, fmt.Sprint(i))
	}
}

func TestPhotosDifferAndAreLarge(t *testing.T) {
	photos, err := Photos(1)
	require.NoError(t, err)
	require.Len(t, photos, photoCount)
	require.InDelta(t, 200_000, len(photos[0]), 5_000)
	require.NotEqual(t, photos[0], photos[1])
}
