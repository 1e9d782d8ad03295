package workload

import (
	"fmt"

	"github.com/shelflife-db/shelflife/bench/internal/result"
)

// The workloads that do not depend on the configuration.
var (
	importBase    = result.Workload{Name: "import", Title: "bulk import", Unit: "products/s"}
	importCompact = result.Workload{Name: "import-compacted", Title: "bulk import, until compacted", Unit: "products/s"}
	diskBytes     = result.Workload{Name: "disk", Title: "disk per product, compacted", Unit: "B", LowerIsBetter: true}
	getUniform    = result.Workload{Name: "get-uniform", Title: "get, uniform", Unit: "op/s"}
	getZipf       = result.Workload{Name: "get-zipf", Title: "get, Zipf", Unit: "op/s"}
	getHot        = result.Workload{Name: "get-hot", Title: "get, small working set", Unit: "op/s"}
	getMiss       = result.Workload{Name: "get-miss", Title: "get, no such product", Unit: "op/s"}
	getExpired    = result.Workload{Name: "get-expired", Title: "get, expired", Unit: "op/s"}
	viewUniform   = result.Workload{Name: "view-uniform", Title: "view, uniform", Unit: "op/s"}
	viewZipf      = result.Workload{Name: "view-zipf", Title: "view, Zipf", Unit: "op/s"}
	viewHot       = result.Workload{Name: "view-hot", Title: "view, small working set", Unit: "op/s"}
	viewHotFields = result.Workload{Name: "view-hot-fields", Title: "view, all fields read, small working set", Unit: "op/s"}
	viewHotJSON   = result.Workload{Name: "view-hot-json", Title: "view, to JSON, small working set", Unit: "op/s"}
	viewPage50    = result.Workload{Name: "view-page-50", Title: "page of 50 views, all fields read", Unit: "op/s"}
	getMany50     = result.Workload{Name: "get-many-50", Title: "get 50 at once", Unit: "op/s"}
	imageWrite    = result.Workload{Name: "image-write", Title: "write image of 200 KB", Unit: "op/s"}
	imageLend     = result.Workload{Name: "image-lend", Title: "lend image of 200 KB", Unit: "op/s"}

	page50      = result.Workload{Name: "page-50", Title: "page of 50", Unit: "op/s"}
	imageRead   = result.Workload{Name: "image-read", Title: "read image of 200 KB", Unit: "op/s"}
	imageUpload = result.Workload{Name: "image-upload", Title: "upload image of 200 KB, durable", Unit: "op/s"}
	create      = result.Workload{Name: "create-durable", Title: "create, durable", Unit: "op/s"}
	useDurable  = result.Workload{Name: "use-durable", Title: "use, durable, Zipf", Unit: "op/s"}
	useBuffered = result.Workload{Name: "use-buffered", Title: "use, not durable, Zipf", Unit: "op/s"}
	touch       = result.Workload{Name: "touch", Title: "use that returns no product, not durable, Zipf", Unit: "op/s"}
	useLog      = result.Workload{Name: "use-log", Title: "log per use, Zipf", Unit: "B", LowerIsBetter: true}
	sweepRate   = result.Workload{Name: "sweep", Title: "expiry sweep, durable, with a reader", Unit: "products/s"}
	sweepTail   = result.Workload{Name: "sweep-get-p99", Title: "p99 of get while sweeping, to that at rest", Unit: "×", LowerIsBetter: true}
	openClean   = result.Workload{Name: "open-clean", Title: "open after close", Unit: "ms", LowerIsBetter: true}
	openKilled  = result.Workload{Name: "open-killed", Title: "open after kill", Unit: "ms", LowerIsBetter: true}

	mixedLarge      = result.Workload{Name: "large-mixed", Title: "nine gets to an edit, Zipf, 16 goroutines, large store", Unit: "op/s"}
	diskLarge       = result.Workload{Name: "large-disk", Title: "disk per product, large store, as imported", Unit: "B", LowerIsBetter: true}
	importLarge     = result.Workload{Name: "large-import", Title: "bulk import, large store", Unit: "products/s"}
	heapLarge       = result.Workload{Name: "large-import-heap", Title: "heap in a large import, largest to middle", Unit: "×", LowerIsBetter: true}
	bulkLoad        = result.Workload{Name: "bulk-load", Title: "bulk load of one account, large", Unit: "products/s"}
	bulkLoadCPU     = result.Workload{Name: "bulk-load-cpu", Title: "processor time of that", Unit: "µs/product", LowerIsBetter: true}
	openCleanLarge  = result.Workload{Name: "large-open-clean", Title: "open after close, large store", Unit: "ms", LowerIsBetter: true}
	openKilledLarge = result.Workload{Name: "large-open-killed", Title: "open after kill, large store", Unit: "ms", LowerIsBetter: true}
	indexMemory     = result.Workload{Name: "index-memory", Title: "expiry index per product with a lifetime", Unit: "B", LowerIsBetter: true}

	importLarger = result.Workload{Name: "larger-import", Title: "bulk import, larger store", Unit: "products/s"}
	heapLarger   = result.Workload{Name: "larger-import-heap", Title: "heap in a larger import, largest to middle", Unit: "×", LowerIsBetter: true}
	diskLarger   = result.Workload{Name: "larger-disk", Title: "disk per product, larger store, as imported", Unit: "B", LowerIsBetter: true}

	hugeImport   = result.Workload{Name: "huge-import", Title: "bulk import, huge store of small products", Unit: "products/s"}
	hugeSlower   = result.Workload{Name: "huge-import-slowdown", Title: "time per product of that, to the first tenth's", Unit: "×", LowerIsBetter: true}
	hugeDisk     = result.Workload{Name: "huge-disk", Title: "disk per product, huge store, as imported", Unit: "B", LowerIsBetter: true}
	hugeManifest = result.Workload{Name: "huge-manifest", Title: "Pebble's MANIFEST of the closed huge store", Unit: "KiB", LowerIsBetter: true}
	hugeMemory   = result.Workload{Name: "huge-open-memory", Title: "heap and cache after its opening, above an empty store's", Unit: "MiB", LowerIsBetter: true}
	hugeGet      = result.Workload{Name: "huge-get-hot", Title: "get, small working set of a huge store", Unit: "op/s"}
	hugeOpen     = result.Workload{Name: "huge-open-clean", Title: "open after close, huge store", Unit: "ms", LowerIsBetter: true}

	httpGet          = result.Workload{Name: "http-get", Title: "HTTP GET", Unit: "op/s"}
	httpPost         = result.Workload{Name: "http-post", Title: "HTTP edit, durable", Unit: "op/s"}
	httpUse          = result.Workload{Name: "http-use", Title: "HTTP use", Unit: "op/s"}
	httpList         = result.Workload{Name: "http-list", Title: "HTTP GET of a page of 50", Unit: "op/s"}
	httpImage        = result.Workload{Name: "http-image", Title: "HTTP GET of an image of 200 KB", Unit: "op/s"}
	httpGetHandler   = result.Workload{Name: "http-get-handler", Title: "GET inside the handler", Unit: "op/s"}
	httpListHandler  = result.Workload{Name: "http-list-handler", Title: "GET of a page of 50 inside the handler", Unit: "op/s"}
	httpImageHandler = result.Workload{Name: "http-image-handler", Title: "GET of an image of 200 KB inside the handler", Unit: "op/s"}
	httpPostHandler  = result.Workload{Name: "http-post-handler", Title: "edit inside the handler", Unit: "op/s"}
)

// httpWorkloads are those that work on the stores of the servers.
var httpWorkloads = []result.Workload{
	httpGet, httpList, httpImage, httpPost, httpUse, httpGetHandler, httpListHandler, httpImageHandler, httpPostHandler,
}

// editWorkload returns the partial edit by a number of writers.
func editWorkload(durable, zipf bool, writers int) result.Workload {
	mode, title := "buffered", "not durable"
	if durable {
		mode, title = "durable", "durable"
	}
	w := result.Workload{
		Name:  fmt.Sprintf("edit-%s-%d", mode, writers),
		Title: fmt.Sprintf("edit, %s, %d writers", title, writers),
		Unit:  "op/s",
	}
	if writers == 1 {
		w.Title = fmt.Sprintf("edit, %s, 1 writer", title)
	}
	if zipf {
		w.Name += "-zipf"
		w.Title += ", Zipf"
	}
	return w
}

// All returns the workloads that a configuration can measure, in order.
func (c *Config) All() []result.Workload {
	all := []result.Workload{importBase, importCompact, diskBytes, getUniform, getZipf, getHot, getMiss,
		viewUniform, viewZipf, viewHot, viewHotFields, viewHotJSON, page50, viewPage50, getMany50, imageRead, imageWrite, imageLend}
	for _, durable := range []bool{true, false} {
		for _, w := range c.Writers {
			all = append(all, editWorkload(durable, false, w))
		}
		all = append(all, editWorkload(durable, true, c.mostWriters()))
	}
	all = append(all, create, useDurable, imageUpload, useBuffered, useLog, touch, getExpired, sweepRate, sweepTail, openClean, openKilled)
	if c.Large > 0 {
		all = append(all, bulkLoad, bulkLoadCPU, importLarge, heapLarge, diskLarge, mixedLarge, openCleanLarge, openKilledLarge, indexMemory)
	}
	if c.Larger > 0 {
		all = append(all, importLarger, heapLarger, diskLarger)
	}
	if c.Huge > 0 {
		all = append(all, hugeImport, hugeSlower, hugeDisk, hugeManifest, hugeMemory, hugeGet, hugeOpen)
	}
	return append(all, httpWorkloads...)
}
