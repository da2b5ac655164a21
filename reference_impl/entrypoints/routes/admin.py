"""Login, refresh, and what a super_admin manages."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, StringConstraints

from reference_impl.entrypoints.access import SuperAdmin, WithServices
from reference_impl.entrypoints.answers import unit_view, user_view
from reference_impl.entrypoints.fields import CAMEL, Email, Identity, Name, Printable

__all__ = ["router"]

router = APIRouter(prefix="/admin", tags=["admin"])
_Password = Annotated[str, StringConstraints(min_length=1, max_length=1024)]


class Login(BaseModel):
    """`unitSlug` names the unit that somebody wants to work in."""

    model_config = CAMEL
    email: Annotated[str, StringConstraints(min_length=1, max_length=320), Printable]
    password: _Password
    unit_slug: Annotated[str, StringConstraints(min_length=1, max_length=64), Printable] | None = None


class Refresh(BaseModel):
    model_config = CAMEL
    refresh_token: Annotated[str, StringConstraints(min_length=1, max_length=4096)]


class NewUnit(BaseModel):
    """Without a slug one is made from the name."""

    model_config = CAMEL
    name: Name
    slug: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None


class NewUser(BaseModel):
    model_config = CAMEL
    name: Name
    email: Email
    password: _Password
    role: Literal["super_admin", "unit_admin", "agent"]
    unit_id: Identity | None = None


@router.post("/login")
async def login(body: Login, request: Request, services: WithServices) -> dict[str, Any]:
    address = request.client.host if request.client is not None else "unknown"
    result = await services.authentication.login(
        email=body.email, password=body.password, unit_slug=body.unit_slug, address=address
    )
    return {
        "user": user_view(result.user),
        "accessToken": result.access_token,
        "refreshToken": result.refresh_token,
        "targetUnit": unit_view(result.target_unit) if result.target_unit is not None else None,
    }


@router.post("/refresh")
async def refresh(body: Refresh, services: WithServices) -> dict[str, Any]:
    access, renewed = await services.authentication.refresh(body.refresh_token)
    return {"accessToken": access, "refreshToken": renewed}


@router.get("/units")
async def units(_: SuperAdmin, services: WithServices) -> list[dict[str, Any]]:
    return [unit_view(unit) for unit in await services.units.all_units()]


@router.post("/units", status_code=201)
async def add_unit(_: SuperAdmin, body: NewUnit, services: WithServices) -> dict[str, Any]:
    return unit_view(await services.units.add_unit(name=body.name, slug=body.slug))


@router.get("/users")
async def users(_: SuperAdmin, services: WithServices) -> list[dict[str, Any]]:
    return [user_view(user) for user in await services.units.all_users()]


@router.post("/users", status_code=201)
async def add_user(_: SuperAdmin, body: NewUser, services: WithServices) -> dict[str, Any]:
    user = await services.units.add_user(
        name=body.name, email=body.email, password=body.password, role=body.role, unit_id=body.unit_id
    )
    return user_view(user)
