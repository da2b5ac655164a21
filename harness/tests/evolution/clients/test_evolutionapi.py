"""`evolutionapi` 0.1.2 from PyPI: instances with their own tokens, messages, chats."""

from __future__ import annotations

import io
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from harness.evolution import FakeEvolution
from harness.tests.evolution.conftest import KEY

pytestmark = pytest.mark.in_process_only(reason="a client sees HTTP alone, and that is the same in every way of running")

Patiently = Callable[[Callable[[], Any]], Any]
Published = Callable[[str, str], ModuleType]
NUMBER = "5511988887777"
JID = f"{NUMBER}@s.whatsapp.net"


# The distribution holds an older state of its client beside the one it is named after.
NEWER = pytest.mark.parametrize("package", ["evolutionapi"], indirect=True)


@pytest.fixture(params=["evolutionapi", "evolution"])
def package(request: pytest.FixtureRequest, published: Published) -> str:
    """The name of the client's package."""
    published("evolutionapi", request.param)
    return str(request.param)


@pytest.fixture
def part(package: str, published: Published) -> Callable[[str], Any]:
    """A module of the client below its package."""
    return lambda name: published("evolutionapi", f"{package}.{name}")


@pytest.fixture
def theirs(part: Callable[[str], Any], evolution: FakeEvolution) -> Any:
    return part("client").EvolutionClient(base_url=evolution.url, api_token=KEY)


@pytest.fixture
def token(theirs: Any, open_instance: str) -> str:
    """The own token of the instance that is open."""
    return next(str(row["token"]) for row in theirs.instances.fetch_instances() if row["name"] == open_instance)


def test_an_instance_is_created_connected_scanned_restarted_logged_out_and_deleted(
    theirs: Any, part: Callable[[str], Any], evolution: FakeEvolution, patiently: Patiently
) -> None:
    config = part("models.instance").InstanceConfig(instanceName="hall", integration="WHATSAPP-BAILEYS", qrcode=True)
    created = patiently(lambda: theirs.instances.create_instance(config))
    assert created["instance"]["instanceName"] == "hall"
    assert created["instance"]["status"] == "connecting"
    assert created["qrcode"]["base64"].startswith("data:image/png;base64,")
    token, operations = created["hash"], theirs.instance_operations

    assert operations.connect("hall", token)["code"].startswith("2@")
    assert operations.get_connection_state("hall", token) == {"instance": {"instanceName": "hall", "state": "connecting"}}
    evolution.scan("hall", phone="5511999992222")
    evolution.advance(2)
    assert operations.get_connection_state("hall", token) == {"instance": {"instanceName": "hall", "state": "open"}}
    presence = part("models.presence").PresenceStatus.AVAILABLE
    assert operations.set_presence("hall", presence, token) == {"presence": "available"}

    assert operations.restart("hall", token)["instance"] == {"instanceName": "hall", "state": "open"}
    evolution.advance(2)
    assert operations.logout("hall", token)["response"] == {"message": "Instance logged out"}
    evolution.quiesce()
    assert operations.get_connection_state("hall", token)["instance"]["state"] == "close"
    assert operations.delete("hall", token)["response"] == {"message": "Instance deleted"}
    evolution.quiesce()
    assert theirs.instances.fetch_instances() == []


def test_a_text_is_sent_once_and_comes_back_in_the_chats_messages(
    theirs: Any, part: Callable[[str], Any], open_instance: str, token: str, evolution: FakeEvolution, package: str
) -> None:
    text = part("models.message").TextMessage(number=NUMBER, text="Olá!")
    sent = theirs.messages.send_text(open_instance, text, token)
    assert (sent["status"], sent["key"]["remoteJid"], sent["message"]) == ("PENDING", JID, {"conversation": "Olá!"})
    assert [(send["text"], send["keyId"]) for send in evolution.ledger()] == [("Olá!", sent["key"]["id"])]
    if package == "evolutionapi":
        found = theirs.chat.get_messages(open_instance, JID, token)
        assert [record["key"]["id"] for record in found["messages"]["records"]] == [sent["key"]["id"]]


@NEWER
def test_audio_stickers_and_round_videos_are_uploaded_as_forms(
    theirs: Any, open_instance: str, token: str, evolution: FakeEvolution
) -> None:
    kinds = {}
    for send in (theirs.messages.send_whatsapp_audio, theirs.messages.send_sticker, theirs.messages.send_ptv):
        answer = send(open_instance, {"number": NUMBER}, token, io.BytesIO(b"content"))
        kinds[answer["messageType"]] = answer["message"][answer["messageType"]]["fileLength"]["low"]
    assert kinds == {"audioMessage": 7, "stickerMessage": 7, "ptvMessage": 7}
    assert [send["messageType"] for send in evolution.ledger()] == list(kinds)


def test_every_other_kind_of_message_is_sent(
    theirs: Any, part: Callable[[str], Any], open_instance: str, token: str, evolution: FakeEvolution
) -> None:
    models, messages = part("models.message"), theirs.messages
    sent = messages.send_text(open_instance, models.TextMessage(number=NUMBER, text="Menu"), token)
    person = models.Contact(fullName="Ana", wuid=NUMBER, phoneNumber=NUMBER)
    row = models.ListRow(title="Pão", description="Francês", rowId="1")
    section = models.ListSection(title="Padaria", rows=[row])
    answers = {
        "locationMessage": messages.send_location(
            open_instance,
            models.LocationMessage(number=NUMBER, name="Loja", address="Rua 1", latitude=-23.5, longitude=-46.6, delay=0),
            token,
        ),
        "contactMessage": messages.send_contact(open_instance, models.ContactMessage(number=NUMBER, contact=[person]), token),
        "reactionMessage": messages.send_reaction(open_instance, models.ReactionMessage(key=sent["key"], reaction="👍"), token),
        "pollCreationMessageV3": messages.send_poll(
            open_instance, models.PollMessage(number=NUMBER, name="Qual?", selectableCount=1, values=["a", "b"]), token
        ),
        "listMessage": messages.send_list(
            open_instance,
            models.ListMessage(
                number=NUMBER, title="Menu", description="Hoje", buttonText="Ver", footerText="fim", sections=[section]
            ),
            token,
        ),
        "viewOnceMessage": messages.send_buttons(
            open_instance,
            models.ButtonMessage(
                number=NUMBER,
                title="Confirma?",
                description="Pedido 1",
                footer="Loja",
                buttons=[models.Button(type="reply", displayText="Sim", id="1")],
            ),
            token,
        ),
    }
    story = models.StatusMessage(
        type=models.StatusType.TEXT,
        content="Aberto",
        backgroundColor="#000000",
        font=models.FontType.SERIF,
        statusJidList=[JID],
    )
    assert theirs.messages.send_status(open_instance, story, token)["key"]["remoteJid"] == "status@broadcast"
    assert {kind: answer.get("messageType") for kind, answer in answers.items()} == {kind: kind for kind in answers}
    assert [send["messageType"] for send in evolution.ledger()][:-1] == ["conversation", *answers]


@NEWER
def test_a_file_is_uploaded_as_a_form(
    theirs: Any, part: Callable[[str], Any], open_instance: str, token: str, evolution: FakeEvolution
) -> None:
    picture = part("models.message").MediaMessage(
        number=NUMBER, mediatype="image", mimetype="image/png", caption="Cardápio", fileName="menu.png"
    )
    sent = theirs.messages.send_media(open_instance, picture, token, io.BytesIO(b"\x89PNG\r\n\x1a\n\x00\r\xff--"))
    assert sent["messageType"] == "imageMessage"
    assert sent["message"]["imageMessage"]["caption"] == "Cardápio"
    assert sent["message"]["imageMessage"]["fileLength"] == {"low": 13, "high": 0, "unsigned": True}
    assert [send["messageType"] for send in evolution.ledger()] == ["imageMessage"]


@NEWER
def test_chats_are_asked_and_marked(
    theirs: Any, part: Callable[[str], Any], open_instance: str, token: str, patiently: Patiently
) -> None:
    models = part("models.chat")
    sent = theirs.messages.send_text(open_instance, part("models.message").TextMessage(number=NUMBER, text="Olá!"), token)
    read = models.ReadMessage(JID, False, "3A000000000000000001")
    assert theirs.chat.mark_message_as_read(open_instance, [read], token)["read"] == "success"
    picture = theirs.chat.fetch_profile_picture_url(open_instance, models.ProfilePicture(NUMBER), token)
    assert picture["wuid"] == JID
    typing = models.Presence(NUMBER, 500, "composing")
    assert patiently(lambda: theirs.chat.send_presence(open_instance, typing, token)) == {"presence": "composing"}
    edited = theirs.chat.update_message(open_instance, models.UpdateMessage(NUMBER, sent["key"], "Tchau!"), token)
    assert edited["key"]["fromMe"] is True
    profile = theirs.profile.fetch_profile(open_instance, part("models.profile").FetchProfile(NUMBER), token)
    assert profile["wuid"] == JID
    assert theirs.label.find_labels(open_instance, token) == []
    assert theirs.group.fetch_all_groups(open_instance, token) == []


@NEWER
def test_the_client_calls_a_path_that_the_server_never_had(
    theirs: Any, part: Callable[[str], Any], open_instance: str, token: str
) -> None:
    asked = theirs.chat.check_is_whatsapp_numbers(open_instance, part("models.chat").CheckIsWhatsappNumber([NUMBER]), token)
    assert asked == {
        "status": 404,
        "error": "Not Found",
        "response": {"message": ["Cannot POST /chat/checkIsWhatsappNumber/shop"]},
    }


def test_errors_become_the_clients_exceptions(theirs: Any, part: Callable[[str], Any], open_instance: str) -> None:
    errors = part("exceptions")
    with pytest.raises(errors.EvolutionAuthenticationError):
        theirs.instance_operations.connect(open_instance, "not its token")
    with pytest.raises(errors.EvolutionNotFoundError):
        theirs.instance_operations.connect("ghost", KEY)
    theirs.instance_operations.logout(open_instance, KEY)
    with pytest.raises(errors.EvolutionAPIError, match='The "shop" instance is not connected'):
        theirs.instance_operations.logout(open_instance, KEY)
