package httpadapter_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestUsesPlain(t *testing.T) {
	// contract 6: {externalId} alone is a use; names that are not known do not
	// make it anything else.
	e := newEnv(t, setup{})
	e.create("a")
	e.clock.Advance(time.Second)
	for _, body := range []string{`{"externalId":"a"}`, `{"externalId":"a","later":1,"listed":false}`} {
		r := e.post("/uses", body).ok(200)
		require.Equal(t, "2026-05-13T10:00:01.000Z", r.product()["lastUsedAt"])
		require.Equal(t, true, r.product()["listed"])
		require.NotEmpty(t, r.etag())
	}
	e.post("/uses", `{"externalId":"nobody"}`).fails(404, "PRODUCT_NOT_FOUND")
	e.post("/uses", `{"externalId":".."}`).fails(400, "VALIDATION_FAILED", "externalId")
}

func TestUsesPlainConditions(t *testing.T) {
	// contract 6: on writes that take no condition (a plain use) they are
	// VALIDATION_FAILED; it is one by its form, whatever its ID is like.
	e := newEnv(t, setup{})
	for _, id := range []string{`5`, `null`, `""`, `"."`, `{}`} {
		for _, name := range []string{"If-Match", "If-None-Match"} {
			for _, value := range []string{"*", `"x"`, "garbage"} {
				e.post("/uses", `{"externalId":`+id+`}`, name, value).fails(400, "VALIDATION_FAILED", "externalId", name)
			}
		}
		// With a field to set it is an upsert, which takes them.
		e.post("/uses", `{"externalId":`+id+`,"title":"x"}`, "If-Match", "*").fails(400, "VALIDATION_FAILED", "externalId")
	}
	e.post("/uses", `{"externalId":"a"}`, "If-Match", "*").fails(400, "VALIDATION_FAILED", "If-Match")
	e.post("/uses", `{}`, "If-Match", "*").fails(412, "PRECONDITION_FAILED")
}

func TestUsesInline(t *testing.T) {
	// contract 3, 6: with at least one settable field it is an inline upsert
	// and a use; 201 when it created.
	e := newEnv(t, setup{})
	r := e.post("/uses", productBody("a")).ok(201)
	require.Equal(t, "/products/a", r.header.Get("Location"))
	p := r.product()
	require.Equal(t, 15.0, p["validForDays"])
	require.Equal(t, false, p["listed"])
	require.Equal(t, "2026-05-13T10:00:00.000Z", p["lastUsedAt"])

	e.clock.Advance(time.Minute)
	r = e.post("/uses", `{"externalId":"a","title":"x"}`).ok(200)
	require.Equal(t, "x", r.product()["title"])
	require.Equal(t, "2026-05-13T10:01:00.000Z", r.product()["updatedAt"])
	e.clock.Advance(time.Minute)
	r = e.post("/uses", `{"externalId":"a","title":"x"}`).ok(200)
	require.Equal(t, "2026-05-13T10:01:00.000Z", r.product()["updatedAt"], "no effective change: a plain use")
	require.Equal(t, "2026-05-13T10:02:00.000Z", r.product()["lastUsedAt"])

	require.Contains(t, string(e.get("/products").body), `"count":0}`)
	r = e.post("/products", `{"externalId":"a"}`).ok(200)
	require.Equal(t, true, r.product()["listed"], "an explicit upsert lists")
	require.Equal(t, 15.0, r.product()["validForDays"], "and keeps the lifetime")
}

func TestUsesOneShot(t *testing.T) {
	// contract 3, 6: externalId absent is a one-shot: 7 days, never listed.
	e := newEnv(t, setup{})
	r := e.post("/uses", `{"images":[{"source":{"url":"https://a.example/x"}}]}`).ok(201)
	p := r.product()
	id := p["externalId"].(string)
	require.True(t, strings.HasPrefix(id, "_anon_"))
	require.Equal(t, "/products/"+id, r.header.Get("Location"))
	require.Equal(t, 7.0, p["validForDays"])
	require.Equal(t, false, p["listed"])
	require.Equal(t, r.body, e.get("/products/"+id).ok(200).body, "contract 5: get returns one-shots too")
	require.Equal(t, false, e.post("/products", `{"externalId":"`+id+`","title":"x"}`).ok(200).product()["listed"])
	require.Contains(t, string(e.get("/products?unlisted=true").body), `"count":1}`)
	other := e.post("/uses", `{"images":[{"source":{"url":"https://a.example/x"}}]}`).ok(201)
	require.NotEqual(t, id, other.product()["externalId"])
}

func TestIdempotencyKey(t *testing.T) {
	e := newEnv(t, setup{})
	const body = `{"images":[{"source":{"url":"https://a.example/x"}}]}`
	first := e.post("/uses", body, "Idempotency-Key", "order-7").ok(201)
	e.clock.Advance(time.Hour)
	again := e.post("/uses", body, "Idempotency-Key", "order-7").ok(200)
	require.Equal(t, string(first.body), string(again.body), "the product that stands, not used again")
	require.Equal(t, first.etag(), again.etag())
	for _, key := range []string{`"order-7"`, "order-8"} {
		require.NotEqual(t, first.product()["externalId"], e.post("/uses", body, "Idempotency-Key", key).ok(201).product()["externalId"])
	}
	require.NotEqual(t, first.product()["externalId"], e.post("/uses", body, "Idempotency-Key", "order-7", "X-API-Key", "key-b").ok(201).product()["externalId"])

	e.create("p")
	used := e.post("/uses", `{"externalId":"p"}`, "Idempotency-Key", strings.Repeat("x", 999)).ok(200)
	require.NotNil(t, used.product()["lastUsedAt"], "it is ignored where an ID is named")
	for _, key := range []string{strings.Repeat("x", 256), "\xff"} {
		e.post("/uses", body, "Idempotency-Key", key).fails(400, "VALIDATION_FAILED", "Idempotency-Key")
	}
}

func TestUsesMultipart(t *testing.T) {
	e := newEnv(t, setup{})
	body := newForm().file("f", picture(t, 0)).data(`{"images":[{"source":{"fileKey":"f"}}]}`)
	r := e.post("/uses", body).ok(201)
	id := r.product()["externalId"].(string)
	require.Equal(t, picture(t, 0), e.get(path(id, "images", "0")).ok(200).body)
}
