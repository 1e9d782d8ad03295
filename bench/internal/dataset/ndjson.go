package dataset

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

const maxLine = 4 << 20

// line is what is looked for in a line of a file.
type line struct {
	Title       string          `json:"title"`
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Metadata    json.RawMessage `json:"metadata"`
	Images      []struct {
		URL       string `json:"url"`
		SourceURL string `json:"sourceUrl"`
		Source    struct {
			URL string `json:"url"`
		} `json:"source"`
		Classifications json.RawMessage `json:"classifications"`
	} `json:"images"`
	ImageURLs    []string `json:"imageUrls"`
	ValidForDays int      `json:"validForDays"`
}

// ReadNDJSON returns n products with the contents of the lines of r, in turns:
// bodies of POST /products, or any JSON objects, of which those without
// metadata become the metadata of a product themselves. Keys are made, so that
// a short file fills a large store; products without an image get one.
func ReadNDJSON(r io.Reader, n int, seed uint64) (*Set, error) {
	s := New(n, seed)
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxLine)
	for number := 1; in.Scan(); number++ {
		raw := bytes.TrimSpace(in.Bytes())
		if len(raw) == 0 {
			continue
		}
		p, err := parseLine(raw)
		if err != nil {
			return nil, fmt.Errorf("dataset: line %d: %w", number, err)
		}
		s.lines = append(s.lines, p)
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	if len(s.lines) == 0 {
		return nil, fmt.Errorf("dataset: no products: %w", io.ErrUnexpectedEOF)
	}
	return s, nil
}

func parseLine(raw []byte) (Product, error) {
	var l line
	if err := json.Unmarshal(raw, &l); err != nil {
		return Product{}, err
	}
	p := Product{Title: l.Title, Description: l.Description, ValidForDays: l.ValidForDays}
	if p.Title == "" {
		p.Title = l.Name
	}
	metadata := l.Metadata
	if metadata == nil {
		metadata = raw
	}
	if !bytes.Equal(metadata, []byte("null")) {
		p.Metadata = compact(metadata)
	}
	for _, im := range l.Images {
		url := im.URL + im.SourceURL + im.Source.URL
		if url == "" {
			continue
		}
		p.Images = append(p.Images, Image{URL: url})
		if c := im.Classifications; len(c) > 0 && !bytes.Equal(c, []byte("null")) {
			p.Images[len(p.Images)-1].Classifications = compact(c)
		}
	}
	for _, url := range l.ImageURLs {
		p.Images = append(p.Images, Image{URL: url})
	}
	if len(p.Images) == 0 {
		p.Images = []Image{{URL: "https://cdn.example/none.webp"}}
	}
	return p, nil
}

// compact removes insignificant white space from valid JSON.
func compact(raw []byte) []byte {
	var b bytes.Buffer
	_ = json.Compact(&b, raw) // the decoder has checked it
	return b.Bytes()
}
