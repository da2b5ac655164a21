"""`golive secrets`: looks for secrets in folders, packages and commits, outside of a release gate."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gate.errors import Failure, GateError, Inconclusive, UsageError
from gate.facts.allowances import Allowance
from gate.facts.expected import load as load_expected
from gate.facts.secret_places import SecretScan, of_commits, of_files, of_folder
from gate.facts.secret_rules import load as load_rules
from gate.facts.secret_scan import Scanner
from gate.facts.secret_verdict import judge_scan
from gate.facts.subject import Subject
from gate.model import Decision

__all__ = ["Searched", "search"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """One scan and what it means: GO clean, NO_GO something was found, HOLD nothing was seen."""

    scan: SecretScan
    decision: Decision
    reason: str


def search(paths: Sequence[Path], *, commits: str = "", rules: Path | None = None, allowed: Path | None = None) -> list[Searched]:
    """Scans each path – of a folder what git tracks, else everything – and the commits of the first.

    Raises UsageError for rules or allowances that cannot be understood; a place that cannot be read is HOLD.
    """
    allowances = _allowances(allowed) if allowed is not None else ()
    known = load_rules(rules)
    found = [_held(str(path), partial(_of, path, Scanner(known, allowances=allowances))) for path in paths]
    if commits:
        subject = Subject(schema=load_expected("seed"), repository=paths[0], commits=commits, allowances=allowances)
        found.append(_held(commits, partial(of_commits, subject)))
    return found


def _of(path: Path, scanner: Scanner) -> SecretScan:
    return of_folder(path, scanner) if path.is_dir() else of_files([path], scanner)


def _held(place: str, look: Callable[[], SecretScan | None]) -> Searched:
    nothing = SecretScan(place=place, files=0, size=0, found=(), allowed=())
    try:
        scan = look() or nothing
    except GateError as error:
        return Searched(scan=nothing, decision=Decision.HOLD, reason=str(error))
    try:
        list(judge_scan(scan))
    except Failure as failure:
        return Searched(scan=scan, decision=Decision.NO_GO, reason=str(failure))
    except Inconclusive as saw_little:
        return Searched(scan=scan, decision=Decision.HOLD, reason=str(saw_little))
    return Searched(scan=scan, decision=Decision.GO, reason="")


def _allowances(path: Path) -> tuple[Allowance, ...]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        return tuple(Allowance(**entry) for entry in document["allow"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path}: is no list of [[allow]] with rule, path and reason ({type(error).__name__}: {error})"
        ) from None
