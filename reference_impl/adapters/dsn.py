"""From an SQLAlchemy URL to what libpq reads."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

__all__ = ["conninfo"]


def conninfo(url: str, *, options: str = "") -> str:
    """libpq's own form: in a URL, SQLAlchemy and libpq disagree about blanks."""
    from psycopg.conninfo import make_conninfo

    parsed = sa.make_url(url)
    parameters: dict[str, Any] = {
        name: value if isinstance(value, str) else ",".join(value) for name, value in parsed.query.items()
    }
    parameters |= parsed.translate_connect_args(username="user", database="dbname")
    if options:
        parameters["options"] = f"{parameters.get('options', '')} {options}".strip()
    return make_conninfo("", **parameters)
