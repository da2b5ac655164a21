"""A draft of a database is what that database fulfils, and what any change of it breaks; on databases that are not ours too."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.errors import GateError, UsageError
from gate.facts import catalog, comparison, throwaway
from gate.facts.drafting import draft
from gate.facts.expected import (
    PRIVILEGES,
    ROW_SECURITY,
    ExpectedColumn,
    ExpectedForeignKey,
    ExpectedIndex,
    ExpectedSchema,
    ExpectedTable,
    parse,
    render,
)
from gate.facts.throwaway import ThrowawayDatabase

ODD_POSTGRES = """
CREATE SCHEMA other; CREATE SCHEMA "Third Schema";
CREATE TYPE "Order State" AS ENUM ('new', 'PAID', 'it''s "odd"');
CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%') NOT NULL;
CREATE TYPE point3 AS (x float8, y float8, z float8);
CREATE TABLE other.orders (id bigint PRIMARY KEY);
CREATE TABLE "Third Schema".orders (id bigint PRIMARY KEY);
CREATE TABLE customers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "E-Mail" email, tags text[] DEFAULT '{}', place point3,
  price numeric(10, 2) CHECK (price >= 0), at timestamp(3) without time zone DEFAULT now(), bits bit varying(7),
  range int4range, EXCLUDE USING gist (range WITH &&), span interval hour to minute, data xml, "100%s" text DEFAULT '100%s'
);
CREATE TABLE orders (
  id uuid DEFAULT gen_random_uuid(), "select" text NOT NULL DEFAULT 'a;b', "Ünïcödé ""quoted"" name" integer,
  state "Order State" NOT NULL DEFAULT 'new', customer bigint REFERENCES customers, elsewhere bigint REFERENCES other.orders,
  total integer GENERATED ALWAYS AS (length("select")) STORED, at date NOT NULL,
  CONSTRAINT "odd check %" CHECK (state <> 'PAID' OR customer IS NOT NULL), PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE TABLE orders_2026 PARTITION OF orders FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE UNIQUE INDEX "Lower E-Mail" ON customers (lower("E-Mail"::text)) WHERE "E-Mail" IS NOT NULL;
CREATE INDEX covering ON customers (at DESC NULLS LAST) INCLUDE (price);
CREATE INDEX bodies ON customers USING gin (tags);
CREATE VIEW paid AS SELECT * FROM orders WHERE state = 'PAID';
CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM orders;
CREATE UNLOGGED TABLE scratch (); CREATE TABLE children (extra text) INHERITS (customers);
ALTER TABLE customers ADD CONSTRAINT later CHECK (length(bits::text) < 9) NOT VALID;
ALTER TABLE customers ENABLE ROW LEVEL SECURITY; ALTER TABLE customers FORCE ROW LEVEL SECURITY;
"""
ODD_SQLITE = """
CREATE TABLE customers (
  id INTEGER PRIMARY KEY AUTOINCREMENT, "E-Mail" VARCHAR(200) NOT NULL UNIQUE, untyped, odd "a type of two words",
  [bracketed] DECIMAL(10, 2) DEFAULT (1 + 1), `ticked` TEXT DEFAULT 'it''s', total AS (untyped || 'x'),
  CHECK (untyped <> ')' AND "E-Mail" LIKE '%@%')
);
CREATE TABLE keyed (a TEXT, b TEXT, PRIMARY KEY (a, b), FOREIGN KEY (a) REFERENCES customers) WITHOUT ROWID;
CREATE INDEX partly ON customers (untyped) WHERE untyped IS NOT NULL;
CREATE INDEX expressed ON customers (lower("E-Mail"));
CREATE VIEW dangling AS SELECT * FROM nowhere;
"""


@pytest.fixture(scope="module")
def odd_postgres(postgres_url: str) -> Iterator[ThrowawayDatabase]:
    with throwaway.on_postgres(postgres_url) as database:
        database.execute(ODD_POSTGRES)
        yield database


@pytest.fixture
def odd_sqlite() -> Iterator[ThrowawayDatabase]:
    with throwaway.on_sqlite() as database:
        database.execute(ODD_SQLITE)
        yield database


def _drafted(url: str, schema: str = "public") -> ExpectedSchema:
    return parse(render(draft(catalog.snapshot(url, schema))), name="draft")


def _faults(url: str, expected: ExpectedSchema) -> list[str]:
    return list(comparison.faults(catalog.read(url, expected), expected))


@pytest.mark.postgres
def test_a_database_of_odd_shapes_fulfils_its_own_draft(odd_postgres: ThrowawayDatabase) -> None:
    expected = _drafted(odd_postgres.url)
    assert {"customers", "orders", "orders_2026", "scratch", "children"} == set(expected.tables)
    assert expected.tables["customers"].row_security == "forced"
    assert _faults(odd_postgres.url, expected) == []


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ('ALTER TABLE customers ALTER "E-Mail" TYPE text', "customers.E-Mail is text, expected email"),
        ("ALTER TABLE customers DROP COLUMN tags", "customers.tags is missing, expected text[]"),
        ("ALTER TABLE customers ALTER at DROP DEFAULT", "customers.at has no default, expected now()"),
        ('ALTER TABLE orders ALTER "select" DROP NOT NULL', "orders.select is nullable, expected NOT NULL"),
        (
            'DROP INDEX "Lower E-Mail"; CREATE INDEX "Lower E-Mail" ON customers (lower("E-Mail"::text)) WHERE "E-Mail" <> \'\'',
            "covers rows where",
        ),
        (
            'DROP INDEX "Lower E-Mail"; CREATE INDEX i ON customers (lower("E-Mail"::text)) WHERE "E-Mail" IS NOT NULL',
            "customers has no unique index on",
        ),
        ('ALTER TABLE orders DROP CONSTRAINT "odd check %"', "CHECK odd check % of orders is missing"),
        ("ALTER TABLE orders DROP CONSTRAINT orders_elsewhere_fkey", "orders(elsewhere) has no foreign key"),
        ("ALTER TABLE customers NO FORCE ROW LEVEL SECURITY", "row-level security of customers is enabled, expected forced"),
        ("CREATE POLICY everybody ON customers USING (true)", "policy everybody of customers lets every row through"),
        ("ALTER TABLE scratch SET SCHEMA other", "one of that name is in other, which does not count"),
        ("DROP VIEW paid; DROP MATERIALIZED VIEW counted; DROP TABLE orders; CREATE VIEW orders AS SELECT 1", "orders is a view"),
    ],
)
def test_any_change_of_it_is_found(odd_postgres: ThrowawayDatabase, postgres_url: str, change: str, complaint: str) -> None:
    expected = _drafted(odd_postgres.url)
    with throwaway.on_postgres(postgres_url) as database:
        database.execute(ODD_POSTGRES)
        database.execute(change)
        assert complaint in "; ".join(_faults(database.url, expected))


def test_an_sqlite_file_of_odd_shapes_fulfils_its_own_draft(odd_sqlite: ThrowawayDatabase) -> None:
    expected = _drafted(odd_sqlite.url)
    assert set(expected.tables) == {"customers", "keyed"}
    assert _faults(odd_sqlite.url, expected) == []
    odd_sqlite.execute("DROP INDEX partly; CREATE INDEX partly ON customers (untyped)")
    assert _faults(odd_sqlite.url, expected) == [
        "index partly on customers covers every row, expected untyped IS NOT NULL",
    ]


def test_a_virtual_table_of_an_unknown_module_hides_nothing_else(odd_sqlite: ThrowawayDatabase) -> None:
    path = odd_sqlite.url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "INSERT INTO sqlite_master VALUES ('table', 'alien', 'alien', 0, 'CREATE VIRTUAL TABLE alien USING moon()')"
        )
    connection.close()
    found = catalog.snapshot(odd_sqlite.url, "main")
    assert "cannot be read" in found.tables["alien"].kind
    assert "customers" in found.tables


SECURED = """
schema_version = 1
[tables.notes]
row_security = "forced"
[tables.notes.columns]
text = { default = false }
[tables.notes.checks]
short = "length(text) <= 10 AND text <> 'no'"
[tables.notes.grants]
golive_reader = ["SELECT"]
public = []
[roles.golive_reader]
bypass = false
"""


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("", ""),
        ("ALTER TABLE notes DROP CONSTRAINT c; ALTER TABLE notes ADD CHECK (NOT (text = 'no') AND NOT length(text) > 10)", ""),
        ("ALTER TABLE notes DROP CONSTRAINT c; ALTER TABLE notes ADD CONSTRAINT short CHECK (length(text) <= 10)", "CHECK short"),
        ("GRANT DELETE ON notes TO golive_reader", "role golive_reader holds DELETE on notes, which nobody expected"),
        ("REVOKE SELECT ON notes FROM golive_reader", "role golive_reader lacks SELECT on notes"),
        ("GRANT SELECT ON notes TO public", "role public holds SELECT on notes, which nobody expected"),
        ("ALTER ROLE golive_reader BYPASSRLS", "role golive_reader passes by row-level security"),
        ("ALTER TABLE notes ALTER text SET DEFAULT 'x'", "notes.text has default 'x'::text, expected none"),
    ],
)
def test_checks_grants_and_roles_are_compared_by_what_they_mean(postgres_url: str, change: str, complaint: str) -> None:
    expected = parse(SECURED, name="secured")
    with throwaway.on_postgres(postgres_url) as database:
        database.execute(
            "DROP ROLE IF EXISTS golive_reader; CREATE ROLE golive_reader;"
            "CREATE TABLE notes (text text CONSTRAINT c CHECK (text <> 'no' AND length(text) <= 10));"
            "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE notes FORCE ROW LEVEL SECURITY;"
            "GRANT SELECT ON notes TO golive_reader;" + change
        )
        found = _faults(database.url, expected)
        database.execute("DROP OWNED BY golive_reader; DROP ROLE golive_reader")
    assert (complaint in "; ".join(found)) if complaint else found == []


@pytest.mark.postgres
def test_a_role_without_rights_is_told_and_not_taken_for_a_difference(postgres_url: str) -> None:
    expected = parse(
        "schema_version = 1\n[tables.t.columns.status]\naccepts = ['a']\n",
        name="e",
    )
    with throwaway.on_postgres(postgres_url) as database:
        database.execute(
            "CREATE TYPE state AS ENUM ('a'); CREATE TABLE t (status state); DROP ROLE IF EXISTS golive_nobody;"
            "CREATE ROLE golive_nobody LOGIN; REVOKE ALL ON SCHEMA public FROM public"
        )
        try:
            url = database.url.replace("postgres@", "golive_nobody@", 1)
            with pytest.raises(GateError, match="grant it USAGE|lets this role not look"):
                catalog.read(url, expected)
        finally:
            database.execute("DROP ROLE golive_nobody")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[tables.t]\nrow_security = 'on'", "must be one of off, enabled, forced"),
        ("[tables.t.grants]\nr = ['SELEKT']", "did you mean 'SELECT'?"),
        ("[tables.t.grants]\nr = 'SELECT'", "must be a list of texts"),
        ("[tables.t.columns.a]\n[roles.r]\nbypas = false", "did you mean 'bypass'?"),
        ("[tables.t.columns.a]\n[roles.r]", "must be true or false"),
        ("[tables.t.checks]\nc = 1", "must be a text"),
    ],
)
def test_an_expectation_that_cannot_be_meant_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(f"schema_version = 1\n{text}", name="e")
    assert complaint in str(refused.value)


def test_what_is_written_is_read_as_the_same(tmp_path: Path) -> None:
    from gate.facts.expected import load

    seed = load("seed")
    again = parse(render(seed), name="seed")
    assert again == seed
    secured = parse(SECURED, name="secured")
    assert parse(render(secured), name="secured") == secured


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12).filter(str.strip)
columns = st.builds(
    ExpectedColumn,
    name=texts,
    types=st.lists(texts, max_size=2).map(tuple),
    nullable=st.none() | st.booleans(),
    default=st.none() | texts,
    accepts=st.lists(texts, max_size=2).map(tuple),
)
indexes = st.builds(
    ExpectedIndex,
    name=texts,
    columns=st.lists(texts, min_size=1, max_size=2).map(tuple),
    unique=st.booleans(),
    where=st.none() | texts,
)
tables = st.builds(
    ExpectedTable,
    name=texts,
    columns=st.lists(columns, max_size=3).map(lambda found: {column.name: column for column in found}),
    indexes=st.lists(indexes, max_size=2).map(lambda found: {index.name: index for index in found}),
    foreign_keys=st.lists(
        st.builds(ExpectedForeignKey, columns=st.lists(texts, min_size=1, max_size=2).map(tuple), references=texts), max_size=2
    ).map(tuple),
    checks=st.dictionaries(texts, texts, max_size=2),
    row_security=st.none() | st.sampled_from(ROW_SECURITY),
    grants=st.dictionaries(texts, st.frozensets(st.sampled_from(PRIVILEGES), max_size=3), max_size=2),
)
schemas = st.builds(
    ExpectedSchema,
    name=st.just("drawn"),
    schema=texts,
    tables=st.lists(tables, min_size=1, max_size=2).map(lambda found: {table.name: table for table in found}),
    roles=st.dictionaries(texts, st.booleans(), max_size=2),
)


@given(schemas)
def test_any_schema_is_read_as_it_was_written_whatever_its_names_are(schema: ExpectedSchema) -> None:
    assert parse(render(schema), name="drawn") == schema
