"""The flow of a release is observed on the release's own running backend, and on nothing in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import targets
from harness.tests.running import golive

pytestmark = pytest.mark.process

DESCRIPTION = """
schema_version = 1
[release]
name = "theirs"
[backend]
url = "{url}"
evolution = "{evolution}"
[gate]
required = ["flow.*"]
"""


def test_the_flow_of_a_running_backend_is_observed_and_one_that_is_gone_holds(tmp_path: Path) -> None:
    with targets.embedded("memory", tmp_path / "system") as (target, _):
        (tmp_path / "golive.toml").write_text(DESCRIPTION.format(url=target.url, evolution=target.evolution_url))
        credentials = {
            "GOLIVE_ADMIN_EMAIL": target.admin_email,
            "GOLIVE_ADMIN_PASSWORD": target.admin_password,
            "GOLIVE_CONTROL_TOKEN": target.control_token,
        }
        run = golive("gate", cwd=tmp_path, timeout_s=300, **credentials)
        assert (run.status, run.last_line) == (0, "GO"), run.output + run.errors
        assert target.admin_password not in run.output + run.errors
        missing = golive("gate", cwd=tmp_path, timeout_s=300)
        assert (missing.status, missing.last_line) == (3, "HOLD")
        assert "set GOLIVE_ADMIN_EMAIL, GOLIVE_ADMIN_PASSWORD, GOLIVE_CONTROL_TOKEN" in missing.output
    gone = golive("gate", cwd=tmp_path, timeout_s=300, **credentials)
    assert (gone.status, gone.last_line) == (3, "HOLD"), gone.output + gone.errors
