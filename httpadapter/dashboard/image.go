package dashboard

import (
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/shelflife-db/shelflife/catalog"
)

// sendImage sends uploaded bytes to the session that may see them.
func (h *Handler) sendImage(w http.ResponseWriter, r *request) error {
	query := r.URL.Query()
	order, err := strconv.Atoi(query.Get("n"))
	if err != nil {
		return errNoImage
	}
	image, err := h.catalog.OpenImage(r.Context(), r.account, query.Get("id"), order)
	if err != nil {
		return err
	}
	defer image.Close()
	info := image.Info()
	// What is gone, or can't be read, is found out while the answer can still say so.
	first := make([]byte, 1)
	if _, err := io.ReadFull(image, first); err != nil {
		return err
	}
	if _, err := image.Seek(0, io.SeekStart); err != nil {
		return err
	}
	etag := `"` + hex.EncodeToString(info.SHA256[:]) + `"`
	header := w.Header()
	header.Set("ETag", etag)
	header.Set("Cache-Control", "private, no-cache")
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	header.Set("Content-Type", info.ContentType)
	header.Set("Content-Length", strconv.FormatInt(info.Size, 10))
	// What was uploaded must not act as a page of this origin.
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	if !isShownByBrowsers(info.ContentType) {
		header.Set("Content-Disposition", "attachment")
	}
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	source := &failingReader{Reader: image}
	// An error of the copy that is not the source's is the client's leaving.
	if _, _ = io.Copy(w, source); source.err != nil {
		if !errors.Is(source.err, catalog.ErrImageGone) && r.Context().Err() == nil {
			h.log.ErrorContext(r.Context(), "dashboard: image cut off", "error", source.err)
		}
		// The one way to end the answer so that the client notices.
		panic(http.ErrAbortHandler)
	}
	return nil
}

// failingReader remembers that reading failed: not that writing did.
type failingReader struct {
	io.Reader
	err error
}

func (r *failingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}
