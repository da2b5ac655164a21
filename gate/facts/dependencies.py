"""Known weaknesses of what the release is built from, by pip-audit or npm audit.

Both end with 0 also when they audited nothing or passed something over; so their JSON is read, and each dependency is counted.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gate.errors import GateError
from gate.facts.subject import Subject

__all__ = ["Audit", "audit", "parse"]

TIMEOUT_S = 300.0
OLDEST_REPORT_H = 24.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """`audited` dependencies were looked up. `skipped` were not, with the reason. `weak` have known weaknesses."""

    source: str
    audited: int
    skipped: tuple[str, ...]
    weak: tuple[str, ...]


def audit(subject: Subject, *, now: datetime | None = None) -> Audit:
    """Runs pip-audit over the requirements; or reads what it or npm audit said elsewhere. What is installed here is only audited
    where no release is named: it is the tool's, and says nothing of somebody else's.

    Raises GateError when there is no answer: nothing named, not installed, no network, a report that is old or cannot be read.
    """
    if subject.audit_report is not None:
        return _reported(subject.audit_report, now or datetime.now(UTC))
    requirements = subject.requirements
    if not requirements and subject.name:
        requirements = _found(subject)
    if find_spec("pip_audit") is None:
        raise GateError("pip-audit is not installed; install golive[dependencies], or name a report of it in golive.toml")
    arguments = [argument for path in requirements for argument in ("-r", str(path))]
    missing = [path for path in requirements if not path.is_file()]
    if missing:
        raise GateError(f"{missing[0]}: no such file of requirements to audit")
    try:
        run = subprocess.run(
            [sys.executable, "-P", "-m", "pip_audit", "--strict", "--format", "json", "--progress-spinner", "off", *arguments],
            capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise GateError(f"pip-audit did not end within {TIMEOUT_S:g} s") from None
    source = ", ".join(path.name for path in requirements) or "what is installed here"
    try:
        found = parse(run.stdout, source=source)
    except GateError:
        raise GateError(f"pip-audit gave no answer, so nothing is known: {_last_line(run.stderr)}") from None
    if bool(found.weak) != bool(run.returncode) and not found.skipped:
        raise GateError(f"pip-audit ended with exit status {run.returncode} and {len(found.weak)} findings, which do not agree")
    return found


def parse(text: str, *, source: str) -> Audit:
    """The JSON of pip-audit or of npm audit. Raises GateError for what is neither."""
    try:
        document = json.loads(text)
        if "auditReportVersion" in document:
            return _of_npm(document, source)
        entries = document["dependencies"]
        skipped = tuple(f"{entry['name']} ({entry['skip_reason']})" for entry in entries if "skip_reason" in entry)
        looked_up = [entry for entry in entries if "skip_reason" not in entry]
        weak = tuple(
            f"{entry['name']} {entry['version']}: {', '.join(sorted(weakness['id'] for weakness in entry['vulns']))}"
            + (f", mended in {fixes[0]}" if (fixes := _fixes(entry)) else "")
            for entry in looked_up
            if entry["vulns"]
        )
    except (ValueError, KeyError, TypeError):
        raise GateError(f"{source}: is no report of pip-audit or npm audit in JSON") from None
    return Audit(source=source, audited=len(looked_up), skipped=skipped, weak=weak)


def _of_npm(document: Mapping[str, Any], source: str) -> Audit:
    """npm looks up every package of its lock file at once, or fails."""
    weak = [
        f"{entry['name']} {entry['range']}: {entry['severity']}" + (", mended by npm audit fix" if entry["fixAvailable"] else "")
        for _, entry in sorted(document["vulnerabilities"].items())
    ]
    return Audit(source=source, audited=document["metadata"]["dependencies"]["total"], skipped=(), weak=tuple(weak))


def _found(subject: Subject) -> tuple[Path, ...]:
    """The requirements that the repository holds at its root."""
    path = subject.repository / "requirements.txt" if subject.repository is not None else None
    if path is None or not path.is_file():
        raise GateError(
            "nothing says what the release is built from; name dependencies.requirements, or in dependencies.report what"
            " `pip-audit --strict --format json` or `npm audit --json` said"
        )
    return (path,)


def _reported(path: Path, now: datetime) -> Audit:
    try:
        text = path.read_text(encoding="utf-8")
        age_h = (now.timestamp() - path.stat().st_mtime) / 3600
    except (OSError, UnicodeDecodeError) as error:
        raise GateError(f"{path.name}: the report of the audit cannot be read ({type(error).__name__})") from None
    if age_h > OLDEST_REPORT_H:
        raise GateError(f"{path.name}: the report is {age_h:.0f} h old, expected at most {OLDEST_REPORT_H:g} h; audit again")
    return parse(text, source=path.name)


def _fixes(entry: Mapping[str, Any]) -> list[str]:
    return [version for weakness in entry["vulns"] for version in weakness.get("fix_versions", ())]


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return " ".join(lines[-1].split())[:300] if lines else "it said nothing"
