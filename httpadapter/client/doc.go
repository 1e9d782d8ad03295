// Package client is a client of the HTTP API of package httpadapter.
//
//	c, err := client.New("https://shop.example/v1", &client.Options{APIKey: key})
//	if err != nil {
//		return err
//	}
//	r, err := c.Upsert(ctx, "shirt-42", client.Patch{
//		Title:  client.Set("Red tee"),
//		Images: client.Set([]client.NewImage{{URL: "https://cdn.example/front.jpg"}}),
//	})
//
// It is for programs in another process than the catalog: one that has a
// catalog.Catalog needs no client. It needs nothing but the standard library.
//
// # Absent, null and a value
//
// A field of a [Patch] that is not set keeps what the product has. [Null] clears
// metadata, and for ValidForDays keeps the product for ever; [Set] sets.
//
// # Errors
//
// What the server refused is an [*Error], with the code, the status and every fault;
// errors.Is finds out which one it is:
//
//	if errors.Is(err, client.ErrPreconditionFailed) { … }
//
// Other errors come from the connection, from the context or from a reader that was
// passed. After one of them, as after [ErrUnknownOutcome], a write may or may not
// have happened.
//
// # Trying again
//
// A request is sent again, after a pause, where the server says that nothing
// happened: its account asks too often, or it is overloaded or unavailable. Where it
// may have happened (the connection broke, a gateway lost the answer, the outcome is
// unknown) it is sent again if that does no harm: reads, uses, and upserts and deletes
// without a condition. A one-shot gets an idempotency key, so that it is made once. A
// write with a condition is not sent again then: it might find its own effect, and
// say that the condition failed.
//
// Pauses grow from Options.Backoff, are drawn at random, and are as long as the server
// asks at least. They end with the context. An upload is sent again if its reader is
// an io.Seeker; Bulk and Export are not sent again, see there.
package client
