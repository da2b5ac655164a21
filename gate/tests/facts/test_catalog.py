"""The catalog says what a database is, by definition and not by name, on Postgres and on SQLite alike."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from gate.errors import GateError
from gate.facts import catalog, comparison, throwaway
from gate.facts.catalog import Table
from gate.facts.expected import ExpectedSchema, parse
from gate.facts.throwaway import ThrowawayDatabase

ORDERS = parse(
    """
schema_version = 1
[tables.orders.columns]
id = { nullable = false }
state = { type = "text", accepts = ["open", "paid", "it's odd"] }
tries = { type = "integer", default = "0" }
[tables.orders.indexes]
one_open = { columns = ["state", "tries"], unique = true, where = "state IN ('open', 'paid') AND tries IS NOT NULL" }
every_try = { columns = ["tries"], unique = true }
by_state = { columns = ["state"] }
""",
    name="orders",
)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> Iterator[ThrowawayDatabase]:
    if request.param == "sqlite":
        with throwaway.on_sqlite() as made:
            yield made
    else:
        with throwaway.on_postgres(request.getfixturevalue("postgres_url")) as made:
            yield made


def table(database: ThrowawayDatabase, definition: str, expected: ExpectedSchema = ORDERS) -> Table:
    database.execute(definition)
    return catalog.read(database.url, expected).tables["orders"]


def faults(database: ThrowawayDatabase) -> list[str]:
    return list(comparison.faults(catalog.read(database.url, ORDERS), ORDERS))


PLAIN = "CREATE TABLE orders (id integer NOT NULL PRIMARY KEY, state text, tries integer DEFAULT 0);"


@pytest.mark.parametrize(
    ("predicate", "same"),
    [
        ("state IN ('open', 'paid') AND tries IS NOT NULL", True),
        ("tries IS NOT NULL AND (state = 'paid' OR state = 'open')", True),
        ("NOT (tries IS NULL) AND state IN ('paid', 'open')", True),
        ("state IN ('open', 'paid')", False),
        ("state IN ('open', 'paid') OR tries IS NOT NULL", False),
        ("state IN ('open') AND tries IS NOT NULL", False),
        ("state IN ('open', 'paid') AND tries IS NOT NULL AND id > 7", False),
    ],
)
def test_predicates_are_compared_by_meaning(database: ThrowawayDatabase, predicate: str, same: bool) -> None:
    found = table(database, PLAIN + f"CREATE UNIQUE INDEX anything ON orders (state, tries) WHERE {predicate}")
    index = next(index for index in found.indexes if index.name == "anything")
    assert ("one_open" in index.covers) is same


def test_a_unique_index_may_leave_out_rows_without_a_key(database: ThrowawayDatabase) -> None:
    found = table(database, PLAIN + "CREATE UNIQUE INDEX anything ON orders (tries) WHERE tries IS NOT NULL")
    index = next(index for index in found.indexes if index.name == "anything")
    assert "every_try" in index.covers
    assert "by_state" not in index.covers


def test_an_index_under_another_name_will_do_and_a_namesake_will_not(database: ThrowawayDatabase) -> None:
    database.execute(
        PLAIN
        + "CREATE UNIQUE INDEX renamed ON orders (state, tries) WHERE state IN ('paid', 'open') AND tries IS NOT NULL;"
        + "CREATE INDEX one_open ON orders (id); CREATE UNIQUE INDEX tries ON orders (tries);"
        + "CREATE INDEX by_state ON orders (state)"
    )
    assert faults(database) == []
    database.execute("DROP INDEX renamed")
    (fault,) = faults(database)
    assert fault == (
        "index one_open on orders is on (id), expected (state, tries) and is not unique, expected unique and covers every row,"
        " expected state IN ('open', 'paid') AND tries IS NOT NULL"
    )


@pytest.mark.parametrize(
    ("check", "refused"),
    [
        ("state IN ('open', 'paid', 'it''s odd')", []),
        ("state <> 'paid' OR tries > 3", []),
        ("length(state) < 5", ["it's odd"]),
        ("state IN ('open')", ["paid", "it's odd"]),
        ("state IN ('open', 'paid', '(it''s odd)')", ["it's odd"]),
    ],
)
def test_a_check_is_asked_which_values_it_refuses(database: ThrowawayDatabase, check: str, refused: list[str]) -> None:
    definition = (
        f"CREATE TABLE orders (id integer NOT NULL, state text /* a (comment */ CHECK ({check}), tries integer, CHECK (id > 0))"
    )
    assert [refusal.value for refusal in table(database, definition).refusals] == refused


def test_a_table_that_is_not_there_has_one_fault(database: ThrowawayDatabase) -> None:
    assert [fault.partition(" from schema")[0] for fault in faults(database)] == ["table orders is missing"]


def test_defaults_are_compared_as_constants(database: ThrowawayDatabase) -> None:
    database.execute("CREATE TABLE orders (id integer NOT NULL, state text, tries integer DEFAULT (1))")
    assert "orders.tries has default 1, expected 0" in "; ".join(faults(database))


@pytest.mark.postgres
def test_types_are_canonical_and_an_enumeration_refuses_what_it_lacks(postgres_url: str) -> None:
    with throwaway.on_postgres(postgres_url) as database:
        database.execute("CREATE TYPE state AS ENUM ('open', 'paid')")
        found = table(
            database,
            "CREATE TABLE orders (id bigint, state state, tries varchar(20), at timestamp, moment timestamptz(3), n numeric(5,2),"
            " many text[], flag bool, small int2)",
        )
    assert {name: column.type for name, column in found.columns.items()} == {
        "id": "bigint",
        "state": "state",
        "tries": "varchar(20)",
        "at": "timestamp",
        "moment": "timestamptz(3)",
        "n": "numeric(5,2)",
        "many": "text[]",
        "flag": "boolean",
        "small": "smallint",
    }
    assert [(refusal.value, refusal.by) for refusal in found.refusals] == [("it's odd", "its type state")]


@pytest.mark.postgres
def test_security_keys_and_deferred_uniqueness_are_seen(postgres_url: str) -> None:
    with throwaway.on_postgres(postgres_url) as database:
        database.execute("CREATE SCHEMA other; CREATE TABLE other.orders (id integer PRIMARY KEY)")
        found = table(
            database,
            "CREATE TABLE orders (id integer, state text, tries integer UNIQUE DEFERRABLE);"
            "ALTER TABLE orders ADD CONSTRAINT far FOREIGN KEY (id) REFERENCES other.orders NOT VALID;"
            "ALTER TABLE orders ENABLE ROW LEVEL SECURITY; ALTER TABLE orders FORCE ROW LEVEL SECURITY",
        )
        seen = catalog.read(database.url, ORDERS)
    assert (found.row_security, found.row_security_forced) == (True, True)
    assert [(key.references, key.validated) for key in found.foreign_keys] == [("other.orders", False)]
    assert [index.valid for index in found.indexes] == [False]
    assert seen.elsewhere == {"orders": ("other",)}


def test_a_column_that_the_database_computes_is_none_that_the_code_can_write(database: ThrowawayDatabase) -> None:
    database.execute("CREATE TABLE orders (id integer NOT NULL, state text, tries integer GENERATED ALWAYS AS (0) STORED)")
    assert "orders.tries is generated by the database, so nothing can be written to it" in faults(database)


def test_a_count_that_may_not_grow_is_refused_as_a_number(database: ThrowawayDatabase) -> None:
    expected = parse(
        'schema_version = 1\n[tables.orders.columns]\ntries = { accepts = ["0", "3"] }\n',
        name="orders",
    )
    definition = "CREATE TABLE orders (tries integer CHECK (tries < 3 AND tries >= 0))"
    assert [refusal.value for refusal in table(database, definition, expected).refusals] == ["3"]


SOUND_ON_POSTGRES = """
CREATE TABLE units (id integer PRIMARY KEY);
CREATE TABLE orders (id integer NOT NULL, state text, tries integer DEFAULT 0, unit integer REFERENCES units);
CREATE UNIQUE INDEX one_open ON orders (state, tries) WHERE state IN ('open', 'paid') AND tries IS NOT NULL;
CREATE UNIQUE INDEX every_try ON orders (tries);
CREATE INDEX by_state ON orders (state);
"""
WITH_A_KEY = parse(
    'schema_version = 1\n[[tables.orders.foreign_keys]]\ncolumns = ["unit"]\nreferences = "units"\n'
    '[tables.orders.indexes]\nby_state = { columns = ["state"] }\n',
    name="orders",
)


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("breaks", "words"),
    [
        ("ALTER TABLE orders SET UNLOGGED", "orders is an unlogged table, expected a table"),
        ("CREATE RULE away AS ON INSERT TO orders DO INSTEAD NOTHING", "orders is a table written by rules, expected a table"),
        (
            "ALTER TABLE units DISABLE TRIGGER ALL",
            "foreign key orders_unit_fkey of orders is not enforced: its triggers are disabled",
        ),
        (
            """CREATE COLLATION alike (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
            DROP INDEX by_state; CREATE INDEX by_state ON orders (state COLLATE alike)""",
            "index by_state on orders is on (state COLLATE alike), expected (state)",
        ),
    ],
    ids=["a crash empties it", "a rule takes its rows", "a key that nothing enforces", "texts that are taken for the same"],
)
def test_what_has_the_right_names_and_does_not_do_its_work(postgres_url: str, breaks: str, words: str) -> None:
    with throwaway.on_postgres(postgres_url) as database:
        database.execute(SOUND_ON_POSTGRES)
        assert list(comparison.faults(catalog.read(database.url, WITH_A_KEY), WITH_A_KEY)) == []
        try:
            database.execute(breaks)
        except GateError as error:
            if "ICU is not supported" not in str(error):
                raise
            pytest.skip("this server was built without ICU, which alone has such collations")
        assert list(comparison.faults(catalog.read(database.url, WITH_A_KEY), WITH_A_KEY)) == [words]


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("grant", "words"),
    [
        ("GRANT SELECT ON orders TO public", "role {role} holds SELECT on orders, which nobody expected"),
        ("GRANT SELECT (state) ON orders TO {role}", "role {role} holds SELECT on orders, which nobody expected"),
        ("GRANT UPDATE ON orders TO {group}", "role {role} holds UPDATE on orders, which nobody expected"),
        ("REVOKE INSERT ON orders FROM {role}; GRANT INSERT (state) ON orders TO {role}", "role {role} lacks INSERT on orders"),
        ("SELECT 1", ""),
    ],
    ids=["everybody may", "one column", "by a group", "one column of those it needs", "as expected"],
)
def test_what_a_role_may_do_counts_by_whatever_way_it_may(postgres_url: str, grant: str, words: str) -> None:
    role = f"runtime_{secrets.token_hex(4)}"
    names = {"role": role, "group": f"{role}_group"}
    expected = parse(f'schema_version = 1\n[tables.orders.grants]\n{role} = ["INSERT"]\n', name="orders")
    with throwaway.on_postgres(postgres_url) as database:
        database.execute(PLAIN + "CREATE ROLE {role}; CREATE ROLE {group}; GRANT {group} TO {role}".format(**names))
        try:
            database.execute("GRANT INSERT ON orders TO {role};".format(**names) + grant.format(**names))
            found = list(comparison.faults(catalog.read(database.url, expected), expected))
        finally:
            database.execute("DROP OWNED BY {role}; DROP OWNED BY {group}; DROP ROLE {role}; DROP ROLE {group}".format(**names))
    assert found == ([words.format(**names)] if words else [])
