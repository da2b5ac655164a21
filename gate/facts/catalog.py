"""One snapshot of a database's definition: tables, columns, indexes, keys, checks and row-level security.

Read only. Two questions are put to the database itself, because only it knows what its expressions mean: which values a CHECK
refuses, and whether the predicate of an index covers the rows that it should.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gate.errors import GateError
from gate.facts.connections import Backend, backend_of, database_name, postgres, sqlite
from gate.facts.expected import ExpectedColumn, ExpectedIndex, ExpectedSchema

if TYPE_CHECKING:
    import psycopg

__all__ = ["Catalog", "Check", "Column", "ForeignKey", "Index", "Refusal", "Role", "Table", "digest", "read", "snapshot"]

_CANONICAL = {
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "time with time zone": "timetz",
    "time without time zone": "time",
    "character varying": "varchar",
    "character": "char",
    "double precision": "float8",
    "real": "float4",
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "bool": "boolean",
    "decimal": "numeric",
}
_NUMBERS = {"integer", "bigint", "smallint", "numeric", "float4", "float8"}
_MOMENTS = {"timestamptz", "timestamp", "date", "datetime"}
_LITERAL = re.compile(r"'((?:[^']|'')*)'")
_NUMBER = re.compile(r"(?<![\w.'])\d+(?![\w.'])")
_MOST_SAMPLES = 4096
OLDEST_POSTGRES = 90500
INCLUDE_SINCE = 110000
GENERATED_SINCE = COLLATIONS_SINCE = 120000
_SQLITE_GENERATED = (2, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """`type` is canonical (`timestamptz`, `varchar(20)`), `default` the expression as the database shows it.

    generated: computed by the database, which refuses to have it written.
    """

    name: str
    type: str
    nullable: bool
    default: str | None = None
    generated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """`columns` are the keys in order (an expression as text), `covers` the expected indexes whose rows this one holds."""

    name: str
    columns: tuple[str, ...]
    unique: bool
    predicate: str | None = None
    valid: bool = True
    covers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """`validated`: every row meets it; `enforced`: so will the next one, because none of its triggers is disabled."""

    name: str
    columns: tuple[str, ...]
    references: str
    validated: bool = True
    enforced: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`means` are the expected checks that refuse the same rows."""

    name: str
    expression: str
    validated: bool = True
    means: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """`bypass`: row-level security does not bind it, because it is a superuser or has BYPASSRLS."""

    name: str
    bypass: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A value that a column ought to take and that the table refuses; `by` says what refuses it."""

    column: str
    value: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A relation; `kind` is `table`, `view`, `materialized view`, `foreign table`, `unlogged table` (a crash empties it), or
    `table written by rules` (what is written to it goes elsewhere).

    open_policies: permissive policies that let every row through. grants: privileges by role, `public` being everybody, held in
    whatever way: granted to the role itself, to everybody, or to a role that it is a member of. partial_grants: those on some
    columns alone.
    """

    name: str
    schema: str
    kind: str = "table"
    columns: Mapping[str, Column] = field(default_factory=dict)
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    row_security: bool = False
    row_security_forced: bool = False
    open_policies: tuple[str, ...] = ()
    grants: Mapping[str, frozenset[str]] = field(default_factory=dict)
    partial_grants: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """`tables` are those of `schema`, `elsewhere` maps a table's name to the other schemas that have one of that name."""

    backend: Backend
    database: str
    schema: str
    tables: Mapping[str, Table]
    elsewhere: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    roles: Mapping[str, Role] = field(default_factory=dict)


def digest(catalog: Catalog) -> str:
    """A SHA-256 over the definition of the tables, as hexadecimal; it does not depend on what is expected of them."""
    definition = [
        [
            *(table.name, table.kind, table.row_security, table.row_security_forced),
            [[column.name, column.type, column.nullable, column.default] for column in table.columns.values()],
            [[index.name, index.columns, index.unique, index.predicate, index.valid] for index in table.indexes],
            [[key.name, key.columns, key.references, key.validated] for key in table.foreign_keys],
            [[check.name, check.expression, check.validated] for check in table.checks],
        ]
        for _, table in sorted(catalog.tables.items())
    ]
    return hashlib.sha256(json.dumps(definition, separators=(",", ":")).encode()).hexdigest()


def snapshot(url: str, schema: str) -> Catalog:
    """The same, where nothing is expected yet."""
    return read(url, ExpectedSchema(name="nothing", schema=schema, tables={}))


def read(url: str, expected: ExpectedSchema) -> Catalog:
    """Reads the catalog in one read-only transaction. Raises GateError in one line when the database cannot be read."""
    if backend_of(url) == "sqlite":
        with sqlite(url, read_only=True) as connection:
            return _SqliteReader(connection, expected).catalog()
    with postgres(url, read_only=True) as server:
        return _PostgresReader(server, expected).catalog(database_name(url))


def _canonical(declared: str) -> str:
    """`CHARACTER VARYING(20)` → `varchar(20)`; arrays and modifiers stay."""
    # A name in quotes is another one in capitals.
    text = " ".join((declared if '"' in declared else declared.lower()).split())
    found = re.fullmatch(r"([a-z0-9_ ]+?)\s*(\(.*?\))?(\s[a-z ]+)?((\[\])*)", text)
    if not found:
        return text
    stem = f"{found[1]}{found[3] or ''}".strip()
    return f"{_CANONICAL.get(stem, stem)}{(found[2] or '').replace(' ', '')}{found[4]}"


def _questions(table: str, index: Index, expected: ExpectedSchema) -> Iterator[tuple[ExpectedIndex, str | None]]:
    """For each expected index of a table: the condition that is true of a row which `index` wrongly holds or wrongly lacks.

    None: no row can be.
    """
    for wanted in expected.tables[table].indexes.values() if table in expected.tables else ():
        if wanted.columns != index.columns and wanted.name != index.name:
            continue
        if _plain(wanted.where) == _plain(index.predicate):
            yield wanted, None
            continue
        actual = f"COALESCE(({index.predicate}), FALSE)" if index.predicate is not None else "TRUE"
        if wanted.where is not None:
            yield wanted, f"{actual} <> COALESCE(({wanted.where}), FALSE)"
        elif index.predicate is None:
            yield wanted, None
        elif wanted.unique:
            # Rows with a null in the key are never equal, so a unique index need not hold them.
            keys = " AND ".join(f"{_quoted(column)} IS NOT NULL" for column in wanted.columns)
            yield wanted, f"{keys} AND NOT {actual}"
        else:
            yield wanted, f"NOT {actual}"


def _plain(expression: str | None) -> str | None:
    """The expression without the parentheses and spaces around it: enough to see that two are the same text."""
    if expression is None:
        return None
    text = " ".join(expression.split())
    while text.startswith("(") and text.endswith(")") and _balanced(text[1:-1]):
        text = text[1:-1].strip()
    return text


def _balanced(text: str) -> bool:
    depth = 0
    for _, character, _ in _depths(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0:
            return False
    return depth == 0


def _samples(columns: Mapping[str, Column], expressions: Iterable[str]) -> list[dict[str, Any]]:
    """Rows over the columns that the expressions name: every combination of null, the literals in them, and something else."""
    text = " ".join(expressions)
    words = {word.lower() for word in re.findall(r"\w+", text)}
    literals = [literal.replace("''", "'") for literal in _LITERAL.findall(text)]
    numbers = [int(number) for number in _NUMBER.findall(text)]
    values: dict[str, list[Any]] = {}
    for name, column in columns.items():
        if name.lower() not in words:
            continue
        stem = column.type.partition("(")[0]
        if stem in _NUMBERS:
            near = {number + step for number in numbers for step in (-1, 0, 1)} | {0}
            values[name] = [None, *sorted(near)]
        elif stem in _MOMENTS:
            values[name] = [None, "2026-01-01T00:00:00+00:00"]
        elif stem == "boolean":
            values[name] = [None, True, False]
        elif stem == "uuid":
            values[name] = [None, "00000000-0000-4000-8000-000000000000"]
        elif stem in ("text", "varchar", "char", "citext"):
            values[name] = [None, *dict.fromkeys(literals), "something else"]
        else:
            values[name] = [None, *dict.fromkeys(literals)]
    rows = itertools.islice(itertools.product(*values.values()), _MOST_SAMPLES)
    return [dict(zip(values, row, strict=True)) for row in rows]


def _covers(
    table: str,
    columns: Mapping[str, Column],
    index: Index,
    expected: ExpectedSchema,
    wrong_rows: Callable[[str, list[dict[str, Any]]], int | None],
) -> frozenset[str]:
    names = set()
    for wanted, condition in _questions(table, index, expected):
        if condition is None or wrong_rows(condition, _samples(columns, (index.predicate or "", condition))) == 0:
            names.add(wanted.name)
    return frozenset(names)


def _means(
    table: str,
    columns: Mapping[str, Column],
    expression: str,
    expected: ExpectedSchema,
    wrong_rows: Callable[[str, list[dict[str, Any]]], int | None],
) -> frozenset[str]:
    """The expected checks that refuse the same rows; a null, which a CHECK lets pass, is no refusal."""
    names = set()
    for name, wanted in expected.tables[table].checks.items() if table in expected.tables else ():
        condition = f"COALESCE(({wanted}), TRUE) <> COALESCE(({expression}), TRUE)"
        if _plain(wanted) == _plain(expression) or wrong_rows(condition, _samples(columns, (condition,))) == 0:
            names.add(name)
    return frozenset(names)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class _PostgresReader:
    def __init__(self, connection: psycopg.Connection[Any], expected: ExpectedSchema) -> None:
        self._connection = connection
        self._expected = expected

    def catalog(self, database: str) -> Catalog:
        schema = self._expected.schema
        version = self._connection.info.server_version
        if version < OLDEST_POSTGRES:
            raise GateError(
                f"database {database}: Postgres {version // 10000} is older than 9.5, which is the oldest that can be read"
            )
        relations = self._connection.execute(_RELATIONS).fetchall()
        elsewhere: dict[str, tuple[str, ...]] = {}
        for _, namespace, name, *_rest in relations:
            if namespace != schema:
                elsewhere[name] = (*elsewhere.get(name, ()), namespace)
        columns = self._by_relation(_COLUMNS if version >= GENERATED_SINCE else _COLUMNS.replace("a.attgenerated", "''"), schema)
        indexes = _INDEXES if version >= COLLATIONS_SINCE else _INDEXES.replace("o.collisdeterministic", "true")
        indexes_of = self._by_relation(
            indexes if version >= INCLUDE_SINCE else indexes.replace("indnkeyatts", "indnatts"), schema
        )
        constraints = self._by_relation(_CONSTRAINTS, schema)
        open_policies, grants = self._by_relation(_OPEN_POLICIES, schema), self._by_relation(_GRANTS, schema)
        tables = {}
        for oid, namespace, name, kind, security, forced in relations:
            if namespace == schema:
                held: dict[bool, dict[str, frozenset[str]]] = {False: {}, True: {}}
                for role, partial, privileges in grants.get(oid, ()):
                    held[partial][role] = frozenset(privileges)
                tables[name] = replace(
                    self._table(oid, name, kind, security, forced, columns, indexes_of, constraints),
                    open_policies=tuple(row[0] for row in open_policies.get(oid, ())),
                    grants=held[False],
                    partial_grants=held[True],
                )
        roles = {
            name: Role(name=name, bypass=bypass)
            for name, bypass in self._connection.execute(_ROLES, {"names": list(self._expected.roles)})
        }
        return Catalog(backend="postgresql", database=database, schema=schema, tables=tables, elsewhere=elsewhere, roles=roles)

    def _by_relation(self, query: str, schema: str) -> dict[int, list[Sequence[Any]]]:
        found: dict[int, list[Sequence[Any]]] = {}
        named = sorted({role for table in self._expected.tables.values() for role in table.grants})
        for oid, *row in self._connection.execute(query.encode(), {"schema": schema, "roles": named}):
            found.setdefault(oid, []).append(row)
        return found

    def _table(
        self,
        oid: int,
        name: str,
        kind: str,
        security: bool,
        forced: bool,
        columns: Mapping[int, list[Sequence[Any]]],
        indexes: Mapping[int, list[Sequence[Any]]],
        constraints: Mapping[int, list[Sequence[Any]]],
    ) -> Table:
        own = {
            row[0]: Column(name=row[0], type=_canonical(row[1]), nullable=row[2], default=row[3], generated=row[4])
            for row in columns.get(oid, ())
        }
        plain = (
            Index(name=row[0], unique=row[1], valid=row[2], predicate=row[3], columns=tuple(row[4]))
            for row in indexes.get(oid, ())
        )
        rows = constraints.get(oid, ())
        checks = tuple(
            Check(
                name=row[0],
                expression=row[4],
                validated=row[2],
                means=_means(name, own, row[4], self._expected, lambda c, s: self._count(own, c, s)),
            )
            for row in rows
            if row[1] == "c"
        )
        return Table(
            name=name,
            schema=self._expected.schema,
            kind=kind,
            columns=own,
            indexes=tuple(
                Index(
                    name=index.name,
                    columns=index.columns,
                    unique=index.unique,
                    predicate=index.predicate,
                    valid=index.valid,
                    covers=_covers(name, own, index, self._expected, lambda c, s: self._count(own, c, s)),
                )
                for index in plain
            ),
            foreign_keys=tuple(
                ForeignKey(name=row[0], columns=tuple(row[3]), references=row[5], validated=row[2], enforced=row[6])
                for row in rows
                if row[1] == "f"
            ),
            checks=checks,
            refusals=tuple(self._refusals(name, own, checks)),
            row_security=security,
            row_security_forced=forced,
        )

    def _refusals(self, table: str, columns: Mapping[str, Column], checks: Sequence[Check]) -> Iterator[Refusal]:
        for column, value in _wanted_values(self._expected, table, columns):
            row = [{column.name: _typed(columns[column.name], value)}]
            if self._count(columns, "TRUE", row) is None:
                yield Refusal(column=column.name, value=value, by=f"its type {columns[column.name].type}")
                continue
            for check in checks:
                if re.search(rf"\b{re.escape(column.name)}\b", check.expression) and self._count(
                    columns, f"({check.expression}) IS FALSE", row
                ):
                    yield Refusal(column=column.name, value=value, by=f"CHECK {check.name}")

    def _count(self, columns: Mapping[str, Column], condition: str, rows: list[dict[str, Any]]) -> int | None:
        """How many of the rows meet the condition; None when the database cannot evaluate it.

        Asked of rows of our own, so that neither a right to the table nor a value of its other columns is needed.
        """
        import psycopg

        words = set(re.findall(r"\w+", condition)) | {name for row in rows for name in row}
        named = [column for column in columns.values() if words & set(re.findall(r"\w+", column.name))]
        shape = ", ".join(f"{_quoted(column.name)} {column.type}" for column in named) or "nothing text"
        query = f"SELECT count(*) FROM jsonb_to_recordset(%s::jsonb) AS asked ({shape}) WHERE ".replace("%s", "{}")  # noqa: S608
        statement = query.replace("%", "%%").replace("{}", "%s", 1) + condition.replace("%", "%%")
        try:
            with self._connection.transaction():
                found = self._connection.execute(statement.encode(), (json.dumps(rows),)).fetchone()
        except psycopg.errors.InsufficientPrivilege as error:
            raise GateError(f"the database lets this role not look: {error.diag.message_primary}; grant it USAGE") from None
        except (psycopg.DataError, psycopg.ProgrammingError, psycopg.IntegrityError, psycopg.NotSupportedError):
            return None
        return int(found[0]) if found else None


class _SqliteReader:
    def __init__(self, connection: sqlite3.Connection, expected: ExpectedSchema) -> None:
        self._connection = connection
        self._expected = expected

    def catalog(self) -> Catalog:
        rows = self._connection.execute(
            "SELECT name, type, sql FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
        ).fetchall()
        path = next((row[2] for row in self._connection.execute("PRAGMA database_list") if row[1] == "main"), "")
        return Catalog(
            backend="sqlite",
            database=path.rpartition("/")[2] or "in memory",
            schema="main",
            tables={name: self._table(name, kind, definition or "") for name, kind, definition in rows},
        )

    def _table(self, name: str, kind: str, definition: str) -> Table:
        try:
            return self._whole_table(name, kind, definition)
        except sqlite3.OperationalError as error:
            # A virtual table of a module that is not loaded here, a view of a table that is gone.
            if "no such" not in str(error):
                raise
            return Table(name=name, schema="main", kind=f"{kind} that cannot be read ({error})")

    def _whole_table(self, name: str, kind: str, definition: str) -> Table:
        columns = {
            row[1]: Column(
                name=row[1],
                type=_canonical(row[2]),
                nullable=not row[3] and not row[5],
                default=row[4],
                generated=row[6] in _SQLITE_GENERATED,
            )
            for row in self._connection.execute(f"PRAGMA table_xinfo({_quoted(name)})")
        }
        checks = tuple(
            Check(
                name=f"{name}_check{number}",
                expression=expression,
                means=_means(name, columns, expression, self._expected, lambda c, s: self._count(columns, c, s)),
            )
            for number, expression in enumerate(_sqlite_checks(definition), start=1)
        )
        keys: dict[int, list[Sequence[Any]]] = {}
        for row in self._connection.execute(f"PRAGMA foreign_key_list({_quoted(name)})"):
            keys.setdefault(row[0], []).append(row)
        return Table(
            name=name,
            schema="main",
            kind=kind,
            columns=columns,
            indexes=tuple(self._indexes(name, columns)),
            foreign_keys=tuple(
                ForeignKey(name=f"{name}_{rows[0][3]}_fkey", columns=tuple(row[3] for row in rows), references=rows[0][2])
                for rows in keys.values()
            ),
            checks=checks,
            refusals=tuple(self._refusals(name, columns, checks)),
        )

    def _indexes(self, table: str, columns: Mapping[str, Column]) -> Iterator[Index]:
        for _, name, unique, _origin, partial in self._connection.execute(f"PRAGMA index_list({_quoted(table)})").fetchall():
            keys = tuple(
                row[2] if row[2] is not None else "(expression)"
                for row in self._connection.execute(f"PRAGMA index_xinfo({_quoted(name)})")
                if row[5]
            )
            predicate = None
            if partial:
                (definition,) = self._connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()
                predicate = _sqlite_predicate(definition)
            index = Index(name=name, columns=keys, unique=bool(unique), predicate=predicate)
            yield Index(
                name=name,
                columns=keys,
                unique=bool(unique),
                predicate=predicate,
                covers=_covers(table, columns, index, self._expected, lambda c, s: self._count(columns, c, s)),
            )

    def _refusals(self, table: str, columns: Mapping[str, Column], checks: Sequence[Check]) -> Iterator[Refusal]:
        for column, value in _wanted_values(self._expected, table, columns):
            for check in checks:
                if re.search(rf"\b{re.escape(column.name)}\b", check.expression) and self._count(
                    columns, f"NOT COALESCE(({check.expression}), TRUE)", [{column.name: _typed(columns[column.name], value)}]
                ):
                    yield Refusal(column=column.name, value=value, by=f"CHECK ({check.expression})")

    def _count(self, columns: Mapping[str, Column], condition: str, rows: list[dict[str, Any]]) -> int | None:
        # A value of JSON keeps its kind; a name with a quote in it is doubled for SQL.
        named = ", ".join(f"""json_extract(value, '$."{name.replace("'", "''")}"') AS {_quoted(name)}""" for name in columns)
        try:
            found = self._connection.execute(
                f"SELECT count(*) FROM (SELECT {named} FROM json_each(?)) WHERE {condition}",  # noqa: S608
                (json.dumps(rows),),
            ).fetchone()
        except sqlite3.OperationalError:
            return None
        return int(found[0])


def _wanted_values(expected: ExpectedSchema, table: str, columns: Mapping[str, Column]) -> Iterator[tuple[ExpectedColumn, str]]:
    for column in expected.tables[table].columns.values() if table in expected.tables else ():
        if column.name in columns:
            for value in column.accepts:
                yield column, value


def _typed(column: Column, value: str) -> int | str:
    """A number as one, which SQLite never takes for a text."""
    return int(value) if column.type in _NUMBERS and value.isdecimal() else value


def _depths(sql: str) -> Iterator[tuple[int, str, int]]:
    """Every character outside quotes and comments, with its place and how deep in parentheses it stands."""
    depth = 0
    for token in re.finditer(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/|.", sql, re.DOTALL):
        if len(token[0]) > 1 or token[0] in "'\"`[":
            continue
        if token[0] == "(":
            depth += 1
        yield token.start(), token[0], depth
        if token[0] == ")":
            depth -= 1


def _sqlite_checks(definition: str) -> Iterator[str]:
    """The expressions of every CHECK in a CREATE TABLE, which SQLite keeps as text alone."""
    opened: tuple[int, int] | None = None
    for place, character, depth in _depths(definition):
        if opened is None and character == "(" and re.search(r"\bCHECK\s*$", definition[:place], re.IGNORECASE):
            opened = (place, depth)
        elif opened is not None and character == ")" and depth == opened[1]:
            yield definition[opened[0] + 1 : place].strip()
            opened = None


def _sqlite_predicate(definition: str) -> str | None:
    """What follows WHERE in a CREATE INDEX."""
    # What stands in quotes, comments and parentheses is blanked, so that places stay what they were.
    visible = {place: character for place, character, depth in _depths(definition) if depth == 0}
    outside = "".join(visible.get(place, " ") for place in range(len(definition)))
    found = re.search(r"\bWHERE\b", outside, re.IGNORECASE)
    return definition[found.end() :].strip() if found else None


_RELATIONS = """
SELECT c.oid, n.nspname, c.relname,
       CASE WHEN c.relkind = 'v' THEN 'view' WHEN c.relkind = 'm' THEN 'materialized view'
            WHEN c.relkind = 'f' THEN 'foreign table'
            WHEN w.ev_class IS NOT NULL THEN 'table written by rules' WHEN c.relpersistence = 'u' THEN 'unlogged table'
            ELSE 'table' END,
       c.relrowsecurity, c.relforcerowsecurity
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN (SELECT DISTINCT ev_class FROM pg_catalog.pg_rewrite
              WHERE is_instead AND ev_type <> '1' AND ev_enabled NOT IN ('D', 'R')) w ON w.ev_class = c.oid
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
 ORDER BY n.nspname, c.relname
"""
_COLUMNS = """
SELECT a.attrelid, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
       pg_catalog.pg_get_expr(d.adbin, d.adrelid), a.attgenerated <> ''
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attrelid, a.attnum
"""
# An index that is not ready, or whose uniqueness is only checked at commit, does not stop the second row of an upsert; one by a
# collation that takes two texts for the same stops others too.
_INDEXES = """
SELECT i.indrelid, x.relname, i.indisunique, i.indisvalid AND i.indisready AND i.indislive AND i.indimmediate,
       pg_catalog.pg_get_expr(i.indpred, i.indrelid),
       ARRAY(SELECT COALESCE(a.attname::text, pg_catalog.pg_get_indexdef(i.indexrelid, k, true))
                    || CASE WHEN o.collisdeterministic THEN '' ELSE COALESCE(' COLLATE ' || o.collname, '') END
               FROM generate_series(1, i.indnkeyatts) AS k
               LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k - 1] AND a.attnum > 0
               LEFT JOIN pg_catalog.pg_collation o ON o.oid = i.indcollation[k - 1]
              ORDER BY k)
  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
  JOIN pg_catalog.pg_class c ON c.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s ORDER BY i.indrelid, x.relname
"""
_CONSTRAINTS = """
SELECT o.conrelid, o.conname, o.contype::text, o.convalidated,
       ARRAY(SELECT a.attname::text FROM unnest(o.conkey) WITH ORDINALITY AS k(number, place)
               JOIN pg_catalog.pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = k.number ORDER BY k.place),
       pg_catalog.pg_get_expr(o.conbin, o.conrelid),
       CASE WHEN f.relname IS NULL THEN NULL WHEN fn.nspname = n.nspname THEN f.relname ELSE fn.nspname || '.' || f.relname END,
       NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgconstraint = o.oid AND t.tgenabled IN ('D', 'R'))
  FROM pg_catalog.pg_constraint o
  JOIN pg_catalog.pg_class c ON c.oid = o.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_class f ON f.oid = o.confrelid LEFT JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace
 WHERE n.nspname = %(schema)s AND o.contype IN ('c', 'f') ORDER BY o.conrelid, o.conname
"""
_OPEN_POLICIES = """
SELECT p.polrelid, p.polname FROM pg_catalog.pg_policy p
  JOIN pg_catalog.pg_class c ON c.oid = p.polrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s AND pg_catalog.pg_get_expr(p.polqual, p.polrelid) = 'true' ORDER BY p.polrelid, p.polname
"""
# What a role may do by whatever way, for every role that is expected or has a grant of its own. A table whose owner never granted
# anything has no list at all.
_GRANTS = """
WITH relation AS (
  SELECT c.oid, COALESCE(c.relacl, pg_catalog.acldefault('r', c.relowner)) AS acl
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
), granted AS (
  SELECT r.oid, false AS partial, a.grantee, a.privilege_type FROM relation r CROSS JOIN LATERAL pg_catalog.aclexplode(r.acl) AS a
  UNION ALL
  SELECT r.oid, true, a.grantee, a.privilege_type FROM relation r
    JOIN pg_catalog.pg_attribute t ON t.attrelid = r.oid AND t.attacl IS NOT NULL
    CROSS JOIN LATERAL pg_catalog.aclexplode(t.attacl) AS a
), holder AS (
  SELECT DISTINCT grantee AS oid FROM granted
  UNION SELECT oid FROM pg_catalog.pg_roles WHERE rolname = ANY(%(roles)s)
)
SELECT g.oid, COALESCE(r.rolname, 'public'), g.partial, array_agg(DISTINCT g.privilege_type)
  FROM holder h LEFT JOIN pg_catalog.pg_roles r ON r.oid = h.oid
  JOIN granted g ON g.grantee IN (h.oid, 0) OR (r.oid IS NOT NULL AND g.grantee IN (SELECT oid FROM pg_catalog.pg_roles)
                                                AND pg_catalog.pg_has_role(r.oid, g.grantee, 'USAGE'))
 GROUP BY 1, 2, 3
"""
_ROLES = "SELECT rolname, rolsuper OR rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = ANY(%(names)s)"
