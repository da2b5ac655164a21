"""The shapes in which the server reports an error. A client must accept all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from harness.errors import HarnessError

__all__ = [
    "ApiError",
    "ControlError",
    "EvolutionError",
    "ExpectationError",
    "FakeServerError",
    "bad_request",
    "boom",
    "conflict_of_names",
    "crash",
    "inner_crash",
    "instance_missing",
    "invalid",
    "not_found",
    "unauthorized",
]


class EvolutionError(HarnessError):
    """Something about the fake itself went wrong; the text is one line: what, where, what to do."""


class FakeServerError(EvolutionError):
    """The fake could not start or stop."""


class ControlError(EvolutionError):
    """The control plane refused a command or could not be reached."""


class ExpectationError(ControlError):
    """A journal does not hold what was expected of it."""


class ApiError(Exception):
    """An answer that is an error. `body` is the whole JSON document, `headers` come on top of the usual ones."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


def _envelope(status: int, message: Any, *, error: str = "") -> ApiError:
    return ApiError(status, {"status": status, "error": error or HTTPStatus(status).phrase, "response": {"message": message}})


def bad_request(*message: Any) -> ApiError:
    """400, array of strings or of one object."""
    return _envelope(400, list(message))


def invalid(faults: Sequence[str]) -> ApiError:
    """400 of the schema validator: an array in an array."""
    return _envelope(400, [list(faults)])


def unauthorized() -> ApiError:
    """401: the only one whose message is a plain string, the same for a missing and for a wrong key."""
    return _envelope(401, "Unauthorized")


def conflict_of_names(name: Any) -> ApiError:
    return _envelope(403, [f'This name "{name}" is already in use.'])


def not_found(*message: Any) -> ApiError:
    return _envelope(404, list(message))


def instance_missing(name: str) -> ApiError:
    return not_found(f'The "{name}" instance does not exist')


def crash(message: str, *, status: int = 500) -> ApiError:
    """An error nobody caught: a plain string. Malformed JSON has this shape with status 400."""
    return _envelope(status, message, error="Internal Server Error")


def inner_crash(*message: Any) -> ApiError:
    """500 of an exception that a service wrapped: an array of strings or of one object."""
    return _envelope(500, list(message))


def prisma_type_of(value: Any) -> str:
    """What the database's client calls the type of a JSON value."""
    if isinstance(value, list):
        return f"({', '.join(dict.fromkeys(map(prisma_type_of, value)))})"
    return _PRISMA_TYPES.get(type(value), "Object")


_PRISMA_TYPES = {str: "String", bool: "Boolean", int: "Int", float: "Float", type(None): "Null"}


def boom(status: int, error: str, message: str) -> dict[str, Any]:
    """An exception of the socket library as JSON, without envelope."""
    return {
        "data": None,
        "isBoom": True,
        "isServer": False,
        "output": {
            "statusCode": status,
            "payload": {"statusCode": status, "error": error, "message": message},
            "headers": {},
        },
    }
