from __future__ import annotations

import sqlite3
from typing import Any

import psycopg


class Contacts:
    table, key_column, value_column = "sample_contacts", "phone", "name"

    def __init__(self, url: str) -> None:
        self.backend = "sqlite" if url.startswith("sqlite") else "postgresql"
        self.sign = "?" if self.backend == "sqlite" else "%s"
        self.connection: Any
        if self.backend == "sqlite":
            self.connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        else:
            self.connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
        self.connection.execute("CREATE TABLE IF NOT EXISTS sample_contacts (phone text PRIMARY KEY, name text NOT NULL)")

    def upsert(self, key: str, value: str) -> None:
        self.connection.execute(
            f"INSERT INTO sample_contacts VALUES ({self.sign}, {self.sign})"
            " ON CONFLICT (phone) DO UPDATE SET name = excluded.name",
            (key, value),
        )

    def read(self, key: str) -> list[str]:
        rows = self.connection.execute(f"SELECT name FROM sample_contacts WHERE phone = {self.sign}", (key,)).fetchall()
        return [row[0] for row in rows]

    def close(self) -> None:
        self.connection.close()


def contacts(url: str) -> Contacts:
    return Contacts(url)
