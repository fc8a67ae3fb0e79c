"""The install and update scripts, and what stands in the catalog after CREATE EXTENSION: nothing is taken over from
others, nothing is PUBLIC's, everything says what it is."""

import re

import psycopg
import pytest
from harness import Database
from harness.environment import BUILD, CHECKOUT, execute
from harness.script_rules import problems, tokens

# Those that were released, and those that the build composes.
SCRIPTS = sorted([*(CHECKOUT / "sql/upgrade").glob("*.sql"), *(BUILD / "sql").glob("*.sql")])
PARTS = sorted((CHECKOUT / "sql/objects").glob("*.sql"))
# Released before the rule; its operators have operands of one type, which only pg_catalog's can match (see below).
RELEASED = {"pg_insync--0.1.sql"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_keeps_the_rules(script):
    assert problems(script.read_text(), operators_too=script.name not in RELEASED) == []


def test_the_scripts_of_this_version_are_composed_of_every_part():
    """A new file in sql/objects/ is named in the templates, once in each."""
    version = re.search(r"default_version = '(.*)'", (CHECKOUT / "sql/pg_insync.control").read_text()).group(1)
    templates = {CHECKOUT / "sql/install.sql.in": r"\\include", **{
        path: rf"\\since {re.escape(version)}" for path in (CHECKOUT / "sql/upgrade").glob(f"pg_insync--*--{version}.sql.in")}}  # fmt: skip
    for template, directive in templates.items():
        included = re.findall(rf"^{directive} objects/(.*)$", template.read_text(), re.M)
        assert sorted(included) == [part.name for part in PARTS], template.name
    assert {path.name for path in SCRIPTS} >= {f"pg_insync--{version}.sql", "pg_insync--0.1.sql"}


PART = """/* Of orders. */

CREATE TABLE a (x int);
COMMENT ON TABLE a IS
    'first';
REVOKE ALL ON a FROM PUBLIC;

-- since 0.2
/* Of the view. */
CREATE OR REPLACE VIEW b AS SELECT 1;
COMMENT ON VIEW b IS 'second';

-- since 0.1
CREATE INDEX c ON a (x);
"""


def compose(folder, template):
    (folder / "part.sql").write_text(PART)
    (folder / "template.sql.in").write_text(template)
    done = execute("awk", "-f", CHECKOUT / "sql/compose.awk", "template.sql.in", cwd=folder, check=False)
    return done.returncode, done.stdout.split("*/\n", 1)[-1], done.stderr


def test_a_whole_part_is_included(tmp_path):
    assert compose(tmp_path, "\\include part.sql\nlast;\n") == (0, PART + "last;\n", "")


def test_an_update_takes_what_is_new_of_a_part_and_the_comments_of_the_rest(tmp_path):
    assert compose(tmp_path, "\\since 0.2 part.sql\nlast;\n")[1] == """COMMENT ON TABLE a IS
    'first';
-- since 0.2
/* Of the view. */
CREATE OR REPLACE VIEW b AS SELECT 1;
COMMENT ON VIEW b IS 'second';

last;
"""


def test_a_part_that_is_not_there_ends_the_build(tmp_path):
    status, _, message = compose(tmp_path, "\\include missing.sql\n")
    assert status != 0 and "cannot read missing.sql" in message


@pytest.mark.parametrize("bad, word", [
    ("CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';", "OR REPLACE"),
    ("create\n or\treplace view v with (security_invoker = true) as select 1;", "OR REPLACE"),
    ("CREATE TABLE IF NOT EXISTS insync.t (x int);", "IF NOT EXISTS"),
    ("SET ROLE postgres;", "SET ROLE"),
    ("SET LOCAL ROLE x;", "SET ROLE"),
    ("SET SESSION AUTHORIZATION x;", "SET ROLE"),
    ("SET search_path = public;", "search path"),
    ("SELECT pg_catalog.set_config('search_path', 'x', false);", "search path"),
    ("CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';", "SECURITY DEFINER"),
    ("CREATE FUNCTION f() RETURNS int LANGUAGE sql LEAKPROOF AS 'SELECT 1';", "LEAKPROOF"),
    ("GRANT SELECT ON insync.stream TO PUBLIC;", "PUBLIC"),
    ("CREATE VIEW insync.v AS SELECT 1;", "security_invoker"),
    ("CREATE VIEW insync.v WITH (security_invoker = true) AS SELECT 1 AS x WHERE 1 = 1;", "operator ="),
    ("CREATE TABLE insync.t (x text CHECK (x <> ''));", "operator <>"),
    ("CREATE TABLE insync.t (x text CHECK (x IN ('a', 'b')));", "IN means"),
    ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 FROM x WHERE a LIKE 'b' $$;", "LIKE means"),
    ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $body$ SELECT 1 || '' $body$;", "operator ||"),
    ("CREATE TABLE insync.t (x timestamptz DEFAULT now());", "now()"),
    ("SELECT pg_extension_config_dump('insync.t', '');", "pg_extension_config_dump()"),
    ("UPDATE insync.stream AS s SET x = lower(x);", "lower()"),
    ("UPDATE insync.stream AS s SET x = 1 WHERE y = 2;", "operator ="),
    ("SELECT a OPERATOR(public.=) b;", "operator ="),
])  # fmt: skip
def test_the_rules_see_what_is_wrong(bad, word):
    good = "CREATE SCHEMA insync; -- CREATE OR REPLACE; now() = 1\nCOMMENT ON SCHEMA insync IS 'now() IF NOT EXISTS = ';\n"
    assert problems(good) == []
    (problem,) = problems(good + bad)
    assert word in problem and problem.startswith("line 3"), problem


@pytest.mark.parametrize("good", [
    "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'SELECT 1';",
    "CREATE TABLE insync.t (x numeric(10, 2) DEFAULT pg_catalog.now(), PRIMARY KEY (x), CHECK (x OPERATOR(pg_catalog.<>) ''));",
    "CREATE INDEX i ON insync.t (x);",
    "UPDATE insync.t SET x = pg_catalog.lower('a'), y = 1 WHERE x OPERATOR(pg_catalog.=) ANY (ARRAY['a']);",
    "SELECT pg_catalog.count(*), coalesce(x, 1), greatest(1, 2) FROM insync.t WHERE x IS DISTINCT FROM y;",
    "REVOKE ALL ON FUNCTION f(int), g(text) FROM PUBLIC;",
])  # fmt: skip
def test_the_rules_let_pass_what_is_right(good):
    assert problems(good) == []


def test_the_reader_of_scripts_misses_nothing():
    for script in SCRIPTS:
        text = script.read_text()
        read = "".join(text for _, text, _ in tokens(text))
        stripped = re.sub(r"--[^\n]*|/\*.*?\*/|^\\[^\n]*$", "", text, flags=re.DOTALL | re.MULTILINE)
        assert "".join(re.sub(r"\$\w*\$", "", read).split()) == "".join(re.sub(r"\$\w*\$", "", stripped).split())


# ------------------------------------------------------------------------------------------------------- the catalog

MEMBERS = """
WITH member AS (
    SELECT d.classid, d.objid FROM pg_depend AS d
     WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_insync'))
"""


def test_everything_has_a_comment(db):
    bare = db.query(
        MEMBERS + """SELECT pg_describe_object(classid, objid, 0) FROM member WHERE obj_description(objid, classid::regclass::name) IS NULL
        AND classid NOT IN ('pg_type'::regclass) AND NOT (classid = 'pg_class'::regclass AND (SELECT relkind IN ('S', 'i', 't') FROM pg_class WHERE oid = objid))"""
    )
    assert bare == []
    bare = db.query(
        MEMBERS + """SELECT c.oid::regclass::text || '.' || a.attname FROM member JOIN pg_class AS c ON c.oid = objid AND classid = 'pg_class'::regclass
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relkind IN ('r', 'v') AND col_description(c.oid, a.attnum) IS NULL ORDER BY 1"""
    )
    assert bare == []


def test_nothing_is_granted_to_public(db):
    granted = db.query(
        MEMBERS + """SELECT pg_describe_object(classid, objid, 0), acl.privilege_type FROM member
        CROSS JOIN LATERAL (
            SELECT p.proacl AS acl, 'f'::"char" AS kind FROM pg_proc AS p WHERE classid = 'pg_proc'::regclass AND p.oid = objid
            UNION ALL SELECT c.relacl, CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char" FROM pg_class AS c WHERE classid = 'pg_class'::regclass AND c.oid = objid
            UNION ALL SELECT n.nspacl, 'n' FROM pg_namespace AS n WHERE classid = 'pg_namespace'::regclass AND n.oid = objid
            UNION ALL SELECT w.fdwacl, 'F' FROM pg_foreign_data_wrapper AS w WHERE classid = 'pg_foreign_data_wrapper'::regclass AND w.oid = objid) AS x
        CROSS JOIN LATERAL aclexplode(coalesce(x.acl, acldefault(x.kind, 10))) AS acl WHERE acl.grantee = 0"""
    )
    assert granted == []


def test_functions_are_what_they_should_be(db):
    odd = db.query(MEMBERS + "SELECT objid::regprocedure FROM member JOIN pg_proc AS p ON p.oid = objid WHERE classid = 'pg_proc'::regclass"
                   " AND (p.proleakproof OR (p.prosecdef AND NOT coalesce(array_to_string(p.proconfig, ' ') LIKE '%search_path=%', false)))")  # fmt: skip
    assert odd == []
    open_tables = db.query(MEMBERS + "SELECT objid::regclass::text FROM member JOIN pg_class AS c ON c.oid = objid WHERE classid = 'pg_class'::regclass"
                           " AND c.relkind = 'r' AND NOT c.relrowsecurity AND c.relname NOT IN ('home')")  # fmt: skip
    assert open_tables == [], "a table that holds what belongs to streams needs a policy"
    views = db.query(MEMBERS + "SELECT objid::regclass::text FROM member JOIN pg_class AS c ON c.oid = objid WHERE classid = 'pg_class'::regclass"
                     " AND c.relkind = 'v' AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false)")  # fmt: skip
    assert views == []


def test_everything_lives_where_it_should(db):
    schemas = db.query(MEMBERS + "SELECT DISTINCT n.nspname FROM member JOIN pg_class AS c ON c.oid = objid AND classid = 'pg_class'::regclass JOIN pg_namespace AS n ON n.oid = c.relnamespace")
    assert schemas == [("insync",)]


# --------------------------------------------------------------------------------------- hostile databases, before it

SHADOWS = """
CREATE FUNCTION public.evil(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadowed'; END $$;
CREATE FUNCTION public.evil(name, name) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadowed'; END $$;
CREATE FUNCTION public.evil(oid, oid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadowed'; END $$;
CREATE FUNCTION public.evil(integer, integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadowed'; END $$;
CREATE FUNCTION public.evil(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadowed'; END $$;
CREATE FUNCTION public.evil(anyelement, anyelement) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadowed'; END $$;
CREATE FUNCTION public.evil(name, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadowed'; END $$;
CREATE FUNCTION public.evil(timestamptz, timestamptz) RETURNS interval LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadowed'; END $$;
CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadowed'; END $$;
CREATE FUNCTION public.md5(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadowed'; END $$;
CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadowed'; END $$;
CREATE FUNCTION public.coalesce(text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadowed'; END $$;
CREATE FUNCTION public.lower(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadowed'; END $$;
CREATE FUNCTION public.count(integer) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE 'shadowed'; END $$;
CREATE TYPE public.text AS ENUM ('x');
CREATE TYPE public.name AS ENUM ('x');
CREATE DOMAIN public.bigint AS pg_catalog.int4;
CREATE TABLE public.stream (id int); CREATE TABLE public.batch (id int); CREATE TABLE public.pg_roles (rolname name, oid oid); CREATE TABLE public.pg_extension (extname name);
CREATE VIEW public.pg_database AS SELECT 1 AS oid, 'x' AS datname;
"""


@pytest.mark.parametrize("schema", ["public", "s", 'my "odd" schema'])
def test_a_hostile_database_changes_nothing(cluster, shop, schema):
    """Operators, functions, types and tables that somebody put on the path before CREATE EXTENSION are not used."""
    name = f"hostile_{len(schema)}"
    cluster.create_database(name, extension=False)
    quoted = '"' + schema.replace('"', '""') + '"'
    db = Database(cluster, name)
    try:
        db.execute("CREATE ROLE shadow; GRANT CREATE ON SCHEMA public TO shadow; SET ROLE shadow")
        db.execute(SHADOWS)
        pairs = ["text, text", "name, name", "oid, oid", "integer, integer", "int8, int8", "anyelement, anyelement", "name, text"]
        for operator in ("=", "<>", "~~", "<", ">"):
            for pair in pairs:
                left, right = pair.replace("text", "pg_catalog.text").replace("name", "pg_catalog.name").split(", ")
                db.execute(f"CREATE OPERATOR public.{operator} (leftarg = {left}, rightarg = {right}, function = public.evil)")
        db.execute("CREATE OPERATOR public.- (leftarg = timestamptz, rightarg = timestamptz, function = public.evil)")
        db.execute("RESET ROLE")
        if schema != "public":
            db.execute(f"CREATE SCHEMA {quoted}")
        db.execute(f"CREATE EXTENSION pg_insync SCHEMA {quoted}")
        used = db.query(
            "SELECT DISTINCT pg_describe_object(d.refclassid, d.refobjid, 0) FROM pg_depend AS d JOIN pg_operator AS o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid"
            " JOIN pg_namespace AS n ON n.oid = o.oprnamespace WHERE n.nspname = 'public' AND d.classid <> 'pg_operator'::regclass"
        )
        assert used == []
        db.execute(f"SET search_path = {quoted}, public")
        db.execute("CREATE TEMP TABLE stream (id int); CREATE TEMP TABLE batch (id int); CREATE TEMP TABLE pg_roles (x int); CREATE TEMP TABLE run (x int)")
        db.create_server("tienda", **shop.server_options())
        db.create_stream("ventas", "tienda", "ventas", target="public.ventas", watermark="actualizado")
        assert db.run("ventas")["inserted"] == 5
        shop.execute("UPDATE ventas SET cantidad = 7, actualizado = '2025-03-01' WHERE id = 1")
        db.execute("CALL sync_run('ventas')")
        assert db.status("ventas")["last_status"] == "succeeded"
        assert db.value("SELECT cantidad FROM public.ventas WHERE id OPERATOR(pg_catalog.=) 1") == 7
        db.execute("SELECT sync_grant('shadow')")
        db.execute("SELECT * FROM sync_explain('ventas')")
        db.execute("SELECT sync_drop('ventas', true)")
    finally:
        db.close()
        cluster.drop_database(name)
        cluster.query("DROP ROLE IF EXISTS shadow")


@pytest.mark.parametrize("before", ["CREATE SCHEMA insync", "CREATE FUNCTION public.sync_grant(role pg_catalog.text) RETURNS void LANGUAGE sql AS ''",
                                    "CREATE FUNCTION public.sync_status(pattern pg_catalog.text) RETURNS int LANGUAGE sql AS 'SELECT 1'"])  # fmt: skip
def test_what_others_made_before_is_not_taken_over(cluster, before):
    cluster.create_database("before", extension=False)
    try:
        cluster.query(before, dbname="before")
        with pytest.raises(psycopg.Error, match="already exists"):
            cluster.query("CREATE EXTENSION pg_insync", dbname="before")
    finally:
        cluster.drop_database("before")
