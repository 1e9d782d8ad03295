package httpadapter_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
	"github.com/shelflife-db/shelflife/httpadapter"
)

func TestUpsertProduct(t *testing.T) {
	// contract 6: POST /products answers 201 and Location when it created, 200
	// else, with the product.
	e := newEnv(t, setup{})
	r := e.post("/products", productBody("shirt-42", `"title":"Red tee"`, `"metadata":{ "price": 19.90 }`)).ok(201)
	require.Equal(t, "/products/shirt-42", r.header.Get("Location"))
	require.Equal(t, "application/json; charset=utf-8", r.header.Get("Content-Type"))
	require.Equal(t, `{"externalId":"shirt-42","title":"Red tee","description":"","images":[{"sourceUrl":"https://cdn.example/x.jpg","order":0}],`+
		`"metadata":{"price":19.90},"validForDays":null,"listed":true,"lastUsedAt":null,"expiresAt":null,`+
		`"createdAt":"2026-05-13T10:00:00.000Z","updatedAt":"2026-05-13T10:00:00.000Z","version":"`+r.product()["version"].(string)+`"}`, string(r.body))
	created := r.etag()
	version, ok := catalog.ETagVersion(created)
	require.True(t, ok)
	require.Equal(t, version.String(), r.product()["version"])
	require.Regexp(t, `^"[!-~]+"$`, created, "strong")

	r = e.post("/products", `{"externalId":"shirt-42","description":"Soft"}`).ok(200)
	require.Empty(t, r.header.Get("Location"))
	require.Equal(t, "Red tee", r.product()["title"], "contract 1: kept when omitted")
	require.NotEqual(t, created, r.etag())

	again := e.post("/products", `{"externalId":"shirt-42","description":"Soft"}`).ok(200)
	require.Equal(t, r.etag(), again.etag(), "contract 3: no change, same version")
}

func TestGetBodyPostedBack(t *testing.T) {
	// contract 3: a GET body posted back is valid and edits nothing.
	e := newEnv(t, setup{})
	e.post("/products", newForm().data(`{"externalId":"a","images":[{"source":{"fileKey":"f"},"classifications":{"x":1}},`+
		`{"source":{"url":"https://cdn.example/x.jpg"}}],"metadata":[1.0]}`).file("f", picture(t, 0))).ok(201)
	before := e.get("/products/a").ok(200)
	e.clock.Advance(time.Minute)
	after := e.post("/products", string(before.body)).ok(200)
	require.Equal(t, string(before.body), string(after.body))
	require.Equal(t, before.etag(), after.etag())
	require.Empty(t, after.header.Get("Deprecation"))
}

func TestGetProduct(t *testing.T) {
	// contract 6: GET answers 200 with a strong ETag; If-None-Match gives 304.
	e := newEnv(t, setup{})
	created := e.create("a")
	r := e.get("/products/a").ok(200)
	require.Equal(t, created.body, r.body)
	require.Equal(t, created.etag(), r.etag())
	for _, tags := range []string{r.etag(), "W/" + r.etag(), strings.TrimSuffix(r.etag(), `"`) + `-gzip"`, `"x", ` + r.etag(), "*", `"a,b" ,,` + r.etag()} {
		n := e.get("/products/a", "If-None-Match", tags).ok(304)
		require.Empty(t, n.body)
		require.Equal(t, r.etag(), n.etag())
	}
	e.get("/products/a", "If-None-Match", `"x"`).ok(200)
	e.get("/products/a", "If-Match", r.etag()).ok(200)
	e.get("/products/a", "If-Match", `"x"`).fails(412, "PRECONDITION_FAILED")
	require.Contains(t, string(e.get("/products/a", "If-Match", "W/"+r.etag()).fails(412, "PRECONDITION_FAILED").body), "a weak entity tag")
	e.get("/products/a", "If-None-Match", `x`).fails(400, "VALIDATION_FAILED", "If-None-Match")
	e.get("/products/nobody").fails(404, "PRODUCT_NOT_FOUND")
	e.get("/products/nobody", "If-None-Match", "*").fails(404, "PRODUCT_NOT_FOUND")
}

func TestETagChangesWithEveryByte(t *testing.T) {
	// contract 6: the ETag changes with every byte of the representation, yet
	// a use never makes an If-Match fail.
	e := newEnv(t, setup{})
	first := e.create("a")
	e.clock.Advance(time.Second)
	used := e.post("/products/a/use", nil).ok(200)
	require.NotEqual(t, first.etag(), used.etag())
	e.get("/products/a", "If-None-Match", first.etag()).ok(200)
	e.get("/products/a", "If-None-Match", used.etag()).ok(304)
	e.post("/products", `{"externalId":"a","title":"x"}`, "If-Match", first.etag()).ok(200)
	e.post("/products", `{"externalId":"a","title":"y"}`, "If-Match", used.etag()).fails(412, "PRECONDITION_FAILED")
}

func TestHead(t *testing.T) {
	// contract 6: every GET answers HEAD.
	e := newEnv(t, setup{})
	e.post("/products", newForm().data(fileBody("a", "f")).file("f", picture(t, 0))).ok(201)
	for _, target := range []string{"/products", "/products/a", "/products/a/images/0", "/products/nobody", "/nowhere", "/products?limit=x"} {
		want := e.get(target)
		got := e.do(http.MethodHead, target, nil)
		require.Equal(t, want.status, got.status, target)
		require.Empty(t, got.body)
		if !strings.HasPrefix(target, "/products?") && target != "/products" {
			require.Equal(t, want.header.Get("Content-Length"), got.header.Get("Content-Length"), target)
		}
		for _, name := range []string{"Content-Type", "ETag", "Cache-Control", "Link"} {
			require.Equal(t, want.header.Get(name), got.header.Get(name), "%s of %s", name, target)
		}
	}
}

func TestDeleteProduct(t *testing.T) {
	// contract 6: DELETE answers 204.
	e := newEnv(t, setup{})
	e.create("a")
	r := e.do(http.MethodDelete, "/products/a", nil).ok(204)
	require.Empty(t, r.body)
	e.get("/products/a").fails(404, "PRODUCT_NOT_FOUND")
	e.do(http.MethodDelete, "/products/a", nil).fails(404, "PRODUCT_NOT_FOUND")
	e.do(http.MethodDelete, "/products/%2e", nil).fails(400, "VALIDATION_FAILED", "externalId")
}

func TestUseProduct(t *testing.T) {
	// contract 6: POST /products/{externalId}/use records a use, ignores the
	// body, and answers 200 with the product.
	e := newEnv(t, setup{})
	e.post("/products", productBody("a", `"validForDays":1`)).ok(201)
	e.clock.Advance(12 * time.Hour)
	for _, r := range []*reply{
		e.post("/products/a/use", nil),
		e.post("/products/a/use", "{not JSON"),
		e.post("/products/a/use", strings.Repeat("x", 2<<20), "Content-Type", "text/plain"),
	} {
		r.ok(200)
		require.Equal(t, "2026-05-13T22:00:00.000Z", r.product()["lastUsedAt"])
		require.Equal(t, "2026-05-14T22:00:00.000Z", r.product()["expiresAt"])
		require.NotEmpty(t, r.etag())
		require.Empty(t, r.header.Get("Location"))
	}
	e.clock.Advance(24 * time.Hour)
	e.post("/products/a/use", nil).fails(404, "PRODUCT_NOT_FOUND")
	e.get("/products/a").fails(404, "PRODUCT_NOT_FOUND")
}

func TestConditionsOnUpserts(t *testing.T) {
	// contract 6: If-Match (list, *) and If-None-Match: * on upserts, 412 when
	// they do not hold, also for an absent product; weak tags never match.
	e := newEnv(t, setup{})
	for _, target := range []string{"/products", "/uses"} {
		id := strings.TrimPrefix(target, "/")
		body := productBody(id)
		e.post(target, body, "If-Match", "*").fails(412, "PRECONDITION_FAILED")
		e.post(target, body, "If-Match", `"x"`).fails(412, "PRECONDITION_FAILED")
		r := e.post(target, body, "If-None-Match", "*").ok(201)
		e.post(target, body, "If-None-Match", " * ").fails(412, "PRECONDITION_FAILED")
		require.Contains(t, string(e.post(target, body, "If-Match", "W/"+r.etag()).fails(412, "PRECONDITION_FAILED").body), "a weak entity tag")
		require.NotContains(t, string(e.post(target, body, "If-Match", `W/"y", "x"`).fails(412, "PRECONDITION_FAILED").body), "a weak entity tag")
		e.post(target, body, "If-Match", `"x", "y"`).fails(412, "PRECONDITION_FAILED")
		e.post(target, body, "If-Match", `"x", `+r.etag()).ok(200)
		e.post(target, body, "If-Match", "*").ok(200)
		e.post(target, body, "If-Match", r.etag(), "If-None-Match", "*").fails(412, "PRECONDITION_FAILED")
		for _, malformed := range []string{"x", `"x`, `"x" "y"`, `*, "x"`, `"x", *`, `w/"x"`, `"a b"`, ",", `W/ "x"`} {
			e.post(target, body, "If-Match", malformed).fails(400, "VALIDATION_FAILED", "If-Match")
		}
		e.post(target, body, "If-None-Match", r.etag()).fails(400, "VALIDATION_FAILED", "If-None-Match")
		e.post(target, body, "If-None-Match", "x").fails(400, "VALIDATION_FAILED", "If-None-Match")
		r = e.post(target, `{"externalId":"`+id+`","title":5}`, "If-Match", "x", "If-None-Match", "x")
		r.fails(400, "VALIDATION_FAILED", "title", "If-Match", "If-None-Match")
	}
	e.post("/uses", `{"images":[{"source":{"url":"https://cdn.example/x.jpg"}}]}`, "If-Match", "*").fails(412, "PRECONDITION_FAILED")
	e.post("/uses", `{"images":[{"source":{"url":"https://cdn.example/x.jpg"}}]}`, "If-None-Match", "*").ok(201)
}

func TestTagsOfCompressedAnswers(t *testing.T) {
	// Caddy and Apache append the name of a coding to a tag, which must go on
	// naming the version, under a mount path too.
	for _, public := range []string{"", "/shop"} {
		e := newEnv(t, setup{options: httpadapter.Options{PublicPath: public}})
		r := e.post("/products", newForm().data(fileBody("p", "f")).file("f", picture(t, 0))).ok(201)
		for _, coding := range []string{"-gzip", "-br", "-zstd", "-deflate"} {
			tag := strings.TrimSuffix(r.etag(), `"`) + coding + `"`
			e.get("/products/p", "If-None-Match", tag).ok(304)
			e.get("/products/p", "If-Match", tag).ok(200)
			e.post("/products", `{"externalId":"p"}`, "If-Match", tag).ok(200)
		}
		for _, end := range []string{"-", "-GZIP", "--gzip", ";gzip"} {
			tag := strings.TrimSuffix(r.etag(), `"`) + end + `"`
			e.get("/products/p", "If-None-Match", tag).ok(200)
			if public == "" {
				e.get("/products/p", "If-Match", tag).fails(412, "PRECONDITION_FAILED")
			}
		}
		old := strings.TrimSuffix(r.etag(), `"`) + `-gzip"`
		e.post("/products", `{"externalId":"p","title":"new"}`).ok(200)
		e.post("/products", `{"externalId":"p","title":"newer"}`, "If-Match", old).fails(412, "PRECONDITION_FAILED")
		e.get("/products/p", "If-None-Match", old).ok(200)
	}
}

func TestConditionsOnDelete(t *testing.T) {
	// contract 6: If-Match on DELETE.
	e := newEnv(t, setup{})
	r := e.create("a")
	e.do(http.MethodDelete, "/products/a", nil, "If-Match", `"x"`).fails(412, "PRECONDITION_FAILED")
	weak := e.do(http.MethodDelete, "/products/a", nil, "If-Match", "W/"+r.etag()).fails(412, "PRECONDITION_FAILED")
	require.Contains(t, string(weak.body), "a weak entity tag")
	e.do(http.MethodDelete, "/products/a", nil, "If-None-Match", "*").fails(400, "VALIDATION_FAILED", "If-None-Match")
	e.do(http.MethodDelete, "/products/a", nil, "If-Match", "x").fails(400, "VALIDATION_FAILED", "If-Match")
	e.do(http.MethodDelete, "/products/a", nil, "If-Match", r.etag()).ok(204)
	e.do(http.MethodDelete, "/products/a", nil, "If-Match", "*").fails(412, "PRECONDITION_FAILED")
}

func TestConditionsOnUses(t *testing.T) {
	// contract 6: on writes that take no condition they are VALIDATION_FAILED,
	// never ignored.
	e := newEnv(t, setup{})
	r := e.create("a")
	for _, name := range []string{"If-Match", "If-None-Match"} {
		for _, value := range []string{"*", r.etag(), "x"} {
			e.post("/products/a/use", nil, name, value).fails(400, "VALIDATION_FAILED", name)
			e.post("/uses", `{"externalId":"a"}`, name, value).fails(400, "VALIDATION_FAILED", name)
		}
	}
	require.Nil(t, e.get("/products/a").product()["lastUsedAt"], "nothing was changed")
	e.post("/products/%2e/use", nil, "If-Match", "*").fails(400, "VALIDATION_FAILED", "externalId", "If-Match")
}

func TestAccountsAreApart(t *testing.T) {
	// contract 2: two accounts never see or affect each other's products.
	e := newEnv(t, setup{})
	e.create("a")
	other := []string{"X-API-Key", "key-b"}
	e.get("/products/a", other...).fails(404, "PRODUCT_NOT_FOUND")
	e.do(http.MethodDelete, "/products/a", nil, other...).fails(404, "PRODUCT_NOT_FOUND")
	e.post("/products/a/use", nil, other...).fails(404, "PRODUCT_NOT_FOUND")
	e.post("/products", `{"externalId":"a","title":"x"}`, other...).fails(400, "PRODUCT_IMAGES_REQUIRED", "images")
	require.Contains(t, string(e.get("/products", other...).body), `"items":[]`)
	e.get("/products/a", "X-API-Key", "key-a2").ok(200)
}

func TestFaultsOfUpserts(t *testing.T) {
	e := newEnv(t, setup{})
	e.create("live")
	for _, tc := range []struct {
		rule, target, body, code string
		paths                    []string
	}{
		{"contract 6: externalId absent", "/products", `{}`, "EXTERNAL_ID_REQUIRED", []string{"externalId"}},
		{"contract 6: externalId null", "/products", `{"externalId":null}`, "EXTERNAL_ID_REQUIRED", []string{"externalId"}},
		{"contract 6: externalId empty", "/products", `{"externalId":""}`, "EXTERNAL_ID_REQUIRED", []string{"externalId"}},
		{"contract 6: null on uses", "/uses", `{"externalId":null}`, "VALIDATION_FAILED", []string{"externalId"}},
		{"contract 6: empty on uses", "/uses", `{"externalId":""}`, "VALIDATION_FAILED", []string{"externalId"}},
		{"contract 2: .", "/products", productBody("."), "VALIDATION_FAILED", []string{"externalId"}},
		{"contract 2: reserved", "/products", productBody("_anon_x"), "VALIDATION_FAILED", []string{"externalId"}},
		{"contract 3: create without images", "/products", `{"externalId":"new"}`, "PRODUCT_IMAGES_REQUIRED", []string{"images"}},
		{"contract 3: create without images", "/uses", `{"externalId":"new","title":"x"}`, "PRODUCT_IMAGES_REQUIRED", []string{"images"}},
		{"contract 3: one-shot without images", "/uses", `{}`, "PRODUCT_IMAGES_REQUIRED", []string{"images"}},
		{"contract 3: empty list", "/products", `{"externalId":"live","images":[]}`, "PRODUCT_IMAGES_REQUIRED", []string{"images"}},
		{"contract 3: empty list on uses", "/uses", `{"externalId":"live","images":[]}`, "PRODUCT_IMAGES_REQUIRED", []string{"images"}},
		{"contract 3: images null", "/products", `{"externalId":"live","images":null}`, "VALIDATION_FAILED", []string{"images"}},
		{"contract 3: neither", "/products", `{"externalId":"live","images":[{"source":{}}]}`, "INVALID_IMAGE_INPUT", []string{"images.0.source"}},
		{"contract 3: both", "/products", `{"externalId":"live","images":[{"source":{"url":"https://a.example/x","fileKey":"f"}}]}`, "INVALID_IMAGE_INPUT", []string{"images.0.source"}},
		{"contract 3: foreign reference", "/products", `{"externalId":"live","images":[{"sourceUrl":"upload://x"}]}`, "VALIDATION_FAILED", []string{"images.0.sourceUrl"}},
		{"contract 6: fileKey in a JSON request", "/products", `{"externalId":"live","images":[{"source":{"fileKey":"f"}}]}`, "MULTIPART_FILE_NOT_FOUND", []string{"images.0.source.fileKey"}},
		{"contract 6: fileKey in a JSON request, flat", "/uses", `{"images":[{"fileKey":"f"}]}`, "MULTIPART_FILE_NOT_FOUND", []string{"images.0.fileKey"}},
		{"contract 6: limit of a field", "/products", productBody("live", `"title":"`+strings.Repeat("é", 1001)+`"`), "VALIDATION_FAILED", []string{"title"}},
		{"contract 6: code of all details where they agree", "/products", `{"externalId":"live","images":[{"source":{}},{}]}`, "INVALID_IMAGE_INPUT", []string{"images.0.source", "images.1.source"}},
		{"contract 6: else VALIDATION_FAILED", "/products", `{"images":[{"source":{}}]}`, "VALIDATION_FAILED", []string{"externalId", "images.0.source"}},
		{"contract 6: every offending field", "/products", `{"externalId":"live","validForDays":0,"title":null,"description":5,"metadata":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`,
			"VALIDATION_FAILED", []string{"validForDays", "title", "description", "metadata"}},
		{"contract 6: not JSON", "/products", `{"externalId":`, "VALIDATION_FAILED", []string{""}},
		{"contract 6: empty body", "/products", ``, "VALIDATION_FAILED", []string{""}},
		{"contract 6: nothing after the value", "/uses", `{}{}`, "VALIDATION_FAILED", []string{""}},
		{"contract 6: duplicate names", "/products", `{"externalId":"live","metadata":{"a":1,"a":2}}`, "VALIDATION_FAILED", []string{"metadata.a"}},
		{"contract 6: not an object", "/uses", `[]`, "VALIDATION_FAILED", []string{""}},
	} {
		before := e.get("/products/live").etag()
		e.post(tc.target, tc.body).fails(400, tc.code, tc.paths...)
		require.Equal(t, before, e.get("/products/live").etag(), "%s: bad input changes nothing", tc.rule)
	}
	require.Contains(t, string(e.get("/products?unlisted=true").body), `"count":1}`)
}

func TestDeprecation(t *testing.T) {
	// contract 6: a deprecated form is answered with a Deprecation header,
	// whether it is accepted or refused.
	e := newEnv(t, setup{})
	for body, status := range map[string]int{
		`{"externalId":"a","imageUrls":["https://a.example/x"]}`:                              201,
		`{"externalId":"b","images":[{"url":"https://a.example/x"}]}`:                         201,
		`{"externalId":"c","images":[{"url":"x"}]}`:                                           400,
		`{"externalId":"c","imageUrls":null}`:                                                 400,
		`{"externalId":"c","images":[{"fileKey":"f"}]}`:                                       400,
		`{"externalId":"_anon_x","images":[{"url":"https://a.example/x"}]}`:                   400,
		`{"externalId":"d","images":[{"source":{"url":"https://a.example/x"}}]}`:              201,
		`{"externalId":"e","images":[{"sourceUrl":"https://a.example/x"}],"imageurls":["x"]}`: 201,
	} {
		r := e.post("/products", body)
		require.Equal(t, status, r.status, body)
		want := ""
		if !strings.Contains(body, `"d"`) && !strings.Contains(body, `"e"`) {
			want = `^@[0-9]+$`
		}
		require.Regexp(t, want, r.header.Get("Deprecation"), body)
		if want == "" {
			require.Empty(t, r.header.Values("Deprecation"), body)
		}
	}
	// Both forms mean the same.
	for _, id := range []string{"a", "b", "d"} {
		var p struct{ Images json.RawMessage }
		require.NoError(t, json.Unmarshal(e.get("/products/"+id).body, &p))
		require.JSONEq(t, `[{"sourceUrl":"https://a.example/x","order":0}]`, string(p.Images))
	}
}
