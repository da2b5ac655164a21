"""What is asked of the server itself."""

from __future__ import annotations

from harness.evolution.app import Answer, Call, Endpoint
from harness.evolution.errors import unauthorized

__all__ = ["ENDPOINTS"]


async def welcome(call: Call) -> Answer:
    settings = call.fake.store.settings
    return Answer(
        status=200,
        body={
            "status": 200,
            "message": "Welcome to the Evolution API, it is working!",
            "version": "2.3.7",
            "clientName": settings.client_name,
            # Whatever the client calls this server, not what the server calls itself.
            "manager": f"http://{call.host}/manager",
            "documentation": "https://doc.evolution-api.com",
            "whatsappWebVersion": "2.3000.1027934701",
        },
    )


async def verify_credentials(call: Call) -> Answer:
    if call.key != call.fake.store.key:
        raise unauthorized()
    return Answer(status=200, body={"status": 200, "message": "Credentials are valid"})


ENDPOINTS = [
    Endpoint(method="GET", path="", handler=welcome, named=False, open=True),
    Endpoint(method="POST", path="verify-creds", handler=verify_credentials, named=False),
]
