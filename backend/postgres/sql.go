package postgres

import (
	"strings"
)

// statements are the SQL of one store. In them T is the store's table.
type statements struct {
	table string

	get, getTimed         string
	getMany, getManyTimed string
	commit, edit, insert  string
	together              string
	portableCommit        string
	raiseClock, highWater string
	probe                 string
}

func newStatements(table string) statements {
	s := statements{table: table}
	s.get = s.sql(`SELECT v, ver FROM T WHERE part = $1 AND k = $2`)
	// One row also where there is none, for the time.
	s.getTimed = s.sql(`SELECT t.v, coalesce(t.ver, 0), ` + stamp + `
		FROM (SELECT 1) o LEFT JOIN T t ON t.part = $1 AND t.k = $2`)
	// OFFSET 0 keeps the planner from anything but a look-up for each key.
	s.getMany = s.sql(`SELECT r.i, t.v, t.ver, ` + noStamp + `
		FROM unnest($1::int4[], $2::bytea[]) WITH ORDINALITY r(p, k, i)
		CROSS JOIN LATERAL (SELECT v, ver FROM T WHERE part = r.p AND k = r.k OFFSET 0) t`)
	s.getManyTimed = s.sql(`SELECT r.i, t.v, coalesce(t.ver, 0), ` + stamp + `
		FROM unnest($1::int4[], $2::bytea[]) WITH ORDINALITY r(p, k, i)
		LEFT JOIN LATERAL (SELECT v, ver FROM T WHERE part = r.p AND k = r.k OFFSET 0) t ON true`)
	s.commit = s.sql(`SELECT T_commit_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)`)
	s.edit = s.sql(edit)
	s.insert = s.sql(insert)
	s.together = s.sql(`SELECT T_together_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`)
	s.portableCommit = s.sql(portableCommit)
	s.raiseClock = s.sql(raiseClock)
	s.probe = s.sql(`INSERT INTO T_meta (name, value) VALUES ('probe', ` + serverTime + `::text) ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value`)
	s.highWater = s.sql(`SELECT value::int8 FROM T_meta WHERE name = 'clock'`)
	return s
}

// stamp is the server's time: see clock.go for what is made of it.
const stamp = `now()`

// noStamp is in its place where the time is not asked for.
const noStamp = `'epoch'::timestamptz`

// serverTime is that of the transaction.
const serverTime = `(extract(epoch FROM now()) * 1000)::int8`

// raiseClock writes the high water where it is more than the first parameter, in
// milliseconds, behind the time, or was left by a clock that was wrong: one that is
// more than the second ahead.
const raiseClock = `INSERT INTO T_meta AS m (name, value) VALUES ('clock', ` + serverTime + `::text)
	ON CONFLICT (name) DO UPDATE SET value = EXCLUDED.value
	WHERE m.value::int8 NOT BETWEEN ` + serverTime + ` - $1::int8 AND ` + serverTime + ` + $2::int8`

// sql puts the name of the table in the place of T.
func (s statements) sql(text string) string {
	r := strings.NewReplacer(
		" T ", ` "`+s.table+`" `, " T\n", ` "`+s.table+"\"\n", " T;", ` "`+s.table+`";`, "T.", `"`+s.table+`".`,
		"T_meta", `"`+s.table+`_meta"`, "T_commit_1", `"`+s.table+`_commit_1"`, "T_together_1", `"`+s.table+`_together_1"`,
	)
	return r.Replace(text)
}

// page is the statement for a page of a scan: its parameters are the part (or
// the number of parts), both bounds and the number of rows.
func (s statements) page(p page) string {
	value, version, order, time := "NULL::bytea", "0::int8", "k", noStamp
	if !p.keysOnly {
		value = "v"
	}
	if p.versions {
		version = "ver"
	}
	if p.reverse {
		order = "k DESC"
	}
	if p.timed {
		time = stamp
	}
	if p.onePart {
		return s.sql(`SELECT k, ` + value + `, ` + version + `, ` + time + ` FROM T
			WHERE part = $1 AND k >= $2 AND k < $3 ORDER BY ` + order + ` LIMIT $4`)
	}
	return s.sql(`SELECT r.k, r.v, r.ver, ` + time + ` FROM generate_series(0, $1::int4 - 1) p
		CROSS JOIN LATERAL (SELECT k, ` + value + ` AS v, ` + version + ` AS ver FROM T
			WHERE part = p AND k >= $2 AND k < $3 ORDER BY ` + order + ` LIMIT $4) r
		ORDER BY r.` + order + ` LIMIT $4`)
}

// tables create a store. The version stands before the value: of a row that is
// updated on its page the server logs what lies between the first byte that differs
// and the last, and in a value what a use changes comes first.
const tables = `
CREATE TABLE IF NOT EXISTS T_meta (name text PRIMARY KEY, value text NOT NULL);
CREATE TABLE IF NOT EXISTS T (
	part int4 NOT NULL,
	k bytea NOT NULL,
	ver int8 NOT NULL,
	v bytea NOT NULL,
	PRIMARY KEY (part, k)
)`

// fillfactor leaves room on each page for the next versions of its rows, which
// then need no new entry of the index.
const fillfactor = `ALTER TABLE T SET (fillfactor = 70)`

// functions are how a store commits that is not portable. Each of their statements
// has a snapshot of its own, as they run in READ COMMITTED transactions: those after
// the locks see everything that the locks' former holders have committed.
//
// T_commit_1 locks, validates and writes. It takes the locks in the order given,
// which is the same in all processes, so that there is no cycle of waits.
//
// T_together_1 commits several changes that have nothing to do with each other, the
// units, each for itself. It waits for no lock. It returns the numbers of the units
// that it did not commit, of those whose locks are held by others negative.
//
// They are written for what PL/pgSQL costs: an assignment and a condition are a
// fifth of a statement. And their plans are made once: the server would plan a
// statement about few keys anew in each call, as it takes an array that it does
// not know for a longer one.
const functions = `
CREATE OR REPLACE FUNCTION T_commit_1(
	a_timeout text, a_locks int8[], a_exclusive bool[],
	a_rpart int4[], a_rkey bytea[], a_rver int8[],
	a_spart int4[], a_sfrom bytea[], a_sto bytea[], a_scount int8[], a_ssum text[],
	a_dpart int4[], a_dfrom bytea[], a_dto bytea[],
	a_xpart int4[], a_xread bool[], a_xfrom int4[], a_xto int4[], a_xkey bytea[], a_xcount int8, a_xsum text,
	a_wpart int4[], a_wkey bytea[], a_wval bytea[],
	a_ver int8
) RETURNS bool
LANGUAGE plpgsql VOLATILE SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $fn$
DECLARE
	n int8;
	s text;
	doomed tid[];
BEGIN
	s := set_config('lock_timeout', a_timeout, true);
	FOR i IN 1..cardinality(a_locks) LOOP
		IF a_exclusive[i] THEN
			IF NOT pg_try_advisory_xact_lock(a_locks[i]) THEN
				PERFORM pg_advisory_xact_lock(a_locks[i]);
			END IF;
		ELSIF NOT pg_try_advisory_xact_lock_shared(a_locks[i]) THEN
			PERFORM pg_advisory_xact_lock_shared(a_locks[i]);
		END IF;
	END LOOP;
	IF cardinality(a_rpart) > 0 THEN
		PERFORM 1 FROM unnest(a_rpart, a_rkey, a_rver) r(p, k, ver)
			LEFT JOIN LATERAL (SELECT t.ver FROM T t WHERE t.part = r.p AND t.k = r.k OFFSET 0) c ON true
			WHERE coalesce(c.ver, 0) <> r.ver LIMIT 1;
		IF FOUND THEN
			RETURN false;
		END IF;
	END IF;
	FOR i IN 1..cardinality(a_spart) LOOP
		SELECT count(*), coalesce(sum(t.ver), 0)::text INTO n, s FROM T t
			WHERE t.part = a_spart[i] AND t.k >= a_sfrom[i] AND t.k < a_sto[i];
		IF n <> a_scount[i] OR s <> a_ssum[i] THEN
			RETURN false;
		END IF;
	END LOOP;
	-- What is removed is looked up once: for its version, if it was read, and for its
	-- place. That is still the same below, as all that writes to it waits for the locks.
	-- It comes in groups, each of one part, whose keys are looked up together; the
	-- versions of what was read have a sum, as those of a range.
	IF cardinality(a_xpart) > 0 THEN
		SELECT array_agg(c.at), count(*) FILTER (WHERE x.read), coalesce(sum(c.ver) FILTER (WHERE x.read), 0)::text INTO doomed, n, s
			FROM unnest(a_xpart, a_xread, a_xfrom, a_xto) x(p, read, f, e)
			CROSS JOIN LATERAL (SELECT t.ctid AS at, t.ver FROM T t WHERE t.part = x.p AND t.k = ANY (a_xkey[x.f:x.e]) OFFSET 0) c;
		IF n <> a_xcount OR s <> a_xsum THEN
			RETURN false;
		END IF;
	END IF;
	FOR i IN 1..cardinality(a_dpart) LOOP
		DELETE FROM T t WHERE t.part = a_dpart[i] AND t.k >= a_dfrom[i] AND t.k < a_dto[i];
	END LOOP;
	IF doomed IS NOT NULL THEN
		DELETE FROM T t WHERE t.ctid = ANY (doomed);
	END IF;
	IF cardinality(a_wpart) > 0 THEN
		INSERT INTO T AS t (part, k, v, ver)
			SELECT w.p, w.k, w.v, a_ver FROM unnest(a_wpart, a_wkey, a_wval) w(p, k, v)
			ON CONFLICT (part, k) DO UPDATE SET v = EXCLUDED.v, ver = EXCLUDED.ver;
	END IF;
	RETURN true;
END $fn$;

CREATE OR REPLACE FUNCTION T_together_1(
	a_timeout text, a_locks int8[], a_exclusive bool[], a_lunit int4[],
	a_rpart int4[], a_rkey bytea[], a_rver int8[], a_runit int4[],
	a_xpart int4[], a_xkey bytea[], a_xunit int4[],
	a_wpart int4[], a_wkey bytea[], a_wval bytea[], a_wunit int4[],
	a_ver int8[]
) RETURNS int4[]
LANGUAGE plpgsql VOLATILE SET plan_cache_mode = force_generic_plan AS $fn$
DECLARE
	s text;
	busy int4[] := '{}';
	bad int4[] := '{}';
BEGIN
	s := set_config('lock_timeout', a_timeout, true);
	FOR i IN 1..cardinality(a_locks) LOOP
		IF a_exclusive[i] THEN
			IF NOT pg_try_advisory_xact_lock(a_locks[i]) THEN
				busy := busy || a_lunit[i];
			END IF;
		ELSIF NOT pg_try_advisory_xact_lock_shared(a_locks[i]) THEN
			busy := busy || a_lunit[i];
		END IF;
	END LOOP;
	IF cardinality(a_rpart) > 0 THEN
		bad := ARRAY (SELECT r.u FROM unnest(a_rpart, a_rkey, a_rver, a_runit) r(p, k, ver, u)
			LEFT JOIN LATERAL (SELECT t.ver FROM T t WHERE t.part = r.p AND t.k = r.k OFFSET 0) c ON true
			WHERE coalesce(c.ver, 0) <> r.ver);
	END IF;
	IF cardinality(busy) > 0 THEN
		bad := bad || busy;
	END IF;
	IF cardinality(a_xpart) > 0 THEN
		DELETE FROM T t WHERE t.ctid = ANY (ARRAY (
			SELECT c.at FROM unnest(a_xpart, a_xkey, a_xunit) x(p, k, u)
				CROSS JOIN LATERAL (SELECT t.ctid AS at FROM T t WHERE t.part = x.p AND t.k = x.k OFFSET 0) c
				WHERE x.u <> ALL (bad)));
	END IF;
	IF cardinality(a_wpart) > 0 THEN
		INSERT INTO T AS t (part, k, v, ver)
			SELECT w.p, w.k, w.v, a_ver[w.u] FROM unnest(a_wpart, a_wkey, a_wval, a_wunit) w(p, k, v, u)
			WHERE w.u <> ALL (bad)
			ON CONFLICT (part, k) DO UPDATE SET v = EXCLUDED.v, ver = EXCLUDED.ver;
	END IF;
	-- A unit whose locks are held may have read what is about to change: it is
	-- not known to be out of date.
	IF cardinality(busy) > 0 THEN
		bad := ARRAY (SELECT DISTINCT CASE WHEN u = ANY (busy) THEN -u ELSE u END FROM unnest(bad) AS o(u));
	END IF;
	RETURN bad;
END $fn$`

// edit is T_commit_1 where one row alone is read and written and no lock has to be
// waited for: a function costs a fifth more. Its snapshot is older than the locks, but
// a row that was changed since is looked at again, and then has another version.
// Without a row in the answer nothing was written, for whatever reason.
const edit = `WITH l AS MATERIALIZED (SELECT set_config('lock_timeout', $1, true) IS NOT NULL
		AND pg_try_advisory_xact_lock_shared($2) AND pg_try_advisory_xact_lock_shared($3) AND pg_try_advisory_xact_lock($4) AS held)
	UPDATE T t SET v = $8, ver = $9 FROM l WHERE l.held AND t.part = $5 AND t.k = $6 AND t.ver = $7
	RETURNING true`

// insert is T_commit_1 where all that was read was missing and is written: that a key is
// still missing is what its insertion says. It fails, without an effect, where a key is
// there, one that was not read too. It waits for the locks itself. Its snapshot is
// older than they are, but the index that keeps keys unique has none.
const insert = `WITH s AS MATERIALIZED (SELECT set_config('lock_timeout', $1, true) AS s),
	l AS MATERIALIZED (SELECT count(CASE WHEN o.x THEN pg_advisory_xact_lock(o.n)::text ELSE pg_advisory_xact_lock_shared(o.n)::text END) AS n
		FROM s, unnest($2::int8[], $3::bool[]) o(n, x) WHERE s.s IS NOT NULL)
	INSERT INTO T (part, k, ver, v)
		SELECT w.p, w.k, $7::int8, w.v FROM l, unnest($4::int4[], $5::bytea[], $6::bytea[]) w(p, k, v) WHERE l.n >= 0`

// portableCommit does what T_commit_1 does in one statement of a SERIALIZABLE transaction,
// whose parts all see the state before it: a row may be changed by one of them
// only.
const portableCommit = `WITH bad AS (
	SELECT 1 FROM unnest($1::int4[], $2::bytea[], $3::int8[]) r(p, k, ver)
		LEFT JOIN T t ON t.part = r.p AND t.k = r.k
		WHERE coalesce(t.ver, 0) <> r.ver
	UNION ALL
	SELECT 1 FROM unnest($4::int4[], $5::bytea[], $6::bytea[], $7::int8[], $8::text[]) s(p, f, e, n, m)
		CROSS JOIN LATERAL (SELECT count(*) AS n, coalesce(sum(t.ver), 0)::text AS m FROM T t
			WHERE t.part = s.p AND t.k >= s.f AND t.k < s.e) c
		WHERE c.n <> s.n OR c.m <> s.m
), good AS (SELECT NOT EXISTS (SELECT 1 FROM bad) AS ok),
ranges AS (
	DELETE FROM T t USING unnest($9::int4[], $10::bytea[], $11::bytea[]) d(p, f, e)
		WHERE (SELECT ok FROM good) AND t.part = d.p AND t.k >= d.f AND t.k < d.e
		AND NOT EXISTS (SELECT 1 FROM unnest($12::int4[], $13::bytea[]) x(p, k) WHERE x.p = t.part AND x.k = t.k)
		AND NOT EXISTS (SELECT 1 FROM unnest($14::int4[], $15::bytea[]) w(p, k) WHERE w.p = t.part AND w.k = t.k)
	RETURNING 1
), points AS (
	DELETE FROM T t USING unnest($12::int4[], $13::bytea[]) x(p, k)
		WHERE (SELECT ok FROM good) AND t.part = x.p AND t.k = x.k
	RETURNING 1
), puts AS (
	INSERT INTO T AS t (part, k, v, ver)
		SELECT w.p, w.k, w.v, $17::int8 FROM unnest($14::int4[], $15::bytea[], $16::bytea[]) w(p, k, v)
		WHERE (SELECT ok FROM good)
		ON CONFLICT (part, k) DO UPDATE SET v = EXCLUDED.v, ver = EXCLUDED.ver
	RETURNING 1
)
SELECT ok FROM good`
