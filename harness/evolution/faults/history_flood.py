"""After the connection opens, history pours in: chats, contacts, old messages, and a backlog that looks new.

Why: only messageTimestamp tells old from new; a bot without that check answers last month's messages.
Evidence: section 7, F26: messages.set, chats.set, contacts.*, and backlog as fresh messages.upsert.
"""

from __future__ import annotations

from typing import Annotated, Any

from gate.registry import fault
from harness.evolution.injection import Opened, Option


@fault()
def run(
    at: Opened,
    messages: Annotated[int, Option(text="how many old messages come", unit="messages", least=1, most=10000)] = 20,
    age: Annotated[int, Option(text="how old the oldest of them is", unit="s")] = 30 * 24 * 3600,
) -> None:
    old: list[dict[str, Any]] = [
        {
            "key": {"remoteJid": f"55119{10_000_001 + index}@s.whatsapp.net", "fromMe": False, "id": f"3A{index:018X}"},
            "message": {"conversation": f"old {index}"},
            "messageTimestamp": int(at.now.timestamp()) - age + index,
            "pushName": f"Contact {index}",
        }
        for index in range(messages)
    ]
    people = [message["key"]["remoteJid"] for message in old]
    at.history = {
        "chats": [{"id": jid, "name": None} for jid in people],
        "contacts": [{"id": jid, "notify": f"Contact {index}"} for index, jid in enumerate(people)],
        "messages": old,
        "isLatest": True,
        "progress": 100,
    }
    at.backlog = [{**message, "key": {**message["key"], "id": f"3AB{index:017X}"}} for index, message in enumerate(old)]
