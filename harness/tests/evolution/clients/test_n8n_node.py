"""`n8n-nodes-evolution-api` 1.0.4 from npm: its compiled node, executed by `n8n_host.cjs` in place of n8n."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.evolution import FakeEvolution
from harness.tests.evolution.conftest import KEY
from harness.tests.npm import install

pytestmark = [
    pytest.mark.process,
    pytest.mark.in_process_only(reason="a client sees HTTP alone, and that is the same in every way of running"),
]

Patiently = Callable[[Callable[[], Any]], Any]
PACKAGE, VERSION = "n8n-nodes-evolution-api", "1.0.4"
NUMBER = "5511988887777"
JID = f"{NUMBER}@s.whatsapp.net"
# Read now: tests see no setting of whoever runs them.
_GIVEN = os.environ.get("GOLIVE_N8N_NODES")
_REQUIRED = os.environ.get("GOLIVE_REQUIRE_CLIENTS") == "1"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the package is installed: `GOLIVE_N8N_NODES`, or a new one when the clients are required."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    if _GIVEN:
        return Path(_GIVEN)
    if not _REQUIRED:
        pytest.skip("GOLIVE_N8N_NODES names no folder with the package; GOLIVE_REQUIRE_CLIENTS=1 has it installed")
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    return install(f"{PACKAGE}@{VERSION}", tmp_path_factory.mktemp("n8n"))


@pytest.fixture(scope="module")
def host(folder: Path) -> Iterator[subprocess.Popen[str]]:
    manifest = json.loads((folder / "node_modules" / PACKAGE / "package.json").read_text())
    assert manifest["version"] == VERSION
    host = Path(__file__).with_name("n8n_host.cjs")
    with subprocess.Popen(["node", host, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        yield running
        running.kill()


@pytest.fixture
def execute(host: subprocess.Popen[str], evolution: FakeEvolution) -> Callable[..., Any]:
    """Executes the node and returns the one item's JSON, or the error it threw."""

    def execute(resource: str, operation: str, **parameters: Any) -> Any:
        wish = {"url": evolution.url, "key": KEY, "resource": resource, "operation": operation, "parameters": parameters}
        assert host.stdin is not None
        assert host.stdout is not None
        host.stdin.write(json.dumps(wish) + "\n")
        host.stdin.flush()
        answer = json.loads(host.stdout.readline())
        if "error" in answer:
            return answer
        (item,) = answer["items"]
        # Documents alone come back as the server answered, everything else in an envelope of the node's own.
        if operation == "send-document":
            return item
        assert item["success"] is True
        return item["data"]

    return execute


def test_an_instance_is_created_connected_configured_restarted_logged_out_and_deleted(
    execute: Callable[..., Any], evolution: FakeEvolution, patiently: Patiently
) -> None:
    hook = {"webhookUrl": "http://127.0.0.1:9/hook", "webhookByEvents": True, "webhookEvents": ["MESSAGES_UPSERT"]}
    settings = {"rejectCall": True, "msgCall": "Não atendemos", "groupsIgnore": True}
    created = execute(
        "instances-api",
        "instance-basic",
        instanceName="hall",
        token="own-token-of-hall",
        number="",
        options_Create_instance={"webhook": {"webhookSettings": hook}, "instanceSettings": {"settings": settings}},
    )
    assert (created["hash"], created["instance"]["status"]) == ("own-token-of-hall", "close")
    assert created["webhook"]["webhookUrl"] == "http://127.0.0.1:9/hook"
    assert created["settings"]["msgCall"] == "Não atendemos"

    qr = patiently(lambda: execute("instances-api", "instance-connect", instanceName="hall"))
    assert qr["base64"].startswith("data:image/png;base64,")
    evolution.scan("hall", phone="5511999992222")
    evolution.advance(2)
    (row,) = execute("instances-api", "fetch-instances", instanceName="hall")
    assert (row["name"], row["connectionStatus"]) == ("hall", "open")
    assert execute("instances-api", "set-presence", instanceName="hall", presence="available") == {"presence": "available"}

    switches = dict.fromkeys(
        ("rejectCall", "groupsIgnore", "alwaysOnline", "readMessages", "readStatus", "syncFullHistory"), False
    )
    stored = execute("instances-api", "instance-settings", instanceName="hall", msgCall="", **switches)
    assert stored["settings"]["settings"]["rejectCall"] is False
    changed = {
        "enabled": True,
        "webhookUrl": "http://127.0.0.1:9/other",
        "webhookByEvents": False,
        "webhookBase64": True,
        "webhookEvents": ["SEND_MESSAGE"],
    }
    execute("events-api", "webhook", instanceName="hall", resourceForWebhook="setWebhook", **changed)
    found = execute("events-api", "webhook", instanceName="hall", resourceForWebhook="findWebhook")
    # The node speaks of webhookByEvents and webhookBase64, which the server does not know here: both keep their values.
    shown = (found["url"], found["events"], found["webhookByEvents"], found["webhookBase64"])
    assert shown == ("http://127.0.0.1:9/other", ["SEND_MESSAGE"], True, False)

    assert execute("instances-api", "restart-instance", instanceName="hall")["instance"]["state"] == "open"
    evolution.advance(2)
    assert execute("instances-api", "logout-instance", instanceName="hall")["status"] == "SUCCESS"
    evolution.quiesce()
    assert execute("instances-api", "delete-instance", instanceName="hall")["status"] == "SUCCESS"
    evolution.quiesce()
    assert execute("instances-api", "fetch-instances", instanceName="") == []


def test_every_kind_of_message_is_sent(execute: Callable[..., Any], evolution: FakeEvolution, open_instance: str) -> None:
    to = {"instanceName": open_instance, "remoteJid": NUMBER}
    text = execute("messages-api", "send-text", **to, messageText="Olá!", options_message={"linkPreview": False})
    assert (text["status"], text["key"]["remoteJid"], text["message"]) == ("PENDING", JID, {"conversation": "Olá!"})
    quoted = {"quoted": {"messageQuoted": {"messageId": text["key"]["id"]}}}
    rows = {"rowValues": [{"title": "Pão", "description": "Francês", "rowId": "1"}]}
    contact = {"fullName": "Ana", "wuid": NUMBER, "phoneNumber": NUMBER}
    file = "https://example.com/file"
    answers = {
        "conversation": execute("messages-api", "send-text", **to, messageText="Sim", options_message=quoted),
        "imageMessage": execute("messages-api", "send-image", **to, media=f"{file}.png", caption="Cardápio"),
        "videoMessage": execute("messages-api", "send-video", **to, media=f"{file}.mp4", caption=""),
        "documentMessage": execute("messages-api", "send-document", **to, media=f"{file}.pdf", caption="", fileName="menu.pdf"),
        "audioMessage": execute("messages-api", "send-audio", **to, media=f"{file}.mp3"),
        "contactMessage": execute("messages-api", "send-contact", **to, contacts={"contactValues": [contact]}),
        "pollCreationMessageV3": execute(
            "messages-api",
            "send-poll",
            **to,
            caption="Qual?",
            options_display={"metadataValues": [{"optionValue": "a"}, {"optionValue": "b"}]},
        ),
        "listMessage": execute(
            "messages-api",
            "send-list",
            **to,
            title="Menu",
            description="Hoje",
            buttonText="Ver",
            sections={"sectionValues": [{"title": "Padaria", "rows": rows}]},
        ),
        "viewOnceMessage": execute(
            "messages-api",
            "send-buttons",
            **to,
            title="Confirma?",
            description="Pedido 1",
            buttons={"buttonValues": [{"type": "reply", "displayText": "Sim", "id": "1"}]},
        ),
        "reactionMessage": execute(
            "messages-api",
            "send-reaction",
            instanceName=open_instance,
            remoteJid=JID,
            messageId=text["key"]["id"],
            fromMe=True,
            reaction="👍",
        ),
    }
    assert {kind: answer.get("messageType", answer) for kind, answer in answers.items()} == {kind: kind for kind in answers}
    assert answers["conversation"]["contextInfo"]["stanzaId"] == text["key"]["id"]
    assert [send["messageType"] for send in evolution.ledger()] == ["conversation", *answers]


def test_chats_are_asked_and_marked(
    execute: Callable[..., Any], evolution: FakeEvolution, open_instance: str, patiently: Patiently
) -> None:
    here = {"instanceName": open_instance}
    sent = execute("messages-api", "send-text", **here, remoteJid=NUMBER, messageText="Olá!")
    key_id = sent["key"]["id"]
    assert execute("chat-api", "check-number", **here, numbers=f"{NUMBER}, 550011112222") == [
        {"jid": JID, "exists": True, "number": NUMBER},
        {"jid": "550011112222@s.whatsapp.net", "exists": False, "number": "550011112222"},
    ]
    found = execute("chat-api", "find-messages", **here, remoteJid=NUMBER)
    assert [record["key"]["id"] for record in found["messages"]["records"]] == [key_id]
    evolution.incoming(open_instance, NUMBER, "Oi", push_name="Maria")
    assert [one["pushName"] for one in execute("chat-api", "find-contacts", **here, listAll=True)] == ["Maria"]
    marked = execute("chat-api", "read-messages", **here, remoteJid=JID, fromMe=False, messageId="3A000000000000000001")
    assert marked["read"] == "success"
    typing = {"remoteJid": NUMBER, "presence": "composing", "delay": 500}
    assert patiently(lambda: execute("chat-api", "send-presence", **here, **typing)) == {"presence": "composing"}
    picture = execute("chat-api", "fetch-profile-picture", **here, number=NUMBER)
    assert picture["wuid"] == JID
    edited = execute("chat-api", "update-message", **here, remoteJid=JID, messageId=key_id, text="Tchau!")
    assert edited["key"]["fromMe"] is True
    gone = execute("chat-api", "delete-message", **here, remoteJid=JID, messageId=key_id, fromMe=True)
    assert gone["messageTimestamp"].isdigit()


def test_an_error_becomes_the_nodes_error(execute: Callable[..., Any], evolution: FakeEvolution) -> None:
    refused = execute("messages-api", "send-text", instanceName="ghost", remoteJid=NUMBER, messageText="Olá!")
    assert refused["error"] == "Erro ao enviar mensagem de texto"
    assert refused["description"].startswith("404 - ")
    assert 'The \\"ghost\\" instance does not exist' in refused["description"]
