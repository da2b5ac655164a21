"""What the log shows of an exception."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from reference_impl.adapters.clock import SystemClock
from reference_impl.adapters.logs import JsonLog


def test_an_exception_is_told_without_secrets_and_phones(tmp_path: Path) -> None:
    log = JsonLog(path=tmp_path / "log", level="INFO", clock=SystemClock(), secrets=("canary-of-the-settings",))
    log.open()
    try:
        log.remember("canary-of-a-webhook")
        error = ValueError("canary-of-the-settings, canary-of-a-webhook, 5511988887777")
        logging.getLogger("reference_impl.tests").error("failed for 5511988887777", exc_info=error)
    finally:
        log.close()
    (line,) = (tmp_path / "log").read_text().splitlines()
    told = json.loads(line)
    assert "ValueError" in told["exception"]
    for planted in ("canary", "5511988887777"):
        assert planted not in line
