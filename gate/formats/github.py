"""GitHub's workflow commands: annotations of a run, the verdict first, then what stops the release, worst first.

GitHub shows ten annotations of a kind in a step and drops the rest in silence. So no more are written, ids that were not asked
for one and the same cause share one, and the first annotation says how many there are besides and which.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gate.model import Decision, Status
from gate.result import Answer, Result, Standing
from gate.text import printable, shortened

__all__ = ["MOST_OF_A_KIND", "render"]

MOST_OF_A_KIND = 10
_LONGEST = 4_000
_KINDS = {
    Standing.BLOCKING: "error",
    Standing.UNANSWERED: "error",
    Standing.WAIVED: "warning",
    Standing.NOTED: "notice",
}


def render(result: Result) -> str:
    answers = result.answers()
    # Told with their cause, unless that is shown as something that does not stop the release.
    followers = {item for answer in answers if answer.standing.stops for item in answer.followers}
    shown: dict[str, list[Answer]] = {"error": [], "warning": [], "notice": []}
    for answer in answers:
        kind = _KINDS.get(answer.standing)
        allowed_skip = answer.standing is Standing.NOTED and answer.outcome and answer.outcome.status is Status.SKIP
        if kind and not allowed_skip and not (answer.id in followers and answer.standing is Standing.UNANSWERED):
            shown[kind].append(answer)
    own = "notice" if result.verdict.decision is Decision.GO else "error"
    rooms = {kind: MOST_OF_A_KIND - (kind == own) for kind in shown}
    cut = {kind: members[rooms[kind] :] for kind, members in shown.items() if len(members) > rooms[kind]}
    message = [f"{result.headline()} (exit status {result.verdict.exit_status})"]
    message += [f"{len(members)} more {kind}s are not annotated: {_names(members)}" for kind, members in cut.items()]
    if result.difference is not None:
        message.append(result.difference.headline())
    lines = [_command(own, str(result.verdict.decision), message)]
    for kind, members in shown.items():
        lines += [_annotation(kind, answer) for answer in members[: rooms[kind]]]
    return "\n".join(lines) + "\n"


def _annotation(kind: str, answer: Answer) -> str:
    message = [answer.why]
    if answer.followers:
        others = ", ".join(answer.followers[:20]) + (", …" if len(answer.followers) > 20 else "")
        message.append(f"{len(answer.followers)} more were not asked for this cause: {others}")
    title = f"{answer.id}{f' [{answer.delta.change}]' if answer.delta else ''}"
    place = answer.place
    where = {"file": place.path, "line": str(place.line)} if place else {}
    return _command(kind, title, message, **where)


def _names(members: Sequence[Answer]) -> str:
    return ", ".join(answer.id for answer in members[:40]) + (", …" if len(members) > 40 else "")


def _command(kind: str, title: str, message: Iterable[str], **properties: str) -> str:
    said = ",".join(f"{name}={_property(value)}" for name, value in {**properties, "title": title}.items())
    lines = "\n".join(shortened(printable(line), _LONGEST) for line in message)
    return f"::{kind} {said}::{_data(lines)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(shortened(printable(text), 250)).replace(":", "%3A").replace(",", "%2C")
