package dashboard

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/shelflife-db/shelflife/catalog"
)

// picture is how an image of a product is shown: as an image where there is a
// reference, else as a placeholder.
type picture struct {
	Ref    string // of the dashboard's own route, or a remote URL
	Remote bool
	// Alt is the text in the place of the image.
	Alt string
	// Kind and Note are what a placeholder says.
	Kind, Note    string
	Width, Height int
	Link          string // where the image is, if it is not shown and can be opened
}

// newPicture returns how an image is shown; remote says that those of other
// servers are.
func newPicture(p *catalog.Product, i catalog.Image, remote bool) picture {
	v := picture{Alt: imageAlt(p, i), Width: i.Width, Height: i.Height}
	if i.Uploaded() {
		query := url.Values{"id": {p.ExternalID}, "n": {strconv.Itoa(i.Order)}, "v": {strings.TrimPrefix(i.SourceURL, "upload://")}}
		ref := "./image?" + query.Encode()
		if isShownByBrowsers(i.ContentType) {
			v.Ref = ref
			return v
		}
		v.Kind = strings.ToUpper(strings.TrimPrefix(i.ContentType, "image/"))
		v.Note, v.Link = fmt.Sprintf("%d × %d", i.Width, i.Height), ref
		return v
	}
	if remote && isSecure(i.SourceURL) {
		v.Ref, v.Remote = i.SourceURL, true
		return v
	}
	v.Kind, v.Link = "On the web", i.SourceURL
	if u, err := url.Parse(i.SourceURL); err == nil {
		v.Note = u.Hostname()
	}
	return v
}

// imageFacts says what is known of uploaded bytes.
func imageFacts(i catalog.Image) string {
	kind := strings.ToUpper(strings.TrimPrefix(i.ContentType, "image/"))
	return fmt.Sprintf("%s, %d × %d, %s", kind, i.Width, i.Height, byteCount(i.Size))
}

// isShownByBrowsers reports whether browsers show a kind of image. The catalog
// takes HEIC besides, which most don't.
func isShownByBrowsers(contentType string) bool {
	switch contentType {
	case "image/jpeg", "image/png", "image/gif", "image/webp", "image/avif":
		return true
	}
	return false
}

func imageAlt(p *catalog.Product, i catalog.Image) string {
	return fmt.Sprintf("%s, image %d", name(p), i.Order+1)
}

// name is what a product is called.
func name(p *catalog.Product) string {
	if strings.TrimSpace(p.Title) != "" {
		return p.Title
	}
	return p.ExternalID
}
