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
	{"dashboard: cookies are not for scripts", pages + "session.go", `c.SameSite = true, http`, `c.SameSite = false, http`},
	{"dashboard: cookies are not for other sites", pages + "session.go", `http.SameSiteLaxMode`, `http.SameSiteNoneMode`},
	{"dashboard: Secure under TLS", pages + "session.go", `r.TLS != nil || strings.EqualFold`, `r.TLS != nil || false && strings.EqualFold`},
	{"dashboard: an authenticator gets no cookie", pages + "session.go", `	asked.Header.Del("Cookie")
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
	{"dashboard: the way back is bounded", pages + "listquery.go", `youngest(trail, maxTrail)`, `trail`},
	{"dashboard: the way back is bounded on every page", pages + "listquery.go", `youngest(q.trail, maxPlaceTrail)`, `q.trail`},
	{"dashboard: the place of the list is carried along", pages + "listquery.go", `	v := q.place()
	v.Set(`, `	v := url.Values{}
	v.Set(`},
	{"dashboard: deleting leads back to the list", pages + "product.go", `redirect(w, withDone(place.ref(), "deleted"))`, `redirect(w, withDone("./", "deleted"))`},
	{"dashboard: what is gone leads back to the list", pages + "fail.go", `p.List = readListQuery(r.URL.Query()).ref()`, `p.List = "./"`},
	{"dashboard: one can sign in wherever a session ends", pages + "session.go", `&& len(url.QueryEscape(next)) <= maxNext`, ``},
	{"dashboard: all of this page are chosen, of no other", pages + "list.go", `localReference("", all.Encode()), q.ref(), r.URL`, `localReference("", all.Encode()), localReference("", all.Encode()), r.URL`},
	{"dashboard: no other page is called the one before", pages + "list.go", `if previous, ok := q.previous(); ok {`, `if previous, _ := q.previous(); true {`},
	{"dashboard: remote images by https alone", pages + "picture.go", `if remote && isSecure(i.SourceURL) {`, `if remote {`},
	{"dashboard: remote images when asked", pages + "remote.go", `return err == nil && cookie.Value == wantsRemote(r.account)`, `return err != nil || cookie.Value == wantsRemote(r.account)`},
	{"dashboard: each account is asked about remote images", pages + "remote.go", `err == nil && cookie.Value == wantsRemote(r.account)`, `err == nil && cookie.Value != ""`},
	{"dashboard: remote images are asked for anew at sign-in", pages + "session.go", `	h.setCookie(w, r, http.Cookie{Name: h.remoteCookie(), MaxAge: -1})
`, ``},
	{"dashboard: remote images that a host rules out", pages + "remote.go", `	if h.options.RemoteImages != RemoteImagesAsk {
		return errNoSuchPage`, `	if false {
		return errNoSuchPage`},
	{"dashboard: the page for editing asks about images", pages + "edit.go", `editPage{Form: newForm(p), Remote: choice}`, `editPage{Form: newForm(p), Remote: remoteChoice{Back: choice.Back}}`},
	{"dashboard: the first fault has the focus", pages + "edit.go", `help, name == p.faulty()}`, `help, len(p.Faults[name]) > 0}`},
	{"dashboard: days that were typed are meant", pages + "patch.go", `case f.Forever && f.Days != "" && (err != nil || days != old.ValidForDays):`, `case false:`},
	{"dashboard: days that were there are not", pages + "patch.go", `f.Days != "" && (err != nil || days != old.ValidForDays):`, `f.Days != "":`},
	{"dashboard: what was typed outlives the product", pages + "edit.go", `	p, err := h.catalog.Get(r.Context(), r.account, f.ID)
	if errors.Is(err, catalog.ErrNotFound) {`, `	p, err := h.catalog.Get(r.Context(), r.account, f.ID)
	if false {`},
	{"dashboard: images of a product that is gone are left out", pages + "edit.go", `strings.HasPrefix(i.Source, "upload://") })`, `false })`},
	{"dashboard: both versions of images are seen", pages + "edit.go", `	if v.Conflict {
		for n`, `	if false {
		for n`},
	{"dashboard: names that stand twice are named", pages + "faulttext.go", `if at.names[name] {`, `if false {`},
	{"dashboard: half characters are named", pages + "faulttext.go", `if escape := halfCharacter(text); escape != "" {`, `if escape := ""; escape != "" {`},
	{"dashboard: the line of a fault of JSON", pages + "faulttext.go", `1+strings.Count(before, "\n")`, `1+strings.Count(before, "\r")`},
	{"dashboard: empty files are refused as such", pages + "form.go", `if _, err := file.Peek(1); err == io.EOF {`, `if false {`},
	{"dashboard: faults describe their fields", pages + "edit.go", `return strings.TrimSpace(f.ID() + " " + f.Help)`, `return f.Help`},
	{"dashboard: faults of classifications stand at them", pages + "edit.go", `strings.Contains(rest, ".classifications")`, `false`},
	{"dashboard: a page behind the last product says so", pages + "list.go", `return p.First != "" && len(p.Items) == 0 && p.Looked == 0`, `return false`},
	{"dashboard: unlisted products are found from the listed", pages + "list.go", `listQuery{prefix: p.Prefix, show: showAll}.ref()`, `listQuery{prefix: p.Prefix}.ref()`},
	{"dashboard: a use renews no lifetime that is none", pages + "product.go", `if p.ValidForDays == 0 {
		what =`, `if false {
		what =`},
	{"dashboard: an estimate of nothing is none", pages + "account.go", `if n <= 0 {`, `if n < 0 {`},
	{"dashboard: misspelt names are refused by default", pages + "importpage.go", `importFormPage{Strict: true}`, `importFormPage{}`},
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
	{"dashboard: the texts of forms count", pages + "form.go", `c.claim.Grow(textFactor * int64(n))`, `c.claim.Grow(0)`},
	{"dashboard: forms without files are small", pages + "routes.go", `min(maxPlainBytes, h.options.MaxRequestBytes)`, `h.options.MaxRequestBytes`},
	{"import: previews know what comes before", "catalog/productimport/importer.go", `if _, again := m.seen[hash]; again {`, `if _, again := m.seen[hash]; again && false {`},
	{"import: previews write nothing", "catalog/productimport/importer.go", `if m.options.Preview {`, `if false {`},
	{"import: a dry run writes nothing", "cmd/shelflife/importdryrun.go", `Preview: true,`, `Preview: false,`},
	{"import: a dry run that must find a store", "cmd/shelflife/importdryrun.go", `errors.As(err, &missing) && !c.MustExist`, `errors.As(err, &missing)`},
	{"catalog: previews know renewals from edits", "catalog/preview.go", `case !changed:`, `case !changed && false:`},
	{"unread: a page's place is free before it is sent", "httpadapter/dashboard/render.go", `	r.built()
	send(`, `	send(`},
	{"unread: pages take the account's share", "httpadapter/dashboard/routes.go", `false, pageMemory)`, `false, 0)`},
	{"unread: large pages take more", "httpadapter/dashboard/render.go", `more > 0`, `false`},
	{"unread: texts are charged as they come", "httpadapter/dashboard/form.go", `io.LimitReader(&charged{part, r.claim}, maxFieldBytes+1)`, `io.LimitReader(part, maxFieldBytes+1)`},
	{"unread: an account has a share of the places", "httpadapter/dashboard/handler.go", `budget.NewPool(pagesAtOnce, accountPagesAtOnce)`, `budget.NewPool(pagesAtOnce, pagesAtOnce)`},
	{"forms: a bound on the headers of a part", "httpadapter/internal/formparts/formparts.go", `if g.left == 0 {`, `if false {`},
	{"forms: not on what a part holds", "httpadapter/internal/formparts/formparts.go", `if r.last != nil {`, `if false {`},
}
