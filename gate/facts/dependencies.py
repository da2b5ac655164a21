"""What the release is built from: known weaknesses of its dependencies by pip-audit, and whether a lock file says which they are.

pip-audit ends with 0 also when it audited nothing or passed something over; so its JSON is read, and each dependency is counted.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gate.errors import GateError
from gate.facts.subject import Subject

__all__ = ["Audit", "LockedDependencies", "audit", "locked", "parse"]

TIMEOUT_S = 300.0
OLDEST_REPORT_H = 24.0
_NAME = re.compile(r"\s*([A-Za-z0-9][\w.-]*)")
_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*===?\s*([^\s;\\]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """`audited` dependencies were looked up. `skipped` were not, with the reason. `weak` have known weaknesses."""

    source: str
    audited: int
    skipped: tuple[str, ...]
    weak: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedDependencies:
    """`faults` in one sentence each; `declared` dependencies were looked for in `lock`. `manifest`: empty where there is none."""

    manifest: str
    lock: str
    declared: int
    faults: tuple[str, ...]


def audit(subject: Subject, *, now: datetime | None = None) -> Audit:
    """Runs pip-audit over the requirements, or over what is installed here; or reads what it said elsewhere.

    Raises GateError when there is no answer: not installed, no network, a report that is old or cannot be read.
    """
    if subject.audit_report is not None:
        return _reported(subject.audit_report, now or datetime.now(UTC))
    if find_spec("pip_audit") is None:
        raise GateError("pip-audit is not installed; install golive[dependencies], or name a report of it in golive.toml")
    arguments = [argument for path in subject.requirements for argument in ("-r", str(path))]
    missing = [path for path in subject.requirements if not path.is_file()]
    if missing:
        raise GateError(f"{missing[0]}: no such file of requirements to audit")
    try:
        run = subprocess.run(
            [sys.executable, "-P", "-m", "pip_audit", "--strict", "--format", "json", "--progress-spinner", "off", *arguments],
            capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise GateError(f"pip-audit did not end within {TIMEOUT_S:g} s") from None
    source = ", ".join(path.name for path in subject.requirements) or "what is installed here"
    try:
        found = parse(run.stdout, source=source)
    except GateError:
        raise GateError(f"pip-audit gave no answer, so nothing is known: {_last_line(run.stderr)}") from None
    if bool(found.weak) != bool(run.returncode) and not found.skipped:
        raise GateError(f"pip-audit ended with exit status {run.returncode} and {len(found.weak)} findings, which do not agree")
    return found


def parse(text: str, *, source: str) -> Audit:
    """pip-audit's JSON. Raises GateError for what is none."""
    try:
        entries = json.loads(text)["dependencies"]
        skipped = tuple(f"{entry['name']} ({entry['skip_reason']})" for entry in entries if "skip_reason" in entry)
        looked_up = [entry for entry in entries if "skip_reason" not in entry]
        weak = tuple(
            f"{entry['name']} {entry['version']}: {', '.join(sorted(weakness['id'] for weakness in entry['vulns']))}"
            + (f", mended in {fixes[0]}" if (fixes := _fixes(entry)) else "")
            for entry in looked_up
            if entry["vulns"]
        )
    except (ValueError, KeyError, TypeError):
        raise GateError(f"{source}: is no report of pip-audit in JSON") from None
    return Audit(source=source, audited=len(looked_up), skipped=skipped, weak=weak)


def locked(subject: Subject) -> LockedDependencies:
    """Looks whether each declared dependency is in the lock file, in a version that the declaration allows.

    Raises GateError when no repository is named, or a file cannot be understood.
    """
    root = subject.repository
    if root is None:
        raise GateError("no repository was named whose lock file could be looked at")
    for manifest, locks, compare in (
        (
            "pyproject.toml",
            ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "requirements.lock", "requirements.txt"),
            _python,
        ),
        ("package.json", ("package-lock.json", "npm-shrinkwrap.json"), _node),
        ("requirements.in", ("requirements.txt",), _python),
    ):
        if not (root / manifest).is_file():
            continue
        declared = _declared(root / manifest)
        lock = next((root / name for name in locks if (root / name).is_file()), None)
        if not declared:
            continue
        if lock is None:
            faults = [f"{manifest} declares {len(declared)} dependencies and there is no lock file, such as {locks[0]}"]
        else:
            faults = list(compare(declared, lock))
        return LockedDependencies(manifest=manifest, lock=lock.name if lock else "", declared=len(declared), faults=tuple(faults))
    return LockedDependencies(manifest="", lock="", declared=0, faults=())


def _reported(path: Path, now: datetime) -> Audit:
    try:
        text = path.read_text(encoding="utf-8")
        age_h = (now.timestamp() - path.stat().st_mtime) / 3600
    except (OSError, UnicodeDecodeError) as error:
        raise GateError(f"{path.name}: the report of pip-audit cannot be read ({type(error).__name__})") from None
    if age_h > OLDEST_REPORT_H:
        raise GateError(f"{path.name}: the report is {age_h:.0f} h old, expected at most {OLDEST_REPORT_H:g} h; audit again")
    return parse(text, source=path.name)


def _fixes(entry: Mapping[str, Any]) -> list[str]:
    return [version for weakness in entry["vulns"] for version in weakness.get("fix_versions", ())]


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return " ".join(lines[-1].split())[:300] if lines else "it said nothing"


def _declared(manifest: Path) -> dict[str, str]:
    """Each dependency with its own words on versions."""
    try:
        text = manifest.read_text(encoding="utf-8")
        if manifest.suffix == ".json":
            document = json.loads(text)
            return {**document.get("dependencies", {}), **document.get("optionalDependencies", {})}
        if manifest.suffix == ".in":
            lines = [line.partition("#")[0].strip() for line in text.splitlines()]
        else:
            lines = list(tomllib.loads(text).get("project", {}).get("dependencies", ()))
    except (OSError, ValueError, AttributeError) as error:
        raise GateError(f"{manifest.name}: cannot be understood ({type(error).__name__})") from None
    return {_plain(found[1]): line[found.end() :] for line in lines if (found := _NAME.match(line))}


def _python(declared: Mapping[str, str], lock: Path) -> Iterator[str]:
    try:
        from packaging.markers import Marker
        from packaging.specifiers import InvalidSpecifier, SpecifierSet
    except ImportError:
        raise GateError("the versions in a lock file cannot be judged: install packaging") from None
    pins = _pins(lock)
    for name, rest in declared.items():
        wanted, _, marker = re.sub(r"^\s*\[[^\]]*\]", "", rest).partition(";")
        if marker.strip() and not Marker(marker).evaluate():
            continue
        version = pins.get(name)
        if version is None:
            yield f"{name} is declared and not in {lock.name}"
            continue
        try:
            if wanted.strip() and not wanted.strip().startswith("@") and version not in SpecifierSet(wanted.strip("() ")):
                yield f"{name} is {version} in {lock.name}, declared {wanted.strip()}"
        except InvalidSpecifier:
            raise GateError(f"the declaration {name}{wanted} cannot be understood") from None


def _pins(lock: Path) -> dict[str, str]:
    try:
        text = lock.read_text(encoding="utf-8")
        if lock.suffix == ".txt" or lock.name == "requirements.lock":
            return {_plain(found[1]): found[2] for line in text.splitlines() if (found := _PIN.match(line.strip()))}
        document = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise GateError(f"{lock.name}: cannot be understood ({type(error).__name__})") from None
    return {
        _plain(entry["name"]): str(entry.get("version", "")) for entry in document.get("package", document.get("packages", ()))
    }


def _node(declared: Mapping[str, str], lock: Path) -> Iterator[str]:
    try:
        packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
        root = {**packages[""].get("dependencies", {}), **packages[""].get("optionalDependencies", {})}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise GateError(f"{lock.name}: cannot be understood ({type(error).__name__}); npm 7 or later writes it") from None
    for name, wanted in declared.items():
        if name not in root:
            yield f"{name} is declared and not in {lock.name}"
        elif root[name] != wanted:
            yield f"{name} is declared {wanted}, and {lock.name} was made for {root[name]}"
        elif f"node_modules/{name}" not in packages:
            yield f"{name} has no version in {lock.name}"


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
