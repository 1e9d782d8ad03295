// Package dashboard holds the proof of package httpadapter/dashboard: what people
// do there, done in Chromium, by its pages alone.
//
// Outside CI the tests are skipped where Chromium is not installed. With
// SHELFLIFE_REQUIRE_CHROMIUM set, as .ci/run sets it, they fail there.
// SHELFLIFE_SCREENSHOTS names a folder, which must exist, for pictures of the
// pages.
package dashboard
