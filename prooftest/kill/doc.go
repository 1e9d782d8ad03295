// Package kill holds the proof that a server killed under load, on a real disk,
// keeps what it acknowledged over HTTP.
package kill
