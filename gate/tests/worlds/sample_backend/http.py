from starlette.applications import Starlette
from starlette.routing import Mount

from . import messages, webhooks


def create() -> Starlette:
    return Starlette(routes=[*messages.router.routes, Mount("/", app=webhooks.router)])
