"""Access and refresh tokens: JWT, HS256 fixed by us, with times from the injected clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID, uuid4

import jwt

from reference_impl.domain.errors import UnauthorizedError
from reference_impl.ports import Clock, IssuedToken, TokenClaims

__all__ = ["ACCESS_LIFETIME", "REFRESH_LIFETIME", "JwtTokens", "WebhookTokens"]

ACCESS_LIFETIME: Final = timedelta(minutes=15)
REFRESH_LIFETIME: Final = timedelta(days=7)
_ISSUER: Final = "reference-backend"
_AUDIENCE: Final = {"access": "reference-backend/api", "refresh": "reference-backend/refresh"}
_SKEW_S: Final = 5
_WEBHOOK_TOKEN_LONGEST: Final = 4096
# Evolution's machine has a clock of its own.
_WEBHOOK_SKEW_S: Final = 60
_WEBHOOK_LIFETIME_S: Final = 3600
_REQUIRED: Final = ["exp", "iat", "sub", "aud", "iss"]


class JwtTokens:
    """Issues and reads both kinds, each with its own key and audience."""

    def __init__(self, *, access_secret: str, refresh_secret: str, clock: Clock) -> None:
        self._keys = {"access": access_secret, "refresh": refresh_secret}
        self._clock = clock

    def issue(self, kind: Literal["access", "refresh"], user_id: UUID) -> IssuedToken:
        """A new token."""
        now = self._clock.now()
        expires = now + (ACCESS_LIFETIME if kind == "access" else REFRESH_LIFETIME)
        claims = {
            "iss": _ISSUER,
            "aud": _AUDIENCE[kind],
            "sub": str(user_id),
            "iat": int(now.timestamp()),
            "exp": int(expires.timestamp()),
            "jti": uuid4().hex,
        }
        return IssuedToken(text=jwt.encode(claims, self._keys[kind], algorithm="HS256"), expires_at=expires)

    def read(self, kind: Literal["access", "refresh"], token: str) -> TokenClaims:
        """The claims of a token that is ours, of this kind and valid now. Raises UnauthorizedError for any other, without
        saying why.
        """
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._keys[kind],
                algorithms=["HS256"],
                audience=_AUDIENCE[kind],
                issuer=_ISSUER,
                # The library reads the machine's clock; ours is checked below.
                options={"require": _REQUIRED, "verify_exp": False, "verify_iat": False, "verify_nbf": False, "strict_aud": True},
            )
            return self._checked(claims)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise UnauthorizedError("Unauthorized") from error

    def _checked(self, claims: dict[str, Any]) -> TokenClaims:
        now = self._clock.now().timestamp()
        issued, expires, not_before = claims["iat"], claims["exp"], claims.get("nbf", 0)
        if not all(type(moment) is int and 0 <= moment < 253_402_300_800 for moment in (issued, expires, not_before)):
            raise ValueError("a time that is no time")
        if now >= expires or issued > now + _SKEW_S or not_before > now:
            raise ValueError("not valid now")
        return TokenClaims(user_id=UUID(claims["sub"]), issued_at=datetime.fromtimestamp(issued, UTC))


class WebhookTokens:
    """Checks the token that Evolution API signs each webhook with when it was given a `jwt_key`: HS256, ten minutes, with `app`
    and `action`, and none of the claims of ours (Evolution API 2.3.7, `webhook.controller.ts`).
    """

    def __init__(self, *, key: str, clock: Clock) -> None:
        self._key = key
        self._clock = clock

    def check(self, authorization: str) -> None:
        """Raises UnauthorizedError for anything but a token of Evolution's that is valid now."""
        scheme, _, token = authorization.partition(" ")
        try:
            claims: dict[str, Any] = jwt.decode(
                token.strip() if scheme.lower() == "bearer" and len(token) < _WEBHOOK_TOKEN_LONGEST else "",
                self._key,
                algorithms=["HS256"],
                options={
                    "require": ["exp", "iat"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "verify_aud": False,
                },
            )
            self._check_claims(claims)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise UnauthorizedError("Unauthorized") from error

    def _check_claims(self, claims: dict[str, Any]) -> None:
        now = self._clock.now().timestamp()
        issued, expires = claims["iat"], claims["exp"]
        if not all(type(moment) is int and 0 <= moment < 253_402_300_800 for moment in (issued, expires)):
            raise ValueError("a time that is no time")
        if now >= expires or issued > now + _WEBHOOK_SKEW_S or expires - issued > _WEBHOOK_LIFETIME_S:
            raise ValueError("not valid now")
        if claims.get("app") != "evolution" or claims.get("action") != "webhook" or "sub" in claims:
            raise ValueError("not of a webhook")
