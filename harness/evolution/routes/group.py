"""`/group` (section 4.9 of the contract)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.evolution.app import Answer, Call, Endpoint
from harness.evolution.errors import bad_request, not_found
from harness.evolution.jids import is_group
from harness.evolution.outbound import GROUP, SocketClosedError, members_of_groups
from harness.evolution.schema import located_faults
from harness.evolution.state import PICTURE

__all__ = ["ENDPOINTS"]

_GROUP = {
    "type": "object",
    "properties": {"groupJid": {"type": "string", "pattern": "^[\\d-]+@g.us$"}},
    "required": ["groupJid"],
    "notEmpty": ("groupJid",),
}
_WITH_PARTICIPANTS = {
    "type": "object",
    "properties": {"getParticipants": {"type": "string", "enum": ["true", "false"]}},
    "required": ["getParticipants"],
    "notEmpty": ("getParticipants",),
}


def _valid(body: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Here the faults are objects, and there is no array in an array."""
    if faults := located_faults(body, schema):
        raise bad_request(*faults)


def _meant(call: Call) -> str:
    """The jid of the group that body or query names."""
    body = call.body if isinstance(call.body, dict) else {}
    named = body.get("groupJid") or call.query.get("groupJid")
    if not named:
        raise bad_request("The group id needs to be informed in the query", 'ex: "groupJid=120362@g.us"')
    jid = str(named) if str(named).endswith("@g.us") else f"{named}@g.us"
    _valid({"groupJid": jid}, _GROUP)
    return jid


def _asked(call: Call, jid: str, service: str, said: str) -> None:
    """Raises ApiError 404 with `said` and the reason when WhatsApp cannot be asked for the group or does not know it."""
    connection = call.loaded(service)
    try:
        call.parts.outbound.socket(call.instance, connection, "groupMetadata")
    except SocketClosedError as closed:
        raise not_found(said, closed.wrapped()) from None
    if call.fake.store.whatsapp.look_up(jid) is None:
        raise not_found(said, "Error: item-not-found")


async def find(call: Call) -> Answer:
    jid = _meant(call)
    _asked(call, jid, "findGroup", "Error fetching group")
    return Answer(status=200, body=_described(call, jid, participants=True))


async def fetch_all(call: Call) -> Answer:
    if not call.query.get("getParticipants"):
        raise bad_request("The getParticipants needs to be informed in the query")
    _valid(call.query, _WITH_PARTICIPANTS)
    connection = call.loaded("fetchAllGroups")
    try:
        call.parts.outbound.socket(call.instance, connection, "groupFetchAllParticipating")
    except SocketClosedError as closed:
        # Without a client the server asks nobody and takes the groups out of nothing.
        raise closed.uncaught("Cannot convert undefined or null to object") from None
    wanted = call.query["getParticipants"] == "true"
    jids = dict.fromkeys(jid for message in call.instance.messages if is_group(jid := message.key["remoteJid"]))
    return Answer(status=200, body=[_described(call, jid, participants=wanted) for jid in jids])


def _described(call: Call, jid: str, *, participants: bool) -> dict[str, Any]:
    people = members_of_groups(call.instance)
    described = {"id": jid, "subject": GROUP, "pictureUrl": PICTURE, "size": len(people), "owner": call.instance.owner_jid}
    return {**described, "participants": people} if participants else described


async def participants(call: Call) -> Answer:
    jid = _meant(call)
    _asked(call, jid, "findParticipants", "No participants")
    contacts = call.instance.contacts
    people = [
        {**person, **({"name": contact["pushName"], "imgUrl": contact["profilePicUrl"]} if contact else {})}
        for person in members_of_groups(call.instance)
        for contact in [contacts.get(person["id"])]
    ]
    return Answer(status=200, body={"participants": people})


ENDPOINTS = [
    Endpoint(method="GET", path="group/findGroupInfos", handler=find, follows_query=False),
    Endpoint(method="GET", path="group/fetchAllGroups", handler=fetch_all, follows_query=False),
    Endpoint(method="GET", path="group/participants", handler=participants, follows_query=False),
]
