"""The result model: what one look at the world found, and what was decided from many looks.

Standard library only. Records are frozen and cannot be built in a state that would mislead: a pass without evidence, a failure
without a reason and a naive time are refused where they are made.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

__all__ = ["Decision", "Evidence", "Finding", "Outcome", "Scalar", "Severity", "Status", "Verdict", "is_outcome_id"]

Scalar = str | int | float | bool

_ID = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)+")


def is_outcome_id(text: str) -> bool:
    """Whether `text` is a family, a dot, and a path of lower-case words: `schema.idempotency-index`."""
    return _ID.fullmatch(text) is not None


class Status(StrEnum):
    """What one check, scenario, probe, signal or load run found, from best to worst as `rank` orders them."""

    PASS = "pass"  # noqa: S105
    SKIP = "skip"
    WARN = "warn"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    FAIL = "fail"

    @property
    def rank(self) -> int:
        """0 for PASS up to 5 for FAIL; of several outcomes with one id the highest counts."""
        return list(Status).index(self)


class Severity(StrEnum):
    """How much harm a failure stands for; orders what people read first, never what is decided."""

    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"


class Decision(StrEnum):
    GO = "GO"
    NO_GO = "NO-GO"
    HOLD = "HOLD"

    @property
    def exit_status(self) -> int:
        """0 for GO, 1 for NO-GO, 3 for HOLD; 2 is left to usage errors."""
        return {Decision.GO: 0, Decision.NO_GO: 1, Decision.HOLD: 3}[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One observed fact. `unit` is empty for a plain count or a text; never a secret, never a whole phone number."""

    label: str
    value: Scalar
    unit: str = ""

    def __post_init__(self) -> None:
        if not self.label.strip():
            raise ValueError("evidence needs a label")
        if isinstance(self.value, float) and not math.isfinite(self.value):
            raise ValueError(f"evidence {self.label!r} is not a finite number")

    def __str__(self) -> str:
        value = f"{self.value:g}" if isinstance(self.value, float) else str(self.value)
        return f"{self.label}: {value}{' ' if self.unit else ''}{self.unit}"

    def as_json(self) -> dict[str, Scalar]:
        return {"label": self.label, "value": self.value} | ({"unit": self.unit} if self.unit else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was found under one id. `cause` is the id whose trouble kept this one from being asked, empty for all that was asked.

    Raises ValueError where it would mislead: an id out of form, PASS without evidence, any other status without a reason,
    a negative or endless duration, a time without a zone, a cause for what is not without an answer.
    """

    id: str
    status: Status
    severity: Severity = Severity.MAJOR
    title: str = ""
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    duration_s: float = 0.0
    observed_at: datetime
    cause: str = ""

    def __post_init__(self) -> None:
        if not is_outcome_id(self.id):
            raise ValueError(f"outcome id {self.id!r} is not of the form family.name")
        if self.status is Status.PASS and not self.evidence:
            raise ValueError(f"{self.id}: a pass needs evidence")
        if self.status is not Status.PASS and not self.reason.strip():
            raise ValueError(f"{self.id}: {self.status} needs a reason")
        if self.cause and self.status in (Status.PASS, Status.WARN, Status.SKIP):
            raise ValueError(f"{self.id}: what was not asked cannot be {self.status}")
        if not (math.isfinite(self.duration_s) and self.duration_s >= 0):
            raise ValueError(f"{self.id}: duration {self.duration_s} is not a span of time")
        if self.observed_at.tzinfo is None:
            raise ValueError(f"{self.id}: observed_at needs a time zone")

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "status": str(self.status),
            "severity": str(self.severity),
            "title": self.title,
            "reason": self.reason,
            "evidence": [item.as_json() for item in self.evidence],
            "duration_s": round(self.duration_s, 6),
            "observed_at": self.observed_at.isoformat(),
        } | ({"cause": self.cause} if self.cause else {})

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Outcome:
        """Raises ValueError, KeyError or TypeError for a record that is not an outcome."""
        return cls(
            id=str(record["id"]),
            status=Status(record["status"]),
            severity=Severity(record.get("severity", Severity.MAJOR)),
            title=str(record.get("title", "")),
            reason=str(record.get("reason", "")),
            evidence=tuple(
                Evidence(label=str(item["label"]), value=_scalar(item["value"]), unit=str(item.get("unit", "")))
                for item in record.get("evidence", ())
            ),
            duration_s=float(record.get("duration_s", 0.0)),
            observed_at=datetime.fromisoformat(record["observed_at"]),
            cause=str(record.get("cause", "")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Why one id stands where it stands in a verdict."""

    id: str
    why: str

    def as_json(self) -> dict[str, str]:
        return {"id": self.id, "why": self.why}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The decision, and every id that stood in its way.

    `blocking` made it NO-GO, `unanswered` kept it from GO, `waived` would have blocked but a named person answers for it,
    `noted` neither blocks nor holds: advisory findings and skips that policy allows.
    """

    decision: Decision
    policy: str
    blocking: tuple[Finding, ...] = ()
    unanswered: tuple[Finding, ...] = ()
    waived: tuple[Finding, ...] = ()
    noted: tuple[Finding, ...] = ()
    passed: int = 0
    answered: int = 0

    @property
    def exit_status(self) -> int:
        return self.decision.exit_status

    def as_json(self) -> dict[str, Any]:
        return {
            "decision": str(self.decision),
            "exit_status": self.exit_status,
            "policy": self.policy,
            "passed": self.passed,
            "answered": self.answered,
            **{
                name: [finding.as_json() for finding in getattr(self, name)]
                for name in ("blocking", "unanswered", "waived", "noted")
            },
        }


def _scalar(value: object) -> Scalar:
    if isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"evidence value of type {type(value).__name__} is not a scalar")
