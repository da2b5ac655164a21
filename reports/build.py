"""From a recording to the seven documents: `build` decides what they say, `write` puts them on disk, `render_run` does both."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from gate.errors import GateError
from gate.journal import Recording, conclude, read, write_atomically
from gate.masking import Masker
from gate.model import Verdict
from gate.policy import Policy
from gate.registry import Kind, registry
from reports.document import Document, DocumentName, Section
from reports.errors import ReportError
from reports.view import RunView

__all__ = ["JOURNAL", "build", "render", "render_run", "write"]

JOURNAL = "journal.jsonl"

_TITLES = {
    DocumentName.REPORT: ("Go-live report", "Everything that this run measured"),
    DocumentName.EXECUTIVE: ("Go-live executive summary", "What decides, on a few pages"),
    DocumentName.DEPLOYMENT: ("Go-live deployment guide", "How to deploy, and what the rehearsal measured of each step"),
    DocumentName.MONITORING: ("Go-live monitoring runbook", "How to watch the first hour, and what the rehearsed hour measured"),
    DocumentName.ORCHESTRATION: ("Go-live orchestration report", "How the run went, part by part"),
    DocumentName.GATE: ("Release gate results", "Every check with its evidence"),
    DocumentName.EVOLUTION: ("Evolution integration summary", "What the integration does, and what was proved of it"),
}


def build(recording: Recording, verdict: Verdict, policy: Policy) -> list[Document]:
    """The documents, in the order of `DocumentName`. Pure: the same recording gives the same documents, whatever the day."""
    view = RunView.of(recording, verdict, policy)
    sections = registry(Kind.SECTION).load("reports.sections")
    built = {
        item.id: (
            Section(id=item.id, title=item.title.rstrip("."), blocks=tuple(item(view))),
            frozenset(item.options["documents"]),
        )
        for item in sections
    }
    return [
        Document(
            name=name,
            title=title,
            subtitle=subtitle,
            decision=verdict.decision,
            recorded_at=recording.started_at,
            sections=tuple(section for section, documents in built.values() if name in documents),
        )
        for name, (title, subtitle) in _TITLES.items()
    ]


def render(document: Document, *, masker: Masker | None = None) -> str:
    """The text of the document's file, in the format that its name asks for."""
    # Imported here: jinja2 costs 40 ms that a command without reports should not pay.
    if document.name is DocumentName.REPORT:
        from reports.renderers import html

        return html.render(document, masker=masker)
    from reports.renderers import markdown

    return markdown.render(document, masker=masker)


def write(documents: Sequence[Document], directory: Path, *, masker: Masker | None = None) -> list[Path]:
    """Writes every document or none: what a failed call has written is removed, so no two documents tell of different runs.

    Raises ReportError naming the file and the cause.
    """
    texts = {directory / document.name.file: render(document, masker=masker) for document in documents}
    written: list[Path] = []
    try:
        for path, text in texts.items():
            write_atomically(path, text)
            written.append(path)
    except (GateError, OSError) as error:
        for path in written:
            path.unlink(missing_ok=True)
        cause = f"{directory}: cannot be written ({error.strerror})" if isinstance(error, OSError) else str(error)
        raise ReportError(f"{cause}; no document was left behind, choose a directory that can be written") from error
    return written


def render_run(run_dir: Path, policy: Policy, today: date, *, masker: Masker | None = None) -> list[Path]:
    """Reads `journal.jsonl` in `run_dir`, judges it, and writes the six Markdown documents and `report.html` beside it.

    `today` decides only which waivers have expired. Raises ReportError in one line: no journal, a journal that cannot be read,
    a directory that cannot be written.
    """
    try:
        recording = read(run_dir / JOURNAL)
        verdict = conclude(recording, policy, today)
    except GateError as error:
        raise ReportError(str(error)) from error
    return write(build(recording, verdict, policy), run_dir, masker=masker)
