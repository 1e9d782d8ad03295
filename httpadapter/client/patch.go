package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"
)

// Optional is a field of a [Patch]: absent (the zero value), null, or a value.
type Optional[T any] struct {
	value T
	state state
}

type state uint8

const (
	absent state = iota
	null
	set
)

// Set returns an Optional that holds v.
func Set[T any](v T) Optional[T] { return Optional[T]{value: v, state: set} }

// Null returns an Optional that is explicitly null.
func Null[T any]() Optional[T] { return Optional[T]{state: null} }

// IsZero reports whether the field is absent.
func (o Optional[T]) IsZero() bool { return o.state == absent }

// Patch is what an upsert sets.
type Patch struct {
	// Title and Description: absent keeps, "" clears.
	Title       Optional[string]
	Description Optional[string]
	// Images replaces all images; absent keeps them. A product needs one.
	Images Optional[[]NewImage]
	// Metadata is any JSON value. Absent keeps, null clears.
	Metadata Optional[json.RawMessage]
	// ValidForDays: absent keeps, null is for ever, a number from 1 to 365 restarts
	// the lifetime.
	ValidForDays Optional[int]
}

// NewImage is an image that an upsert brings: a URL or an upload.
type NewImage struct {
	// URL is an http or https URL, or the SourceURL of an image that the product
	// has, which keeps it.
	URL string
	// Upload has the bytes of the image. Several images may have the same one.
	Upload *Upload
	// Classifications is a JSON object; nil is none.
	Classifications json.RawMessage
}

// errSource says it better than the server could.
var errSource = errors.New("client: an image has a URL or an Upload, and not both")

// wirePatch is the JSON of an upsert.
type wirePatch struct {
	ExternalID   string          `json:"externalId,omitempty"`
	Title        json.RawMessage `json:"title,omitempty"`
	Description  json.RawMessage `json:"description,omitempty"`
	Images       json.RawMessage `json:"images,omitempty"`
	Metadata     json.RawMessage `json:"metadata,omitempty"`
	ValidForDays json.RawMessage `json:"validForDays,omitempty"`
}

type wireImage struct {
	Source          map[string]string `json:"source"`
	Classifications json.RawMessage   `json:"classifications,omitempty"`
}

// appendPatch returns the JSON of an upsert and the uploads that it names, each
// by its place: see [fileKey].
func appendPatch(externalID string, p *Patch) (text []byte, uploads []*Upload, err error) {
	if !utf8.ValidString(externalID) {
		return nil, nil, errNoUTF8
	}
	w := wirePatch{ExternalID: externalID}
	images := Optional[[]wireImage]{state: p.Images.state}
	keys := make(map[*Upload]string)
	for _, i := range p.Images.value {
		image := wireImage{Classifications: i.Classifications}
		switch {
		case (i.URL == "") == (i.Upload == nil):
			return nil, nil, errSource
		case i.Upload == nil:
			image.Source = map[string]string{"url": i.URL}
		default:
			if keys[i.Upload] == "" {
				keys[i.Upload] = fileKey(len(uploads))
				uploads = append(uploads, i.Upload)
			}
			image.Source = map[string]string{"fileKey": keys[i.Upload]}
		}
		images.value = append(images.value, image)
	}
	if images.value == nil {
		images.value = []wireImage{}
	}
	err = errors.Join(
		encode(&w.Title, p.Title), encode(&w.Description, p.Description), encode(&w.Images, images),
		encode(&w.Metadata, p.Metadata), encode(&w.ValidForDays, p.ValidForDays),
	)
	if err != nil {
		return nil, nil, err
	}
	text, err = marshal(w)
	return text, uploads, err
}

// fileKey names the nth upload of a request.
func fileKey(n int) string { return "file" + strconv.Itoa(n) }

// encode sets the JSON of a field, nothing if it is absent.
func encode[T any](dst *json.RawMessage, o Optional[T]) (err error) {
	switch o.state {
	case null:
		*dst = json.RawMessage("null")
	case set:
		*dst, err = marshal(o.value)
	}
	return err
}

// marshal is json.Marshal that leaves <, > and & as they are: metadata are kept
// byte for byte.
func marshal(v any) ([]byte, error) {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}
