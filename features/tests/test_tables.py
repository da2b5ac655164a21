"""Tables in scenarios."""

from __future__ import annotations

from decimal import Decimal

import pytest

from features.expressions import StepError
from features.tables import Table


def test_cells_are_read_by_their_kind() -> None:
    table = Table([["name", "phone", "amount"], ["Ana", "(11) 98765-4321", "R$ 1.234,56"]])
    assert table.records(name="", phone="phone", amount="money") == [
        {"name": "Ana", "phone": "5511987654321", "amount": Decimal("1234.56")}
    ]
    assert table.records()[0]["amount"] == "R$ 1.234,56"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([["name", "fone"], ["Ana", "1"]], "has the columns name, fone; expected name, phone"),
        ([["name", "phone"], ["Ana", "1"]], "column phone: '1' is no {phone}"),
        ([["name", "phone"]], "has no rows"),
        ([["name", "name"], ["Ana", "Bia"]], "need a name each"),
    ],
)
def test_a_table_of_another_form_is_refused(rows: list[list[str]], said: str) -> None:
    with pytest.raises(StepError, match=said):
        Table(rows).records(name="", phone="phone")


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(StepError, match="empty"):
        Table([])


def test_two_columns_may_be_names_and_values() -> None:
    assert Table([["sender", "customer"], ["status", "received"]]).values() == {"sender": "customer", "status": "received"}
    with pytest.raises(StepError, match="two columns"):
        Table([["a", "1"], ["a", "2"]]).values()
