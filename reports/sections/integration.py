"""What the integration does"""

from __future__ import annotations

from collections.abc import Iterator

from gate.registry import section
from reports import facts
from reports.claims import claim, source, unreadable
from reports.document import Block, Code, DocumentName, Paragraph, Table
from reports.view import Missing, RunView


@section(order=15, documents=(DocumentName.EVOLUTION,))
def build(view: RunView) -> Iterator[Block]:
    """Each capability beside what proves it."""
    target = view.fact("target", facts.target)
    if isinstance(target, Missing):
        yield unreadable(target, "Measured against")
    else:
        yield Paragraph(
            content=(
                "Measured against ",
                Code(text=target.url or "not measured"),
                f", Evolution API: {target.evolution or 'not measured'}",
            ),
            sources=(source("target"),),
        )
    yield Table(
        caption="Capabilities",
        columns=("Capability", "Result", "What was measured", "Source"),
        rows=(
            claim(("A unit connects by QR code",), view.outcomes("scenario.connect-generates-qr", "scenario.scan-connects")),
            claim(
                ("Inbound messages become conversations, once",),
                view.outcomes("scenario.inbound-creates-conversation", "scenario.inbound-stored-once"),
            ),
            claim(("Outbound messages are sent once, with retry",), view.outcomes("scenario.outbound-sent-once")),
            claim(("Campaigns send one after the other",), view.outcomes("scenario.campaign-one-after-the-other")),
            claim(
                ("Wrong input is refused or tolerated, never a crash",),
                view.outcomes("scenario.invalid-provider-refused", "scenario.unknown-instance-tolerated"),
            ),
            claim(("Tenants are isolated",), view.outcomes("scenario.tenants-isolated")),
            claim(("The Evolution flow was observed on the provider's side",), view.outcomes("flow.*")),
            claim(("Routes, handlers and provider load",), view.outcomes("imports.*")),
            claim(("The database has what the code writes",), view.outcomes("schema.*", "datastore.*")),
        ),
    )
