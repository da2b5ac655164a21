"""The interface as OpenAPI: what FastAPI reads from the routes, with the errors that every layer around them may answer."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI

__all__ = ["described"]

_PUBLIC: Final = frozenset({"/health", "/ready", "/admin/login", "/admin/refresh", "/webhooks/whatsapp/{provider}/{secret}"})
_REFERENCE: Final = {"$ref": "#/components/schemas/Error"}
_ERROR: Final = {
    "type": "object",
    "title": "Error",
    "description": "Every error: one sentence, perhaps details, and the id under which the log knows the request.",
    "properties": {
        "error": {"type": "string"},
        "details": {"anyOf": [{"type": "object"}, {"type": "array"}]},
        "requestId": {"type": "string"},
    },
    "required": ["error", "requestId"],
}
_SENTENCES: Final = {
    400: "The body is not JSON, not UTF-8, not complete or nested too deeply; or a field of the login is missing.",
    401: "No token, or none that is valid now.",
    403: "The role may not do this.",
    404: "It does not exist for who asks.",
    408: "The body came too slowly.",
    409: "It cannot be done in the present state.",
    413: "The body is too large.",
    415: "The body is not application/json, or it is compressed.",
    422: "A field is not valid.",
    429: "Too many requests; `Retry-After` says when to come again.",
    502: "The provider did not do it.",
    503: "The database or the provider cannot be used now; nothing was changed.",
}
_ALL: Final = (429, 503)
_WITH_BODY: Final = (400, 408, 413, 415, 422)
_WITH_TOKEN: Final = (401, 403, 404, 422)
_CONFLICTS: Final = ("/connect", "/dispatch", "/pause", "/resume", "/cancel", "/messages", "/admin/units", "/admin/users")
_BY_PROVIDER: Final = ("/connect", "/disconnect", "/messages")
_OTHER_TYPES: Final = {
    "/metrics": ("text/plain", "The Prometheus exposition."),
    "/units/{unit}/events": ("text/event-stream", "Server-sent events, from now on."),
}
# What FastAPI cannot know, because these routes answer by themselves: a message whose outcome is not known (yet).
_MORE: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("post", "/messages"): {"202": {"description": "Queued, or of doubtful outcome until it is looked up."}},
    ("get", "/ready"): {"503": {"description": "Not ready; `checks` says what is wrong."}},
}


def described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document. Every route of the application is in it, and nothing else."""
    found = app.openapi()
    components = found.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for ours in ("HTTPValidationError", "ValidationError"):
        schemas.pop(ours, None)
    schemas["Error"] = _ERROR
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            _complete(operation, method, path)
    return found


def _complete(operation: dict[str, Any], method: str, path: str) -> None:
    responses: dict[str, Any] = operation["responses"]
    if path not in _PUBLIC:
        operation["security"] = [{"bearer": []}]
    for status in sorted(_possible(method, path)):
        responses[str(status)] = {"description": _SENTENCES[status], "content": {"application/json": {"schema": _REFERENCE}}}
    for answered, response in _MORE.get((method, path), {}).items():
        responses[answered] = response | {"content": {"application/json": {"schema": {"type": "object"}}}}
    if path in _OTHER_TYPES:
        kind, description = _OTHER_TYPES[path]
        responses["200"] = {"description": description, "content": {kind: {"schema": {"type": "string"}}}}


def _possible(method: str, path: str) -> set[int]:
    if path == "/health":
        return {400, 408, 413, 415}
    found = {*_ALL, *_WITH_BODY}
    if path not in _PUBLIC:
        found |= {*_WITH_TOKEN}
    if path.startswith(("/admin/log", "/admin/ref", "/webhooks")):
        found |= {401, 403}
    if method in ("post", "delete") and path.endswith(_CONFLICTS):
        found |= {409}
    if method in ("post", "delete") and path.endswith(_BY_PROVIDER):
        found |= {502}
    return found
