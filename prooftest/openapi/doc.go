// Package openapi proves that httpadapter/openapi.yaml says what the handler does:
// it runs the handler's tests, which keep their exchanges, and holds each of them
// against the document, made strict; and it generates clients from the document, in
// Go and TypeScript, and uses them on a real server.
//
// It is a module of its own, so that what validators and generators depend on
// changes the versions of nothing else.
package openapi
