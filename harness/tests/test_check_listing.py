"""The checks are listed and explained as they are here: with their tags, their facts, and what the release makes of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gate.registry import Kind, registry
from gate.release import load
from harness.check_listing import described, explained, listed
from harness.tests.running import golive

CHECKS = registry(Kind.CHECK).load("gate.checks")


def released(directory: Path) -> Path:
    path = directory / "golive.toml"
    path.write_text(
        """
schema_version = 1
[release]
name = "shop"
version = "1.2"
[gate]
required = ["schema.*", "own.*"]
may_skip = ["schema.campaigns"]
advisory = ["config.*"]
checks = ["release_checks"]
[[waiver]]
id = "schema.idempotency-index"
owner = "Ana"
reason = "rebuilt on Monday"
ticket = "T-1"
expires = 2026-12-01
""",
        encoding="utf-8",
    )
    (directory / "release_checks").mkdir()
    (directory / "release_checks" / "no_debts.py").write_text(
        '''"""Nobody owes anything.

Why: whoever owes pays late.
Fix: pay.
"""

from gate.model import Evidence
from gate.registry import check


@check(tags={"billing"})
def run():
    yield Evidence(label="debts", value=0)
''',
        encoding="utf-8",
    )
    return path


def test_tags_and_families_are_counted() -> None:
    lines = list(listed(CHECKS.select(["@seed"]), tags=True))
    assert (lines[-3], lines[-1]) == ("tags: @seed (23)", "23 checks")
    assert lines[-2].startswith("families: ")
    assert "schema (10)" in lines[-2]
    assert all(line.endswith("[@seed]") for line in lines[:-3])
    assert not any("@seed" in line for line in listed(CHECKS.select(["@seed"]), tags=False))


def test_a_check_is_explained_with_its_facts_and_saboteurs() -> None:
    item = CHECKS.get("schema.idempotency-index")
    text = "\n".join(explained(item, None))
    for part in ("Why: ", "Fix: ", "Looks at: catalog, schema", "Seen to fail when: "):
        assert part in text
    assert described(item)["facts"] == ["catalog", "schema"]
    assert described(item)["saboteurs"]


@pytest.mark.parametrize(
    ("item", "place"),
    [
        ("schema.idempotency-index", "waived by Ana until 2026-12-01, T-1: rebuilt on Monday"),
        ("schema.campaigns", "required, may be skipped"),
        ("schema.not-empty", "required"),
        ("config.environment", "advisory: shown, never decisive"),
        ("datastore.upsert", "not asked"),
    ],
)
def test_what_the_release_makes_of_a_check_is_told(item: str, place: str, tmp_path: Path) -> None:
    release = load(released(tmp_path))
    assert described(CHECKS.get(item), release)["in_this_release"] == place
    assert list(explained(CHECKS.get(item), release))[-1] == f"In shop 1.2: {place}"


@pytest.mark.process
def test_the_checks_of_the_release_here_are_listed_too(tmp_path: Path) -> None:
    released(tmp_path)
    done = golive("gate", "list", "--select", "own", "--tags", cwd=tmp_path)
    assert done.status == 0, done.errors
    assert "own.no-debts  major     Nobody owes anything.  [@billing]" in done.output
    explained_here = golive("gate", "explain", "own.no-debts", "--format", "json", cwd=tmp_path)
    assert json.loads(explained_here.output)["in_this_release"] == "required"
    elsewhere = golive("gate", "list", "--select", "own", cwd=tmp_path / "release_checks")
    assert elsewhere.status == 2
    assert "nothing is named 'own'" in elsewhere.errors
    assert golive("gate", "list", "--select", "@sead", cwd=tmp_path).status == 2
