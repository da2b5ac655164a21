"""Asks the fake in this container whether it answers; the exit status tells. Standard library only, for a quick start.

With a control token it asks the control plane: a request to the API would appear in the journal and use up counted faults.
"""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request

__all__ = ["main"]

API = "http://127.0.0.1:8080/"
CONTROL = "http://127.0.0.1:8081/__fake__/health"


def main() -> int:
    token = os.environ.get("GOLIVE_CONTROL_TOKEN", "")
    url = CONTROL if token else API
    request = urllib.request.Request(url, headers={"X-Fake-Token": token})  # noqa: S310 - this container's own address
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:  # noqa: S310
            return 0 if answer.status == 200 else 1
    except (urllib.error.URLError, OSError) as error:
        print(f"the fake does not answer: {error}", file=sys.stderr)  # noqa: T201 - what an engine shows of a health check
        return 1


if __name__ == "__main__":
    sys.exit(main())
