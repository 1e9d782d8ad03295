package client

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// ImageReader reads the bytes of an uploaded image. Bytes that do not come whole end
// with an error.
type ImageReader struct {
	io.ReadCloser
	// ContentType is the kind that the server found.
	ContentType string
	// Size is that of the whole image, in bytes; -1 where an answer was compressed on
	// its way.
	Size int64
	// ETag names the bytes.
	ETag string
}

// OpenImage opens an uploaded image of a product, by the Order of the image. The
// caller must close it.
func (c *Client) OpenImage(ctx context.Context, externalID string, order int) (*ImageReader, error) {
	return c.openImage(ctx, externalID, order, nil)
}

// OpenImageAt is OpenImage from an offset in bytes on, which must be less than the
// size, else the error has the status 416. etag is the ETag of an earlier reader: if
// the image is another one by now, the error is ErrPreconditionFailed. "" takes any.
func (c *Client) OpenImageAt(ctx context.Context, externalID string, order int, offset int64, etag string) (*ImageReader, error) {
	header := http.Header{"Range": {"bytes=" + strconv.FormatInt(offset, 10) + "-"}}
	if etag != "" {
		header.Set("If-Match", etag)
	}
	return c.openImage(ctx, externalID, order, header)
}

func (c *Client) openImage(ctx context.Context, externalID string, order int, header http.Header) (*ImageReader, error) {
	path, err := productPath(externalID, "images", strconv.Itoa(order))
	if err != nil {
		return nil, err
	}
	res, _, err := c.send(ctx, &call{method: http.MethodGet, path: path, header: header, harmless: true})
	if err != nil {
		return nil, err
	}
	i := &ImageReader{ReadCloser: res.Body, ContentType: res.Header.Get("Content-Type"), Size: res.ContentLength, ETag: res.Header.Get("ETag")}
	if res.StatusCode == http.StatusPartialContent {
		_, size, _ := strings.Cut(res.Header.Get("Content-Range"), "/")
		if i.Size, err = strconv.ParseInt(size, 10, 64); err != nil {
			i.Size = -1
		}
	}
	return i, nil
}
