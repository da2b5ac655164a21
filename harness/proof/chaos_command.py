"""What `golive chaos` prints and writes."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path

from gate.journal import write_atomically
from harness.errors import HarnessError
from harness.proof.chaos import FULL, SHORT, as_json, plan, resized, run
from harness.proof.chaos_account import SOMETIMES, Account, Accounting, End

__all__ = ["DOCUMENT", "chaos", "table"]

DOCUMENT = "chaos.json"
_COLUMNS = (
    "group",
    "accepted",
    "sent",
    "failed",
    "unknown",
    "pending",
    "ledger",
    "lost",
    "duplicated",
    "unexpected",
    "unexplained",
)
_SHOWN = 40
_WORDS = {
    End.HELD: "every promise held",
    End.VIOLATED: "a promise was broken",
    End.INCONCLUSIVE: "inconclusive: not every kind of trouble was seen, so this run proves nothing",
}


def chaos(
    *,
    short: bool,
    seed: int | None,
    kills: int | None,
    messages: int | None,
    events: int | None,
    database: str,
    chaff: str,
    out: Path,
    form: str,
    note: Callable[[str], None],
    say: Callable[[str], None],
) -> int:
    """One run with its table; the exit status. Raises HarnessError when it could not be made."""
    if out.exists() and any(out.iterdir()):
        raise HarnessError(f"{out} is not empty: a run writes into a folder of its own")
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    size = resized(SHORT if short else FULL, kills=kills, messages=messages, events=events)
    note(
        f"seed {seed}: {size.messages} messages, {size.events} inbound events, {size.kills} kills"
        + (f", {chaff}" if chaff else "")
    )
    accounting = run(seed=seed, size=size, folder=out, database=database, chaff=chaff, note=note)
    document = as_json(accounting, plan(seed, size)) | {"chaff": chaff}
    write_atomically(out / DOCUMENT, json.dumps(document, indent=2) + "\n")
    if form == "json":
        say(json.dumps(document, indent=2))
    else:
        say(table(accounting))
        say(f"{_WORDS[accounting.end]} (seed {seed}, {out / DOCUMENT})")
    return accounting.end.value


def table(accounting: Accounting) -> str:
    """The accounts in columns, what was violated, and what was seen of the trouble."""
    rows = [_COLUMNS, *(tuple(str(getattr(row, name)) for name in _COLUMNS) for row in (*accounting.rows, _total(accounting)))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = [
        "  ".join(
            f"{cell:<{width}}" if not at else f"{cell:>{width}}" for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    lines += ["", *accounting.violations[:_SHOWN]]
    if len(accounting.violations) > _SHOWN:
        lines.append(f"… and {len(accounting.violations) - _SHOWN} more")
    lines += [f"{accounting.sightings.get(name, 0):>6} × {name}" for name in SOMETIMES]
    return "\n".join(lines)


def _total(accounting: Accounting) -> Account:
    sums = {name: sum(getattr(row, name) for row in accounting.rows) for name in _COLUMNS[1:]}
    return Account(group="all", **sums)
