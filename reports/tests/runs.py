"""Journals for the tests, written through `Journal` as a run writes them."""

from __future__ import annotations

import functools
import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from gate.journal import Journal, Recording, read
from gate.model import Evidence, Outcome, Severity, Status
from gate.policy import Policy, load
from reports.expectations import SCENARIOS, SMOKE

TODAY = date(2026, 11, 22)
BEGAN = datetime(2026, 11, 22, 14, 3, 20, tzinfo=UTC)
RELEASE = {
    "name": "Evolution WhatsApp integration",
    "version": "1.0.0",
    "commit": "9f2c4e1ab7d05c3388f1",
    "previous": "4b1d77e0c2",
    "contacts": {"On call": "@backend-lead", "Channel": "#incidents"},
}

SCHEMA = [
    *(f"schema.connections-{item}" for item in ("status-reason", "connected-at", "disconnected-at", "qr-updated-at")),
    *(f"schema.messages-{item}" for item in ("client-message-id", "retry-count", "last-retry-at", "error-details")),
    "schema.campaigns",
    "schema.campaign-recipients",
]
SIGNALS = {
    "http-5xx": ("HTTP 5xx answers", "responses", "ok ≤ 5, critical > 15 an hour", 2.0),
    "auth-failures": ("401 and 403 answers", "", {"ok": 20, "critical": 50}, 8.0),
    "unknown-instance": ("Unknown instances", "", "<= 2", 0.0),
    "unmasked-output": ("Unmasked secrets or phones in logs", "", 0, 0.0),
    "retries": ("Retries", "", {"ok": 10, "critical": 30}, 4.0),
    "message-failures": ("Message failures", "%", "< 5 %", 0.4),
    "queue-age": ("Queue age and stuck campaigns", "", 0, 0.0),
    "database-locks": ("Database locks waited for", "", 0, 0.0),
    "uptime": ("Uptime", "%", "100 %", 100.0),
    "inbound-latency": ("Inbound latency p95", "s", "< 2 s", 0.31),
    "status-latency": ("Status latency p99", "s", "p99 ok < 5 s, critical ≥ 10 s", 1.2),
    "cross-tenant": ("Messages of another tenant", "messages", "ok ≤ 0, critical > 0 an hour", 0.0),
    "inbound-seen": ("Inbound seen", "", ">= 1", 182.0),
}
PARTS: Mapping[str, list[str]] = {
    "migrate": ["migration.idempotent", "migration.non-breaking", "migration.locks"],
    "gate": [
        *SCHEMA,
        "datastore.detected",
        "datastore.upsert",
        "datastore.queries",
        *(
            f"imports.{item}"
            for item in (
                "webhook-route",
                "messages-route",
                "message-handler",
                "webhook-helper",
                "campaign-service",
                "evolution-provider",
            )
        ),
        *(f"flow.{item}" for item in ("instance-name", "scan-updates-status", "retries-stop-at-three", "campaign-pace")),
        "config.required",
        "config.strength",
        "secrets.repository",
        "secrets.logs",
        "code.columns-exist",
        "evidence.scenarios-bound",
    ],
    "scenarios": list(SCENARIOS),
    "smoke": list(SMOKE),
    "load": ["load.failures", "load.latency-p95"],
    "watch": [f"watch.{name}" for name in SIGNALS],
    "rollback": ["rollback.previous-code-on-new-schema", "rollback.nothing-lost"],
}
IDS = [item for ids in PARTS.values() for item in ids]
TOOK = {"migrate": 2.1, "gate": 6.4, "scenarios": 14.2, "smoke": 3.9, "load": 20.3, "watch": 11.0, "rollback": 9.6}


def outcome(outcome_id: str, status: Status = Status.PASS, **changes: Any) -> Outcome:
    made = Outcome(
        id=outcome_id,
        status=status,
        severity=Severity.MAJOR,
        title=SCENARIOS.get(outcome_id) or SMOKE.get(outcome_id) or outcome_id.split(".")[-1].replace("-", " ").capitalize(),
        reason="" if status is Status.PASS else "the index is there but not unique",
        evidence=(Evidence(label="rows read", value=4), Evidence(label="waited", value=0.31, unit="s")),
        duration_s=0.042,
        observed_at=BEGAN,
    )
    return replace(made, **changes)


def _value(name: str, minute: int) -> float:
    _, unit, _, last = SIGNALS[name]
    if unit == "s":
        return last * (1 + 0.2 * math.sin(minute))
    return last if unit == "%" else round(last * minute / 60)


def facts() -> dict[str, Any]:
    """Every fact of a full run, in the shapes that the parts write."""
    return {
        "environment": {
            "python": "3.11.2", "platform": "Linux x86_64", "golive_version": "0.1.0", "commit": RELEASE["commit"],
            "database": {"backend": "postgresql", "origin": "embedded wheel", "server_version": "16.4"},
        },
        "package": [
            {"path": "migrations/PRODUCTION_MIGRATION_GOLIVE.sql", "sha256": "ab" * 32, "bytes": 14210, "lines": 312},
            {"path": "entrypoints/routes/webhooks.py", "sha256": "cd" * 32, "bytes": 5210, "lines": 148},
        ],
        "plan": {"traffic_per_hour": 600, "recipients": 40},
        "migration": {
            "statements": [
                {"statement": "ALTER TABLE messages\n  ADD COLUMN IF NOT EXISTS retry_count integer", "duration_s": 0.004},
                {"statement": "CREATE TABLE IF NOT EXISTS campaigns (id uuid PRIMARY KEY)", "duration_s": 0.011},
            ],
            "notices": ["ALL MIGRATIONS APPLIED"],
        },
        "smoke.steps": [
            {"name": item.removeprefix("smoke."), "status": "pass", "duration_s": 0.1 + 0.05 * at, "detail": f"HTTP 20{at % 2}"}
            for at, item in enumerate(SMOKE)
        ],
        "scenario.steps": {
            item: [
                {"keyword": "Given ", "text": "a connected unit", "status": "pass", "duration_s": 0.2},
                {"keyword": "Then ", "text": "one message is stored", "status": "pass", "duration_s": 0.01},
            ]
            for item in SCENARIOS
        },
        "load.summary": {
            "requests": 4812, "failures": 3, "rps": 240.6, "duration_s": 20.0,
            "latency_ms": {"p50": 12.4, "p95": 41.0, "p99": 88.1, "max": 210.0},
            "endpoints": [
                {"name": "POST /messages", "requests": 2000, "failures": 2, "latency_ms": {"p95": 52.0}},
                {"name": "POST /webhooks/evolution", "requests": 2812, "failures": 1, "p95_ms": 33.0},
            ],
        },
        "load.series": [
            {"t_s": t, "rps": 240 + 18 * math.sin(t / 2), "failures": int(t in {4, 9, 15}), "p95_ms": 40 + 9 * math.cos(t / 3)}
            for t in range(20)
        ],
        "watch.checkpoints": [
            {
                "minute": minute,
                "signals": [
                    {"id": f"watch.{name}", "value": _value(name, minute), "unit": unit, "level": "ok", "limit": limit}
                    for name, (_, unit, limit, _) in SIGNALS.items()
                ],
            }
            for minute in (5, 10, 20, 30, 60)
        ],
        "watch.series": {name: [[minute, _value(name, minute)] for minute in range(0, 61, 2)] for name in SIGNALS},
        "rollback.steps": [
            {"name": "start previous code", "status": "pass", "duration_s": 2.2, "detail": "git worktree at 4b1d77e0c2"},
            {"name": "nothing lost", "status": "pass", "duration_s": 3.1, "detail": "120 of 120 messages"},
        ],
        "rollback.commands": ["git revert --no-edit 4b1d77e0c2..9f2c4e1ab7d05c3388f1", "git push origin main"],
        "rollback.platforms": {
            "vercel": {
                "name": "Vercel", "list": "vercel list --prod", "rollback": "vercel rollback {deployment url}",
                "note": "Environment variables are those of the build that is put back",
            },
        },
        "target": {"url": "http://127.0.0.1:43121", "evolution": "fake"},
        "not_applicable": [{"id": "config.supabase", "reason": "the database is given by DATABASE_URL"}],
    }  # fmt: skip


def write_run(
    directory: Path,
    *,
    without: frozenset[str] = frozenset(),
    without_facts: frozenset[str] = frozenset(),
    change: Callable[[Outcome], Outcome] = lambda item: item,
    more_facts: Mapping[str, Any] | None = None,
    release: Mapping[str, Any] | None = None,
) -> Path:
    """A full run, less some outcomes and facts, every outcome passed through `change`. Gives the journal's path."""
    clock = BEGAN

    def now() -> datetime:
        return clock

    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "journal.jsonl"
    journal = Journal.create(path, release=RELEASE if release is None else release, now=now)
    recorded = {name: value for name, value in (facts() | dict(more_facts or {})).items() if name not in without_facts}
    for name, ids in PARTS.items():
        with journal.part(name, expected=ids):
            clock += timedelta(seconds=TOOK[name])
            for item in ids:
                if item not in without:
                    title = SIGNALS.get(item.removeprefix("watch."), ("",))[0]
                    made = outcome(item)
                    journal.append(change(replace(made, title=title) if title else made))
    for name, value in recorded.items():
        journal.fact(name, value)
    return path


def failing(
    *ids: str, status: Status = Status.FAIL, reason: str = "the index is there but not unique"
) -> Callable[[Outcome], Outcome]:
    """A change that gives some ids another status."""
    return lambda item: replace(item, status=status, reason=reason) if item.id in ids else item


def policy() -> Policy:
    return load("rehearsal")


@functools.cache
def full() -> Recording:
    """A whole run in which everything passed, read once."""
    with tempfile.TemporaryDirectory() as directory:
        return read(write_run(Path(directory)))
