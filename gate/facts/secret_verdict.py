"""Judges a scan for secrets: what was found stops a release, and a scan that saw nothing says nothing."""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure, Inconclusive
from gate.facts.secret_places import SecretScan
from gate.model import Evidence

__all__ = ["judge_scan"]

_MOST_SHOWN = 5


def judge_scan(scan: SecretScan) -> Iterator[Evidence]:
    """Raises Failure with places and rules, never a value; Inconclusive when no file was looked through."""
    if scan.found:
        more = f"; and {len(scan.found) - _MOST_SHOWN} more" if len(scan.found) > _MOST_SHOWN else ""
        raise Failure("; ".join(str(one) for one in scan.found[:_MOST_SHOWN]) + more)
    if not scan.files:
        raise Inconclusive(f"{scan.place}: no file was looked through, so nothing is known")
    if scan.files == scan.descriptions:
        raise Inconclusive(f"{scan.place} holds nothing but the description of the release, so nothing is known of it")
    yield Evidence(label="files looked through", value=scan.files)
    yield Evidence(label="which files", value="tracked by git" if scan.tracked else "all")
    yield Evidence(label="bytes", value=scan.size, unit="B")
    yield Evidence(label="allowed with a reason", value=len(scan.allowed))
    if scan.unused:
        yield Evidence(label="allowances that nothing needs", value="; ".join(scan.unused))
