// Package productjson reads the JSON form of an upsert: what POST /products
// takes, and each line of an import.
//
//	u, err := productjson.Decode(data, productjson.Options{RequireExternalID: true})
//	if err != nil {
//		return err // not JSON at all
//	}
//	if err := u.Validate(cat, account); err != nil {
//		return err // every fault
//	}
//	id, _ := u.ExternalID.Get()
//	res, err := cat.Upsert(ctx, account, id, u.Patch)
//	return u.Rewrite(err)
//
// # Strictness
//
// Names are case-sensitive. Duplicate names at any depth, lone surrogates,
// invalid UTF-8, a byte order mark and anything after the value are refused.
// Names that are not known are ignored, or with Options.Strict a fault each.
// The names of a product's JSON form that can't be set are ignored in any case
// (listed, lastUsedAt, version and so on; of an image order, contentType, size,
// width, height and href): what [catalog.Product.AppendJSON] writes is read as
// [catalog.Product.Patch], which changes no field. It carries the product's
// number for validForDays, though, if it has one, and so restarts its lifetime:
// take the name out of the text where that is not meant.
//
// # Faults
//
// Text that is not JSON gives one fault. Everything else that is wrong is
// collected, so that [Upsert.Validate] reports all of it at once, each fault
// at the path at which the text has it: images.0.source.url, images.0.url for
// the deprecated flat form, imageUrls.0, images.0.sourceUrl. Where an image's
// source is ambiguous or in mixed forms, that is its fault, and what its URL
// or file key refers to is not looked at. The same holds for imageUrls beside
// images: of its entries only the type is judged.
//
// Of a list longer than Options.Limits.Images, the entries beyond have no
// faults of their own, so that a long list does not make an endless report;
// they still make the upsert a deprecated one.
//
// # Null
//
// Inside an image null counts as absent. Elsewhere null, absence and a value
// are three different things; see [catalog.Patch].
package productjson
