"""The judge: outcomes and a policy in, a verdict out. Pure; no clock, no file, no network.

Laws, each a property test: nothing seen is never GO; order does not matter; a failure never helps; a stricter policy never
releases more; a required id without an answer is HOLD.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from gate.model import Decision, Finding, Outcome, Status, Verdict
from gate.policy import Policy, matches

__all__ = ["judge"]


def judge(outcomes: Iterable[Outcome], policy: Policy, today: date) -> Verdict:
    """Decides. Of several outcomes under one id the worst counts, so a second try cannot hide a first failure.

    A failure blocks unless it is advisory or waived. What is required and was not answered – no outcome, inconclusive, an
    error, a skip that policy does not allow, an expired waiver – holds.
    """
    found = _worst_by_id(outcomes)
    waivers = {waiver.id: waiver for waiver in policy.waivers if not waiver.fault(today)}
    blocking: list[Finding] = []
    unanswered = [Finding(id=waiver.id, why=why) for waiver in policy.waivers if (why := waiver.fault(today))]
    waived: list[Finding] = []
    noted: list[Finding] = []
    warned: list[Outcome] = []

    for outcome in found.values():
        why = f"{outcome.status}: {outcome.reason}"
        if outcome.status is Status.PASS:
            continue
        if policy.is_advisory(outcome.id):
            noted.append(Finding(id=outcome.id, why=f"advisory, {why}"))
        elif outcome.id in waivers:
            waiver = waivers[outcome.id]
            until = f"until {waiver.expires}, {waiver.ticket}: {waiver.reason}"
            waived.append(Finding(id=outcome.id, why=f"{why} – waived by {waiver.owner} {until}"))
        elif outcome.status is Status.FAIL:
            blocking.append(Finding(id=outcome.id, why=why))
        elif outcome.status is Status.WARN:
            warned.append(outcome)
        elif outcome.status is Status.SKIP and policy.allows_skip(outcome.id):
            noted.append(Finding(id=outcome.id, why=why))
        elif policy.requires(outcome.id):
            unanswered.append(Finding(id=outcome.id, why=why))
        else:
            noted.append(Finding(id=outcome.id, why=why))

    warnings = [Finding(id=outcome.id, why=f"warn: {outcome.reason}") for outcome in warned]
    if len(warnings) >= policy.no_go_at_warnings:
        blocking += warnings
    elif len(warnings) >= policy.hold_at_warnings:
        unanswered += warnings
    else:
        noted += warnings

    # Only noted: were an unused waiver to hold, a failure under it would help.
    noted += [
        Finding(id=waiver.id, why=f"the waiver of {waiver.owner} is not used: take it away")
        for waiver in waivers.values()
        if (found[waiver.id].status is Status.PASS if waiver.id in found else waiver.id not in policy.expected)
    ]
    for missing in policy.expected - set(found):
        if missing in waivers:
            waived.append(Finding(id=missing, why=f"no answer – waived by {waivers[missing].owner}: {waivers[missing].reason}"))
        elif not policy.is_advisory(missing):
            unanswered.append(Finding(id=missing, why="no answer"))
    # What failed or was not answered does not speak for its family where it is advisory or waived: else a failure could help.
    speaking = [
        item
        for item, outcome in found.items()
        if not ((policy.is_advisory(item) or item in waivers) and _says_nothing(outcome, policy))
    ]
    unanswered += [
        Finding(id=pattern, why="nothing answered")
        for pattern in policy.required
        if pattern not in waivers and not any(matches(pattern, item) for item in speaking)
    ]
    passed = sum(outcome.status is Status.PASS for outcome in found.values())
    if passed == 0 and not blocking and not unanswered:
        unanswered.append(Finding(id="*", why="nothing passed: nothing seen is never GO"))

    decision = Decision.NO_GO if blocking else Decision.HOLD if unanswered else Decision.GO
    return Verdict(
        decision=decision,
        policy=policy.name,
        blocking=_in_order(blocking),
        unanswered=_in_order(unanswered),
        waived=_in_order(waived),
        noted=_in_order(noted),
        passed=passed,
        answered=len(found),
    )


def _worst_by_id(outcomes: Iterable[Outcome]) -> dict[str, Outcome]:
    worst: dict[str, Outcome] = {}
    # Sorted by content so that, of two equally bad outcomes, the same one speaks whatever the order they came in.
    for outcome in sorted(outcomes, key=lambda item: (item.id, -item.status.rank, item.reason)):
        worst.setdefault(outcome.id, outcome)
    return worst


def _says_nothing(outcome: Outcome, policy: Policy) -> bool:
    if outcome.status is Status.SKIP:
        return not policy.allows_skip(outcome.id)
    return outcome.status in (Status.FAIL, Status.ERROR, Status.INCONCLUSIVE)


def _in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(set(findings), key=lambda finding: (finding.id, finding.why)))
