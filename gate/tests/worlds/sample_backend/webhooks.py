from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, Router


async def receive(request: Request) -> JSONResponse:
    return JSONResponse({"received": True})


router = Router([Route("/webhooks/whatsapp/{provider}/{secret}", receive, methods=["POST"])])
