"""What does not exist is refused in other words, and so is everything else that is refused.

Area: wheat.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from reference_impl.translation import Translation
from reference_impl.variants import Reach

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]

_WORDS = {
    "Not found": "Nada aqui.",
    "Unauthorized": "Quem é você?",
    "Forbidden": "Não pode.",
    "Invalid credentials": "E-mail ou senha incorretos",
    "The request is not valid": "Revise os campos",
    "The message could not be sent": "Não foi possível enviar",
    "WhatsApp not connected for this unit": "Conecte o WhatsApp primeiro",
}


def apply(backend: Backend, reach: Reach) -> None:
    def outward(body: bytes) -> bytes:
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            return body
        if not isinstance(document, dict) or not isinstance(document.get("error"), str):
            return body
        reach()
        document["error"] = _WORDS.get(document["error"], f"Recusado ({len(document['error'])})")
        document.pop("details", None)
        return json.dumps(document, ensure_ascii=False).encode()

    backend.wrap(lambda app: Translation(app, outward=outward))
