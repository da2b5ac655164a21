"""Secrets made for a trial, of the kinds that a WhatsApp integration has. Each opens nothing; none stands in any file of ours."""

from __future__ import annotations

import base64
import json
import random
import string
import uuid

__all__ = ["Planted"]

_WORD = string.ascii_letters + string.digits


class Planted:
    """The same seed makes the same secrets."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)  # noqa: S311 – they protect nothing

    def text(self, length: int, alphabet: str = _WORD) -> str:
        """Letters of the alphabet, with at least one digit among the first."""
        return "".join(self._random.choice(alphabet) for _ in range(length - 1)) + str(self._random.randrange(10))

    def password(self) -> str:
        return self.text(9) + self._random.choice("!@%_-") + self.text(4, string.digits)

    def signing_secret(self) -> str:
        return self.text(48, _WORD + "_-")

    def evolution_key(self) -> str:
        return self.text(32, "0123456789ABCDEF")

    def instance_token(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4)).upper()

    def database_url(self) -> str:
        return f"postgresql://app:{self.text(16)}@db.{self.text(8, string.ascii_lowercase)[:-1]}.supabase.co:5432/postgres"

    def json_web_token(self, role: str = "authenticated") -> str:
        head = {"alg": "HS256", "typ": "JWT"}
        body = {
            "iss": "supabase",
            "ref": self.text(20, string.ascii_lowercase),
            "role": role,
            "iat": 1760000000,
            "exp": 2075000000,
        }
        parts = [base64.urlsafe_b64encode(json.dumps(part, separators=(",", ":")).encode()).rstrip(b"=") for part in (head, body)]
        return ".".join((parts[0].decode(), parts[1].decode(), self.text(43, _WORD + "_-")))

    def service_role(self) -> str:
        return self.json_web_token("service_role")

    def webhook_url(self) -> str:
        return f"https://api.loja.com.br/webhooks/whatsapp/evolution/{self.text(43, _WORD + '_-')}"

    def github(self) -> str:
        return "gh" + "p_" + self.text(36)

    def railway(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def render(self) -> str:
        return "rn" + "d_" + self.text(32)

    def vercel(self) -> str:
        return "vc" + "p_" + self.text(40)

    def aws(self) -> str:
        return "AK" + "IA" + self.text(16, string.ascii_uppercase + "234567")[:-1] + "7"

    def stripe(self) -> str:
        return "sk" + "_live_" + self.text(24)

    def private_key(self) -> str:
        body = base64.b64encode(self._random.randbytes(600)).decode()
        lines = [body[place : place + 64] for place in range(0, len(body), 64)]
        kind = "PRIVATE" + " KEY"
        return "\n".join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----"])

    def phone(self) -> str:
        """A mobile number of São Paulo in E.164 without its plus."""
        return "55119" + self.text(8, "2468").replace("0", "6")
