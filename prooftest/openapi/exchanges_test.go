package openapi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	validation "github.com/pb33f/libopenapi-validator/errors"
	"github.com/stretchr/testify/require"
)

// exchangesVariable names a folder of exchanges that the tests of httpadapter have
// kept before; without it they are run.
const exchangesVariable = "SHELFLIFE_EXCHANGES"

// exchange is what a test of httpadapter keeps of a request and its answer.
type exchange struct {
	Test         string
	Base         string
	Method       string
	Target       string
	Header       http.Header
	Body         []byte
	BodyCut      bool // it is longer
	Status       int  // 0 if there is no answer
	AnswerHeader http.Header
	Answer       []byte
	AnswerCut    bool // it is longer, or was cut off
}

// readExchanges calls f for each exchange.
func readExchanges(t *testing.T, f func(x *exchange)) {
	t.Helper()
	dir := os.Getenv(exchangesVariable)
	if dir == "" {
		dir = t.TempDir()
		cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", ".")
		cmd.Dir = "../../httpadapter"
		cmd.Env = append(os.Environ(), exchangesVariable+"="+dir)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, name := range files {
		file, err := os.Open(name)
		require.NoError(t, err)
		lines := json.NewDecoder(bufio.NewReaderSize(file, 1<<20))
		for {
			x := new(exchange)
			if err := lines.Decode(x); err == io.EOF {
				break
			} else {
				require.NoError(t, err)
			}
			f(x)
		}
		require.NoError(t, file.Close())
	}
}

// What tests do that the document does not say, on purpose.
var (
	// foreign are the paths of hosts' own endpoints.
	foreign = map[string]string{
		"/try-on": "a host's own endpoint, which reads a product",
	}
	// strange are tests in which the handler gets what no client could send, or a store
	// fails as no store does; by the status that they get.
	strange = map[string]string{
		"TestFailuresOfTheStore 503": "reads fail with an outcome that is not known, as only writes do",
		"TestRewrittenPath 201":      "a middleware makes another path of the one that was asked for",
	}
	// ignored are names that a request has though the document lacks them, since names
	// that are not known are ignored; "" is a parameter without a name.
	ignored = []string{"", "Limit", "imageurls", "later", "limt", "titel", "x"}
	// standard are headers of answers that HTTP or a browser gives their meaning, on
	// any answer.
	standard = []string{
		"Content-Type", "Content-Length", "Cache-Control", "X-Content-Type-Options", "Content-Security-Policy", "Vary", "Connection",
		"Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "X-Accel-Buffering",
		// It is there before it is known what becomes of the request.
		"Deprecation",
	}
)

// proof is what is known of all exchanges.
type proof struct {
	*document
	met      map[string]int
	codes    map[string]bool
	names    map[string]bool // of ignored
	foreign  map[string]bool
	strange  map[string]bool
	problems map[string][]string // by what is wrong, the tests
	requests int
}

func newProof(t *testing.T) *proof {
	return &proof{
		document: openStrict(t), met: map[string]int{}, codes: map[string]bool{}, names: map[string]bool{}, foreign: map[string]bool{},
		strange: map[string]bool{}, problems: map[string][]string{},
	}
}

// TestExchanges holds every exchange of the tests of httpadapter against the
// document.
func TestExchanges(t *testing.T) {
	p := newProof(t)
	all := 0
	readExchanges(t, func(x *exchange) {
		all++
		p.hold(x)
	})
	t.Logf("%d exchanges, of which %d requests were held against the document, too", all, p.requests)
	for _, problem := range slices.Sorted(maps.Keys(p.problems)) {
		tests := p.problems[problem]
		t.Errorf("%s\n\t%d times, first in %s", problem, len(tests), tests[0])
	}
	for _, name := range p.promised() {
		if p.met[name] == 0 {
			t.Errorf("%s: no test gets this answer", name)
		}
	}
	for _, c := range p.at("components", "schemas", "ErrorCode")["enum"].([]any) {
		require.True(t, p.codes[c.(string)], "%s: no test gets the code", c)
	}
	require.Len(t, p.foreign, len(foreign), "those that are listed are asked")
	require.Len(t, p.strange, len(strange), "those that are listed are met")
	require.Len(t, p.names, len(ignored), "those that are listed are sent")
	require.Greater(t, p.requests, 1000)
}

// wrong notes what is wrong with an exchange.
func (p *proof) wrong(x *exchange, format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	p.problems[what] = append(p.problems[what], fmt.Sprintf("%s: %s %s %d", x.Test, x.Method, x.Target, x.Status))
}

// hold holds an exchange against the document.
func (p *proof) hold(x *exchange) {
	path, query, ok := x.path()
	if _, own := foreign[path]; own {
		p.foreign[path] = true
		return
	}
	if odd := fmt.Sprint(x.Test, " ", x.Status); strange[odd] != "" {
		p.strange[odd] = true
		return
	}
	if x.Status == 0 {
		return // the client left
	}
	method := x.Method
	if method == http.MethodHead {
		method = http.MethodGet // "every GET answers HEAD"
	}
	o := p.find(method, path)
	switch {
	case method == http.MethodOptions && x.Status == http.StatusNoContent:
		return // a preflight
	case o == nil && x.AnswerHeader.Get("X-Request-ID") == "":
		return // a mux of the host's answered
	case !ok || o == nil:
		p.holdNoOperation(x)
		return
	}
	name := fmt.Sprintf("%s %d", o.name(method), x.Status)
	response := p.response(o, x.Status)
	if response == nil {
		p.wrong(x, "%s: the document lacks the status", name)
		return
	}
	p.met[name]++
	p.holdHeaders(x, name, response)
	p.holdAnswer(x, name, o, method, query, response)
	if x.Status < http.StatusBadRequest {
		p.holdRequest(x, name, o, method, query)
	}
}

// path returns the escaped path below the mount and the query.
func (x *exchange) path() (path, query string, ok bool) {
	target := x.Target
	if !strings.HasPrefix(target, "/") {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Host == "" {
			return target, "", false
		}
		_, target, _ = strings.Cut(strings.TrimPrefix(target, u.Scheme+"://"), "/")
		target = "/" + target
	}
	path, query, _ = strings.Cut(target, "?")
	path, ok = strings.CutPrefix(path, x.Base)
	return path, query, ok
}

// holdNoOperation: what is asked for nothing is told so in the form of all errors.
func (p *proof) holdNoOperation(x *exchange) {
	switch x.Status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnauthorized, http.StatusForbidden,
		http.StatusBadRequest, http.StatusInternalServerError, http.StatusServiceUnavailable:
	default:
		p.wrong(x, "%s %s: %d, and is no operation", x.Method, x.Target, x.Status)
		return
	}
	if x.Method != http.MethodHead {
		p.holdError(x, "no operation", nil)
	}
}

// holdError holds the answer against the form of errors, and its code against those
// of a response, if it has any.
func (p *proof) holdError(x *exchange, name string, codes []any) {
	if err := p.fits("#/components/schemas/Error", x.Answer); err != nil {
		p.wrong(x, "%s: %v", name, err)
		return
	}
	var e struct {
		Code    string
		Status  int
		Details []struct{ Code string }
	}
	require.NoError(p.t, json.Unmarshal(x.Answer, &e))
	p.codes[e.Code] = true
	for _, d := range e.Details {
		p.codes[d.Code] = true
	}
	if e.Status != x.Status || (len(e.Details) > 0) != (e.Status == http.StatusBadRequest) {
		p.wrong(x, "%s: the status or the details", name)
	}
	if codes != nil && !slices.Contains(codes, any(e.Code)) {
		p.wrong(x, "%s: the document lacks the code %s", name, e.Code)
	}
}

// holdHeaders: those that the document promises are there, and no others but the
// standard ones.
func (p *proof) holdHeaders(x *exchange, name string, response object) {
	promised, _ := response["headers"].(object)
	known := map[string]bool{}
	for _, header := range standard {
		known[header] = true
	}
	for header, node := range promised {
		header = http.CanonicalHeaderKey(header)
		known[header] = true
		h := p.resolve(node)
		given := x.AnswerHeader.Get(header)
		if given == "" {
			if h["required"] == true {
				p.wrong(x, "%s: %s is missing", name, header)
			}
			continue
		}
		text, err := json.Marshal(given)
		require.NoError(p.t, err)
		schema := p.resolve(h["schema"])
		if schema["type"] == "integer" {
			text = []byte(given)
		}
		if err := p.fitsSchema(schema, text); err != nil {
			p.wrong(x, "%s: %s: %v", name, header, err)
		}
	}
	for header := range x.AnswerHeader {
		if !known[header] {
			p.wrong(x, "%s: the document lacks the header %s", name, header)
		}
	}
}

// holdAnswer holds the body of an answer against the document.
func (p *proof) holdAnswer(x *exchange, name string, o *operation, method, query string, response object) {
	content, _ := response["content"].(object)
	kind, _, _ := mime.ParseMediaType(x.AnswerHeader.Get("Content-Type"))
	switch {
	case x.Method == http.MethodHead || content == nil:
		if len(x.Answer) > 0 {
			p.wrong(x, "%s: a body", name)
		}
		return
	case content[kind] == nil:
		p.wrong(x, "%s: the document lacks the type %q", name, kind)
		return
	case kind == "application/x-ndjson":
		media := content[kind].(object)
		p.holdLines(x, name, x.Answer, x.AnswerCut, media)
		return
	case x.AnswerCut || !strings.HasSuffix(kind, "json"):
		return
	case x.Status >= http.StatusBadRequest:
		p.holdError(x, name, response["x-codes"].([]any))
	}
	answer := &http.Response{StatusCode: x.Status, Header: x.AnswerHeader, Body: io.NopCloser(bytes.NewReader(x.Answer))}
	ok, problems := p.validator.GetResponseBodyValidator().ValidateResponseBodyWithPathItem(p.request(x, o, method, query, kind, nil), answer, o.item, o.template)
	if !ok {
		p.wrong(x, "%s: %s", name, explain(problems))
	}
}

// holdLines holds JSON lines against the schemas of a line and of the last one.
func (p *proof) holdLines(x *exchange, name string, text []byte, cut bool, media object) {
	each := media["x-line"].(string)
	last, _ := media["x-last-line"].(string)
	lines := bytes.SplitAfter(text, []byte("\n"))
	if rest := lines[len(lines)-1]; len(rest) == 0 || cut && !bytes.HasSuffix(rest, []byte("\n")) {
		lines = lines[:len(lines)-1]
	}
	for i, line := range lines {
		ref := each
		if last != "" && i == len(lines)-1 && !cut {
			ref = last
		}
		if len(lines) > 1000 && i > 1000 && i < len(lines)-1 {
			continue // they are made alike
		}
		err := p.fits(ref, line)
		if err != nil && cut && last != "" && i == len(lines)-1 {
			err = p.fits(last, line) // it may have come so far
		}
		if err != nil {
			p.wrong(x, "%s: %s: %v", name, ref, err)
			return
		}
	}
}

// request makes a request of what the handler got, below the document's server.
func (p *proof) request(x *exchange, o *operation, method, query, kind string, body []byte) *http.Request {
	segments := slices.Clone(o.segments)
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	r, err := http.NewRequest(method, "http://server/"+strings.Join(segments, "/")+"?"+query, bytes.NewReader(body))
	require.NoError(p.t, err)
	r.Header = x.Header.Clone()
	if kind == "" {
		r.Header.Del("Content-Type")
	} else {
		r.Header.Set("Content-Type", kind)
	}
	return r
}

// holdRequest holds a request that was answered with success against the document.
func (p *proof) holdRequest(x *exchange, name string, o *operation, method, query string) {
	if x.BodyCut {
		return
	}
	kind, params, _ := mime.ParseMediaType(x.Header.Get("Content-Type"))
	body := x.Body
	var content object
	if node, ok := o.node["requestBody"].(object); ok {
		content = node["content"].(object)
	}
	switch {
	case content == nil:
		kind, body = "", nil // it is ignored
	case kind == "multipart/form-data":
		// The validator does not know parts: the JSON of the form is the same.
		kind, body = "application/json", dataPart(x, params["boundary"])
		if body == nil {
			p.wrong(x, "%s: the form has no data", name)
			return
		}
	case content["application/x-ndjson"] != nil:
		if !bytes.Contains(x.Answer, []byte(`"error"`)) { // else some lines were refused
			p.requests++
			p.holdLines(x, name, bytes.TrimSpace(body), false, content["application/x-ndjson"].(object))
		}
		return
	}
	if kind == "application/json" {
		body = p.prune(body)
	}
	r := p.request(x, o, method, p.pruneQuery(x, name, o, query), kind, body)
	p.requests++
	if ok, problems := p.validator.ValidateHttpRequestSyncWithPathItem(r, o.item, o.template); !ok {
		p.wrong(x, "%s: %s", name, explain(problems))
	}
}

func dataPart(x *exchange, boundary string) []byte {
	parts := multipart.NewReader(bytes.NewReader(x.Body), boundary)
	for {
		part, err := parts.NextPart()
		if err != nil {
			return nil
		}
		if part.FormName() == "data" {
			text, err := io.ReadAll(part)
			if err != nil {
				return nil
			}
			return text
		}
	}
}

// prune leaves out what a server ignores: the names in ignored, and nulls within
// images, which count as absent.
func (p *proof) prune(text []byte) []byte {
	var root object
	if json.Unmarshal(text, &root) != nil {
		return text
	}
	for _, name := range ignored {
		if _, ok := root[name]; ok {
			p.names[name] = true
			delete(root, name)
		}
	}
	images, _ := root["images"].([]any)
	for _, i := range images {
		image, _ := i.(object)
		source, _ := image["source"].(object)
		isNull := func(_ string, v any) bool { return v == nil }
		maps.DeleteFunc(image, isNull)
		maps.DeleteFunc(source, isNull)
	}
	pruned, err := json.Marshal(root)
	require.NoError(p.t, err)
	return pruned
}

// pruneQuery leaves out the parameters that are ignored.
func (p *proof) pruneQuery(x *exchange, name string, o *operation, query string) string {
	given, err := url.ParseQuery(query)
	if err != nil {
		return query
	}
	known := p.parameters(o)
	for parameter := range given {
		if known[parameter] {
			continue
		}
		if !slices.Contains(ignored, parameter) {
			p.wrong(x, "%s: the document lacks the parameter %s", name, parameter)
		}
		p.names[parameter] = true
		given.Del(parameter)
	}
	return given.Encode()
}

// explain writes down what a validator found.
func explain(problems []*validation.ValidationError) string {
	var text strings.Builder
	for _, e := range problems {
		fmt.Fprintf(&text, "%s: %s", e.Message, e.Reason)
		for _, s := range e.SchemaValidationErrors {
			fmt.Fprintf(&text, "; %s: %s", s.FieldPath, s.Reason)
		}
	}
	return text.String()
}

// TestWhatTheDocumentLacksIsFound: an exchange that is as the document says, and what
// is found when it is not.
func TestWhatTheDocumentLacksIsFound(t *testing.T) {
	const (
		body    = `{"externalId":"a/b","title":"","description":"","images":[{"sourceUrl":"https://a.example/x","order":0}],"metadata":null,"validForDays":null,"listed":true,"lastUsedAt":null,"expiresAt":null,"createdAt":"2026-05-13T10:00:00.000Z","updatedAt":"2026-05-13T10:00:00.000Z","version":"v"}`
		refusal = `{"code":"PRODUCT_NOT_FOUND","message":"m","status":404}`
	)
	get := func(status int, answer string, headers ...string) *exchange {
		x := &exchange{Header: http.Header{}, Method: "GET", Target: "/shop/products/a%2Fb?strict=true", Base: "/shop", Status: status, Answer: []byte(answer),
			AnswerHeader: http.Header{"X-Request-Id": {"r"}, "Content-Type": {"application/json; charset=utf-8"}}}
		for i := 0; i < len(headers); i += 2 {
			x.AnswerHeader.Set(headers[i], headers[i+1])
		}
		return x
	}
	post := func(body string) *exchange {
		x := get(200, body, "ETag", `"v"`)
		x.Method, x.Target, x.Body, x.Header = "POST", "/shop/products", []byte(body), http.Header{"Content-Type": {"application/json"}}
		return x
	}
	with := func(x *exchange, change func(x *exchange)) *exchange { change(x); return x }
	for name, tc := range map[string]struct {
		x     *exchange
		found string
	}{
		"nothing":                  {get(200, body, "ETag", `"v"`), ""},
		"nothing of a refusal":     {get(404, refusal), ""},
		"a member":                 {get(200, strings.Replace(body, `{`, `{"new":1,`, 1), "ETag", `"v"`), "'new' not allowed"},
		"a member of an image":     {get(200, strings.Replace(body, `"order"`, `"new":1,"order"`, 1), "ETag", `"v"`), "'new' not allowed"},
		"a member is missing":      {get(200, strings.Replace(body, `"title":"",`, ``, 1), "ETag", `"v"`), "title"},
		"a time":                   {get(200, strings.Replace(body, `2026-05-13T`, `2026-05-13 `, 1), "ETag", `"v"`), "date-time"},
		"a header":                 {get(200, body, "ETag", `"v"`, "X-New", "1"), "lacks the header X-New"},
		"a header is missing":      {get(200, body), "Etag is missing"},
		"a status":                 {get(299, body), "lacks the status"},
		"a type":                   {get(200, body, "ETag", `"v"`, "Content-Type", "text/html"), "lacks the type"},
		"a code":                   {get(404, strings.Replace(refusal, "PRODUCT", "IMAGE", 1)), "lacks the code"},
		"details":                  {get(404, strings.Replace(refusal, `}`, `,"details":[{"path":"","code":"NOT_FOUND","message":"m"}]}`, 1)), "details"},
		"a method":                 {with(get(200, body), func(x *exchange) { x.Method = "PATCH" }), "is no operation"},
		"a path":                   {with(get(200, body), func(x *exchange) { x.Target = "/shop/products/a/new" }), "is no operation"},
		"a parameter":              {with(get(200, body, "ETag", `"v"`), func(x *exchange) { x.Target += "&new=1" }), "lacks the parameter new"},
		"the value of a parameter": {with(get(200, body, "ETag", `"v"`), func(x *exchange) { x.Target = "/shop/products/a%2Fb?strict=x" }), "strict"},
		"nothing of a request":     {post(body), ""},
		"a member of a request":    {with(post(body), func(x *exchange) { x.Body = []byte(`{"externalId":"a/b","new":1}`) }), "'new' not allowed"},
		"a body":                   {with(get(304, ""), func(x *exchange) { x.Answer = []byte("x"); x.AnswerHeader.Set("ETag", "x") }), "a body"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProof(t)
			p.hold(tc.x)
			found := strings.Join(slices.Collect(maps.Keys(p.problems)), "\n")
			if tc.found == "" {
				require.Empty(t, found)
				return
			}
			require.Contains(t, found, tc.found)
		})
	}
}
