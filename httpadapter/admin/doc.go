// Package admin serves what an operator asks of a running catalog: whether the
// process lives, whether the store takes writes and why not, its figures, a backup,
// a dump, profiles.
//
// A [Handler] asks for no key. It belongs on a listener of its own, which only
// operators reach: a Unix socket, or an address of the machine itself; never on the
// one that customers use. Against pages in an operator's browser, which do reach
// addresses of the machine, it takes requests only under the names that
// Options.Hosts lists (a page that has its own name resolve to 127.0.0.1 sends that
// name) and refuses what another site's page has sent.
//
//	GET  /livez                200 as long as the process answers
//	GET  /readyz               200 if the store takes writes, else 503 with the reason
//	GET  /stats                figures of the store, as JSON
//	POST /backup               a backup, see catalog.Catalog.Backup
//	POST /dump                 a dump, see package dump of the catalog
//	GET  /debug/pprof/NAME     a profile: heap, allocs, goroutine, block, mutex
//	GET  /debug/pprof/profile  where the CPU's time goes, for ?seconds=30
//	GET  /debug/pprof/trace    an execution trace, likewise
//
// What Options.Routes has stands beside these.
package admin
