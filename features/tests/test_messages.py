"""Cucumber Messages of a run, and what went over the wire in its steps."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cucumber_messages import Envelope, message_converter

from features.exchanges import Exchange, Tape
from features.lint import look
from features.messages import build, write
from features.secrecy import Secrecy
from gate.model import Evidence, Outcome, Status
from harness.scenarios import read_features

FEATURE = """# language: pt
Funcionalidade: Enviar
  Contexto:
    Dado uma unidade conectada ao WhatsApp

  @id:um
  Esquema do Cenário: <n> vezes
    Quando o provedor entrega uma mensagem do cliente <n> vezes ao mesmo tempo
    Então a resposta é 200 com o aviso "x"

    Exemplos:
      | n |
      | 2 |
      | 3 |
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "enviar.feature").write_text(FEATURE, encoding="utf-8")
    return tmp_path


def _outcome(item: str, status: Status, reason: str = "") -> Outcome:
    evidence = (Evidence(label="seen", value=1),) if status is Status.PASS else ()
    return Outcome(id=item, status=status, reason=reason, evidence=evidence, observed_at=datetime.now(UTC), duration_s=1.5)


def _messages(folder: Path, *outcomes: Outcome, failed: str = "") -> list[dict[str, Any]]:
    exchange = Exchange(kind="request", what="POST /messages", status=200, request_id="r-1", sent={"phone": "5511987654321"})
    steps = [
        {"keyword": "Dado", "text": "…", "status": status, "duration_s": 0.25, "exchanges": [exchange.as_json(Secrecy())]}
        for status in ("passed", "passed", failed or "passed")
    ]
    recorded = {outcome.id: steps for outcome in outcomes}
    return list(build(read_features(folder), outcomes, recorded, look([folder]).library))


def _without_nothing(document: Any) -> Any:
    if isinstance(document, dict):
        return {name: _without_nothing(value) for name, value in document.items() if value is not None}
    return [_without_nothing(item) for item in document] if isinstance(document, list) else document


def test_every_message_is_one_of_the_protocol_and_nothing_in_it_is_unknown(folder: Path) -> None:
    messages = _messages(folder, _outcome("scenario.um-1", Status.PASS), _outcome("scenario.um-2", Status.PASS))
    for message in messages:
        understood = message_converter.to_dict(message_converter.from_dict(message, Envelope))
        assert _without_nothing(understood) == _without_nothing(message)
    kinds = Counter(next(iter(message)) for message in messages)
    assert (kinds["testCaseStarted"], kinds["testStepFinished"], kinds["attachment"], kinds["pickle"]) == (2, 6, 6, 2)
    assert messages[-1]["testRunFinished"]["success"] is True


def test_ids_are_unique_and_every_reference_names_one(folder: Path) -> None:
    messages = _messages(folder, _outcome("scenario.um-1", Status.PASS))
    pickles = {item["pickle"]["id"]: item["pickle"] for item in messages if "pickle" in item}
    definitions = {item["stepDefinition"]["id"]: item["stepDefinition"] for item in messages if "stepDefinition" in item}
    [case] = [item["testCase"] for item in messages if "testCase" in item]
    of_pickle = [step["id"] for step in pickles[case["pickleId"]]["steps"]]
    assert [step["pickleStepId"] for step in case["testSteps"]] == of_pickle
    patterns = [
        definitions[identity]["pattern"]["source"] for step in case["testSteps"] for identity in step["stepDefinitionIds"]
    ]
    assert patterns[1] == "o provedor entrega uma mensagem do cliente {vezes} ao mesmo tempo"
    [argument] = case["testSteps"][1]["stepMatchArgumentsLists"][0]["stepMatchArguments"]
    assert argument == {"parameterTypeName": "vezes", "group": {"children": [], "start": 43, "value": "2 vezes"}}
    ids = [item[next(iter(item))].get("id") for item in messages]
    assert len({item for item in ids if item}) == len([item for item in ids if item])


@pytest.mark.parametrize(
    ("status", "word"), [(Status.FAIL, "FAILED"), (Status.ERROR, "FAILED"), (Status.INCONCLUSIVE, "PENDING")]
)
def test_a_failed_step_says_why_and_the_run_did_not_succeed(folder: Path, status: Status, word: str) -> None:
    messages = _messages(folder, _outcome("scenario.um-1", status, "expected 1, saw 2 (request r-1)"), failed="failed")
    results = [item["testStepFinished"]["testStepResult"] for item in messages if "testStepFinished" in item]
    assert [result["status"] for result in results] == ["PASSED", "PASSED", word]
    assert results[-1]["message"] == "expected 1, saw 2 (request r-1)"
    assert messages[-1]["testRunFinished"]["success"] is False


def test_what_went_wrong_outside_the_steps_is_seen_at_one_of_them(folder: Path) -> None:
    outcome = _outcome("scenario.um-1", Status.ERROR, "every step passed and none gathered evidence: nothing was shown")
    for messages, expected in (
        (_messages(folder, outcome), ["PASSED", "PASSED", "FAILED"]),
        (list(build(read_features(folder), [outcome], {}, look([folder]).library)), ["FAILED", "SKIPPED", "SKIPPED"]),
    ):
        results = [item["testStepFinished"]["testStepResult"] for item in messages if "testStepFinished" in item]
        assert [result["status"] for result in results] == expected
        assert outcome.reason in [result.get("message") for result in results]


def test_the_file_has_one_message_a_line_and_holds_no_phone(folder: Path) -> None:
    path, outcome = folder / "scenarios.ndjson", _outcome("scenario.um-1", Status.PASS)
    exchange = Exchange(
        kind="request", what="GET /contacts", status=200, sent={"phone": "5511987654321", "password": "hunter2-long"}
    )
    steps = [{"keyword": "Dado", "text": "…", "status": "passed", "duration_s": 0.1, "exchanges": [exchange.as_json(Secrecy())]}]
    write(path, read_features(folder), [outcome], {outcome.id: steps}, look([folder]).library)
    text = path.read_text(encoding="utf-8")
    assert next(iter(json.loads(text.partition("\n")[0]))) == "meta"
    assert "****4321" in text
    assert "5511987654321" not in text
    assert "hunter2-long" not in text
    assert [item.name for item in folder.iterdir() if item.suffix == ".part"] == []


def test_a_tape_keeps_the_first_and_the_last_and_counts_what_repeats() -> None:
    tape = Tape()
    for number in range(100):
        tape.take(Exchange(kind="request", what=f"GET /{number}", status=200, request_id=f"r-{number}"))
    for _ in range(5):
        tape.take(Exchange(kind="ledger", what="sends", seen=[]))
    kept = tape.as_json(Secrecy())
    assert len(kept) == 16
    assert (kept[0]["what"], kept[-2]["what"], kept[-1]["times"]) == ("GET /0", "GET /99", 5)
    assert tape.last_request_id == "r-99"


def test_the_secret_of_a_webhook_is_masked_in_its_address() -> None:
    body = {"webhook": {"url": "http://host/webhooks/whatsapp/evolution/G7vTWNM6RHUDX2aWeCiFaxf"}}
    shown = Exchange(kind="call", what="requests", seen=[body]).as_json(Secrecy())["seen"]
    assert shown == '[{"webhook": {"url": "http://host/webhooks/whatsapp/evolution/[MASKED]"}}]'


def test_a_long_body_is_cut() -> None:
    shown = Exchange(kind="request", what="GET /", seen={"text": "x" * 5_000}).as_json(Secrecy())["seen"]
    assert len(shown) < 2_100
    assert shown.endswith("(5012 characters)")
