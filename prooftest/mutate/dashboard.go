package main

const pages = "httpadapter/dashboard/"

// dashboardMutations break the rules of the dashboard.
var dashboardMutations = []mutation{
	{"dashboard: forms of other sites", pages + "routes.go", `if err := h.origins.Check(r); err != nil {`, `if err := h.origins.Check(r); false && err != nil {`},
	{"dashboard: the policy of pages", pages + "routes.go", `"default-src 'none'; `, `"`},
	{"dashboard: forms have their referrer", pages + "routes.go", `"Referrer-Policy", "same-origin"`, `"Referrer-Policy", "no-referrer"`},
	{"dashboard: sessions that stand still end", pages + "session.go", `now.Sub(s.checked) > sessionIdle`, `false`},
	{"dashboard: keys are asked about again", pages + "session.go", `if age < h.options.Recheck {`, `if true {`},
	{"dashboard: a key that is refused ends the session", pages + "session.go", `case isRefusal(err) || err == nil && account != s.account:`, `case err == nil && account != s.account:`},
	{"dashboard: a key of another account now", pages + "session.go", `isRefusal(err) || err == nil && account != s.account`, `isRefusal(err) || err == nil && account == ""`},
	{"dashboard: a session that has ended is forgotten", pages + "session.go", `		h.forget(w, r)
		h.toSignIn`, `		h.toSignIn`},
	{"dashboard: images do not prolong a session", pages + "session.go", `!part && age >= resealAfter`, `age >= resealAfter`},
	{"dashboard: cookies are not for scripts", pages + "session.go", `h.seal.cookie, true, http`, `h.seal.cookie, false, http`},
	{"dashboard: cookies are not for other sites", pages + "session.go", `http.SameSiteLaxMode`, `http.SameSiteNoneMode`},
	{"dashboard: Secure under TLS", pages + "session.go", `r.TLS != nil || strings.EqualFold`, `r.TLS != nil || false && strings.EqualFold`},
	{"dashboard: who is asked gets no cookie", pages + "session.go", `	asked.Header.Del("Cookie")
`, ``},
	{"dashboard: keys come by the body", pages + "session.go", `r.PostForm.Get("key")`, `r.Form.Get("key")`},
	{"dashboard: one goes on to its own pages alone", pages + "session.go", `route.get == nil || route.part`, `route.part`},
	{"dashboard: cookies have a name for each key", pages + "seal.go", `"shelflife_" + hex.EncodeToString(name)`, `"shelflife_" + hex.EncodeToString(make([]byte, len(name)))`},
	{"dashboard: the length of the session key", pages + "seal.go", `case len(key) < minSessionKey:`, `case len(key) < minSessionKey-1:`},
	{"dashboard: images do not act as pages", pages + "image.go", `	header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
`, ``},
	{"dashboard: an edit of the title renews nothing", pages + "patch.go", `case days != old.ValidForDays || p == nil:`, `default:`},
	{"dashboard: line breaks are not an edit", pages + "form.go", `return lineBreaks.Replace(strings.ToValidUTF8(text, "\uFFFD"))`, `return strings.ToValidUTF8(text, "\uFFFD")`},
	{"dashboard: adding edits nothing", pages + "edit.go", `patch, catalog.CreateOnly()`, `patch`},
	{"dashboard: deleting asks first", pages + "product.go", `r.PostForm.Get("confirmed") == "" || len(versions) != len(ids)`, `len(versions) != len(ids)`},
	{"dashboard: what was edited since is not deleted", pages + "product.go", `err := h.catalog.Delete(r.Context(), r.account, id, catalog.IfVersion(version))`, `_ = version
		err := h.catalog.Delete(r.Context(), r.account, id)`},
	{"dashboard: filters do bounded work", pages + "list.go", `case filter != nil && read == scanPages:`, `case false:`},
	{"dashboard: the way back is bounded", pages + "list.go", `size > maxTrail`, `false`},
	{"dashboard: no other page is called the one before", pages + "list.go", `if previous, ok := q.previous(); ok {`, `if previous, _ := q.previous(); true {`},
	{"dashboard: remote images by https alone", pages + "picture.go", `if remote && secure {`, `if remote && (secure || true) {`},
	{"dashboard: remote images when asked", pages + "picture.go", `return r.URL.Query().Get("remote") != ""`, `return true`},
	{"dashboard: the store is for hosts that say so", pages + "account.go", `if !h.options.Store {`, `if false {`},
	{"dashboard: the look ahead is bounded", pages + "ahead.go", `if read == aheadReads {`, `if false {`},
	{"dashboard: trees are cut", pages + "node.go", `if *left--; *left < 0 {`, `if *left < 0 {`},
	{"dashboard: an import is of one account", pages + "imports.go", `if j.account == account && !j.gone(`, `if !j.gone(`},
	{"dashboard: imports are looked at first", pages + "importjob.go", `Preview: preview,`, `Preview: preview && false,`},
	{"dashboard: an import is written once", pages + "importjob.go", `what == "write" && j.state == importChecked`, `what == "write" && !j.state.running()`},
	{"dashboard: an import has few entries", pages + "importjob.go", `case n == h.options.Imports.Entries:`, `case false:`},
	{"dashboard: an account has few imports", pages + "imports.go", `if count >= h.options.Imports.AccountJobs && `, `if false && `},
	{"dashboard: there are few imports", pages + "imports.go", `if len(all.jobs) >= h.options.Imports.Jobs && `, `if false && `},
	{"dashboard: imports that wait are not pushed out", pages + "imports.go", `i.stateNow().over()`, `!i.stateNow().running()`},
	{"dashboard: files of imports are closed", pages + "imports.go", `if err := j.file.Close(); err != nil {`, `if err := error(nil); err != nil {`},
	{"dashboard: forms take turns", pages + "routes.go", `return r.claim.Await(r.Context(), true, multipartMemory)`, `return nil`},
	{"dashboard: the texts of forms count", pages + "form.go", `if err := r.claim.Grow(textFactor * int64(len(text))); err != nil {`, `if err := error(nil); err != nil {`},
	{"dashboard: forms without files are small", pages + "routes.go", `min(maxPlainBytes, h.options.MaxRequestBytes)`, `h.options.MaxRequestBytes`},
	{"import: previews know what comes before", "catalog/productimport/importer.go", `if _, again := m.seen[hash]; again {`, `if _, again := m.seen[hash]; again && false {`},
	{"import: previews write nothing", "catalog/productimport/importer.go", `if m.options.Preview {`, `if false {`},
	{"catalog: previews know renewals from edits", "catalog/preview.go", `case !changed:`, `case !changed && false:`},
}
