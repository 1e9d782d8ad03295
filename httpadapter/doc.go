// Package httpadapter serves a product catalog over HTTP.
//
//	h, err := httpadapter.New(cat, &httpadapter.Options{Authenticate: keys.Authenticate})
//	mux.Handle("/shop/", http.StripPrefix("/shop", h))
//
// # Endpoints
//
//	POST   /products                          explicit upsert: 201 or 200, the product
//	GET    /products                          list: limit, cursor or from, prefix, unlisted=true
//	GET    /products/{externalId}             read
//	DELETE /products/{externalId}             delete: 204
//	POST   /products/{externalId}/use         record a use; the body is ignored
//	GET    /products/{externalId}/images/{n}  uploaded bytes
//	POST   /uses                              use, inline upsert and use, or one-shot
//	POST   /bulk                              upsert many, a line each
//	GET    /bulk                              all listed products, a line each
//	GET    /openapi.yaml                      all of this as OpenAPI 3.1; needs no key
//
// Every GET answers HEAD. An external ID is one escaped path segment. A host's
// own endpoint reads a product with [Handler.ReadProduct]. Package
// httpadapter/client is a client in Go; from openapi.yaml generators make others.
//
// # Bodies
//
// An upsert is JSON, application/json. Only externalId is required, and images
// when it creates:
//
//	{
//	  "externalId": "shirt-42",
//	  "title": "Red tee", "description": "Soft cotton",
//	  "images": [
//	    {"source": {"url": "https://cdn.example/front.jpg"}, "classifications": {"view": "front"}},
//	    {"source": {"fileKey": "back"}}
//	  ],
//	  "metadata": {"price": 19.90},
//	  "validForDays": 30
//	}
//
// With image bytes it is multipart/form-data: the JSON in a field "data", and
// one file part for each fileKey, named like it, in any order. A field that is
// absent keeps what is stored; null clears metadata and validForDays and is
// refused for the others. The images are replaced as a whole: an entry as a GET
// returns it, {"sourceUrl": "upload://…"}, keeps the bytes that the product
// has. Names that are not known are ignored. Package productjson says it all.
//
// With ?strict=true, on any request, or Options.Strict, which ?strict=false
// overrides, names in body and query that are not known are VALIDATION_FAILED,
// with their paths. Names that can only be read are known. In a host's own
// endpoint the spec alone is judged.
//
// Answers hold a product as [Handler.AppendProduct] writes it: with its version,
// which If-Match takes in quotes, and the href of each uploaded image. A page of a
// list ends at 2 MiB, with fewer products than were asked for, if it must.
//
// What a GET returned may be posted back and edits nothing; the version in it is
// ignored. It carries validForDays, though: where that is a number the post
// renews the product, whose expiresAt moves, as any upsert does that gives the
// number it has. Leave the name out where a client only means to edit.
//
// Deprecated, accepted and answered with a Deprecation header: the flat image
// entries {"url": …} and {"fileKey": …}, and "imageUrls" in place of "images".
//
// # Mounting
//
// The handler routes by the escaped path, so that IDs may hold escaped
// slashes; it works at the root, under http.StripPrefix, and behind patterns
// with methods. Location and Link are built from the path that the client
// asked for, or from Options.PublicPath. (http.StripPrefix itself does not find a prefix that needs
// escaping, like "/my shop", in front of an ID with an escaped slash.)
//
// # Conditions
//
// If-Match (a list, or *) on upserts and deletes, If-None-Match: * on upserts.
// A use never makes an If-Match fail, an edit always does. A plain use refuses both,
// and a write refuses any other If-None-Match. On the GET
// of a product or image, If-Match and If-None-Match are both honoured. Wherever
// a condition has a meaning, a header that can't be read is refused; on the
// list it has none, and both headers are ignored. A weak tag never matches in
// If-Match. A tag to which a proxy has appended the name of a coding, as
// "…-gzip", counts as the tag that it was.
//
// # Errors
//
// Every error has the body {"code","message","status"} and, on a 400,
// "details" with every fault: {"path","code","message"} each. Checks come in
// this order: authentication, path, method, content type, size, JSON, fields,
// condition, existence.
//
//	400  VALIDATION_FAILED, EXTERNAL_ID_REQUIRED, PRODUCT_IMAGES_REQUIRED,
//	     INVALID_IMAGE_INPUT, INVALID_IMAGE, MULTIPART_FILE_NOT_FOUND
//	401  MISSING_API_KEY, INVALID_API_KEY
//	403  FORBIDDEN, QUOTA_EXCEEDED
//	404  PRODUCT_NOT_FOUND, IMAGE_NOT_FOUND, NOT_FOUND
//	405  METHOD_NOT_ALLOWED
//	412  PRECONDITION_FAILED
//	413  PAYLOAD_TOO_LARGE
//	415  UNSUPPORTED_MEDIA_TYPE
//	416  RANGE_NOT_SATISFIABLE
//	429  RATE_LIMITED
//	500  INTERNAL
//	503  UNAVAILABLE, OVERLOADED, UNKNOWN_OUTCOME
//
// After UNKNOWN_OUTCOME the write may have happened or not, and where the store is in
// a database it may even happen later: a read that shows the old state is not final. A
// write with If-Match on the version that was read settles it, or If-None-Match: *
// where there was no product: once that is done the first one never happens.
//
// RATE_LIMITED and OVERLOADED say that the requests of the account, or all
// together, hold what they may of memory, of the disk for uploads, or of uploads
// that are worked on at once. RATE_LIMITED also says that the account has too many
// requests at once, or makes too many in a time: see [Budget].
//
// QUOTA_EXCEEDED says that the account has what it may have, by the Options.Quota of
// the catalog, and that nothing was changed.
//
// A host's own endpoint answers its own faults in the same form by passing
// [ProductRequest.Fault] to [Handler.WriteError].
//
// Every answer has the header X-Request-ID, the client's if it is sane, and the
// log has it as request_id. An answer that is given before the body was read
// reaches its client: see [Handler.ReadOn].
//
// # Browsers
//
// Options.AllowedOrigins lets pages of other origins in; New refuses one that is
// not written as browsers write it, which would match no page. A host routes OPTIONS of
// its own endpoints to the handler, which answers preflights on any path.
//
// The URL of an image is refused for what no client could fetch, and for
// credentials, with the character and its position in bytes; letters beyond
// ASCII, spaces, "|", "<" and quotes behind the host are accepted, as browsers
// do, and kept as they are. Package catalog says it all.
//
// # Choices
//
// An empty cursor means the first page. An image position that is not a plain
// decimal number is one where no image is: IMAGE_NOT_FOUND, if there is such a
// product. A body with a Content-Encoding is refused with 415. An account that
// the authenticator returns but the catalog can't have is the host's fault:
// 500.
//
// The headers of a part of a multipart body, with what stands before them,
// have some 16 KiB: 413 from 21 KiB on. The name, file name and content type of
// a part have 1 KiB each: VALIDATION_FAILED beyond, at the part's name, or at ""
// where that is what is too long. A part without a name, or one that is not
// form-data, is a file that no fileKey can name: it counts against the limits
// and is otherwise ignored.
//
// Of an image one range of bytes is answered with 206; several at once, and
// other units, are answered whole.
//
// Where a part of the store is damaged, what needs it is answered with 500, and
// the log says which products can't be read. A list is answered whole or not at
// all, so that a client may treat what a list lacks as deleted: get a page after the
// damage with from, or a cursor. See catalog.ListOptions.PastDamage for a
// host that wants to go on.
//
// # Repeating a request
//
// Every request but one may be repeated: what it asks for holds once more. POST
// /uses without externalId makes another product each time. With the header
// Idempotency-Key, 1 to 255 bytes that the client chooses, it makes one for the
// key: a repetition is answered with the product as it stands and 200, neither
// edited nor used, until it has expired or was deleted.
//
// # Many products at once
//
// The body of POST /bulk is application/x-ndjson: any number of upserts, one JSON
// object a line, each as POST /products takes it, 1 MiB at most, without files.
// Blank lines are skipped. What can be judged before the first line is answered as
// everywhere; from then on the status is 200, whatever becomes of the lines, and
// the answer has a line for each, in their order, as soon as it is durable:
//
//	{"line":1,"externalId":"shirt-42","outcome":"created"}
//	{"line":2,"externalId":null,"error":{"code":"EXTERNAL_ID_REQUIRED","message":"…","status":400,"details":[…]}}
//	{"summary":{"lines":2,"created":1,"edited":0,"unchanged":0,"refused":1}}
//
// The outcome is created, edited or unchanged. Each line is atomic, all of them
// together are not. refused counts the lines with an error. Where the server can't
// go on, the summary has the member error, and the lines after the last that is
// answered were not dealt with; so it is where there is no summary, but for some
// hundred lines that may have been. Sending a line again does no harm. A client may
// send everything before it reads, or wait for each answer. A line waits for the
// account's rate; it is not refused for it. The key is judged anew while lines come.
//
// GET /bulk answers with the listed products of one instant, one JSON object a line,
// in the form that POST /bulk of the same store takes: uploaded images are kept by
// their sourceUrl. prefix and unlisted=true choose as they do for a list. An answer
// that could not be completed, within 15 minutes, is cut off.
//
// # What net/http answers
//
// A request that net/http can't parse, its request line or its headers, is
// answered by net/http in a form of its own. So is OPTIONS *, unless
// http.Server.DisableGeneralOptionsHandler is set.
package httpadapter
