"""Rules by which secrets are found, as data in the format of gitleaks, so that other rules can be added without code."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from gate.errors import UsageError
from gate.policy import nearest

__all__ = ["Allowlist", "Rule", "Rules", "load", "parse"]

_RULE_KEYS = {"id", "description", "regex", "keywords", "path", "entropy", "secretGroup", "allowlists", "allowlist", "tags"}
_ALLOW_KEYS = {"description", "regexes", "stopwords", "paths", "regexTarget", "condition", "commits"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowlist:
    """What is no secret: values, words in values (lower case), paths."""

    values: tuple[re.Pattern[bytes], ...] = ()
    words: tuple[bytes, ...] = ()
    paths: tuple[re.Pattern[str], ...] = ()

    def allows(self, value: bytes, path: str) -> bool:
        lowered = value.lower()
        return (
            any(word in lowered for word in self.words)
            or any(pattern.search(value) for pattern in self.values)
            or any(pattern.search(path) for pattern in self.paths)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`entropy` is the least, in bits a character. `group` is the secret's; 0 is the whole.

    anchored, token, text: see the tags in `gate/rules/secrets.toml`.
    """

    id: str
    description: str
    regex: re.Pattern[bytes]
    keywords: tuple[bytes, ...]
    path: re.Pattern[str] | None = None
    entropy: float = 0.0
    group: int = 0
    anchored: bool = False
    token: bool = False
    text: bool = False
    allowlists: tuple[Allowlist, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """In order: of two rules over one place the first speaks."""

    rules: tuple[Rule, ...]
    allowlists: tuple[Allowlist, ...] = ()


def load(source: Path | None = None) -> Rules:
    """The shipped rules, or those of a file. Raises UsageError in one line."""
    if source is None:
        return parse(resources.files("gate.rules").joinpath("secrets.toml").read_text(encoding="utf-8"), name="secrets.toml")
    try:
        return parse(source.read_text(encoding="utf-8"), name=source.name)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"rules {source}: cannot be read ({error})") from None


def parse(text: str, *, name: str) -> Rules:
    """Raises UsageError naming the rule and what is wrong with it: a rule that cannot be used must not silently be none."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"rules {name}: not valid TOML: {error}") from None
    entries = document.get("rules", [])
    if not isinstance(entries, list) or not entries:
        raise UsageError(f"rules {name}: holds no [[rules]]; a scan without rules finds nothing")
    rules = tuple(_rule(entry, name=name) for entry in entries)
    doubled = {rule.id for rule in rules if sum(other.id == rule.id for other in rules) > 1}
    if doubled:
        raise UsageError(f"rules {name}: {', '.join(sorted(doubled))} twice")
    return Rules(rules=rules, allowlists=_allowlists(document, where=name))


def _rule(entry: Mapping[str, Any], *, name: str) -> Rule:
    where = f"{name}, rule {entry.get('id', '?')!r}"
    _only(entry, _RULE_KEYS, where=where)
    for needed in ("id", "regex", "keywords"):
        if not entry.get(needed):
            raise UsageError(f"rules {where}: {needed} is missing; without keywords a text cannot be passed over quickly")
    regex = _bytes_pattern(entry["regex"], where=where)
    group = entry.get("secretGroup", 1 if regex.groups else 0)
    if not isinstance(group, int) or not 0 <= group <= regex.groups:
        raise UsageError(f"rules {where}: secretGroup {group!r} is no group of its regex")
    return Rule(
        id=str(entry["id"]),
        description=str(entry.get("description", entry["id"])),
        regex=regex,
        keywords=tuple(str(word).lower().encode() for word in entry["keywords"]),
        path=_text_pattern(entry["path"], where=where) if entry.get("path") else None,
        entropy=float(entry.get("entropy", 0.0)),
        group=group,
        anchored="anchored" in entry.get("tags", ()),
        token="token" in entry.get("tags", ()),
        text="text" in entry.get("tags", ()),
        allowlists=_allowlists(entry, where=where),
    )


def _allowlists(table: Mapping[str, Any], *, where: str) -> tuple[Allowlist, ...]:
    entries = [*table.get("allowlists", ()), *([table["allowlist"]] if "allowlist" in table else ())]
    found = []
    for entry in entries:
        _only(entry, _ALLOW_KEYS, where=f"{where}, allowlist")
        found.append(
            Allowlist(
                values=tuple(_bytes_pattern(pattern, where=where) for pattern in entry.get("regexes", ())),
                words=tuple(str(word).lower().encode() for word in entry.get("stopwords", ())),
                paths=tuple(_text_pattern(pattern, where=where) for pattern in entry.get("paths", ())),
            )
        )
    return tuple(found)


def _only(table: Mapping[str, Any], known: set[str], *, where: str) -> None:
    for key in table:
        if key not in known:
            raise UsageError(f"rules {where}: unknown key {key!r}{nearest(key, known)}")


def _bytes_pattern(text: str, *, where: str) -> re.Pattern[bytes]:
    try:
        return re.compile(text.encode())
    except re.error as error:
        raise UsageError(f"rules {where}: the regex cannot be used: {error}") from None


def _text_pattern(text: str, *, where: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise UsageError(f"rules {where}: the regex cannot be used: {error}") from None
