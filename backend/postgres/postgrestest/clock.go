//go:build unix

package postgrestest

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

// WithClock is a connection string whose connections take the time from the clock
// of [SetClock].
func WithClock(dsn string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		return ""
	}
	q := u.Query()
	// A schema that comes before pg_catalog hides what that has.
	q.Set("options", "-c search_path=public,pg_catalog")
	u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20")
	return u.String()
}

// SetClock puts a function now() into a database, before that of the server, and
// returns what sets its time, which then runs on.
func SetClock(t testing.TB, dsn string) (set func(time.Time)) {
	t.Helper()
	must := func(sql string) {
		t.Helper()
		if err := execute(dsn, sql); err != nil {
			t.Fatal(err)
		}
	}
	must(`CREATE TABLE public.clock (ahead interval NOT NULL); INSERT INTO public.clock VALUES ('0');
		CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql STABLE AS
		'SELECT pg_catalog.now() + ahead FROM public.clock'`)
	return func(to time.Time) {
		t.Helper()
		must(fmt.Sprintf(`UPDATE public.clock SET ahead = '%d milliseconds'`, time.Until(to).Milliseconds()))
	}
}
