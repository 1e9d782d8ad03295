package httpadapter_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/backend"
	"github.com/shelflife-db/shelflife/backend/memory"
	"github.com/shelflife-db/shelflife/httpadapter"
	"github.com/shelflife-db/shelflife/ttl"
)

// everyEndpoint has a request for each that succeeds where there is a product p with
// an uploaded image.
var everyEndpoint = []struct {
	method, target, body, kind string
	writes                     bool
}{
	{method: "GET", target: "/products"},
	{method: "POST", target: "/products", body: productBody("q"), kind: "application/json", writes: true},
	{method: "GET", target: "/products/p"},
	{method: "POST", target: "/products/p/use", writes: true},
	{method: "GET", target: "/products/p/images/0"},
	{method: "POST", target: "/uses", body: `{"externalId":"p"}`, kind: "application/json", writes: true},
	{method: "GET", target: "/bulk"},
	{method: "POST", target: "/bulk", body: productBody("q"), kind: ndjson},
	{method: "DELETE", target: "/products/p", writes: true},
}

// TestFailuresOfEveryEndpoint: what can go wrong with any request is told alike on
// each endpoint.
func TestFailuresOfEveryEndpoint(t *testing.T) {
	var refuse error
	clock := ttl.NewManualClock(start)
	limited, err := httpadapter.NewBudget(&httpadapter.BudgetOptions{AccountRate: 1, AccountBurst: 2, Clock: clock})
	require.NoError(t, err)
	b := &failing{Store: memory.New(nil)}
	open := func(budget *httpadapter.Budget) *env {
		return newEnv(t, setup{backend: b, options: httpadapter.Options{Budget: budget, Authenticate: func(*http.Request) (string, error) { return "a", refuse }}})
	}
	e := open(nil)
	e.post("/products", newForm().data(fileBody("p", "f")).file("f", picture(t, 0))).ok(201)
	fresh := open(nil) // which has nothing in a cache
	slow := open(limited)
	slow.get("/products")
	slow.get("/products") // the last for now
	for _, p := range everyEndpoint {
		ask := func(e *env, more ...string) *reply {
			return e.do(p.method, p.target, p.body, append([]string{"Content-Type", p.kind}, more...)...)
		}
		for _, tc := range []struct {
			err    error
			status int
			code   string
		}{
			{httpadapter.ErrMissingKey, 401, "MISSING_API_KEY"},
			{httpadapter.ErrInvalidKey, 401, "INVALID_API_KEY"},
			{httpadapter.ErrForbidden, 403, "FORBIDDEN"},
			{httpadapter.ErrAuthUnavailable, 503, "UNAVAILABLE"},
			{errors.New("secret"), 500, "INTERNAL"},
		} {
			refuse = tc.err
			ask(e).fails(tc.status, tc.code)
		}
		refuse = nil
		require.Equal(t, "1", ask(slow).fails(429, "RATE_LIMITED").header.Get("Retry-After"))
		e.do(p.method, p.target+"?strict=maybe", p.body, "Content-Type", p.kind).fails(400, "VALIDATION_FAILED", "strict")
		if !p.writes {
			continue
		}
		b.err = backend.ErrUnknownOutcome
		require.Empty(t, ask(fresh).fails(503, "UNKNOWN_OUTCOME").header.Get("Retry-After"), "it must be looked at first")
		b.err = nil
	}
	for _, p := range everyEndpoint {
		r := e.do(p.method, p.target, p.body, "Content-Type", p.kind)
		require.Equal(t, 2, r.status/100, "%s %s: %s", p.method, p.target, r.body)
	}
}
