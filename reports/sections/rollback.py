"""Rollback"""

from __future__ import annotations

from collections.abc import Iterator

from gate.registry import section
from reports import facts
from reports.claims import answer_row, quoted, seconds, source, unreadable
from reports.document import Badge, Block, CodeBlock, DocumentName, Heading, ListBlock, Paragraph, Row, Table
from reports.view import Missing, RunView, badge_of_word, mark_of_word

_AT_ONCE = (
    "Roll back at once for: an unmasked secret; a cross-tenant leak; more than 50 % of messages failing; "
    "down for more than 5 minutes; a status that never updates."
)


@section(
    order=100,
    documents=(DocumentName.REPORT, DocumentName.EXECUTIVE, DocumentName.DEPLOYMENT, DocumentName.MONITORING),
)
def build(view: RunView) -> Iterator[Block]:
    """What the rehearsal measured, then the procedure."""
    yield Table(
        caption="Rollback rehearsal, judged",
        columns=("Id", "Claim", "Result", "What was seen", "Took"),
        rows=tuple(answer_row(answer) for answer in view.outcomes("rollback.*").answers),
    )
    steps = view.fact("rollback.steps", facts.steps)
    if isinstance(steps, Missing):
        yield unreadable(steps, "Steps of the rehearsal")
    elif steps:
        yield Table(
            caption="Steps of the rehearsal, as measured",
            columns=("Step", "Result", "Detail", "Took"),
            rows=tuple(_step(view, step) for step in steps),
        )
    else:
        yield unreadable(Missing(name="rollback.steps", why="no steps"), "Steps of the rehearsal")
    yield Heading(text="Procedure")
    version, commit = view.release("version"), quoted(view.release("commit"), "RELEASE_COMMIT")
    failed = quoted(f"failed-v{version}" if version else "", "failed-vX.Y.Z")
    yield CodeBlock(
        text=f"# 1. Keep what failed findable\ngit tag -a {failed} {commit} -m 'Rolled back'\ngit push origin {failed}",
        language="bash",
    )
    yield from _revert(view, commit)
    yield from _platforms(view)
    yield CodeBlock(
        text='# 3. Wait, then prove that it is back\ncurl --fail --silent --show-error "$BASE_URL/health"\n'
        'golive smoke --target "$BASE_URL" --recipient "$TEST_RECIPIENT"',
        language="bash",
    )
    yield ListBlock(
        items=(
            ("The database stays as it is; whether the previous code runs on the new schema is what the rehearsal measured.",),
            ("Tell people, and open the post-mortem.",),
        )
    )
    yield Paragraph(content=(_AT_ONCE,))


def _revert(view: RunView, commit: str) -> Iterator[Block]:
    """The commands that the rehearsal ran on a copy of the repository; without them, commands with places to fill in."""
    found = view.fact("rollback.commands", facts.commands)
    if isinstance(found, Missing) or not found:
        missing = found if isinstance(found, Missing) else Missing(name="rollback.commands", why="no commands")
        yield unreadable(missing, "Revert as rehearsed")
        previous = quoted(view.release("previous"), '"$PREVIOUS_COMMIT"')
        lines: tuple[str, ...] = (f"git revert --no-edit {previous}..{commit}", "git push origin main")
    else:
        yield Paragraph(content=("The revert as it was rehearsed:",), sources=(source("rollback.commands"),))
        lines = found
    heading = "# 2a. Revert the release's commits, all of them, newest first; never a force push"
    yield CodeBlock(text="\n".join((heading, *lines)), language="bash")


def _platforms(view: RunView) -> Iterator[Block]:
    found = view.fact("rollback.platforms", facts.platforms)
    if isinstance(found, Missing):
        yield unreadable(found, "Rollback by the platform")
        return
    for platform in found:
        lines = [f"# 2b. Or let the platform go back: {' '.join(platform.name.split())}"]
        lines += filter(None, (platform.list, platform.rollback, platform.check))
        yield CodeBlock(text="\n".join(lines), language="bash")
        if platform.note:
            yield Paragraph(content=(platform.note,), sources=(source("rollback.platforms"),))


def _step(view: RunView, step: facts.Step) -> Row:
    """A step that is also a check stands as its outcome does; any other as it was recorded."""
    outcome_id = f"rollback.{'-'.join(step.name.lower().replace('_', ' ').split())}"
    known = outcome_id in view.ids
    mark = view.answer(outcome_id).mark if known else mark_of_word(step.status)
    return Row(
        cells=(
            (step.name,),
            (Badge(mark=mark) if known else badge_of_word(step.status),),
            (step.detail or "–",),
            (seconds(step.duration_s),),
        ),
        sources=(source("rollback.steps"), *((outcome_id,) if known else ())),
        mark=mark,
    )
