"""`pyevolutionapi` 0.1.1 from PyPI: works up to the answer of a send, which its model does not understand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from harness.evolution import FakeEvolution
from harness.tests.evolution.conftest import KEY

pytestmark = pytest.mark.in_process_only(reason="a client sees HTTP alone, and that is the same in every way of running")

Patiently = Callable[[Callable[[], Any]], Any]
NUMBER = "5511988887777"
JID = f"{NUMBER}@s.whatsapp.net"


@pytest.fixture
def package(published: Callable[[str, str], ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> ModuleType:
    # It reads a file `.env` in or above the working directory when it is imported.
    monkeypatch.chdir(tmp_path)
    return published("pyevolutionapi", "pyevolutionapi")


@pytest.fixture
def theirs(package: ModuleType, evolution: FakeEvolution) -> Iterator[Any]:
    with package.EvolutionClient(evolution.url, api_key=KEY) as client:
        yield client


def test_an_instance_is_created_connected_found_restarted_and_deleted(
    theirs: Any, evolution: FakeEvolution, patiently: Patiently
) -> None:
    assert theirs.health_check()
    created = patiently(lambda: theirs.instance.create("hall", qrcode=True))
    assert (created.instance.instance_name, created.instance.status) == ("hall", "connecting")
    assert created.qr_code_base64.startswith("data:image/png;base64,")
    assert theirs.instance.connect("hall").code.startswith("2@")
    evolution.scan("hall", phone="5511999992222")
    evolution.advance(2)
    assert theirs.instance.connection_state("hall")["instance"]["state"] == "open"
    assert [row.id for row in theirs.instance.fetch_instances(instance_name="hall")] == [created.instance.instance_id]
    assert theirs.instance.restart("hall").instance.state == "open"
    evolution.advance(2)
    assert theirs.instance.delete("hall")["status"] == "SUCCESS"
    evolution.quiesce()
    assert theirs.instance.fetch_instances() == []


def test_the_answer_of_a_send_does_not_fit_its_model_although_the_message_went_out(
    package: ModuleType, theirs: Any, evolution: FakeEvolution, open_instance: str
) -> None:
    """Recorded answer of the real server, same fault: its `message` holds the content, the model wants a `key` in it."""
    from pydantic import ValidationError

    with pytest.raises(ValidationError) as failure:
        theirs.messages.send_text(open_instance, NUMBER, "Olá!")
    faults = [(fault["loc"], fault["type"], fault["input"]) for fault in failure.value.errors()]
    assert faults == [(("message", "key"), "missing", {"conversation": "Olá!"})]
    assert [(send["remoteJid"], send["text"]) for send in evolution.ledger()] == [(JID, "Olá!")]
    assert [(call["path"], call["status"]) for call in evolution.requests(path="/message/sendText/shop")] == [
        ("/message/sendText/shop", 201)
    ]


def test_numbers_are_checked_and_errors_become_its_exceptions(package: ModuleType, theirs: Any, open_instance: str) -> None:
    assert theirs.chat.whatsapp_numbers(open_instance, [NUMBER]) == [{"jid": JID, "exists": True, "number": NUMBER}]
    with pytest.raises(package.NotFoundError):
        theirs.instance.connection_state("ghost")
    with pytest.raises(package.ValidationError):
        theirs.messages.send_text(open_instance, "550011112222", "Olá!")
