"""One test module for each fault."""

from __future__ import annotations

import httpx

__all__ = ["send"]


def send(api: httpx.Client) -> httpx.Response:
    """One text from the instance `shop` to a customer."""
    return api.post("/message/sendText/shop", json={"number": "5511988887777", "text": "hello"})
