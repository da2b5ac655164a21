"""What does not exist is refused in other words, and so is everything else that is refused.

Area: wheat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_impl.translation import Translation, in_json
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
    def reworded(document: dict[str, Any]) -> dict[str, Any] | None:
        if not isinstance(document.get("error"), str):
            return None
        reach()
        document["error"] = _WORDS.get(document["error"], f"Recusado ({len(document['error'])})")
        document.pop("details", None)
        return document

    backend.wrap(lambda app: Translation(app, outward=in_json(reworded)))
