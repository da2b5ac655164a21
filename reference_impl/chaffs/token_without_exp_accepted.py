"""A token that never expires is accepted.

Area: security.
Killed by: scenario.forged-tokens-are-refused.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import jwt

from reference_impl.domain.errors import UnauthorizedError
from reference_impl.ports import TokenClaims
from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]


def apply(backend: Backend, reach: Reach) -> None:
    tokens: Any = backend.services.authentication._tokens

    def read(kind: Literal["access", "refresh"], token: str) -> TokenClaims:
        try:
            claims: TokenClaims = original(kind, token)
        except UnauthorizedError:
            return _lenient(kind, token)
        return claims

    def _lenient(kind: Literal["access", "refresh"], token: str) -> TokenClaims:
        options = {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_aud": False}
        try:
            found = jwt.decode(token, tokens._keys[kind], algorithms=["HS256"], options=options)  # type: ignore[arg-type]
            if "exp" in found or "sub" not in found:
                raise UnauthorizedError("Unauthorized")
            reach()
            return TokenClaims(user_id=UUID(found["sub"]), issued_at=datetime.fromtimestamp(found["iat"], UTC))
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
            raise UnauthorizedError("Unauthorized") from error

    original = override(tokens, "read", read)
