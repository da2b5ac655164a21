"""Creates of one name overlap: two find it free and fail with 400, one deleting what the other has written; a third gets 403.

Why: a client that repeats a slow create ends with no instance at all.
Evidence: section 4.2: three concurrent creates gave 403, 400 and 400, and no instance was left.
"""

from __future__ import annotations

from typing import Annotated

from gate.registry import fault
from harness.evolution.injection import Creating, Option


@fault()
def run(
    at: Creating,
    seconds: Annotated[float, Option(text="between finding the name free and writing its row", unit="s")] = 0.5,
) -> None:
    at.hold = seconds
