"""Who may do what: the dependencies that every route but the public ones begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from fastapi import Depends, Path, Request

from reference_impl.adapters.logs import UNIT_ID
from reference_impl.domain.errors import ForbiddenError, InvalidInputError, NotFoundError
from reference_impl.domain.records import Principal
from reference_impl.entrypoints.middleware import bearer_token

if TYPE_CHECKING:
    from reference_impl.bootstrap import Services

__all__ = ["Caller", "MemberUnit", "PathUnit", "SuperAdmin", "WithServices", "may_read_docs", "parsed_id", "unit_of_body"]


# A dependency that is no coroutine would be run in a thread of its own for each request.
async def _services(request: Request) -> Any:
    return request.app.state.services


if TYPE_CHECKING:
    WithServices = Annotated[Services, Depends(_services)]
else:
    # FastAPI reads annotations at run time; a route module must not load every adapter for the sake of a name.
    WithServices = Annotated[Any, Depends(_services)]


async def _caller(request: Request, services: WithServices) -> Principal:
    principal = await services.authentication.authenticate(bearer_token(request.headers.get("authorization", "")))
    if principal.unit_id is not None:
        UNIT_ID.set(str(principal.unit_id))
    return principal


Caller = Annotated[Principal, Depends(_caller)]


async def may_read_docs(request: Request, services: WithServices) -> None:
    """Raises UnauthorizedError or ForbiddenError where the description of the interface is not for anybody."""
    if not services.open_docs:
        await _super_admin(await _caller(request, services))


async def _super_admin(caller: Caller) -> Principal:
    if caller.role != "super_admin":
        raise ForbiddenError("Forbidden")
    return caller


SuperAdmin = Annotated[Principal, Depends(_super_admin)]


async def _path_unit(caller: Caller, services: WithServices, unit: Annotated[str, Path()]) -> UUID:
    unit_id = parsed_id(unit)
    if caller.role != "super_admin":
        if caller.unit_id != unit_id:
            raise NotFoundError("Not found")
    elif await services.units.get(unit_id) is None:
        raise NotFoundError("Not found")
    UNIT_ID.set(str(unit_id))
    return unit_id


PathUnit = Annotated[UUID, Depends(_path_unit)]


async def _member_unit(caller: Caller) -> UUID:
    if caller.unit_id is None:
        raise ForbiddenError("Forbidden")
    return caller.unit_id


# The unit of whoever asks; a super_admin has none.
MemberUnit = Annotated[UUID, Depends(_member_unit)]


async def unit_of_body(caller: Principal, services: Services, named: UUID | None) -> UUID:
    """The unit that a request is for: a member's own, or the one that a super_admin names.

    Raises NotFoundError for another unit than the member's own and for one that does not exist, InvalidInputError when a
    super_admin names none.
    """
    if caller.unit_id is not None:
        if named is not None and named != caller.unit_id:
            raise NotFoundError("Not found")
        return caller.unit_id
    if named is None:
        raise InvalidInputError("unitId: needed, because a super_admin has no unit")
    if await services.units.get(named) is None:
        raise NotFoundError("Not found")
    UNIT_ID.set(str(named))
    return named


def parsed_id(text: str) -> UUID:
    """Raises NotFoundError for a text that is no id: nothing has it."""
    try:
        parsed = UUID(text)
    except ValueError as error:
        raise NotFoundError("Not found") from error
    if str(parsed) != text.lower():
        raise NotFoundError("Not found")
    return parsed
