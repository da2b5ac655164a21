"""What the migration linter squawk says of the script, with the rules that do not apply waived by a reason each."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from gate.errors import GateError
from gate.facts.allowances import LintWaiver
from gate.facts.rehearsed import numbered, text_of
from gate.facts.subject import Subject

__all__ = ["LintFinding", "MigrationLint", "read"]

TIMEOUT_S = 60.0
PROGRAM = "squawk"


@dataclass(frozen=True, slots=True, kw_only=True)
class LintFinding:
    rule: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message} ({self.rule})"


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationLint:
    """`found` is not waived. `waived` counts findings by rule; `unused` are waivers for rules without a finding."""

    script: str
    version: str
    statements: int
    found: tuple[LintFinding, ...]
    waived: dict[str, int]
    unused: tuple[str, ...]


def read(subject: Subject) -> MigrationLint:
    """Raises GateError when the linter is not installed, does not end, or says what cannot be understood."""
    if subject.migration is None:
        raise GateError("the subject names no migration script to lint")
    script = text_of(subject.migration)
    program = _program()
    version = _run(program, "--version").stdout.strip()
    run = _run(program, "--reporter", "json", str(subject.migration))
    try:
        entries = json.loads(run.stdout or "null")
        findings = [
            # The linter counts lines from 0.
            LintFinding(
                rule=str(entry["rule_name"]), line=int(entry["line"]) + 1, message=" ".join(str(entry["message"]).split())
            )
            for entry in entries
        ]
    except (ValueError, TypeError, KeyError):
        lines = (run.stderr or run.stdout).strip().splitlines()
        raise GateError(f"{PROGRAM} gave no findings that can be read: {lines[-1] if lines else 'it said nothing'}") from None
    if bool(findings) != bool(run.returncode):
        raise GateError(f"{PROGRAM} ended with exit status {run.returncode} and {len(findings)} findings, which do not agree")
    statements = list(numbered(script))
    used: list[LintWaiver] = []
    left: list[LintFinding] = []
    for finding in findings:
        # The linter points into a statement, not always at its first line.
        about = next((text for _, line, text in reversed(statements) if line <= finding.line), "")
        waiver = next((one for one in subject.lint_waivers if one.rule == finding.rule and one.about in about), None)
        if waiver is None:
            left.append(finding)
        else:
            used.append(waiver)
    return MigrationLint(
        script=subject.migration.name,
        version=version,
        statements=len(statements),
        found=tuple(left),
        waived=dict(Counter(one.rule for one in used)),
        unused=tuple(f"{one.rule} {one.about}".strip() for one in subject.lint_waivers if one not in used),
    )


def _program() -> str:
    beside = Path(sys.executable).parent / PROGRAM
    found = str(beside) if beside.is_file() else shutil.which(PROGRAM)
    if found is None:
        raise GateError(f"the migration linter {PROGRAM} is not installed; install golive[migrations] or squawk-cli")
    return found


def _run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise GateError(f"{PROGRAM} did not end within {TIMEOUT_S:g} s") from None
    except OSError as error:
        raise GateError(f"{PROGRAM} cannot be started ({error.strerror})") from None
