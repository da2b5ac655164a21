"""The benchmarks of the gate measure what they say: as many checks and columns as they name, and nothing that did not look."""

from __future__ import annotations

import pytest

from gate.facts import expected
from gate.model import Outcome, Status
from gate.tests.outcomes import outcome
from harness.benchmarks import gate


def test_the_mixed_checks_are_three_hundred_of_several_families_under_ids_of_their_own() -> None:
    items = gate.mixed_items()
    assert len({item.id for item in items}) == gate.MIXED_CHECKS == 300
    assert {item.id.partition(".")[0] for item in items} == {"schema", "datastore", "config", "secrets"}


def test_the_wide_schema_has_a_thousand_columns() -> None:
    _, text = gate.wide_schema()
    assert sum(len(table.columns) for table in expected.parse(text, name="wide").tables.values()) == 1000


@pytest.mark.parametrize("found", [outcome("a.b", Status.ERROR), outcome("a.b", Status.SKIP)])
def test_a_check_that_did_not_pass_is_no_figure(found: Outcome) -> None:
    with pytest.raises(SystemExit, match="is no figure"):
        gate._all_passed([outcome("a.a"), found])


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(SystemExit, match="no benchmark is named engin; there are engine"):
        gate.main(["engin"])
