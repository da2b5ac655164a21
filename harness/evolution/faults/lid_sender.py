"""A customer writes under a hidden identity (@lid), with or without the telephone beside it.

Why: one person under two jids; without the telephone there is nothing to match a contact by.
Evidence: section 7, F15 and section 5.2: issues 1764, 1778, 2324, 2337, 2272.
"""

from __future__ import annotations

from typing import Annotated

from gate.registry import fault
from harness.evolution.injection import Incoming, Option


@fault()
def run(
    at: Incoming,
    alt: Annotated[bool, Option(text="whether the telephone comes along as remoteJidAlt")] = False,
) -> bool:
    key = at.message["key"]
    phone = str(key["remoteJid"])
    if not phone.endswith("@s.whatsapp.net"):
        return False
    digits = phone.partition("@")[0][::-1]
    hidden = {"remoteJid": f"9{digits:0>14}"[:15] + "@lid", "addressingMode": "lid"}
    at.message = {**at.message, "key": {**key, **hidden, **({"remoteJidAlt": phone} if alt else {})}}
    return True
