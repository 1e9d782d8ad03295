package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

// ListOptions choose the products of a list.
type ListOptions struct {
	// Prefix is what external IDs begin with.
	Prefix string
	// Unlisted has products in it that are not listed, too.
	Unlisted bool
	// From is the first external ID. Not beside Cursor.
	From string
	// Cursor is the NextCursor of the page before.
	Cursor string
	// Limit is the most products of a page, at most 200; 0 is the server's default, 50.
	// It must not be negative.
	Limit int
}

func (o *ListOptions) query() url.Values {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("prefix", o.Prefix)
	set("from", o.From)
	set("cursor", o.Cursor)
	if o.Unlisted {
		q.Set("unlisted", "true")
	}
	if o.Limit != 0 {
		q.Set("limit", strconv.Itoa(o.Limit))
	}
	return q
}

// Page is a page of a list.
type Page struct {
	Items []*Product `json:"items"`
	// NextCursor is where the next page begins; "" on the last.
	NextCursor string `json:"nextCursor"`
	HasMore    bool   `json:"hasMore"`
}

// List returns a page of products, in byte order of their external IDs.
func (c *Client) List(ctx context.Context, o ListOptions) (*Page, error) {
	p := new(Page)
	if _, err := c.decode(ctx, &call{method: http.MethodGet, path: "/products", query: o.query(), harmless: true}, p); err != nil {
		return nil, err
	}
	return p, nil
}

// All returns all products from o on, page by page, as each page is when it is
// read. The last value has the error, if there is one.
func (c *Client) All(ctx context.Context, o ListOptions) iter.Seq2[*Product, error] {
	return func(yield func(*Product, error) bool) {
		for o := o; ; {
			page, err := c.List(ctx, o)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, p := range page.Items {
				if !yield(p, nil) {
					return
				}
			}
			if !page.HasMore {
				return
			}
			o.From, o.Cursor = "", page.NextCursor
		}
	}
}

// Export returns all products as they are at one instant, in one answer. Of o only
// Prefix and Unlisted are used. An answer that was cut off, as it is after 15 minutes,
// ends with an error; it is not asked for again.
func (c *Client) Export(ctx context.Context, o ListOptions) iter.Seq2[*Product, error] {
	return func(yield func(*Product, error) bool) {
		q := (&ListOptions{Prefix: o.Prefix, Unlisted: o.Unlisted}).query()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel() // before it is closed: what is left is not wanted
		res, _, err := c.send(ctx, &call{method: http.MethodGet, path: "/bulk", query: q, harmless: true})
		if err != nil {
			yield(nil, err)
			return
		}
		defer res.Body.Close()
		lines := bufio.NewReaderSize(res.Body, 64<<10)
		for {
			p := new(Product)
			switch err := readLine(lines, p); {
			case err == io.EOF:
				return
			case err != nil:
				yield(nil, err)
				return
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

// readLine reads a line of JSON. At the end it returns io.EOF; a line without an end
// is one that was cut off.
func readLine(r *bufio.Reader, into any) error {
	text, err := r.ReadBytes('\n')
	switch {
	case err == io.EOF && len(text) > 0:
		return io.ErrUnexpectedEOF
	case err != nil:
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("client: a line of the answer: %w", err)
	}
	return nil
}
