package httpadapter

import (
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/shelflife-db/shelflife/catalog"
)

// getImage is GET /products/{externalId}/images/{order}.
func (h *Handler) getImage(w http.ResponseWriter, r *request) error {
	c := readConditions(r.Header)
	if err := h.fieldFaults(r, c.faults); err != nil {
		return err
	}
	order, err := strconv.Atoi(r.order)
	if err != nil || strconv.Itoa(order) != r.order {
		order = -1 // where no image is; the ID and the product come first
	}
	if err := r.usage.await(r.Context(), imageMemory); err != nil {
		return err
	}
	image, err := h.catalog.OpenImage(r.Context(), r.account, r.id, order)
	if err != nil {
		return err
	}
	defer image.Close()
	info := image.Info()
	etag := `"` + hex.EncodeToString(info.SHA256[:]) + `"`
	if !c.noneMatch.matchesWeakly(etag) {
		if err := probe(image); err != nil {
			return err
		}
	}
	header := w.Header()
	header.Set("Content-Type", info.ContentType)
	header.Set("ETag", etag)
	header.Set("Cache-Control", cacheControl)
	// What was uploaded must not act as a page of this origin.
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	if isWhole(r.Request) {
		header.Set("Accept-Ranges", "bytes")
		if header.Get("Content-Encoding") == "" {
			header.Set("Content-Length", strconv.FormatInt(info.Size, 10))
		}
		w.WriteHeader(http.StatusOK)
		answer := &watchedWriter{w: w}
		if _, err := image.WriteTo(answer); err != nil && answer.err == nil {
			h.cutOff(w, r, err)
		}
		return nil
	}
	source := &watchedReader{ReadSeeker: image}
	answer := &imageWriter{ResponseWriter: w}
	http.ServeContent(answer, withJoinedTags(withOneRange(r.Request)), "", time.Time{}, source)
	switch {
	case answer.refused != nil:
		for _, name := range []string{"Content-Type", "Content-Security-Policy", "ETag", "Content-Length"} {
			header.Del(name)
		}
		return answer.refused
	case source.err != nil:
		h.cutOff(w, r, source.err)
	}
	return nil
}

// isWhole reports whether r asks for all of an image whatever its entity tag is, in
// which case there is nothing for ServeContent to decide.
func isWhole(r *http.Request) bool {
	for _, name := range []string{"Range", "If-Match", "If-None-Match"} {
		if _, given := r.Header[name]; given {
			return false
		}
	}
	return r.Method == http.MethodGet
}

// cutOff ends an answer that has begun and can't be completed, so that the client
// notices.
func (h *Handler) cutOff(w http.ResponseWriter, r *request, err error) {
	level := slog.LevelError
	if errors.Is(err, catalog.ErrImageGone) || r.Context().Err() != nil {
		level = slog.LevelDebug
	}
	h.options.Logger.Log(r.Context(), level, "httpadapter: image cut off", "request_id", RequestID(w, r.Request), "error", err)
	// The one way: net/http takes this value as the wish to drop the connection.
	panic(http.ErrAbortHandler)
}

// watchedWriter remembers whether it was the writing that failed.
type watchedWriter struct {
	w   io.Writer
	err error
}

func (w *watchedWriter) Write(b []byte) (int, error) {
	n, err := w.w.Write(b)
	if w.err = err; err == nil && n < len(b) {
		w.err = io.ErrShortWrite
	}
	return n, err
}

// withOneRange returns r without what RFC 9110, 14.2, has a server ignore, a
// Range in another unit than bytes or of another method than GET, and without
// several ranges at once and the last 0 bytes, which it may ignore: ServeContent
// refuses the first, heeds the second, reads several in a goroutine that it
// leaves behind when the client goes, while the image is closed, and answers the
// last with a range that ends before it begins. Positions are any digits (14.1.2);
// those that ServeContent could not read are replaced by one behind every end.
func withOneRange(r *http.Request) *http.Request {
	ranges := r.Header.Get("Range")
	if ranges == "" {
		return r
	}
	own := *r
	own.Header = r.Header.Clone()
	spec, ofBytes := strings.CutPrefix(ranges, "bytes=")
	first, last, isRange := strings.Cut(strings.TrimSpace(spec), "-")
	empty := isRange && first == "" && last != "" && strings.Trim(last, "0") == ""
	switch {
	case r.Method != http.MethodGet || !ofBytes || empty || strings.Contains(spec, ","):
		own.Header.Del("Range")
	case isRange:
		own.Header.Set("Range", "bytes="+boundedPosition(first)+"-"+boundedPosition(last))
	}
	return &own
}

// boundedPosition returns a position of a range that fits into 63 bits. What is
// no number is returned as it is.
func boundedPosition(text string) string {
	digits := strings.TrimSpace(text)
	if strings.Trim(digits, "0123456789") != "" {
		return text
	}
	if digits = strings.TrimLeft(digits, "0"); len(digits) > 18 {
		return strconv.FormatInt(math.MaxInt64, 10)
	}
	return text
}

// withJoinedTags returns r with each list of entity tags in one line: of several,
// which RFC 9110, 5.3, takes for one list, ServeContent reads the first alone.
func withJoinedTags(r *http.Request) *http.Request {
	joined := r
	for _, name := range []string{"If-Match", "If-None-Match"} {
		lines := r.Header.Values(name)
		if len(lines) < 2 {
			continue
		}
		if joined == r {
			joined = new(*r)
			joined.Header = r.Header.Clone()
		}
		joined.Header.Set(name, strings.Join(lines, ", "))
	}
	return joined
}

// probe reads the first bytes of an image and goes back to its start: bytes
// that are gone, or can't be read, are found out while the answer can still
// say so. The image keeps what it read.
func probe(image io.ReadSeeker) error {
	if _, err := image.Read(make([]byte, 1)); err != nil && err != io.EOF {
		return err
	}
	_, err := image.Seek(0, io.SeekStart)
	return err
}

// watchedReader remembers the error that ServeContent keeps to itself.
type watchedReader struct {
	io.ReadSeeker
	err error
}

func (r *watchedReader) Read(b []byte) (int, error) {
	n, err := r.ReadSeeker.Read(b)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// imageWriter holds back ServeContent's refusals, which are told in the
// standard form instead.
type imageWriter struct {
	http.ResponseWriter
	refused error
}

func (w *imageWriter) WriteHeader(status int) {
	switch {
	case status == http.StatusPreconditionFailed:
		w.refused = errCondition
	case status == http.StatusRequestedRangeNotSatisfiable:
		w.refused = errRange
	case status >= http.StatusBadRequest:
		w.refused = errInternal
	default:
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *imageWriter) Write(b []byte) (int, error) {
	if w.refused != nil {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}
