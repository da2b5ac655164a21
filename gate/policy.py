"""The policy: which answers a release must have, and what may stand in their place.

A policy is TOML. It names families (`schema.*`), so that a new check needs no edit here; `pinned` turns families into the exact
ids that a run must answer. An unknown key is refused with the nearest known one: a misspelt rule must not silently be no rule.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

from gate.errors import PolicyError
from gate.model import is_outcome_id

__all__ = ["Policy", "Waiver", "load", "matches", "parse"]

SCHEMA_VERSION = 1
# A waiver is for what is known and being mended; what lasts longer is a rule, and is written as one.
LONGEST_WAIVER_DAYS = 30
# What cannot be taken back once it happened, and what everything else rests on: nobody can answer for it.
NEVER_WAIVED = (
  "journal.*", "secrets.*", "config.test-bypass", "schema.not-empty", "evidence.*", "watch.cross-tenant", "watch.unmasked-output",
)  # fmt: skip
_PATTERN = re.compile(r"\*|[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)*(\.\*)?")


def matches(pattern: str, outcome_id: str) -> bool:
    """`*` names everything, `family.*` everything below a family, anything else exactly itself."""
    if pattern == "*":
        return True
    if pattern.endswith(".*"):
        return outcome_id.startswith(pattern[:-1])
    return pattern == outcome_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A named person answers for one id until a day. Never a pattern: nobody can answer for what is not written yet.

    ticket: where mending it is followed.
    """

    id: str
    owner: str
    reason: str
    ticket: str
    expires: date

    def __post_init__(self) -> None:
        if not is_outcome_id(self.id):
            raise PolicyError(f"waiver for {self.id!r}: a waiver names one id, never a family or a wildcard")
        if any(matches(pattern, self.id) for pattern in NEVER_WAIVED):
            raise PolicyError(f"waiver for {self.id}: this check cannot be waived; what it finds has to be mended")
        for field in ("owner", "reason", "ticket"):
            if not getattr(self, field).strip():
                raise PolicyError(f"waiver for {self.id}: {field} is empty; a waiver needs a named person, a reason and a ticket")

    def fault(self, today: date) -> str:
        """Why the waiver does not count on that day; empty when it does."""
        if self.expires < today:
            return f"the waiver of {self.owner} expired on {self.expires}"
        if self.expires > today + timedelta(days=LONGEST_WAIVER_DAYS):
            return f"the waiver of {self.owner} runs until {self.expires}, expected at most {LONGEST_WAIVER_DAYS} days from today"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the judge goes by.

    required: patterns and ids that must be answered. expected: exact ids that must be answered, see `pinned`.
    may_skip: patterns whose SKIP counts as an answer. advisory: patterns that never change the decision.
    leaves_out: patterns of what a run by this policy does not ask, unless it is selected: what needs the network, or minutes.
    hold_at_warnings, no_go_at_warnings: number of warnings at which the decision is HOLD or NO-GO.
    """

    name: str
    required: tuple[str, ...] = ("*",)
    expected: frozenset[str] = frozenset()
    may_skip: tuple[str, ...] = ()
    advisory: tuple[str, ...] = ()
    leaves_out: tuple[str, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    hold_at_warnings: int = 1
    no_go_at_warnings: int = 3

    def __post_init__(self) -> None:
        if not self.required and not self.expected:
            raise PolicyError(f"policy {self.name!r} requires nothing; then nothing could ever be proved")
        if not 1 <= self.hold_at_warnings <= self.no_go_at_warnings:
            raise PolicyError(f"policy {self.name!r}: warnings need 1 <= hold_at <= no_go_at")
        doubled = {waiver.id for waiver in self.waivers if sum(other.id == waiver.id for other in self.waivers) > 1}
        if doubled:
            raise PolicyError(f"policy {self.name!r}: more than one waiver for {', '.join(sorted(doubled))}")

    def requires(self, outcome_id: str) -> bool:
        return outcome_id in self.expected or any(matches(pattern, outcome_id) for pattern in self.required)

    def allows_skip(self, outcome_id: str) -> bool:
        return any(matches(pattern, outcome_id) for pattern in self.may_skip)

    def plans(self, outcome_id: str) -> bool:
        """Whether a run by this policy asks it without being told to."""
        return not any(matches(pattern, outcome_id) for pattern in self.leaves_out)

    def is_advisory(self, outcome_id: str) -> bool:
        return any(matches(pattern, outcome_id) for pattern in self.advisory)

    def pinned(self, planned: Collection[str]) -> Policy:
        """The same policy, demanding also an answer under each planned id that it requires."""
        return replace(self, expected=self.expected | {item for item in planned if self.requires(item)})


def load(source: str) -> Policy:
    """Reads a policy from a file, or by the name of one that is shipped.

    Raises PolicyError in one line: no such policy (with the nearest name), not TOML, unknown key, wrong type.
    """
    path = Path(source)
    shipped = {item.name.removesuffix(".toml"): item for item in resources.files("gate.policies").iterdir()
               if item.name.endswith(".toml")}  # fmt: skip
    if source in shipped:
        text = shipped[source].read_text(encoding="utf-8")
    elif path.is_file():
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PolicyError(f"policy {source}: cannot be read ({error})") from error
    else:
        raise PolicyError(f"policy {source!r}: no such file, and no shipped policy of that name{nearest(source, shipped)}")
    return parse(text, name=source)


def parse(text: str, *, name: str) -> Policy:
    """Raises PolicyError naming the policy, the key and what is wrong with it."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"policy {name}: not valid TOML: {error}") from error
    _only(
        document, {"schema_version", "name", "required", "may_skip", "advisory", "leaves_out", "warnings", "waiver"}, where=name
    )
    if document.get("schema_version") != SCHEMA_VERSION:
        raise PolicyError(f"policy {name}: schema_version must be {SCHEMA_VERSION}")
    warnings = _table(document.get("warnings", {}), where=f"{name}, [warnings]")
    _only(warnings, {"hold_at", "no_go_at"}, where=f"{name}, [warnings]")
    entries = document.get("waiver", [])
    if not isinstance(entries, list):
        raise PolicyError(f"policy {name}: waivers are written as [[waiver]] tables")
    return Policy(
        name=_text(document.get("name", name), where=f"{name}, name"),
        required=_patterns(document, "required", name=name),
        may_skip=_patterns(document, "may_skip", name=name),
        advisory=_patterns(document, "advisory", name=name),
        leaves_out=_patterns(document, "leaves_out", name=name),
        waivers=tuple(_waiver(_table(entry, where=f"{name}, [[waiver]]"), name=name) for entry in entries),
        hold_at_warnings=_count(warnings.get("hold_at", 1), where=f"{name}, warnings.hold_at"),
        no_go_at_warnings=_count(warnings.get("no_go_at", 3), where=f"{name}, warnings.no_go_at"),
    )


def nearest(word: str, known: Collection[str]) -> str:
    """`; did you mean 'x'?` for the nearest of `known`, or nothing."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def _waiver(entry: Mapping[str, Any], *, name: str) -> Waiver:
    fields = {"id", "owner", "reason", "ticket", "expires"}
    _only(entry, fields, where=f"{name}, [[waiver]]")
    missing = sorted(fields - set(entry))
    if missing:
        raise PolicyError(f"policy {name}, [[waiver]]: {', '.join(missing)} missing")
    expires = entry["expires"]
    if type(expires) is not date:
        raise PolicyError(f"policy {name}, waiver for {entry['id']}: expires must be a date such as 2026-12-31")
    texts = {field: _text(entry[field], where=f"{name}, waiver.{field}") for field in ("id", "owner", "reason", "ticket")}
    return Waiver(**texts, expires=expires)


def _only(table: Mapping[str, Any], known: Collection[str], *, where: str) -> None:
    for key in table:
        if key not in known:
            raise PolicyError(f"policy {where}: unknown key {key!r}{nearest(key, known)}")


def _patterns(document: Mapping[str, Any], key: str, *, name: str) -> tuple[str, ...]:
    values = document.get(key, [])
    if not isinstance(values, list):
        raise PolicyError(f"policy {name}: {key} must be a list of ids and families")
    for value in values:
        if not isinstance(value, str) or not _PATTERN.fullmatch(value):
            raise PolicyError(
                f"policy {name}: {key} holds {value!r}, which is neither an id, a family such as 'schema.*' nor '*'"
            )
    return tuple(values)


def _table(value: object, *, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise PolicyError(f"policy {where}: must be a table")
    return value


def _text(value: object, *, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise PolicyError(f"policy {where}: must be a text")
    return value


def _count(value: object, *, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise PolicyError(f"policy {where}: must be a whole number")
    return value
