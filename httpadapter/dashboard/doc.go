// Package dashboard is a set of web pages on which people see, use, edit,
// delete, import and export the products of an account:
//
//	d, err := dashboard.New(c, &dashboard.Options{Authenticate: keys.Authenticate})
//	...
//	defer d.Close() // before the catalog
//	mux.Handle("/dashboard/", d)
//
// # Mounting
//
// The handler looks at the last segment of a request's path alone, and every link
// that it writes is relative. So it works in any mux and under any path that ends
// in a slash, with or without http.StripPrefix, and behind a proxy that takes off
// a prefix, without being told where it is.
//
// # Sign-in
//
// With Options.Authenticate people sign in with an API key. From then on the key
// is in the session cookie alone, which is encrypted and authenticated with
// Options.SessionKey: no page, URL or log line has it, and scripts can't read it.
// The cookie has no Path attribute, by which browsers send it to the folder of the
// page that set it: the mount, wherever that is. It is never read by the API. A
// session ends when the key is no longer valid, when nothing was opened for 12
// hours, when the browser ends, and when the person signs out.
//
// Another cookie remembers, for the account, that images of other servers are to be
// shown, if the person has asked for them: until the browser ends or the person
// signs out.
//
// With Options.Account the host says whose dashboard a request is for, by a
// sign-in of its own, and there is no page for signing in.
//
// # What protects it
//
// Every page is sent with a Content-Security-Policy that allows nothing but its
// own stylesheet, script, images and forms. Requests that change something are
// refused when another site makes them (net/http.CrossOriginProtection). A proxy
// must pass on the Host header as it is, or Options.TrustedOrigins names the
// origin under which people see the dashboard.
//
// # What it holds
//
// Forms and the files of imports count in Options.Budget, by account. Imports go on
// when their page is left, so they are the handler's: each has a goroutine, which
// Close ends, and a temporary file. Options.Imports bounds how many there are and
// how long they are kept. They live in one process: servers behind one address
// must send a person to the one that has the import.
//
// # What it needs
//
// Nothing but HTML: scripts add a running countdown, a search as one types,
// images that are dropped, pasted and dragged, placeholders for those that
// can't be loaded, and the progress of an import. An edit is based on the
// version that its page showed: one that was overtaken overwrites nothing. The
// URLs of pages that were opened from the list hold the place in the list to go
// back to.
package dashboard
