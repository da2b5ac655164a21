"""WhatsApp knows a Brazilian number in the other form: the answer's remoteJid is not the number that was sent to.

Why: an answer or a receipt then seems to belong to a stranger; match by key id, and people by both forms.
Evidence: section 7, F16: issues 2687, 2062.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Checking


@fault()
def run(at: Checking) -> None:
    at.other_form = True
