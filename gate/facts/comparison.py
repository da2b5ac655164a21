"""Compares a catalog with an expected schema, by definition. Pure: the same snapshot gives the same answer."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gate.errors import Failure
from gate.facts.catalog import Catalog, Column, Index, Table
from gate.facts.expected import ExpectedColumn, ExpectedForeignKey, ExpectedIndex, ExpectedSchema, ExpectedTable
from gate.model import Evidence

__all__ = [
    "check_faults", "column", "column_faults", "faults", "foreign_key_faults", "index", "index_faults", "role_faults",
    "security_faults", "table", "table_faults",
]  # fmt: skip

# SQLite declares types by affinity: what stands there for a type that only Postgres has.
_ON_SQLITE = {
    "timestamptz": ("datetime", "timestamp", "timestamptz"),
    "uuid": ("char(32)", "char(36)", "uuid"),
    "jsonb": ("json", "jsonb"),
}


def column(catalog: Catalog, schema: ExpectedSchema, table_name: str, column_name: str) -> Iterator[Evidence]:
    """Raises Failure for the first of its faults, quoting what was expected and what was seen."""
    wanted = schema.column(table_name, column_name)
    found = _table(catalog, schema.table(table_name))
    _refuse(column_faults(catalog, found, wanted))
    seen = found.columns[column_name]
    yield Evidence(label=f"{found.schema}.{table_name}.{column_name}", value=_described(seen))


def table(catalog: Catalog, schema: ExpectedSchema, table_name: str) -> Iterator[Evidence]:
    """Raises Failure naming every fault of the table's columns, indexes and foreign keys."""
    wanted = schema.table(table_name)
    found = _table(catalog, wanted)
    _refuse(table_faults(catalog, schema, table_name))
    yield Evidence(label=f"{found.schema}.{table_name}, columns as expected", value=len(wanted.columns))
    yield Evidence(label=f"{found.schema}.{table_name}, foreign keys validated", value=len(wanted.foreign_keys))
    if wanted.indexes:
        yield Evidence(label=f"{found.schema}.{table_name}, indexes as expected", value=len(wanted.indexes))


def index(catalog: Catalog, schema: ExpectedSchema, table_name: str, index_name: str) -> Iterator[Evidence]:
    """Raises Failure when no index of the table does what the expected one does, whatever its name."""
    wanted = schema.index(table_name, index_name)
    found = _table(catalog, schema.table(table_name))
    _refuse(index_faults(found, wanted))
    for seen in found.indexes:
        if not _wrong_with(seen, wanted):
            yield Evidence(label=f"index {seen.name} on {table_name}", value=_index_described(seen))


def faults(catalog: Catalog, schema: ExpectedSchema) -> Iterator[str]:
    """Everything in which the database is not what was expected, one sentence each."""
    for name in schema.tables:
        yield from table_faults(catalog, schema, name)
    if catalog.backend == "postgresql":
        yield from role_faults(catalog, schema)


def table_faults(catalog: Catalog, schema: ExpectedSchema, table_name: str) -> Iterator[str]:
    wanted = schema.table(table_name)
    try:
        found = _table(catalog, wanted)
    except Failure as missing:
        yield str(missing)
        return
    for expected_column in wanted.columns.values():
        yield from column_faults(catalog, found, expected_column)
    for expected_index in wanted.indexes.values():
        yield from index_faults(found, expected_index)
    for key in wanted.foreign_keys:
        yield from foreign_key_faults(found, key)
    for check_name, expression in wanted.checks.items():
        yield from check_faults(found, check_name, expression)
    # SQLite knows neither rows' security nor roles: there is nothing that could be otherwise.
    if catalog.backend == "postgresql":
        yield from security_faults(found, wanted)


def check_faults(found: Table, name: str, expression: str) -> Iterator[str]:
    """A CHECK of any name will do that refuses the same rows, and is validated."""
    alike = [check for check in found.checks if name in check.means]
    if any(check.validated for check in alike):
        return
    if alike:
        yield f"CHECK {alike[0].name} of {found.name} is not validated: rows from before it may break it"
        return
    named = next((check for check in found.checks if check.name == name), None)
    seen = f"is {named.expression}" if named is not None else "is missing"
    yield f"CHECK {name} of {found.name} {seen}, expected {expression}"


def security_faults(found: Table, wanted: ExpectedTable) -> Iterator[str]:
    """Row-level security and grants."""
    seen = "forced" if found.row_security and found.row_security_forced else "enabled" if found.row_security else "off"
    if wanted.row_security is not None and seen != wanted.row_security:
        yield f"row-level security of {found.name} is {seen}, expected {wanted.row_security}"
    if wanted.row_security in ("enabled", "forced") and found.open_policies:
        yield f"policy {', '.join(found.open_policies)} of {found.name} lets every row through"
    for role, privileges in wanted.grants.items():
        held = found.grants.get(role, frozenset())
        reached = held | found.partial_grants.get(role, frozenset())
        for what, which in (("lacks", privileges - held), ("holds", reached - privileges)):
            if which:
                unexpected = ", which nobody expected" if what == "holds" else ""
                yield f"role {role} {what} {', '.join(sorted(which))} on {found.name}{unexpected}"


def role_faults(catalog: Catalog, schema: ExpectedSchema) -> Iterator[str]:
    for name, bypass in schema.roles.items():
        role = catalog.roles.get(name)
        if role is None:
            yield f"role {name} does not exist"
        elif role.bypass and not bypass:
            yield f"role {name} passes by row-level security, as a superuser or with BYPASSRLS"


def column_faults(catalog: Catalog, found: Table, wanted: ExpectedColumn) -> Iterator[str]:
    name = f"{found.name}.{wanted.name}"
    seen = found.columns.get(wanted.name)
    if seen is None:
        yield f"{name} is missing, expected {' or '.join(wanted.types) or 'a column'}"
        return
    if wanted.types and not _is_of_type(catalog, seen, wanted):
        yield f"{name} is {seen.type or 'of no type'}, expected {' or '.join(wanted.types)}"
    if wanted.nullable is not None and seen.nullable is not wanted.nullable:
        yield f"{name} is {_nullability(seen.nullable)}, expected {_nullability(wanted.nullable)}"
    if seen.generated and not wanted.generated:
        yield f"{name} is generated by the database, so nothing can be written to it"
    if wanted.default is not None and _constant(seen.default) != _constant(wanted.default):
        yield f"{name} has {f'default {seen.default}' if seen.default is not None else 'no default'}, expected {wanted.default}"
    if wanted.no_default and seen.default is not None:
        yield f"{name} has default {seen.default}, expected none"
    refused = [refusal for refusal in found.refusals if refusal.column == wanted.name]
    if refused:
        values = ", ".join(repr(refusal.value) for refusal in refused)
        yield f"{name} refuses {values}, by {refused[0].by}"


def index_faults(found: Table, wanted: ExpectedIndex) -> Iterator[str]:
    wrong = {seen.name: _wrong_with(seen, wanted) for seen in found.indexes}
    if any(not problems for problems in wrong.values()):
        return
    named = next((seen for seen in found.indexes if seen.name == wanted.name), None)
    if named is not None:
        yield f"index {wanted.name} on {found.name} {' and '.join(wrong[named.name])}"
    else:
        kind = "unique index" if wanted.unique else "index"
        rows = f" where {wanted.where}" if wanted.where else ""
        yield f"{found.name} has no {kind} on ({', '.join(wanted.columns)}){rows}, expected {wanted.name}"


def foreign_key_faults(found: Table, wanted: ExpectedForeignKey) -> Iterator[str]:
    columns = ", ".join(wanted.columns)
    alike = [key for key in found.foreign_keys if key.columns == wanted.columns]
    if not alike:
        yield f"{found.name}({columns}) has no foreign key, expected one to {wanted.references}"
    elif not any(key.references == wanted.references for key in alike):
        yield f"{found.name}({columns}) references {alike[0].references}, expected {wanted.references}"
    elif not any(key.references == wanted.references and key.validated for key in alike):
        yield f"foreign key {alike[0].name} of {found.name} is not validated: rows from before it may break it"
    elif not any(key.references == wanted.references and key.validated and key.enforced for key in alike):
        yield f"foreign key {alike[0].name} of {found.name} is not enforced: its triggers are disabled"


def _table(catalog: Catalog, wanted: ExpectedTable) -> Table:
    name = wanted.name
    found = catalog.tables.get(name)
    if found is None:
        others = catalog.elsewhere.get(name, ())
        hint = f"; one of that name is in {', '.join(others)}, which does not count" if others else ""
        raise Failure(f"table {name} is missing from schema {catalog.schema} of {catalog.database}{hint}")
    if found.kind != wanted.kind:
        raise Failure(f"{name} is {_with_article(found.kind)}, expected {_with_article(wanted.kind)}")
    return found


def _with_article(kind: str) -> str:
    return f"{'an' if kind.startswith('u') else 'a'} {kind}"


def _wrong_with(seen: Index, wanted: ExpectedIndex) -> list[str]:
    problems = []
    if seen.columns != wanted.columns:
        problems.append(f"is on ({', '.join(seen.columns)}), expected ({', '.join(wanted.columns)})")
    if wanted.unique and not seen.unique:
        problems.append("is not unique, expected unique")
    if not wanted.unique and seen.unique:
        problems.append("is unique, expected not unique")
    if wanted.name not in seen.covers:
        covered = f"covers rows where {seen.predicate}" if seen.predicate is not None else "covers every row"
        problems.append(f"{covered}, expected {wanted.where if wanted.where is not None else 'every row'}")
    if not seen.valid:
        problems.append("is not valid: its build failed or it is deferrable")
    return problems


def _is_of_type(catalog: Catalog, seen: Column, wanted: ExpectedColumn) -> bool:
    if catalog.backend == "postgresql":
        return seen.type in wanted.types
    return any(seen.type in _ON_SQLITE.get(kind, (kind,)) for kind in wanted.types)


def _constant(default: str | None) -> str | None:
    """`'0'::integer`, `(0)` and `'0'` are all the constant 0."""
    if default is None:
        return None
    text = re.sub(r"::[\w\" ]+(\(\d+\))?(\[\])?", "", default.strip())
    while text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    return text.strip("'")


def _nullability(nullable: bool) -> str:
    return "nullable" if nullable else "NOT NULL"


def _described(seen: Column) -> str:
    return f"{seen.type}, {_nullability(seen.nullable)}" + (f", default {seen.default}" if seen.default is not None else "")


def _index_described(seen: Index) -> str:
    unique = "unique on" if seen.unique else "on"
    return f"{unique} ({', '.join(seen.columns)})" + (f" where {seen.predicate}" if seen.predicate else "")


def _refuse(problems: Iterator[str]) -> None:
    found = list(problems)
    if found:
        raise Failure("; ".join(found))
