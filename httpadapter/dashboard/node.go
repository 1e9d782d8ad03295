package dashboard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/shelflife-db/shelflife/catalog"
)

// node is a JSON value as a tree that a page shows.
type node struct {
	Name     string // of a member; "" in a list
	Kind     string // object, list, text, number or word
	Text     string // of a value that is none of the two
	Children []*node
	// Cut says that there is more than the page shows.
	Cut bool
	// Open has the page show the children at once.
	Open bool
}

// Summary says how much is in an object or a list.
func (n *node) Summary() string {
	if n.Kind == "list" {
		return "List, " + count(len(n.Children), "item")
	}
	return "Object, " + count(len(n.Children), "field")
}

// maxNodes is how many values of a tree are shown; the text has them all.
const maxNodes = 1000

// parseNode reads JSON of the catalog; it returns nil for none.
func parseNode(raw json.RawMessage) *node {
	if raw == nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	left := maxNodes
	n, err := readNode(d, &left, 0)
	if err != nil && n == nil {
		return &node{Kind: "text", Text: string(raw)}
	}
	return n
}

var errCut = errors.New("the tree is cut")

func readNode(d *json.Decoder, left *int, depth int) (*node, error) {
	if *left--; *left < 0 {
		return nil, errCut
	}
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch v := token.(type) {
	case json.Delim:
		n := &node{Kind: "object", Open: depth < 3}
		if v == '[' {
			n.Kind = "list"
		}
		for d.More() {
			name := ""
			if n.Kind == "object" {
				key, err := d.Token()
				if err != nil {
					return n, err
				}
				name, _ = key.(string)
			}
			child, err := readNode(d, left, depth+1)
			if child != nil {
				child.Name = name
				n.Children = append(n.Children, child)
			}
			if err != nil {
				n.Cut = true
				return n, err
			}
		}
		_, err := d.Token() // the end
		return n, err
	case string:
		return &node{Kind: "text", Text: v}, nil
	case json.Number:
		return &node{Kind: "number", Text: v.String()}, nil
	case nil:
		return &node{Kind: "word", Text: "null"}, nil
	}
	return &node{Kind: "word", Text: fmt.Sprint(token)}, nil
}

// byteCount says how many bytes n is.
func byteCount(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d bytes", n)
	}
	v, unit := float64(n)/1024, 0
	for v >= 1023.95 && unit < len(units)-1 {
		v, unit = v/1024, unit+1
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") + fmt.Sprintf(" %ciB", units[unit])
}

// grouped is a count with commas between its thousands.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// isGone reports whether err says that no live product has the ID, or that none
// can have it.
func isGone(err error) bool {
	return errors.Is(err, catalog.ErrNotFound) || errors.As(err, new(*catalog.ValidationError))
}

func isOvertaken(err error) bool { return errors.Is(err, catalog.ErrPreconditionFailed) }
