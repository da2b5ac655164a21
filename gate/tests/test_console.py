"""What a person reads: the seed's lines, every failing id with its reason and fix, and the decision as the last word."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace

import pytest

from gate.console import ASCII, UNICODE, Console, fix_of, printable, summary_lines, verdict_lines
from gate.model import Decision, Evidence, Finding, Outcome, Status, Verdict
from gate.registry import Kind, registry
from gate.tests.outcomes import HOSTILE, MIXED, outcome, verdict

SEED = [item.id for item in registry(Kind.CHECK).load("gate.checks").select(["@seed"])]


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def seed(**changed: Outcome) -> list[Outcome]:
    """All 23 passed on SQLite, but for those that are changed, by their ids with underscores."""
    embedded = (Evidence(label="datastore", value="SQLite 3.40.1"), Evidence(label="embedded", value=True))
    outcomes = {item: outcome(item) for item in SEED}
    outcomes["datastore.embedded-detected"] = outcome("datastore.embedded-detected", evidence=embedded)
    outcomes |= {change.id: change for change in changed.values()}
    return list(outcomes.values())


def shown(outcomes: list[Outcome]) -> list[str]:
    return [text for _, text in summary_lines(outcomes)]


def written(*outcomes: Outcome, stream: io.TextIOBase | None = None, **environment: str) -> str:
    stream = stream if stream is not None else io.StringIO()
    console = Console(stream, environment=environment)  # type: ignore[arg-type]
    with console.progress(len(outcomes)) as heard:
        for one in outcomes:
            heard(one)
    console.summary(outcomes)
    console.verdict(verdict(*outcomes))
    stream.seek(0)
    return stream.read()


def test_the_seed_s_lines_are_written_as_they_were() -> None:
    assert shown(seed()) == [
        "✓ unit_whatsapp_connections - 4/4 columns exist",
        "✓ messages - 4/4 columns exist",
        "✓ campaigns - 2/2 tables exist",
        "✓ In-memory DB has upsert shim",
        "✓ All modules import successfully",
        "✓ Evolution provider loads correctly",
        "✓ Campaign service loads correctly",
        "✓ Evolution flow - 4/4 behave as observed against the provider",
        "ALL CHECKS PASSED",
    ]


def test_on_postgres_the_line_of_the_datastore_says_what_is_true_there() -> None:
    server = (Evidence(label="datastore", value="PostgreSQL 15.8"), Evidence(label="embedded", value=False))
    lines = shown(seed(datastore=outcome("datastore.embedded-detected", evidence=server)))
    assert "✓ PostgreSQL 15.8 upserts, also with two writers at once" in lines
    assert not any("In-memory" in line for line in lines)


def test_a_failure_is_counted_and_told_with_its_fix() -> None:
    lines = shown(seed(a=MIXED[0]))
    place = lines.index("✗ messages - 3/4 columns exist")
    assert lines[place + 1] == "    schema.messages-retry-count (fail): messages.retry_count is text, expected integer"
    assert lines[place + 2].startswith("      fix: apply PRODUCTION_MIGRATION_GOLIVE.sql")
    assert lines[-1] == "23 checks: 1 fail, 22 pass"
    assert not any("ALL CHECKS PASSED" in line for line in lines)


def test_one_broken_import_is_told_once_and_counted_wherever_it_belongs() -> None:
    lines = shown(seed(a=outcome("imports.campaign-service", Status.FAIL, "does not import")))
    assert "✗ Modules - 5/6 import" in lines
    assert "✗ Campaign service - 0/1 loads" in lines
    assert sum("imports.campaign-service (fail)" in line for line in lines) == 1


@pytest.mark.parametrize("status", [status for status in Status if status not in (Status.PASS, Status.SKIP)])
def test_all_checks_passed_is_said_only_when_they_did(status: Status) -> None:
    assert not any("PASSED" in line for line in shown(seed(a=outcome("flow.instance-name", status))))


def test_what_does_not_apply_is_named_beside_it() -> None:
    lines = shown([*seed(), MIXED[4]])
    assert lines[-1] == "ALL CHECKS PASSED (1 not applicable here: migration.verifies-itself)"
    assert "– migration - 0/1 checks passed" in lines


def test_a_part_of_the_checks_is_not_taken_for_all() -> None:
    lines = shown([outcome("schema.messages-retry-count")])
    assert lines == ["? messages - 1/4 columns exist, 3 not looked at", "1 selected checks passed"]
    assert shown([]) == ["no check was run"]
    assert shown([MIXED[4]]) == [
        "– migration - 0/1 checks passed",
        "    migration.verifies-itself (skip): there is no Postgres here",
        "1 checks: 1 skip",
    ]


def test_further_checks_have_a_line_for_their_family() -> None:
    lines = shown([*seed(), outcome("schema.not-empty"), outcome("config.environment"), outcome("config.test-bypass")])
    assert "✓ schema - 1/1 further checks passed" in lines
    assert "✓ config - 2/2 checks passed" in lines


@pytest.mark.parametrize(
    ("outcomes", "last"), [([outcome("a.b")], "GO"), ([MIXED[0]], "NO-GO"), ([outcome("a.b"), MIXED[2]], "HOLD")]
)
def test_the_last_line_is_the_decision_s_word_alone(outcomes: list[Outcome], last: str) -> None:
    decided = verdict(*outcomes)
    lines = verdict_lines(decided)
    assert lines[-1] == last
    assert lines[-2].startswith(f"exit status {decided.exit_status}: ")


def test_every_id_that_stood_in_the_way_is_told_with_reason_and_fix() -> None:
    text = "\n".join(verdict_lines(verdict(*MIXED, expected=frozenset({"smoke.login"}))))
    assert (
        "Blocking:\n  schema.messages-retry-count: fail: messages.retry_count is text, expected integer\n    fix: apply" in text
    )
    # What could not be looked at may be in order.
    assert "  datastore.upsert: error: database: nothing listens there\n  flow.campaign-paced: inconclusive: " in text
    assert "  flow.campaign-paced: inconclusive: no campaign was seen\n    fix: " in text
    assert "  flow.campaign-paced: inconclusive: no campaign was seen" in text
    assert "  smoke.login: no answer" in text


def test_an_id_that_nobody_documents_has_no_fix() -> None:
    assert fix_of("load.latency") == ""
    assert fix_of("flow.campaign-paced").startswith("keep the pace")


def test_what_would_steer_a_terminal_is_shown_and_not_obeyed() -> None:
    assert printable("a\x1b[31m\r\nb\x00\u202e") == "a\\x1b[31m b\\x00\\u202e"
    text = written(outcome("a.b", Status.FAIL, HOSTILE))
    assert "\x1b" not in text
    assert "\\x1b[31m" in text


def test_elsewhere_than_on_a_terminal_there_are_plain_lines() -> None:
    text = written(*MIXED)
    assert "\x1b" not in text
    assert "1/6 ✗ schema.messages-retry-count (0.25 s)" in text
    assert text.endswith("NO-GO\n")


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_wants_no_colour_gets_none(environment: dict[str, str]) -> None:
    assert "\x1b" not in written(*MIXED, stream=Terminal(), **environment)


def test_a_terminal_gets_colour_and_the_same_words() -> None:
    text = written(*MIXED, stream=Terminal(), TERM="xterm-256color")
    assert "\x1b[1;31m" in text
    assert "messages.retry_count is text, expected integer" in text
    assert "NO-GO" in text.splitlines()[-1]


def test_markup_in_a_reason_is_printed_as_it_is() -> None:
    assert "[red]not a colour[/red]" in written(outcome("a.b", Status.FAIL, "[red]not a colour[/red]"), stream=Terminal())


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_an_encoding_without_the_signs_gets_ascii(encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    written_text = written(*seed(), MIXED[4], outcome("a.b", Status.FAIL, "ação – 日本"), stream=stream)
    assert "[ok] messages - 4/4 columns exist" in written_text
    assert "\\u65e5" in written_text


def test_both_sets_of_signs_know_every_status() -> None:
    assert set(UNICODE.of) == set(ASCII.of) == set(Status)
    assert "".join(ASCII.of.values()).isascii()


def test_a_pass_without_a_terminal_never_imports_rich() -> None:
    code = (
        "import sys; from gate.console import Console; from gate.tests.outcomes import MIXED, verdict;"
        "c = Console(sys.stdout); c.summary(MIXED); c.verdict(verdict(*MIXED)); assert 'rich' not in sys.modules, 'rich'"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (run.returncode, run.stderr) == (0, "")


def test_of_two_outcomes_of_one_id_the_later_line_does_not_hide_the_first() -> None:
    failed = replace(MIXED[0], reason="first")
    assert "2 checks: 1 fail, 1 pass" in shown([failed, replace(MIXED[1], id=failed.id)])


def test_many_ids_with_one_cause_share_a_line_and_few_keep_their_fixes() -> None:
    down = tuple(Finding(id=f"smoke.step-{number}", why="error: the database is down") for number in range(5))
    other = Finding(id="schema.campaigns", why="fail: missing")
    verdict = Verdict(decision=Decision.HOLD, policy="p", unanswered=(*down, other))
    lines = verdict_lines(verdict, fix=lambda _: "do this")
    at = lines.index("  error: the database is down")
    assert lines[at + 1] == f"    5 alike: {', '.join(finding.id for finding in down)}"
    assert lines.count("    fix: do this") == 1
