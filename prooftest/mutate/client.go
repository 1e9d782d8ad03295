package main

const (
	clientSend     = "httpadapter/client/send.go"
	clientProducts = "httpadapter/client/products.go"
	clientUpload   = "httpadapter/client/upload.go"
	clientPatch    = "httpadapter/client/patch.go"
	clientBulk     = "httpadapter/client/bulk.go"
	openAPI        = "httpadapter/openapi.go"
)

// clientMutations break the rules of the client and of the description of the API.
var clientMutations = []mutation{
	{"openapi: without a key", "httpadapter/handler.go", `if isOpenAPI(r) {`, `if false && isOpenAPI(r) {`},
	{"openapi: the server as it is mounted", openAPI, `cmp.Or(h.mountPath(r), "/")`, `cmp.Or(h.mountPath(r)[:0], "/")`},
	{"openapi: its tag depends on the mount", openAPI, `h.mountedETag(r, openAPITag)`, `openAPITag`},
	{"openapi: a client that has it", openAPI, `if c.noneMatch.matchesWeakly(etag) ||`, `if false && c.noneMatch.matchesWeakly(etag) ||`},
	{"openapi: strict", openAPI, `append(h.readQuery(r.URL.RawQuery, true).faults, c.faults...)`, `c.faults`},
	{"client: a condition is not tried again", clientProducts, `return len(conds) == 0`, `return true`},
	{"client: a refusal is not tried again", clientSend, `case refused != nil && !refused.mayHaveHappened(), !q.harmless:`, `case !q.harmless:`},
	{"client: what did not happen is tried again", clientSend, `refused.nothingHappened()`, `false`},
	{"client: pauses as long as the server asks", clientSend, `max(least, longest/2`, `max(0*least, longest/2`},
	{"client: no longer than it may", clientSend, ` || least > c.options.MaxBackoff`, ``},
	{"client: its attempts", clientSend, `attempt >= c.options.Attempts`, `attempt > c.options.Attempts`},
	{"client: pauses end with the context", clientSend, `	case <-ctx.Done():
		return ctx.Err()
`, ``},
	{"client: the reason for a second attempt is told", clientSend, `cmp.Or(before, err)`, `cmp.Or(err, before)`},
	{"client: redirects are not followed", "httpadapter/client/client.go", `return http.ErrUseLastResponse`, `return nil`},
	{"client: IDs that no path has", "httpadapter/client/client.go", `externalID == "" || externalID == "." || externalID == ".."`, `externalID == "."`},
	{"client: a delete that may have happened", clientProducts, `case again && errors.Is(err, ErrNotFound):`, `case false && again && errors.Is(err, ErrNotFound):`},
	{"client: one-shots are harmless", clientProducts, ` || externalID == ""`, ``},
	{"client: an upload goes back", clientUpload, `Seek(u.start, io.SeekStart)`, `Seek(0, io.SeekCurrent)`},
	{"client: an upload that can't is not sent again", clientUpload, `	if u.spent {`, `	if false {`},
	{"client: metadata byte for byte", clientPatch, `e.SetEscapeHTML(false)`, `e.SetEscapeHTML(true)`},
	{"client: an empty list is not absent", clientPatch, `images.value = []wireImage{}`, `images.state = absent`},
	{"client: null is not absent", clientPatch, `*dst = json.RawMessage("null")`, `*dst = nil`},
	{"client: an answer without an end", clientBulk, `				err = ErrCutOff
`, `				return nil, true
`},
	{"client: why the server does not go on", clientBulk, `return a.Error, true`, `return nil, true`},
	{"client: a line that was cut off", "httpadapter/client/list.go", `		return io.ErrUnexpectedEOF`, `		err = nil`},
	{"client: no uploads in bulk", clientBulk, `err == nil && len(uploads) > 0`, `err == nil && len(uploads) < 0`},
	{"client: bulk ends with its results", clientBulk, `return !b.closed`, `return true`},
	{"importer: goes on behind the last result", "examples/importer/feed.go", `f.number < p.Row`, `f.number < 0*p.Row`},
	{"importer: a feed that has changed", "examples/importer/feed.go", `f.named(fields)["sku"] != p.SKU`, `len(fields) < 0`},
	{"importer: what passes is tried again", "examples/importer/main.go", `!isPassing(err)`, `true`},
}
