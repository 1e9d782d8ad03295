// Uses a server by what openapi-typescript makes of its description. The URL and the
// key are the arguments; whatever is not as it should be is thrown.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

const [baseUrl, key, image] = process.argv.slice(2) as [string, string, string];
const api = createClient<paths>({ baseUrl, headers: { "X-API-Key": key } });

type Product = components["schemas"]["Product"];

// the answers that are promised carry what is promised
function product(answer: { data?: Product; error?: components["schemas"]["Error"]; response: Response }): Product {
  assert.ok(answer.data, JSON.stringify(answer.error));
  return answer.data;
}

// Any ID that is legal works, as it stands.
const externalId = "a/b %2F ü 👕?#";
const images = [{ source: { url: "https://cdn.example/front.jpg" }, classifications: { view: "front" } }];
const created = await api.POST("/products", {
  body: { externalId, title: "Red tee", description: "Soft", images, metadata: { price: 19.9 }, validForDays: 30 },
});
assert.equal(created.response.status, 201);
let p = product(created);
assert.equal(p.externalId, externalId);
assert.equal(p.validForDays, 30);
assert.ok(p.expiresAt);

// Absent keeps, null clears, a value sets.
p = product(await api.POST("/products", { body: { externalId, title: "" } }));
assert.deepEqual([p.title, p.description, p.validForDays, p.metadata], ["", "Soft", 30, { price: 19.9 }]);
p = product(await api.POST("/products", { body: { externalId, validForDays: null, metadata: null } }));
assert.deepEqual([p.validForDays, p.expiresAt, p.metadata], [null, null, null]);

// A condition that does not hold: 412, with its code.
const path = { externalId };
const read = await api.GET("/products/{externalId}", { params: { path } });
const version = product(read).version;
p = product(await api.POST("/products", { body: { externalId, title: "x" }, params: { header: { "If-Match": `"${version}"` } } }));
const stale = await api.POST("/products", { body: { externalId, title: "y" }, params: { header: { "If-Match": `"${version}"` } } });
assert.equal(stale.response.status, 412);
assert.equal(stale.error?.code, "PRECONDITION_FAILED");
const etag = read.response.headers.get("ETag");
assert.ok(etag);

// What is wrong is said with its path.
const wrong = await api.POST("/products", { body: { externalId, validForDays: 0 } });
assert.equal(wrong.response.status, 400);
assert.equal(wrong.error?.details?.[0]?.path, "validForDays");

// A product as it was read can be sent again.
p = product(await api.POST("/products", { body: product(read) }));
assert.equal(p.title, "");

// An upload: the JSON, and a file part for each fileKey.
const file = new Blob([Buffer.from(image, "base64")]);
const uploaded = await api.POST("/products", {
  body: { data: { externalId: "photo", images: [{ source: { fileKey: "front" } }] } },
  bodySerializer: (body) => {
    assert.ok("data" in body);
    const form = new FormData();
    form.set("data", JSON.stringify(body.data));
    form.set("front", file, "front.png");
    return form;
  },
});
p = product(uploaded);
assert.equal(p.images[0]?.contentType, "image/png");
const bytes = await api.GET("/products/{externalId}/images/{order}", {
  params: { path: { externalId: "photo", order: 0 } },
  parseAs: "arrayBuffer",
});
assert.deepEqual(Buffer.from(bytes.data as ArrayBuffer).toString("base64"), image);

// Pages.
for (const id of ["p1", "p2", "p3"]) {
  product(await api.POST("/products", { body: { externalId: id, images } }));
}
const ids: string[] = [];
let cursor: string | undefined;
do {
  const { data } = await api.GET("/products", { params: { query: { limit: 2, prefix: "p", cursor } } });
  assert.ok(data);
  ids.push(...data.items.map((i) => i.externalId));
  cursor = data.nextCursor ?? undefined;
} while (cursor);
assert.deepEqual(ids, ["p1", "p2", "p3", "photo"]);

// A use, a one-shot that is made once, and the end.
assert.ok(product(await api.POST("/products/{externalId}/use", { params: { path } })).lastUsedAt);
const header = { "Idempotency-Key": "order-1" };
const once = product(await api.POST("/uses", { body: { images }, params: { header } }));
assert.equal(product(await api.POST("/uses", { body: { images }, params: { header } })).externalId, once.externalId);
assert.equal((await api.DELETE("/products/{externalId}", { params: { path } })).response.status, 204);
const gone = await api.GET("/products/{externalId}", { params: { path } });
assert.equal(gone.error?.code, "PRODUCT_NOT_FOUND");
console.log("done");
