package httpadapter_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/shelflife-db/shelflife/catalog"
)

// contract 6: QUOTA_EXCEEDED, 403: the account has what it may have.
func TestQuota(t *testing.T) {
	e := newEnv(t, setup{quota: catalog.Quota{Products: 2}})
	e.create("p")
	e.create("q")
	require.Eventually(t, func() bool { // counted
		_, err := e.catalog.Preview(t.Context(), "a", "r", catalog.Patch{Images: catalog.Set([]catalog.NewImage{{URL: "https://cdn.example/a.jpg"}})})
		if err == nil {
			e.clock.Advance(time.Minute) // what was written while it was counted may be missing
		}
		return err != nil
	}, time.Minute, time.Millisecond)
	e.post("/products", productBody("r")).fails(403, "QUOTA_EXCEEDED")
	e.post("/uses", productBody("r")).fails(403, "QUOTA_EXCEEDED")
	e.get("/products/r").fails(404, "PRODUCT_NOT_FOUND")
	e.post("/products", `{"externalId":"p","title":"edited"}`).ok(200)
	e.post("/products/p/use", "").ok(200)

	results, end := e.bulk(`{"externalId":"p","title":"again"}` + "\n" + productBody("r") + "\n" + `{"externalId":"q","title":"again"}`)
	require.Len(t, results, 3)
	require.Equal(t, []string{"edited", "QUOTA_EXCEEDED", "edited"}, []string{results[0].code(), results[1].code(), results[2].code()})
	require.Contains(t, results[1].Error.Message, "2 products")
	require.Equal(t, bulkSummary{Lines: 3, Edited: 2, Refused: 1}, *end.Summary)
	require.Nil(t, end.Error)

	e.do("DELETE", "/products/p", "").ok(204)
	e.post("/products", productBody("r")).ok(201)
}
