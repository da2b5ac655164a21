"""schemathesis at the running backend, from its own description and as two tenants that must not see each other."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from reference_impl.tests.hostile.fortress import Fortress, Tenant

pytestmark = [pytest.mark.postgres, pytest.mark.process]
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
    "object_level_authorization",
)
# Seconds for each phase after the fixed ones; set higher for a longer hunt.
BUDGET_S = int(os.environ.get("GOLIVE_FUZZ_SECONDS", "20"))


def header(token: str) -> dict[str, str]:
    return {"name": "Authorization", "value": f"Bearer {token}"}


def identity(tenant: Tenant) -> dict[str, object]:
    return {"name": tenant.slug, "fixedHeaders": [header(tenant.token)]}


@pytest.mark.thorough
@pytest.mark.answers(502, 503)
@pytest.mark.parametrize("who", ["two tenants", "super_admin"])
def test_row_74_fuzzing_from_the_description_finds_nothing(fortress: Fortress, tmp_path: Path, who: str) -> None:
    one, other = fortress.tenant(), fortress.tenant()
    for tenant in (one, other):
        fortress.furnish(tenant)
    users = [identity(one), identity(other), {"name": "admin", "fixedHeaders": [header(fortress.admin_token)]}]
    (tmp_path / "auth.json").write_text(json.dumps({"auth": users}))
    peers = f"peers = {json.dumps([one.slug, other.slug])}" if who == "two tenants" else ""
    user = one.slug if who == "two tenants" else "admin"
    # With ids that exist it gets past the 404 of every route.
    known = "\n".join(
        f'"path.{name}" = "{value}"'
        for name, value in ({"unit": one.id, "provider": "evolution", "secret": one.secret} | one.ids).items()
    )
    (tmp_path / "schemathesis.toml").write_text(
        f'[auth.wfc]\npath = "auth.json"\nuser = "{user}"\n{peers}\n[parameters]\n{known}\n'
    )
    where = ["--exclude-path", "/units/{unit}/events"] if who == "two tenants" else ["--include-path-regex", "^/admin/u"]
    checks = [check for check in CHECKS if who == "two tenants" or check != "object_level_authorization"]
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{fortress.url}/openapi.json", *where),
            *("--checks", ",".join(checks), "--max-time", str(BUDGET_S), "--max-examples", "20", "--seed", "4", "--no-shrink"),
            *("--request-timeout", "30", "--continue-on-failure", "--suppress-health-check", "all"),
            *("--report", "json", "--report-json-path", str(report)),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        env={name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "PYTHONPATH")} | {"NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "will not run" not in done.stdout + done.stderr
    generated = re.search(r"(\d+) generated", done.stdout)
    assert generated is not None
    assert int(generated[1]) >= 30, "too little was fired to tell anything"
