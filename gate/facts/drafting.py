"""Drafts an expected schema from a database that is as it should be, so that a release starts from what is there.

What is drafted is what the catalog says today. It shows later that the database has changed, and nothing about whether it was
right: a person reads it before it counts.
"""

from __future__ import annotations

from gate.facts.catalog import Catalog, Index, Table
from gate.facts.expected import KINDS, ExpectedColumn, ExpectedForeignKey, ExpectedIndex, ExpectedSchema, ExpectedTable

__all__ = ["draft"]

# Defaults and privileges of the owner differ from server to server, and say nothing of the application.
_GENERATED = ("nextval(",)


def draft(catalog: Catalog) -> ExpectedSchema:
    """What the tables of the catalog hold; views and what is not valid are left out."""
    return ExpectedSchema(
        name=catalog.database,
        schema=catalog.schema if catalog.backend == "postgresql" else "public",
        tables={
            name: _table(table, on_postgres=catalog.backend == "postgresql")
            for name, table in sorted(catalog.tables.items())
            if table.kind in KINDS
        },
    )


def _table(table: Table, *, on_postgres: bool) -> ExpectedTable:
    security = "forced" if table.row_security and table.row_security_forced else "enabled" if table.row_security else "off"
    return ExpectedTable(
        name=table.name,
        kind=table.kind,
        columns={
            column.name: ExpectedColumn(
                name=column.name,
                types=(column.type,) if column.type.strip() else (),
                nullable=column.nullable,
                default=column.default
                if column.default and column.default.strip() and not column.default.startswith(_GENERATED)
                else None,
                generated=column.generated,
            )
            for column in table.columns.values()
        },
        indexes={
            index.name: ExpectedIndex(name=index.name, columns=index.columns, unique=index.unique, where=index.predicate)
            for index in table.indexes
            if _is_drafted(index)
        },
        foreign_keys=tuple(
            ExpectedForeignKey(columns=key.columns, references=key.references) for key in table.foreign_keys if key.validated
        ),
        checks={check.name: check.expression for check in table.checks if check.validated},
        row_security=security if on_postgres and security != "off" else None,
    )


def _is_drafted(index: Index) -> bool:
    return index.valid and bool(index.columns) and "(expression)" not in index.columns
