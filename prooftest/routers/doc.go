// Package routers holds the settings of docs/deploy.md with which routers that
// hosts use pass on paths as clients sent them, and tries them with the routers
// themselves. It is a module of its own, so that what routers depend on changes
// the versions of nothing else.
package routers
