// Package dashboard holds the proof of package httpadapter/dashboard: what people
// do there, done in Chromium, by its pages alone.
//
// Outside CI the tests are skipped where Chromium is not installed. With
// SHELFLIFE_REQUIRE_CHROMIUM set, as .ci/run sets it, they fail there.
// So it is with SHELFLIFE_AXE, which names the file axe.min.js of npm's axe-core
// 4.14.1. SHELFLIFE_SCREENSHOTS names a folder, which must exist, for pictures of
// the pages; those of the README are docs/dashboard-light.png and
// docs/dashboard-dark.png among them.
package dashboard
