"""The body of `golive diff`: two journals in, what changed out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gate.errors import UsageError
from gate.policy import Policy

__all__ = ["run_diff"]


def run_diff(run: Path, against: Path, policy: Policy, *, form: str, echo: Callable[[str], None]) -> int:
    """1 when something fails that did not, 3 when an answer was lost or could not be had, else 0.

    Raises UsageError where there is no run, JournalError for a journal that is not whole.
    """
    from gate.baseline import last_go, side_of
    from gate.console import difference_lines
    from gate.difference import compare
    from gate.journal import JOURNAL, read
    from gate.text import as_json

    journal = run / JOURNAL if run.is_dir() else run
    if not journal.is_file():
        raise UsageError(f"{run}: no such run (it has no {JOURNAL})")
    difference = compare(last_go(against, policy), side_of(read(journal)))
    if form == "json":
        echo(as_json(difference.as_json() | {"exit_status": difference.exit_status}, indent=2))
    else:
        echo("\n".join(difference_lines(difference)))
    return difference.exit_status
