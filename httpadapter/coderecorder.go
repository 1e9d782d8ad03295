package httpadapter

import "net/http"

// CodeRecorder is a ResponseWriter that gets the code of each error before it
// is sent: for a log of requests, or for metrics. It is found behind
// ResponseWriters that have an Unwrap method, as http.ResponseController finds
// what it looks for.
type CodeRecorder interface {
	// RecordCode is called with a code such as PRODUCT_NOT_FOUND.
	RecordCode(code string)
}

// recordCode sets the code of the outermost CodeRecorder around w.
func recordCode(w http.ResponseWriter, code string) {
	for {
		if r, ok := w.(CodeRecorder); ok {
			r.RecordCode(code)
			return
		}
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return
		}
		w = wrapper.Unwrap()
	}
}
