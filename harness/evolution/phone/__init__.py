"""The phone simulator: one page for a person who plays the customer. It holds no data and no secret."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

__all__ = ["headers", "page"]

_FILE = Path(__file__).with_name("page.html")


@functools.cache
def page() -> bytes:
    """The document, complete in itself: it loads nothing from anywhere."""
    return _FILE.read_bytes()


@functools.cache
def headers() -> Mapping[str, str]:
    """What it is served with: nothing may run or load but what the file itself holds, and no text may become markup."""
    document = page().decode()
    scripts, styles = (_digests(document, tag) for tag in ("script", "style"))
    policy = (
        "default-src 'none'",
        f"script-src {scripts}",
        f"style-src {styles}",
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": "; ".join(policy),
        "cache-control": "no-store",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }


def _digests(document: str, tag: str) -> str:
    parts = re.findall(rf"<{tag}>(.*?)</{tag}>", document, re.DOTALL)
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()}'" for part in parts)
