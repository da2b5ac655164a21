"""Quick reference"""

from __future__ import annotations

from collections.abc import Iterator

from gate.registry import section
from reports.claims import quoted
from reports.document import Block, CodeBlock, DocumentName, Heading
from reports.view import RunView


@section(order=180, documents=(DocumentName.REPORT, DocumentName.EXECUTIVE))
def build(view: RunView) -> Iterator[Block]:
    yield Heading(text="Deploy, once it is signed")
    yield CodeBlock(
        text='psql "$DATABASE_URL" -v ON_ERROR_STOP=1 -f PRODUCTION_MIGRATION_GOLIVE.sql\ngit push origin main\n'
        'golive smoke --target "$BASE_URL" --recipient "$TEST_RECIPIENT" --pause\ngolive watch --target "$BASE_URL"',
        language="bash",
    )
    yield Heading(text="Roll back")
    previous = quoted(view.release("previous"), '"$PREVIOUS_COMMIT"')
    yield CodeBlock(
        text=f"git revert --no-edit {previous}..{quoted(view.release('commit'), 'RELEASE_COMMIT')}\ngit push origin main",
        language="bash",
    )
