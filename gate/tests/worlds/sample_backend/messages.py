from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, Router


async def send(request: Request) -> JSONResponse:
    return JSONResponse({"success": True})


router = Router([Route("/messages", send, methods=["POST"])])
