"""The standard's own JSON schema, which a package for node brings along, allows what is written.

`tox -e editor` has the package installed; elsewhere `GOLIVE_SARIF_SCHEMA` names the schema, or this test is skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft4Validator

from gate.difference import Side, compare
from gate.formats import render
from gate.model import Status
from gate.tests.outcomes import MIXED, outcome, result

pytestmark = pytest.mark.process

PACKAGE = "@microsoft/jest-sarif@1.0.0-beta.0"
SCHEMA = "node_modules/@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json"
# Read now: tests see no setting of whoever runs them.
_REQUIRED = os.environ.get("GOLIVE_REQUIRE_EDITOR") == "1"
_GIVEN = os.environ.get("GOLIVE_SARIF_SCHEMA", "")
_INSTALLING_SECONDS = 300


@pytest.fixture(scope="module")
def standard(tmp_path_factory: pytest.TempPathFactory) -> Draft4Validator:
    if _GIVEN:
        return Draft4Validator(json.loads(Path(_GIVEN).read_text(encoding="utf-8")))
    if not _REQUIRED:
        pytest.skip("GOLIVE_SARIF_SCHEMA names no schema; GOLIVE_REQUIRE_EDITOR=1 has it installed")
    if shutil.which("npm") is None:
        pytest.fail("npm is needed, and is not installed")
    folder = tmp_path_factory.mktemp("sarif")
    (folder / "package.json").write_text('{"private": true}')
    command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--legacy-peer-deps", "--loglevel=error", PACKAGE]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_INSTALLING_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install {PACKAGE} within {_INSTALLING_SECONDS} s")
    if done.returncode:
        pytest.skip(f"npm could not install {PACKAGE}: {done.stderr.strip().splitlines()[-1:]}")
    return Draft4Validator(json.loads((folder / SCHEMA).read_text(encoding="utf-8")))


def test_what_is_written_is_valid_and_what_is_not_would_be_noticed(standard: Draft4Validator) -> None:
    before = Side(outcomes=(outcome("schema.messages-retry-count"), outcome("schema.old", Status.FAIL)))
    for item in (result(), result(outcome("a.b")), result(*MIXED)):
        for written in (item, replace(item, difference=compare(before, Side(outcomes=item.outcomes)))):
            assert [error.message for error in standard.iter_errors(json.loads(render("sarif", written)))] == []
    broken = json.loads(render("sarif", result(*MIXED)))
    broken["runs"][0]["results"][0]["level"] = "fatal"
    assert [error.message for error in standard.iter_errors(broken)] == [
        "'fatal' is not one of ['none', 'note', 'warning', 'error']"
    ]
