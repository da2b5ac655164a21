"""Rows for every table of a schema, made from its definition: types, keys, and the values that CHECKs allow.

A migration that is tried on empty tables proves little: what fails, locks or rewrites does so over rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gate.errors import GateError

if TYPE_CHECKING:
    import psycopg

__all__ = ["SeededTable", "plan", "seed"]

_LITERAL = re.compile(r"'((?:[^']|'')*)'::")
_VALUES = {
    "boolean": "g % 2 = 0",
    "uuid": "md5({salt} || g)::uuid",
    "json": "'{{}}'::json",
    "jsonb": "'{{}}'::jsonb",
    "bytea": "decode(lpad(to_hex(g), 8, '0'), 'hex')",
    "date": "date '2026-01-01' + g % 300",
    "timestamp with time zone": "timestamptz '2026-01-01' + g * interval '1 minute'",
    "timestamp without time zone": "timestamp '2026-01-01' + g * interval '1 minute'",
    "interval": "g * interval '1 second'",
    "inet": "'10.0.0.1'::inet",
}
_NUMBERS = ("smallint", "integer", "bigint", "numeric", "real", "double precision")
_TEXTS = ("text", "character varying", "character", "citext", "name")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeededTable:
    """`columns` in order, with the SQL expression of each over a row number `g`; `needed` are those that may not be left out."""

    schema: str
    name: str
    columns: Mapping[str, str]
    needed: frozenset[str]

    @property
    def shown(self) -> str:
        return self.name if self.schema == "public" else f"{self.schema}.{self.name}"

    @property
    def quoted(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    def insert(self, first: int, last: int, *, columns: Sequence[str] | None = None) -> str:
        """The statement that writes the rows of those numbers."""
        chosen = [name for name in self.columns if columns is None or name in columns]
        if not chosen:
            return f"INSERT INTO {self.quoted} SELECT FROM generate_series({first}, {last}) AS g"
        names = ", ".join(map(quoted, chosen))
        values = ", ".join(self.columns[name] for name in chosen)
        return f"INSERT INTO {self.quoted} ({names}) SELECT {values} FROM generate_series({first}, {last}) AS g"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def seed(connection: psycopg.Connection[Any], tables: Sequence[SeededTable], *, rows: int, script: str = "") -> dict[str, int]:
    """Writes rows into every table, by `script` where one is given; the number of rows by table.

    Raises GateError naming the table whose rows the database refuses.
    """
    import psycopg

    if script:
        try:
            connection.execute(script.encode())
        except psycopg.Error as error:
            raise GateError(f"the given rows are refused: {_said(error)}") from None
    else:
        for table in tables:
            try:
                connection.execute(table.insert(1, rows).encode())
            except psycopg.Error:
                try:
                    connection.execute(table.insert(1, rows, columns=sorted(table.needed)).encode())
                except psycopg.Error as error:
                    raise GateError(
                        f"no rows can be made for {table.shown} ({_said(error)});"
                        " name a file with rows in golive.toml, migration.rows"
                    ) from None
    return {table.shown: _count(connection, table) for table in tables}


def plan(connection: psycopg.Connection[Any]) -> list[SeededTable]:
    """Every ordinary table outside the system's schemas, each after those that it refers to."""
    columns: dict[int, list[Any]] = {}
    for row in connection.execute(_COLUMNS).fetchall():
        columns.setdefault(row[0], []).append(row[1:])
    keys: dict[int, list[Any]] = {}
    for row in connection.execute(_KEYS).fetchall():
        keys.setdefault(row[0], []).append(row[1:])
    checks: dict[int, list[Any]] = {}
    for row in connection.execute(_CHECKS).fetchall():
        checks.setdefault(row[0], []).append(row[1:])
    tables = {oid: (schema, name) for oid, schema, name in connection.execute(_TABLES).fetchall()}
    return [
        _planned(
            *tables[oid],
            columns.get(oid, []),
            [key for key in keys.get(oid, []) if key[1] in tables],
            checks.get(oid, []),
            tables,
        )
        for oid in _in_order(tables, keys)
    ]


def _planned(
    schema: str, name: str, columns: list[Any], keys: list[Any], checks: list[Any], tables: Mapping[int, tuple[str, str]]
) -> SeededTable:
    referring = {
        column: (tables[target], other) for own, target, others in keys for column, other in zip(own, others, strict=True)
    }
    found: dict[str, str] = {}
    needed = set()
    for column, kind, base, nullable, default, generated in columns:
        if generated:
            continue
        required = not nullable and not default
        if column in referring:
            (other_schema, other), target = referring[column]
            if (other_schema, other) == (schema, name):
                continue
            rows = f"ARRAY(SELECT {quoted(target)} FROM {quoted(other_schema)}.{quoted(other)} ORDER BY ctid)"
            found[column] = f"({rows})[1 + (g - 1) % greatest(cardinality({rows}), 1)]"
            needed.add(column)
            continue
        allowed = [value for names, text in checks if names == [column] for value in _LITERAL.findall(text)]
        if allowed:
            values = ", ".join(f"'{value}'" for value in dict.fromkeys(allowed))
            found[column] = f"(ARRAY[{values}])[1 + g % {len(dict.fromkeys(allowed))}]::{kind}"
        elif default:
            # What has a default is best made by it: an id, a moment, a state.
            continue
        elif (value := _value(f"{schema}.{name}.{column}", column, kind, base)) is not None:
            found[column] = value
        if required:
            needed.add(column)
    return SeededTable(schema=schema, name=name, columns=found, needed=frozenset(needed & set(found)))


def _value(salt: str, column: str, kind: str, base: str) -> str | None:
    if base == "enum":
        return f"(enum_range(NULL::{kind}))[1 + g % cardinality(enum_range(NULL::{kind}))]"
    if kind.endswith("[]"):
        return f"'{{}}'::{kind}"
    stem = kind.partition("(")[0].strip()
    if stem in _NUMBERS:
        return f"g::{stem}"
    if stem in _TEXTS:
        return f"('{column.replace(chr(39), '')}-' || g)::text" if "(" not in kind else f"g::text::{kind}"
    expression = _VALUES.get(kind.partition("(")[0].strip() if "(" in kind else kind)
    return expression.format(salt="'" + salt.replace("'", "") + "'") if expression else None


def _in_order(tables: Mapping[int, Any], keys: Mapping[int, list[Any]]) -> Iterator[int]:
    done: set[int] = set()
    left = sorted(tables)
    while left:
        # A circle is broken at the first table of it: its key then refers to no row yet.
        ready = [oid for oid in left if all(key[1] in done or key[1] == oid or key[1] not in tables for key in keys.get(oid, []))]
        for oid in ready or left[:1]:
            done.add(oid)
            yield oid
        left = [oid for oid in left if oid not in done]


def _count(connection: psycopg.Connection[Any], table: SeededTable) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table.quoted}".encode()).fetchone()
    return int(row[0]) if row else 0


def _said(error: psycopg.Error) -> str:
    return " ".join((error.diag.message_primary or str(error)).split())


_OWN = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind = 'r' AND NOT c.relispartition"
_TABLES = f"""
SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE {_OWN} ORDER BY c.oid
""".encode()
_COLUMNS = f"""
SELECT c.oid, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), CASE t.typtype WHEN 'e' THEN 'enum' ELSE '' END,
       NOT a.attnotnull, a.atthasdef, a.attgenerated <> '' OR a.attidentity = 'a'
  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
 WHERE {_OWN} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY c.oid, a.attnum
""".encode()
_NAMES = """ARRAY(SELECT a.attname::text FROM unnest({key}) WITH ORDINALITY AS k(number, place)
  JOIN pg_catalog.pg_attribute a ON a.attrelid = {relation} AND a.attnum = k.number ORDER BY k.place)"""
_KEYS = f"""
SELECT o.conrelid, {_NAMES.format(key="o.conkey", relation="o.conrelid")}, o.confrelid,
       {_NAMES.format(key="o.confkey", relation="o.confrelid")}
  FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_class c ON c.oid = o.conrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {_OWN} AND o.contype = 'f' ORDER BY o.oid
""".encode()
_CHECKS = f"""
SELECT o.conrelid, {_NAMES.format(key="o.conkey", relation="o.conrelid")}, pg_catalog.pg_get_expr(o.conbin, o.conrelid)
  FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_class c ON c.oid = o.conrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {_OWN} AND o.contype = 'c' ORDER BY o.oid
""".encode()
