"""The expected schema as data: read from TOML, compared with a catalog by definition.

```toml
schema_version = 1
schema = "public"                       # on Postgres; SQLite has one schema

[tables.messages.columns.retry_count]
type = "integer"                        # canonical name, or a list of those that will do; left out: any
nullable = true                         # left out: either
default = "0"                           # left out: any
generated = false                       # true: the database computes it; left out: it can be written
accepts = ["qr"]                        # values that no CHECK and no enumeration may refuse

[tables.messages.indexes.idx_name]
columns = ["conversation_id", "client_message_id"]
unique = true
where = "client_message_id IS NOT NULL" # compared by meaning; left out: the index must cover every row

[[tables.campaigns.foreign_keys]]
columns = ["unit_id"]
references = "units"

[tables.campaigns.checks]
campaigns_status = "status IN ('draft', 'done')"  # compared by meaning

[tables.campaigns]
kind = "table"                          # or "unlogged table", "table written by rules"; left out: a table
row_security = "forced"                 # or "enabled" or "off"; Postgres only, as are grants and roles

[tables.campaigns.grants]
app_runtime = ["INSERT", "SELECT", "UPDATE"]  # exactly these
anon = []

[roles.app_runtime]
bypass = false                          # neither a superuser nor with BYPASSRLS
```

A key that is not known is refused: a misspelt expectation must not silently be none.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from gate.errors import GateError, UsageError
from gate.policy import nearest

__all__ = [
    "ExpectedColumn",
    "ExpectedForeignKey",
    "ExpectedIndex",
    "ExpectedSchema",
    "ExpectedTable",
    "load",
    "parse",
    "render",
]

SCHEMA_VERSION = 1
KINDS = ("table", "unlogged table", "table written by rules")
ROW_SECURITY = ("off", "enabled", "forced")
PRIVILEGES = ("DELETE", "INSERT", "MAINTAIN", "REFERENCES", "SELECT", "TRIGGER", "TRUNCATE", "UPDATE")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedColumn:
    """`types` empty: any. `nullable`, `default` None: any. `default` is an expression of the database without casts.

    no_default: there must be none. generated: the database computes it; else it can be written.
    """

    name: str
    types: tuple[str, ...] = ()
    nullable: bool | None = None
    default: str | None = None
    no_default: bool = False
    generated: bool = False
    accepts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedIndex:
    """`where` None: the index must cover every row."""

    name: str
    columns: tuple[str, ...]
    unique: bool = False
    where: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedForeignKey:
    columns: tuple[str, ...]
    references: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedTable:
    """`checks` are expressions by name. `row_security` is one of ROW_SECURITY, None: either. `grants` are privileges by role.

    kind: one of KINDS, see `gate.facts.catalog.Table`.
    """

    name: str
    columns: Mapping[str, ExpectedColumn]
    indexes: Mapping[str, ExpectedIndex]
    foreign_keys: tuple[ExpectedForeignKey, ...]
    kind: str = "table"
    checks: Mapping[str, str] = field(default_factory=dict)
    row_security: str | None = None
    grants: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedSchema:
    """`roles`: whether each may pass by row-level security."""

    name: str
    schema: str
    tables: Mapping[str, ExpectedTable]
    roles: Mapping[str, bool] = field(default_factory=dict)

    def table(self, table: str) -> ExpectedTable:
        """Raises GateError when nothing is expected of that table: then a check has nothing to compare with."""
        try:
            return self.tables[table]
        except KeyError:
            raise GateError(f"expected schema {self.name}: nothing is said of the table {table}; add [tables.{table}]") from None

    def column(self, table: str, column: str) -> ExpectedColumn:
        """Raises GateError when nothing is expected of that column."""
        try:
            return self.table(table).columns[column]
        except KeyError:
            raise GateError(
                f"expected schema {self.name}: nothing is said of {table}.{column}; add [tables.{table}.columns.{column}]"
            ) from None

    def index(self, table: str, index: str) -> ExpectedIndex:
        """Raises GateError when nothing is expected of that index."""
        try:
            return self.table(table).indexes[index]
        except KeyError:
            raise GateError(
                f"expected schema {self.name}: nothing is said of the index {index}; add [tables.{table}.indexes.{index}]"
            ) from None


def load(source: str) -> ExpectedSchema:
    """Reads an expected schema from a file, or by the name of one that is shipped (`seed`). Raises UsageError in one line."""
    shipped = {
        item.name.removesuffix(".toml"): item
        for item in resources.files("gate.expected").iterdir()
        if item.name.endswith(".toml")
    }
    if source in shipped:
        return parse(shipped[source].read_text(encoding="utf-8"), name=source)
    try:
        return parse(Path(source).read_text(encoding="utf-8"), name=source)
    except FileNotFoundError:
        raise UsageError(
            f"expected schema {source!r}: no such file, and none shipped of that name{nearest(source, shipped)}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"expected schema {source}: cannot be read ({error})") from error


def parse(text: str, *, name: str) -> ExpectedSchema:
    """Raises UsageError naming the schema, the key and what is wrong with it."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"expected schema {name}: not valid TOML: {error}") from error
    _only(document, ("schema_version", "schema", "tables", "roles"), where=name)
    if document.get("schema_version") != SCHEMA_VERSION:
        raise UsageError(f"expected schema {name}: schema_version must be {SCHEMA_VERSION}")
    tables = {
        table: _table(table, _mapping(entry, where=f"{name}, tables.{table}"), where=f"{name}, tables.{table}")
        for table, entry in _mapping(document.get("tables", {}), where=f"{name}, tables").items()
    }
    if not tables:
        raise UsageError(f"expected schema {name}: it names no table; then nothing could ever be proved")
    roles = {}
    for role, entry in _mapping(document.get("roles", {}), where=f"{name}, roles").items():
        where = f"{name}, roles.{role}"
        _only(_mapping(entry, where=where), ("bypass",), where=where)
        roles[role] = _flag(entry.get("bypass"), where=f"{where}.bypass")
    return ExpectedSchema(
        name=name, schema=_text(document.get("schema", "public"), where=f"{name}, schema"), tables=tables, roles=roles
    )


def render(schema: ExpectedSchema) -> str:
    """The schema as TOML, which `parse` reads as the same."""
    lines = [f"schema_version = {SCHEMA_VERSION}", f"schema = {_quoted(schema.schema)}"]
    for table in schema.tables.values():
        here = f"tables.{_quoted(table.name)}"
        lines += ["", f"[{here}]"]
        if table.kind != "table":
            lines.append(f"kind = {_quoted(table.kind)}")
        if table.row_security is not None:
            lines.append(f"row_security = {_quoted(table.row_security)}")
        if table.columns:
            lines += ["", f"[{here}.columns]"]
            lines += [f"{_quoted(column.name)} = {{ {_column_text(column)} }}" for column in table.columns.values()]
        if table.indexes:
            lines += ["", f"[{here}.indexes]"]
            lines += [f"{_quoted(index.name)} = {{ {_index_text(index)} }}" for index in table.indexes.values()]
        if table.checks:
            lines += ["", f"[{here}.checks]"]
            lines += [f"{_quoted(name)} = {_quoted(expression)}" for name, expression in table.checks.items()]
        if table.grants:
            lines += ["", f"[{here}.grants]"]
            lines += [f"{_quoted(role)} = {_list(sorted(held))}" for role, held in table.grants.items()]
        for key in table.foreign_keys:
            lines += ["", f"[[{here}.foreign_keys]]"]
            lines += [f"columns = {_list(key.columns)}", f"references = {_quoted(key.references)}"]
    for role, bypass in schema.roles.items():
        lines += ["", f"[roles.{_quoted(role)}]", f"bypass = {str(bypass).lower()}"]
    return "\n".join(lines) + "\n"


def _column_text(column: ExpectedColumn) -> str:
    parts = []
    if column.types:
        parts.append(f"type = {_quoted(column.types[0]) if len(column.types) == 1 else _list(column.types)}")
    if column.nullable is not None:
        parts.append(f"nullable = {str(column.nullable).lower()}")
    if column.default is not None or column.no_default:
        parts.append(f"default = {'false' if column.default is None else _quoted(column.default)}")
    if column.generated:
        parts.append("generated = true")
    if column.accepts:
        parts.append(f"accepts = {_list(column.accepts)}")
    return ", ".join(parts)


def _index_text(index: ExpectedIndex) -> str:
    parts = [f"columns = {_list(index.columns)}"]
    if index.unique:
        parts.append("unique = true")
    if index.where is not None:
        parts.append(f"where = {_quoted(index.where)}")
    return ", ".join(parts)


def _list(values: Collection[str]) -> str:
    return f"[{', '.join(map(_quoted, values))}]"


def _quoted(text: str) -> str:
    """A basic string of TOML, which takes the escapes of JSON; the character DEL is the one that JSON leaves as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _table(table: str, entry: Mapping[str, Any], *, where: str) -> ExpectedTable:
    _only(entry, ("kind", "columns", "indexes", "foreign_keys", "checks", "row_security", "grants"), where=where)
    kind = entry.get("kind", "table")
    if kind not in KINDS:
        raise UsageError(f"expected schema {where}.kind: must be one of {', '.join(KINDS)}")
    security = entry.get("row_security")
    if security is not None and security not in ROW_SECURITY:
        raise UsageError(f"expected schema {where}.row_security: must be one of {', '.join(ROW_SECURITY)}")
    keys = entry.get("foreign_keys", [])
    if not isinstance(keys, list):
        raise UsageError(f"expected schema {where}: foreign keys are written as [[tables.{table}.foreign_keys]]")
    return ExpectedTable(
        name=table,
        columns={
            column: _column(column, _mapping(content, where=f"{where}.columns.{column}"), where=f"{where}.columns.{column}")
            for column, content in _mapping(entry.get("columns", {}), where=f"{where}.columns").items()
        },
        indexes={
            index: _index(index, _mapping(content, where=f"{where}.indexes.{index}"), where=f"{where}.indexes.{index}")
            for index, content in _mapping(entry.get("indexes", {}), where=f"{where}.indexes").items()
        },
        foreign_keys=tuple(_foreign_key(_mapping(key, where=f"{where}.foreign_keys"), where=where) for key in keys),
        checks={
            check: _text(expression, where=f"{where}.checks.{check}")
            for check, expression in _mapping(entry.get("checks", {}), where=f"{where}.checks").items()
        },
        kind=kind,
        row_security=security,
        grants={
            role: _privileges(held, where=f"{where}.grants.{role}")
            for role, held in _mapping(entry.get("grants", {}), where=f"{where}.grants").items()
        },
    )


def _privileges(value: object, *, where: str) -> frozenset[str]:
    held = _texts(value, where=where)
    for privilege in held:
        if privilege not in PRIVILEGES:
            raise UsageError(f"expected schema {where}: no privilege is called {privilege!r}{nearest(privilege, PRIVILEGES)}")
    return frozenset(held)


def _column(column: str, entry: Mapping[str, Any], *, where: str) -> ExpectedColumn:
    _only(entry, ("type", "nullable", "default", "generated", "accepts"), where=where)
    kind = entry.get("type", [])
    return ExpectedColumn(
        name=column,
        types=_texts([kind] if isinstance(kind, str) else kind, where=f"{where}.type"),
        nullable=_flag(entry["nullable"], where=f"{where}.nullable") if "nullable" in entry else None,
        default=_text(entry["default"], where=f"{where}.default") if entry.get("default", False) is not False else None,
        no_default=entry.get("default") is False,
        generated=_flag(entry.get("generated", False), where=f"{where}.generated"),
        accepts=_texts(entry.get("accepts", []), where=f"{where}.accepts"),
    )


def _index(index: str, entry: Mapping[str, Any], *, where: str) -> ExpectedIndex:
    _only(entry, ("columns", "unique", "where"), where=where)
    columns = _texts(entry.get("columns", []), where=f"{where}.columns")
    if not columns:
        raise UsageError(f"expected schema {where}: columns are missing")
    return ExpectedIndex(
        name=index,
        columns=columns,
        unique=_flag(entry.get("unique", False), where=f"{where}.unique"),
        where=_text(entry["where"], where=f"{where}.where") if "where" in entry else None,
    )


def _foreign_key(entry: Mapping[str, Any], *, where: str) -> ExpectedForeignKey:
    _only(entry, ("columns", "references"), where=f"{where}.foreign_keys")
    columns = _texts(entry.get("columns", []), where=f"{where}.foreign_keys.columns")
    if not columns:
        raise UsageError(f"expected schema {where}.foreign_keys: columns are missing")
    return ExpectedForeignKey(
        columns=columns, references=_text(entry.get("references"), where=f"{where}.foreign_keys.references")
    )


def _only(entry: Mapping[str, Any], known: Collection[str], *, where: str) -> None:
    for key in entry:
        if key not in known:
            raise UsageError(f"expected schema {where}: unknown key {key!r}{nearest(key, known)}")


def _mapping(value: object, *, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"expected schema {where}: must be a table")
    return value


def _texts(value: object, *, where: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise UsageError(f"expected schema {where}: must be a list of texts")
    return tuple(_text(item, where=where) for item in value)


def _text(value: object, *, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"expected schema {where}: must be a text")
    return value


def _flag(value: object, *, where: str) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"expected schema {where}: must be true or false")
    return value
