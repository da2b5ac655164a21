"""A send is answered with 201 and WhatsApp refuses it afterwards: messages.update ERROR.

Why: a restricted account (463): the HTTP answer was a success, the customer never gets the message. New contacts fail,
while groups and replies may still work.
Evidence: section 7, F8: issues 2588, 2626.
"""

from __future__ import annotations

from typing import Annotated

from gate.registry import fault
from harness.evolution.injection import Acknowledging, Option


@fault()
def run(
    at: Acknowledging,
    seconds: Annotated[float, Option(text="how long after the send WhatsApp refuses it", unit="s")] = 0.2,
    strangers_only: Annotated[
        bool, Option(text="whether groups and people who have written before still get their messages")
    ] = False,
) -> bool:
    if strangers_only and at.acquainted:
        return False
    at.plan = [(seconds, "ERROR")]
    return True
