// Package postgrestest starts a PostgreSQL server for tests, with fsync on, on a
// Unix socket in a folder of its own:
//
//	func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }
//
//	func TestStore(t *testing.T) {
//		store, err := postgres.Open(t.Context(), postgrestest.Database(t), nil)
//		…
//	}
//
// [SetClock] gives the connections of [WithClock] a clock that the test sets.
//
// SHELFLIFE_POSTGRES_DSN names a server to use instead, whose role may create
// databases. Tests are skipped where there is neither, and fail where
// SHELFLIFE_POSTGRES is "required".
package postgrestest
