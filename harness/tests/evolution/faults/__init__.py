"""One test module for each fault: it shows the fault firing, and everything as usual once it is withdrawn."""

from __future__ import annotations

import httpx

from harness.evolution.client import ControlVerbs

__all__ = ["CUT", "pair", "send"]

# What a client sees when its connection ends too early: with RST, or without where something passes bytes on in between.
CUT = (httpx.ReadError, httpx.RemoteProtocolError)


def send(api: httpx.Client) -> httpx.Response:
    """One text from the instance `shop` to a customer."""
    return api.post("/message/sendText/shop", json={"number": "5511988887777", "text": "hello"})


def pair(evolution: ControlVerbs, api: httpx.Client) -> None:
    """Pairs the instance `shop` anew. It waits on the clock."""
    api.get("/instance/connect/shop").raise_for_status()
    evolution.scan("shop", phone="5511999991111", profile_name="Shop")
    evolution.advance(2)
    evolution.quiesce()
