package openapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pb33f/jsonschema/v6"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const documentPath = "../../httpadapter/openapi.yaml"

// object is a mapping of the document.
type object = map[string]any

// document is openapi.yaml, made strict: names that it does not have are refused.
type document struct {
	t         *testing.T
	root      object
	model     *v3.Document
	validator validator.Validator
	schemas   *jsonschema.Compiler
	compiled  map[string]*jsonschema.Schema
}

func readDocument(t *testing.T) object {
	t.Helper()
	text, err := os.ReadFile(documentPath)
	require.NoError(t, err)
	var root object
	require.NoError(t, yaml.Unmarshal(text, &root))
	return root
}

// openStrict makes the document strict. What is served is open, for servers and
// clients that are newer than each other.
func openStrict(t *testing.T) *document {
	t.Helper()
	d := &document{t: t, root: readDocument(t), compiled: map[string]*jsonschema.Schema{}}
	schemas := d.at("components", "schemas")
	for from, into := range map[string][]string{"Product": {"ProductInput", "UseInput"}, "Image": {"ImageInput"}} {
		for name := range schemas[from].(object)["properties"].(object) {
			for _, input := range into {
				properties := schemas[input].(object)["properties"].(object)
				if properties[name] == nil {
					properties[name] = object{} // it can only be read, and is ignored
				}
			}
		}
	}
	closed := 0
	closeObjects(schemas, &closed)
	require.Greater(t, closed, 10)
	text, err := json.Marshal(d.root)
	require.NoError(t, err)
	parsed, err := libopenapi.NewDocument(text)
	require.NoError(t, err)
	model, err := parsed.BuildV3Model()
	require.NoError(t, err)
	d.model = &model.Model
	var errs []error
	d.validator, errs = validator.NewValidator(parsed, config.WithFormatAssertions(),
		config.WithoutSecurityValidation()) // hosts of some tests authenticate in other ways
	require.Empty(t, errs)
	d.schemas = jsonschema.NewCompiler()
	d.schemas.AssertFormat()
	root, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	require.NoError(t, err)
	require.NoError(t, d.schemas.AddResource("document.json", root))
	return d
}

// closeObjects has every object with named properties refuse others.
func closeObjects(node any, closed *int) {
	switch node := node.(type) {
	case object:
		if node["type"] == "object" && node["properties"] != nil {
			node["additionalProperties"] = false
			*closed++
		}
		for _, child := range node {
			closeObjects(child, closed)
		}
	case []any:
		for _, child := range node {
			closeObjects(child, closed)
		}
	}
}

func (d *document) at(path ...string) object {
	node := d.root
	for _, name := range path {
		next, ok := node[name].(object)
		require.True(d.t, ok, "%v", path)
		node = next
	}
	return node
}

// resolve follows a reference, if node is one.
func (d *document) resolve(node any) object {
	o, _ := node.(object)
	ref, ok := o["$ref"].(string)
	if !ok {
		return o
	}
	return d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
}

// fits returns what is wrong with a JSON text by a schema of the document, as
// #/components/schemas/Product.
func (d *document) fits(ref string, text []byte) error {
	schema := d.compiled[ref]
	if schema == nil {
		var err error
		schema, err = d.schemas.Compile("document.json" + ref)
		require.NoError(d.t, err)
		d.compiled[ref] = schema
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// fitsSchema is fits of a schema that stands by itself.
func (d *document) fitsSchema(schema object, text []byte) error {
	key, err := json.Marshal(schema)
	require.NoError(d.t, err)
	if d.compiled[string(key)] == nil {
		name := fmt.Sprintf("schema-%d.json", len(d.compiled))
		root, err := jsonschema.UnmarshalJSON(strings.NewReader(string(key)))
		require.NoError(d.t, err)
		require.NoError(d.t, d.schemas.AddResource(name, root))
		d.compiled[string(key)], err = d.schemas.Compile(name)
		require.NoError(d.t, err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		return err
	}
	return d.compiled[string(key)].Validate(value)
}

// operation is what the document has for a path and a method.
type operation struct {
	template string
	item     *v3.PathItem
	node     object // of the method
	segments []string
}

func (o *operation) name(method string) string { return method + " " + o.template }

// find returns the operation for an escaped path, cut up as a server does that
// unescapes each segment by itself; nil if there is none.
func (d *document) find(method, path string) *operation {
	if method != strings.ToUpper(method) {
		return nil
	}
	given := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, s := range given {
		text, err := url.PathUnescape(s)
		if err != nil || text == "" {
			return nil
		}
		given[i] = text
	}
	for template, item := range d.at("paths") {
		wanted := strings.Split(strings.TrimPrefix(template, "/"), "/")
		matches := func(i int) bool { return strings.HasPrefix(wanted[i], "{") || wanted[i] == given[i] }
		if len(wanted) != len(given) || slices.ContainsFunc(indexes(wanted), func(i int) bool { return !matches(i) }) {
			continue
		}
		node, _ := item.(object)[strings.ToLower(method)].(object)
		if node == nil {
			return nil
		}
		found, _ := d.model.Paths.PathItems.Get(template)
		return &operation{template: template, item: found, node: node, segments: given}
	}
	return nil
}

func indexes(of []string) []int {
	all := make([]int, len(of))
	for i := range all {
		all[i] = i
	}
	return all
}

// response returns what an operation says of a status, nil if it lacks it.
func (d *document) response(o *operation, status int) object {
	return d.resolve(o.node["responses"].(object)[strconv.Itoa(status)])
}

// parameters are the names of those of an operation in the query.
func (d *document) parameters(o *operation) map[string]bool {
	names := map[string]bool{}
	shared, _ := d.at("paths", o.template)["parameters"].([]any)
	own, _ := o.node["parameters"].([]any)
	for _, p := range append(slices.Clone(shared), own...) {
		if p := d.resolve(p); p["in"] == "query" {
			names[p["name"].(string)] = true
		}
	}
	return names
}

// promised are all operations with each of their statuses, as "GET /products 200".
func (d *document) promised() (all []string) {
	for template, item := range d.at("paths") {
		for method, node := range item.(object) {
			o, ok := node.(object)
			if !ok || o["responses"] == nil {
				continue
			}
			for status := range o["responses"].(object) {
				all = append(all, strings.ToUpper(method)+" "+template+" "+status)
			}
		}
	}
	slices.Sort(all)
	return all
}

// TestDocument: it is valid OpenAPI, and open.
func TestDocument(t *testing.T) {
	d := openStrict(t)
	ok, problems := d.validator.ValidateDocument()
	require.True(t, ok, "%v", problems)
	text, err := os.ReadFile(documentPath)
	require.NoError(t, err)
	require.NotContains(t, string(text), "additionalProperties: false")
	require.Equal(t, "3.1.0", d.root["openapi"])
}

// TestDocumentsCodes: every code has an answer that it is on, and every answer with
// codes says which.
func TestDocumentsCodes(t *testing.T) {
	d := openStrict(t)
	on := map[string]bool{"NOT_FOUND": true, "METHOD_NOT_ALLOWED": true} // of what is no operation
	for _, name := range d.promised() {
		parts := strings.Split(name, " ")
		o := d.find(parts[0], strings.NewReplacer("{externalId}", "x", "{order}", "0").Replace(parts[1]))
		require.NotNil(t, o, name)
		status, err := strconv.Atoi(parts[2])
		require.NoError(t, err)
		codes, _ := d.response(o, status)["x-codes"].([]any)
		require.Equal(t, status >= http.StatusBadRequest, len(codes) > 0, name)
		for _, c := range codes {
			on[c.(string)] = true
		}
	}
	var known []string
	for _, c := range d.at("components", "schemas", "ErrorCode")["enum"].([]any) {
		known = append(known, c.(string))
	}
	require.ElementsMatch(t, known, slices.Collect(maps.Keys(on)))
}
