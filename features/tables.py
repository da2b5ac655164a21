"""Tables in scenarios, with typed cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from features.expressions import StepError, value_of

__all__ = ["Table"]


class Table:
    """A table below a step; the first row names the columns."""

    def __init__(self, rows: Sequence[Sequence[str]]) -> None:
        """Raises StepError when there is nothing in it."""
        if not rows:
            raise StepError("the table is empty; its first row names the columns")
        header, *body = rows
        self.columns = tuple(header)
        self._body = [tuple(row) for row in body]

    def records(self, **kinds: str) -> list[dict[str, Any]]:
        """One dictionary for each row. `kinds` are the expected columns with the parameter type that reads their cells:

            table.records(customer="", phone="phone", amount="money")

        An empty kind keeps the text. Without any, all columns are taken as text. Raises StepError for columns that differ from
        the expected ones, for a cell that its type does not take, and when there is no row.
        """
        if not all(self.columns) or len(set(self.columns)) != len(self.columns):
            raise StepError(f"the table's columns need a name each, unlike the others: {', '.join(self.columns)}")
        if kinds and set(kinds) != set(self.columns):
            raise StepError(f"the table has the columns {', '.join(self.columns)}; expected {', '.join(kinds)}")
        if not self._body:
            raise StepError(f"the table of {', '.join(self.columns)} has no rows")
        return [
            {name: self._cell(name, cell, kinds.get(name, "")) for name, cell in zip(self.columns, row, strict=True)}
            for row in self._body
        ]

    def values(self) -> dict[str, str]:
        """A table of two columns without a header, as `| sender | customer |`: the second by the first.

        Raises StepError for any other table.
        """
        rows = [self.columns, *self._body]
        if len(self.columns) != 2 or len({row[0] for row in rows}) != len(rows):
            raise StepError("expected a table of two columns, each name once")
        return {row[0]: row[1] for row in rows}

    @staticmethod
    def _cell(name: str, cell: str, kind: str) -> Any:
        try:
            return value_of(kind, cell) if kind else cell
        except StepError as error:
            raise StepError(f"column {name}: {error}") from None
