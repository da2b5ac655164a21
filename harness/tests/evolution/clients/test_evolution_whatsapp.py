"""`evolution-whatsapp` 0.1.1 from PyPI: every message it sends, synchronous and not, and its reading of webhooks."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from harness.evolution import FakeEvolution
from harness.tests.evolution.conftest import KEY
from harness.tests.evolution.listener import Listener

pytestmark = pytest.mark.in_process_only(reason="a client sees HTTP alone, and that is the same in every way of running")

NUMBER = "5511988887777"
JID = f"{NUMBER}@s.whatsapp.net"
FILE = base64.b64encode(b"\x89PNG\r\n\x1a\ncontent").decode()


@pytest.fixture
def package(published: Callable[[str, str], ModuleType]) -> ModuleType:
    return published("evolution-whatsapp", "evolution_api")


@pytest.fixture
def theirs(package: ModuleType, evolution: FakeEvolution, open_instance: str) -> Iterator[Any]:
    with package.EvoClient(evolution.url, KEY, open_instance, max_retries=1) as client:
        yield client


def test_the_state_of_the_connection_is_read(theirs: Any) -> None:
    assert theirs.connection_state() == {"instance": {"instanceName": "shop", "state": "open"}}


def test_every_kind_of_message_is_sent(theirs: Any, evolution: FakeEvolution) -> None:
    text = theirs.send_text(NUMBER, "Olá!", delay=0, link_preview=False, mentioned=[NUMBER])
    assert (text["status"], text["key"]["remoteJid"], text["message"]) == ("PENDING", JID, {"conversation": "Olá!"})
    reply = {"key": text["key"], "message": text["message"]}
    answers = {
        "conversation": theirs.send_text(NUMBER, "Sim", quoted=reply),
        "imageMessage": theirs.send_media(NUMBER, "image", "image/png", FILE, "menu.png", caption="Cardápio"),
        "audioMessage": theirs.send_whatsapp_audio(NUMBER, FILE),
        "stickerMessage": theirs.send_sticker(NUMBER, FILE),
        "locationMessage": theirs.send_location(NUMBER, -23.5, -46.6, name="Loja", address="Rua 1"),
        "contactMessage": theirs.send_contact(NUMBER, {"fullName": "Ana", "phoneNumber": NUMBER}),
        "reactionMessage": theirs.send_reaction(text["key"], "👍"),
        "pollCreationMessageV3": theirs.send_poll(NUMBER, "Qual?", ["a", "b"]),
    }
    with pytest.warns(UserWarning, match="Baileys"):
        answers["viewOnceMessage"] = theirs.send_buttons(
            NUMBER, "Confirma?", "Pedido 1", "Loja", [{"type": "reply", "displayText": "Sim", "id": "1"}]
        )
    with pytest.warns(UserWarning, match="Baileys"):
        answers["listMessage"] = theirs.send_list(
            NUMBER, "Menu", "Hoje", "Ver", [{"title": "Padaria", "rows": [{"title": "Pão", "rowId": "1"}]}]
        )
    told = theirs.send_status("text", "Aberto", font=1, status_jid_list=[JID], background_color="#000000")
    assert told["key"]["remoteJid"] == "status@broadcast"
    assert {kind: answer["messageType"] for kind, answer in answers.items()} == {kind: kind for kind in answers}
    assert answers["conversation"]["contextInfo"]["stanzaId"] == text["key"]["id"]
    assert [send["messageType"] for send in evolution.ledger()][:-1] == ["conversation", *answers]


def test_numbers_are_checked(theirs: Any) -> None:
    assert theirs.check_is_whatsapp([NUMBER, "550011112222"]) == [
        {"jid": JID, "exists": True, "number": NUMBER},
        {"jid": "550011112222@s.whatsapp.net", "exists": False, "number": "550011112222"},
    ]


def test_errors_carry_status_and_text(theirs: Any, package: ModuleType, evolution: FakeEvolution) -> None:
    with pytest.raises(package.EvolutionAPIError) as stranger:
        theirs.send_text("550011112222", "Olá!")
    assert stranger.value.status == 400
    assert "'exists': False" in stranger.value.api_message
    with (
        package.EvoClient(evolution.url, KEY, "ghost") as other,
        pytest.raises(package.EvolutionAPIError, match='The "ghost" instance does not exist') as missing,
    ):
        other.connection_state()
    assert missing.value.status == 404


def test_the_asynchronous_client_sends_concurrently(package: ModuleType, evolution: FakeEvolution, open_instance: str) -> None:
    async def send() -> list[Any]:
        async with package.AsyncEvoClient(evolution.url, KEY, open_instance) as client:
            return await asyncio.gather(*(client.send_text(NUMBER, f"Nº {number}") for number in range(5)))

    answers = asyncio.run(send())
    assert sorted(answer["message"]["conversation"] for answer in answers) == [f"Nº {number}" for number in range(5)]
    assert {send["keyId"] for send in evolution.ledger()} == {answer["key"]["id"] for answer in answers}


def test_webhooks_are_read_into_its_models(
    published: Callable[[str, str], ModuleType], evolution: FakeEvolution, open_instance: str, listener: Listener
) -> None:
    webhooks = published("evolution-whatsapp", "evolution_api.webhooks")
    evolution.incoming(open_instance, NUMBER, "Oi", push_name="Maria")
    evolution.close(open_instance, 401)
    evolution.quiesce()
    events = {event.event: event for event in (webhooks.parse_webhook(got.body) for got in listener.received)}
    said = events["messages.upsert"]
    assert isinstance(said, webhooks.MessagesUpsert)
    assert (said.data.key.remote_jid, said.data.push_name, said.data.message) == (JID, "Maria", {"conversation": "Oi"})
    closed = events["connection.update"]
    assert isinstance(closed, webhooks.ConnectionUpdate)
    assert (closed.data.state, closed.data.status_reason) == ("close", 401)
