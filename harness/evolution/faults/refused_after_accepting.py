"""A send is answered with 201 and WhatsApp refuses it afterwards: messages.update ERROR.

Why: a restricted account: the HTTP answer was a success, the customer never gets the message.
Evidence: section 7, F8: issues 2588, 2626.
"""

from __future__ import annotations

from gate.registry import fault
from harness.evolution.injection import Acknowledging


@fault()
def run(at: Acknowledging, seconds: float = 0.2) -> None:
    at.plan = [(seconds, "ERROR")]
