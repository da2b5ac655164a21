"""`golive prove`: what it says, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path
from typing import Any

import click

from gate.console import Console
from gate.journal import Journal
from harness.proof.backends import End, Proof, Trial, choose, prove
from harness.reference import Variant, variants
from harness.rehearsal import JOURNAL, release_of
from harness.scenarios import FEATURES, read_features

__all__ = ["run"]

NO_GO, HOLD = 1, 3


def run(
    *,
    names: Sequence[str],
    full: bool,
    workers: int,
    features: Path | None,
    only_list: bool,
    directory: Callable[[], AbstractContextManager[Path]],
    console: Console,
    as_json: bool,
) -> int:
    """The exit status. Raises SelectionError before anything runs when a name fits nothing."""
    chosen = choose([*variants("chaff"), *variants("wheat")], names)
    if only_list:
        _list(chosen, as_json=as_json)
        return 0
    scenarios = read_features(features or FEATURES)
    with directory() as folder:
        folder.mkdir(parents=True, exist_ok=True)
        journal = Journal.create(folder / JOURNAL, release=release_of(Path.cwd()))
        total, held = len(chosen) + 1, count(1)

        def show(trial: Trial) -> None:
            console.line(f"{next(held):>{len(str(total))}}/{total} {_line(trial)}", style="" if trial.proves else "red")

        proof = prove(
            chosen,
            scenarios,
            workdir=folder,
            journal=journal,
            workers=workers,
            full=full,
            features=features,
            on_trial=show,
        )
    _tell(proof, as_json=as_json)
    if proof.holds:
        return 0
    return NO_GO if any(not trial.proves and trial.end is not End.ERROR for trial in proof.trials) else HOLD


def _line(trial: Trial) -> str:
    by = f" by {', '.join(trial.killers)}" if trial.end is End.KILLED else ""
    reason = "" if trial.proves else f" – {trial.reason}"
    return f"{trial.end:<17} {trial.variant.kind} {trial.variant.name}{by} ({trial.duration_s:.1f} s){reason}"


def _tell(proof: Proof, *, as_json: bool) -> None:
    counts = {kind: proof.counted(kind) for kind in ("chaff", "wheat")}
    if as_json:
        document = {
            "chaffs": {"killed": counts["chaff"][0], "of": counts["chaff"][1]},
            "wheats": {"passed": counts["wheat"][0], "of": counts["wheat"][1]},
            "trials": [_document(trial) for trial in proof.trials],
        }
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
        return
    for trial in proof.trials:
        if not trial.proves:
            click.echo(f"{trial.variant.kind} {trial.variant.name} ({trial.variant.title}): {trial.end}: {trial.reason}")
    for kind, word in (("chaff", "killed"), ("wheat", "passed")):
        good, of = counts[kind]
        if of:
            click.echo(f"{kind}s {word} {good}/{of}")


def _document(trial: Trial) -> dict[str, Any]:
    return {
        "kind": trial.variant.kind,
        "name": trial.variant.name,
        "title": trial.variant.title,
        "area": trial.variant.area,
        "end": str(trial.end),
        "reason": trial.reason,
        "named": list(trial.named),
        "reached": trial.reached,
        "found": {item: str(status) for item, status in sorted(trial.found.items())},
        "durationS": round(trial.duration_s, 3),
    }


def _list(chosen: Sequence[Variant], *, as_json: bool) -> None:
    if as_json:
        shown = [
            {"kind": one.kind, "name": one.name, "area": one.area, "title": one.title, "killedBy": list(one.killed_by)}
            for one in chosen
        ]
        click.echo(json.dumps(shown, ensure_ascii=False, indent=2))
        return
    for one in chosen:
        by = f"  [{', '.join(one.killed_by)}]" if one.killed_by else ""
        click.echo(f"{one.kind} {one.name} ({one.area}): {one.title}{by}")
