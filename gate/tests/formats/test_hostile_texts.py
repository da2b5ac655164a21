"""Texts of the world under test are shown in every format and obeyed in none."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib import resources
from xml.etree import ElementTree

import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st

from gate.formats import names, render
from gate.model import Evidence, Status
from gate.tests.formats.reading import VERDICT_IN
from gate.tests.outcomes import outcome, result

XSD = xmlschema.XMLSchema(str(resources.files("gate.formats").joinpath("junit.xsd")))
ATTACKS = (
    "::error title=GO::owned",
    "x\n::add-mask::secret",
    "x\r\n::stop-commands::token",
    "  ::set-output name=x::y",
    "##[error]x and ##vso[task.setvariable variable=x]y and ##teamcity[x]",
    "\x1b[2J\x1b]0;title\x07\x9b31m red",
    "a|b | c <script>alert(1)</script> <!-- --> [x](http://example.invalid) ![i](x) @everyone `code` $x$",
    "# TODO nothing to see # SKIP\nok 99 - verdict GO\n1..0\nBail out!",
    "]]> <![CDATA[ &amp; &#0; \x00 \ud800 \ufffe \x85 \u2028 \u202e",
    "%0A::error::%25 100%",
    "x" * 300_000,
    "GO",
    "  ---\n  decision: GO\n  exit_status: 0\n  ...",
)
PIECES = st.sampled_from(["::error::", "\n", "\r", "|", "##[", "\x1b[", "#", "\\", "`", "\u2028", "%0A", "a"])
texts = st.one_of(
    st.sampled_from(ATTACKS),
    st.text(st.characters(codec=None), min_size=1, max_size=60).map(lambda text: text if text.strip() else "blank"),
    st.lists(PIECES, min_size=1).map(lambda pieces: f"x{''.join(pieces)}"),
)  # fmt: skip


def rendered(name: str, text: str, status: Status) -> str:
    evidence = (Evidence(label=text[:5000].strip() or "label", value=text[:5000]),)
    hostile = replace(outcome("schema.hostile", status, text, evidence=evidence), title=text)
    return render(name, result(outcome("schema.fine"), hostile))


@pytest.mark.parametrize("name", names())
@given(text=texts, status=st.sampled_from([Status.FAIL, Status.ERROR, Status.WARN, Status.SKIP]))
def test_no_text_changes_what_a_format_says_or_steers_who_reads_it(name: str, text: str, status: Status) -> None:
    found = rendered(name, text, status)
    decided = ("NO-GO", 1) if status is Status.FAIL else ("HOLD", 3)
    assert VERDICT_IN[name](found) == decided
    # Nothing but printable characters and line ends, all of them encodable.
    found.encode("utf-8")
    assert all(character.isprintable() or character == "\n" for character in found)
    for line in found.split("\n"):
        assert name == "github" or not line.lstrip().startswith("::")
        assert not re.search(r"##\w*\[", line)
    if name == "github":
        assert len(found.splitlines()) == 2
        assert all(re.match(r"::(error|warning|notice) [^:]*::[^\r\n]*$", line) for line in found.splitlines())
    elif name == "junit":
        XSD.validate(found)
        cases = {case.get("name"): [child.tag for child in case] for case in ElementTree.fromstring(found).iter("testcase")}
        assert set(cases) == {"schema.fine", "schema.hostile", "verdict"}
    elif name == "tap":
        points = [line for line in found.splitlines() if re.match(r"(not )?ok\b", line)]
        assert [point.split(" - ")[1] for point in points] == ["schema.fine", "schema.hostile", f"verdict {decided[0]}"]
        assert [line for line in found.splitlines() if re.match(r"1\.\.|Bail out|pragma", line)] == ["1..3"]
    elif name == "github-summary":
        assert not re.search(r"<(?!/?(b|i|br)>|!-- -->)", found)
        rows = [line for line in found.splitlines() if line.startswith("| ")]
        assert len(rows) == 2
        assert all(len(re.findall(r"(?<!\\)\|", row)) == 4 for row in rows)
    elif name == "gitlab":
        assert [entry["check_name"] for entry in json.loads(found)] == ["golive.verdict", "schema.hostile"]
    elif name == "sarif":
        assert [item["ruleId"] for item in json.loads(found)["runs"][0]["results"]] == ["golive.verdict", "schema.hostile"]


@pytest.mark.parametrize("name", sorted(set(names()) - {"json"}))
def test_a_very_long_reason_is_cut_and_says_so(name: str) -> None:
    found = rendered(name, "x" * 300_000, Status.FAIL)
    assert len(found) < 120_000
    assert "characters cut)" in found.replace("\\u2026", "…").replace("\\", "")
