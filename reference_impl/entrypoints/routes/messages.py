"""Sending a message, and reading what was said."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request, Response
from pydantic import BaseModel, StringConstraints
from starlette.responses import JSONResponse

from reference_impl.domain.messages import MessageStatus
from reference_impl.entrypoints.access import Caller, MemberUnit, WithServices, parsed_id, unit_of_body
from reference_impl.entrypoints.answers import contact_view, conversation_view, cursor_of, error_response, message_view, page_view
from reference_impl.entrypoints.fields import CAMEL, ClientMessageId, ContactName, Cursor, Identity, Limit, Text
from reference_impl.use_cases.outbound import SendResult

__all__ = ["router"]

router = APIRouter(tags=["messages"])
_Id = Annotated[str, Path()]


class NewMessage(BaseModel):
    """`unitId` is for a super_admin."""

    model_config = CAMEL
    phone: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    message: Text
    client_message_id: ClientMessageId | None = None
    unit_id: Identity | None = None


class NewContact(BaseModel):
    model_config = CAMEL
    phone: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    name: ContactName | None = None


@router.post("/messages")
async def send(
    caller: Caller,
    body: NewMessage,
    request: Request,
    services: WithServices,
    prefer: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """Waits for the outcome; with `Prefer: respond-async` (RFC 7240) the message is queued for a worker and answered with 202."""
    unit_id = await unit_of_body(caller, services, body.unit_id)
    wait = "respond-async" not in (prefer or "").lower()
    result = await services.outbound.send(
        unit_id, phone=body.phone, text=body.message, client_message_id=body.client_message_id, wait=wait
    )
    return _answer(result, request.state.request_id)


@router.get("/messages/{message_id}")
async def message(unit: MemberUnit, message_id: _Id, services: WithServices) -> dict[str, Any]:
    return message_view(await services.outbound.get(unit, parsed_id(message_id)))


@router.get("/conversations")
async def conversations(unit: MemberUnit, services: WithServices, limit: Limit = 50, cursor: Cursor = None) -> dict[str, Any]:
    found = await services.contacts.conversations(unit, limit=limit, after=cursor_of(cursor))
    return page_view(found, limit, conversation_view, lambda entry: (entry.last_message_at or entry.created_at, entry.id))


@router.get("/conversations/{conversation_id}/messages")
async def conversation_messages(
    unit: MemberUnit, conversation_id: _Id, services: WithServices, limit: Limit = 50, cursor: Cursor = None
) -> dict[str, Any]:
    found = await services.contacts.messages(unit, parsed_id(conversation_id), limit=limit, after=cursor_of(cursor))
    return page_view(found, limit, message_view, lambda entry: (entry.created_at, entry.id))


@router.post("/contacts", status_code=201)
async def add_contact(unit: MemberUnit, body: NewContact, services: WithServices) -> dict[str, Any]:
    return contact_view(await services.contacts.add(unit, phone=body.phone, name=body.name))


@router.get("/contacts")
async def contacts(unit: MemberUnit, services: WithServices, limit: Limit = 50, cursor: Cursor = None) -> dict[str, Any]:
    found = await services.contacts.page(unit, limit=limit, after=cursor_of(cursor))
    return page_view(found, limit, contact_view, lambda entry: (entry.created_at, entry.id))


def _answer(result: SendResult, request_id: str) -> Response:
    """The answer of section 3 for the message as it stands; a repeated request gets the first one's, marked."""
    sent = result.message
    repeated = {"deduplicated": True} if result.deduplicated else {}
    identity = {"messageId": sent.external_id, "internalId": str(sent.id), "attempts": sent.attempts}
    match sent.status:
        case MessageStatus.FAILED if sent.external_id is None and result.deduplicated:
            return JSONResponse(
                {"success": False, **identity, "status": sent.status, "error": _FAILED, "details": sent.error_details, **repeated}
            )
        case MessageStatus.FAILED if sent.external_id is None:
            more = {"attempts": sent.attempts, "internalId": str(sent.id)}
            return error_response(502, _FAILED, request_id, details={"cause": sent.error_details}, more=more)
        case MessageStatus.UNKNOWN | MessageStatus.QUEUED | MessageStatus.SENDING:
            return JSONResponse({"success": True, "status": sent.status, "internalId": str(sent.id), **repeated}, 202)
        case MessageStatus.FAILED:
            return JSONResponse({"success": False, **identity, "status": sent.status, **repeated})
        case _:
            return JSONResponse({"success": True, **identity, "status": sent.status, **repeated})


_FAILED = "The message could not be sent"
