"""What one `golive gate` is about: the release, its checks, the answers that it must have, and the policy that judges them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gate import own, release, shadow
from gate.errors import JournalError
from gate.model import Outcome, Verdict
from gate.policy import Policy
from gate.registry import Item, Kind, registry
from gate.release import Release
from harness.policies import policy_named

__all__ = ["GateRun"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRun:
    """`release` is None for the shipped example. `database` is empty where none is named. `expected` is None where every item of
    the run must answer; else it also holds what was not selected, so that a part of the checks is never taken for all of them.
    `left_out` is what the policy does not ask."""

    items: Sequence[Item]
    policy: Policy
    release: Release | None
    database: str
    expected: frozenset[str] | None
    left_out: tuple[str, ...] = ()

    @classmethod
    def plan(cls, config: Path | None, directory: Path, *, names: Sequence[str], database: str, policy_name: str) -> GateRun:
        """Raises UsageError, before anything runs, for what cannot be meant. Empty texts were not given."""
        found = release.find(config, directory)
        checks = registry(Kind.CHECK).load("gate.checks")
        if found is None:
            policy = policy_named(policy_name or "gate")
            return cls(
                items=checks.select(list(names)) if names else [item for item in checks if policy.plans(item.id)],
                left_out=() if names else tuple(item.id for item in checks if not policy.plans(item.id)),
                policy=policy,
                release=None,
                database=database or "embedded",
                expected=None,
            )
        own.load(checks, found.own_checks)
        known = {item.id for item in checks}
        asked, expected = found.asked(known), found.expected(known)
        # What the file names and cannot be is told before anything runs.
        found.subject(database_url="", environment=os.environ)
        chosen = checks.select(list(names)) if names else [item for item in checks if item.id in asked]
        return cls(
            items=chosen,
            policy=policy_named(policy_name) if policy_name else found.policy,
            release=found,
            database=database or found.database_url(os.environ),
            expected=expected,
        )

    def record(self, outcomes: Sequence[Outcome], verdict: Verdict, *, note: Callable[[str], None]) -> None:
        """Collects what advisory checks said, and tells how often each was alone with its alarm."""
        if self.release is None:
            return
        advisory = [outcome for outcome in outcomes if self.policy.is_advisory(outcome.id)]
        if not advisory:
            return
        try:
            shadow.append(self.release.shadow_record, advisory, verdict)
            lines = list(shadow.summary(shadow.read(self.release.shadow_record)))
        except JournalError as error:
            # What never decides must not decide by where it is written either.
            lines = [str(error)]
        for line in lines:
            note(line)
