// Package catalog keeps the products of many accounts: the rules of what a
// product is, how it is written, how long it lives and who sees it. Where the
// bytes are kept is the business of a [backend.Backend].
//
//	store, err := pebble.Open(ctx, dir, nil)
//	...
//	c, err := catalog.Open(ctx, store, nil)
//	...
//	defer c.Close() // closes the store too
//
// # Writing
//
// One operation creates and edits: [Catalog.Upsert] creates a product the
// first time, which takes at least one image, and edits it partially
// afterwards. In a [Patch], absent, null and a value are three different
// things. What one upsert says becomes visible in one instant or not at all,
// image bytes included, and is durable before the call returns. Concurrent
// upserts of one product never lose an update. An edit that changes nothing
// writes nothing.
//
//	way            lifetime when it creates   counts as a use   listed
//	               without ValidForDays
//	Upsert         forever                    no                yes
//	UpsertInline   15 days                    yes               no when it creates,
//	                                                            unchanged when it edits
//	CreateOneShot  7 days                     yes               never
//
// [Catalog.CreateOneShotOnce] is CreateOneShot for a caller that may have to repeat
// it, and [Catalog.UpsertMany] does many explicit upserts in few commits.
//
// A [Condition] makes a write depend on what is stored. A [Version] names one
// edit, forever: no later edit has it, not even of a product that was deleted
// and created again.
//
// # Reading
//
// [Catalog.Get] returns a product that is the caller's, [Catalog.GetMany] up to 200 at
// once, [Catalog.List] a page in the order of the IDs, [Catalog.All] an account.
// [Catalog.View], [Catalog.ListViews] and [Catalog.AllViews] lend the same to callers
// that only look, without a copy. [Catalog.OpenImage] reads the bytes of an uploaded
// image. None of them counts as a use.
//
// # Lifetime
//
// A product with ValidForDays expires that many times 24 hours after the
// latest of its creation, its last use, and the last upsert that carried a
// number for ValidForDays, the same number included. From that millisecond on
// it is gone for every reader, and an upsert of its ID creates. Its bytes leave
// the store in the background some seconds later (Options.Sweeper.Grace), those
// of its images after Options.ImageGrace more; [Catalog.Sweep] removes what is past
// these times without waiting for the background.
//
// Time never runs backward while a catalog is open, and times that are stored
// never go back. Between two openings the clock may have been set back: then
// what had expired, but was not swept yet, lives again for every reader until the
// clock passes its deadline once more, and what was swept stays gone. Deadlines
// stay what they were: those of products written before lie further off by as
// much as the clock was set back.
//
// Where processes share a store that has a clock (backend.Properties.Clock), time
// is the store's for all of them: it comes with what they read, and their own
// wall clocks have no say. What one of them has told a reader is gone stays so
// for all, whatever the clocks do: a product that is found to have expired less
// than a minute ago is removed by the call that finds it. Where the store takes
// no writes such a call fails with ErrUnavailable.
//
// [Catalog.Use] records a use, and so does [Catalog.Touch] for callers that do not
// want the product. It is visible at once to every reader, and durable within
// Options.UseWindow, or before it is acknowledged when the deadline is near.
//
// # Identity
//
// An account is 1 to 255 bytes of UTF-8, given by the host's authentication.
// An external ID is 1 to 255 bytes of UTF-8 without control characters,
// compared byte for byte; "." and ".." are refused. IDs that begin with
// "_anon_" are made by CreateOneShot only. Accounts never see or affect each
// other's products, whatever they are called.
//
// # URLs of images
//
// What browsers and net/url can fetch is accepted, not what RFC 3986 allows:
// feeds hold letters beyond ASCII, spaces, "|", "<" and quotes, and clients
// escape these on the way. The following are refused, with the character and its
// position in bytes: credentials; control characters; spaces at either end; a "%"
// that is not an escape, except in the query, where clients and servers take it as
// it stands; a port other than 1 to 65535; and a host that can't be resolved: one
// with an empty label, with a character that no name has, or that ends in a
// number and is no address. A URL is kept byte for byte: a host that writes it
// into HTML, a header or a log escapes it.
//
// # Errors
//
// Operations fail with an error that matches, by errors.Is, one of the Err
// variables, or the context's error, or by errors.As a *[ValidationError] with
// the faults of the input. After all but [ErrUnknownOutcome] nothing was
// changed. Errors that match none of these are failures inside; their text is
// for the log, not for a client.
package catalog
