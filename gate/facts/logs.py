"""Finds secrets and phone numbers in a backend's log. What is found is told by kind and place, never by value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gate.errors import GateError
from gate.facts.subject import Subject

__all__ = ["Leak", "LogScan", "read", "scan"]

_MOST_LEAKS = 50
_SHORTEST_CANARY = 6
_SECRETS = (
    ("a JSON Web Token", re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")),
    ("a value behind Bearer or Basic", re.compile(r"\b(?:Bearer|Basic)\s+(?!\[?\*|\[MASKED\])[\w.~+/=-]{8,}", re.IGNORECASE)),
    ("a password in a URL", re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s:/@]*:(?!\*|\[MASKED\])[^\s@/]+@", re.IGNORECASE)),
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    ("an argon2 or bcrypt hash", re.compile(r"\$(?:argon2(?:id|i|d)|2[aby])\$")),
)
_SECRET_KEY = re.compile(
    r"(?:^|[_-])(?:pass(?:word|wd|phrase)?|secret|api[_-]?key|token|authorization|private[_-]?key|credentials?)$",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(
    r"\b[\w-]*(?:password|passwd|secret|token|api_?key)[\"']?\s*[:=]\s*[\"']?(?!\[MASKED\]|\*\*\*|None\b|null\b|true\b|false\b)"
    r"[^\s\"',;&{}\[\]()]{6,}",
    re.IGNORECASE,
)
# E.164 without punctuation. Not a part of a UUID, a digest, a decimal or a longer number; the number that begins the name of a
# group is one.
_PHONE = re.compile(r"(?<![A-Za-z0-9])(?<![0-9A-Fa-f]{4}-)(?<!\d\.)\+?\d{10,15}(?![A-Za-z0-9_]|\.\d|-(?!\d{10}@)\w)")
_WRITTEN_PHONE = re.compile(r"(?<!\w)\+\d{1,3}[\s.-]?\(?\d{2,3}\)?[\s.-]?\d{3,5}[\s.-]\d{4}(?!\d)")
_TIMES = re.compile(r"(?:^|_)(?:at|ts|time|timestamp|epoch|created|expires?|exp|iat|nbf|ns|ms|us)$|time|timestamp", re.IGNORECASE)
# Seconds and milliseconds of 2017 to 2036.
_EPOCH = re.compile(r"(?:1[5-9]|20)\d{8}(?:\d{3})?")
_MASKED = ("[MASKED]", "****")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogScan:
    """`structured` is how many lines were JSON objects; `masked` how many show that something was masked."""

    files: tuple[str, ...]
    lines: int
    structured: int
    masked: int
    canaries: int
    leaks: tuple[Leak, ...]
    leaks_in_all: int


def read(subject: Subject) -> LogScan:
    """Raises GateError when no log is named, or one is not there."""
    if not subject.logs:
        raise GateError("no log of the backend was given; name the file that it logs to (--log, or backend.logs)")
    return scan(subject.logs, subject.canaries)


def scan(files: Sequence[Path], canaries: Mapping[str, str]) -> LogScan:
    """Looks for shapes of secrets and phones, and for known values (`canaries`, by what they are) in any usual writing."""
    known = [(what, pattern) for what, value in canaries.items() if (pattern := _in_any_writing(value)) is not None]
    leaks: list[Leak] = []
    lines = structured = masked = found = 0
    for path in files:
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                for number, line in enumerate(file, start=1):
                    if not line.strip():
                        continue
                    lines += 1
                    record = _record(line)
                    structured += record is not None
                    masked += any(sign in line for sign in _MASKED)
                    for what in dict.fromkeys((*_canaries(line, known), *_shapes(line, record))):
                        found += 1
                        if len(leaks) < _MOST_LEAKS:
                            leaks.append(Leak(file=path.name, line=number, what=what))
        except OSError as error:
            raise GateError(f"{path.name}: the log cannot be read ({error.strerror})") from error
    return LogScan(
        files=tuple(path.name for path in files),
        lines=lines,
        structured=structured,
        masked=masked,
        canaries=len(known),
        leaks=tuple(leaks),
        leaks_in_all=found,
    )


def _record(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _canaries(line: str, known: Sequence[tuple[str, re.Pattern[str]]]) -> Iterator[str]:
    for what, pattern in known:
        if pattern.search(line):
            yield f"{what}, unmasked"


def _shapes(line: str, record: Mapping[str, Any] | None) -> Iterator[str]:
    if record is None:
        yield from _in_text(line)
        return
    yield from _in_value("", record)


def _in_value(key: str, value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _in_text(str(name))
            yield from _in_value(str(name), item)
    elif isinstance(value, list):
        for item in value:
            yield from _in_value(key, item)
    elif isinstance(value, str):
        plain = re.sub(r"(?<!^)(?=[A-Z])", "_", key)
        if value and _SECRET_KEY.search(plain) and "[MASKED]" not in value and not set(value) <= {"*"}:
            yield f"a value under {key!r}"
        if not _TIMES.search(plain) or not _EPOCH.fullmatch(value):
            yield from _in_text(value)
    elif isinstance(value, int) and not isinstance(value, bool) and not _EPOCH.fullmatch(str(value)) and not _TIMES.search(key):
        yield from _in_text(str(value))


def _in_text(text: str) -> Iterator[str]:
    for what, pattern in _SECRETS:
        if pattern.search(text):
            yield what
    if _ASSIGNED.search(text):
        yield "a value behind the name of a secret"
    if any(not _EPOCH.fullmatch(found[0]) for found in _PHONE.finditer(text)) or _WRITTEN_PHONE.search(text):
        yield "a phone number"


def _in_any_writing(value: str) -> re.Pattern[str] | None:
    """The value as it is, in a URL, and as a JSON text; of a phone its digits."""
    digits = re.sub(r"\D", "", value)
    writings = {value, quote(value, safe=""), json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    if len(digits) >= 10 and re.fullmatch(r"[\d\s()+.@a-z-]+", value):
        writings.add(digits)
    chosen = sorted((writing for writing in writings if len(writing) >= _SHORTEST_CANARY), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, chosen))) if chosen else None
