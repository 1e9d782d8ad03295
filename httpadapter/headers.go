package httpadapter

import "net/http"

// Names of headers in the form in which http.Header has them. Set and Get make it
// out of any other form, which for these costs an allocation each time.
const (
	etagHeader      = "Etag"
	requestIDHeader = "X-Request-Id"
)

// header is one header of an answer, its name in the form in which http.Header has it.
type header struct{ name, value string }

// setHeaders sets headers as http.Header.Set does, with one allocation for all of
// them.
func setHeaders(to http.Header, list ...header) {
	values := make([]string, len(list))
	for i, h := range list {
		values[i] = h.value
		to[h.name] = values[i : i+1 : i+1] // so that Add does not write over the next one
	}
}
