"""Measurements for Prometheus. Label values come from fixed sets and route templates: no tenant's name, phone or secret."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess, values

__all__ = ["SHARED_FOLDER", "PrometheusMetrics"]

# The library's own name for the folder in which processes count together.
SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"

_LATENCY_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
# Each route is a series of its own, so these are few.
_HTTP_BUCKETS: Final = (0.01, 0.05, 0.25, 1.0, 5.0)
# name: (exported name, what it counts, labels, label values that exist from the start)
_COUNTERS: Final[dict[str, tuple[str, str, tuple[str, ...], tuple[tuple[str, ...], ...]]]] = {
    "http_requests": ("http_requests_total", "HTTP requests answered", ("method", "route", "status"), ()),
    "messages_sent": (
        "messages_sent_total",
        "Outbound messages by what became of their sending",
        ("class",),
        (("accepted",), ("failed",), ("permanent",), ("unit_permanent",), ("unknown",)),
    ),
    "messages": (
        "messages_total",
        "Messages by direction and status reached",
        ("direction", "status"),
        (("inbound", "received"),),
    ),
    "message_retries": ("message_retries_total", "Provider calls for a message after its first", (), ()),
    "claims_lost": ("message_claims_lost_total", "Attempts not begun because somebody else had the message", (), ()),
    "messages_taken_over": ("messages_taken_over_total", "Messages left in the middle of a call by a lost process", (), ()),
    "jobs_taken_over": ("jobs_taken_over_total", "Sweeps that put jobs of a lost worker back", (), ()),
    "provider_calls": ("provider_calls_total", "Calls to the provider", ("operation", "outcome"), ()),
    "provider_throttled": ("provider_throttled_total", "Answers of the provider that asked for a pause", (), ()),
    "reconciled": (
        "reconciled_total",
        "Doubtful messages looked up",
        ("outcome",),
        (("found",), ("not_found",), ("queued_again",), ("postponed",)),
    ),
    "webhooks": ("whatsapp_webhooks_total", "Deliveries of the provider", ("event", "outcome"), ()),
    "unknown_instance": ("whatsapp_unknown_instance_total", "Deliveries for an instance that is not known", (), ()),
    "connection_changes": ("connection_changes_total", "Connections that reached a status", ("status",), ()),
    "connection_flaps": ("connection_flaps_total", "Times that a connected unit was not connected any more", ("unit",), ()),
    "connection_events": (
        "connection_events_total",
        "Connection events outdated, or missed and found by a poll",
        ("outcome",),
        (),
    ),
    "campaigns": (
        "campaigns_total",
        "Campaigns that reached a status",
        ("status",),
        (("processing",), ("paused",), ("completed",), ("failed",), ("cancelled",)),
    ),
    "logins": ("logins_total", "Logins", ("outcome",), (("ok",), ("refused",), ("throttled",))),
    "refreshes": ("refreshes_total", "Token refreshes", ("outcome",), ()),
    "throttled": (
        "throttled_requests_total",
        "Requests refused because one account or one unit's webhooks had their share",
        ("kind",),
        (("account",), ("webhook",)),
    ),
    "queue_failures": ("queue_failures_total", "Wake-ups that could not be queued or ended in an error", (), ()),
}
_HISTOGRAMS: Final[dict[str, tuple[str, str, tuple[str, ...], tuple[float, ...]]]] = {
    "http_duration": ("http_request_duration_seconds", "Time to answer an HTTP request", ("route",), _HTTP_BUCKETS),
    "inbound_latency": (
        "inbound_latency_seconds",
        "From the provider's time of an inbound message to its commit",
        (),
        _LATENCY_BUCKETS,
    ),
    "status_latency": (
        "status_latency_seconds",
        "From the provider's time of a connection event to its commit",
        (),
        _LATENCY_BUCKETS,
    ),
}
_GAUGES: Final[dict[str, tuple[str, str]]] = {
    "queue_age": ("queue_oldest_age_seconds", "Age of the oldest outbound message that is due and waits"),
    "campaigns_stuck": ("campaigns_stuck", "Running campaigns in which nothing moved for ten minutes"),
    "quarantine_open": ("webhook_quarantine_open", "Deliveries in quarantine"),
    "messages.unknown": ("messages_unknown", "Outbound messages of doubtful outcome"),
    "messages.queued": ("messages_queued", "Outbound messages that wait for a try"),
}


class PrometheusMetrics:
    """One registry for each backend, so that several can live in one process; with `SHARED_FOLDER` in the environment instead one
    for all processes that have the same, and each tells the sum.
    """

    def __init__(self) -> None:
        self._folder = os.environ.get(SHARED_FOLDER)
        if self._folder:
            Path(self._folder).mkdir(parents=True, exist_ok=True)
            # The library looks at the environment when it is imported, and a forked process inherits what it found then.
            if values.ValueClass is values.MutexValue:
                values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._counters = {}
        for name, (exported, text, labels, from_start) in _COUNTERS.items():
            counter = Counter(exported, text, labels, registry=self._registry)
            for series in from_start:
                counter.labels(*series)
            self._counters[name] = counter
        self._histograms = {
            name: Histogram(exported, text, labels, registry=self._registry, buckets=buckets)
            for name, (exported, text, labels, buckets) in _HISTOGRAMS.items()
        }
        # What they show is counted in the database, by whoever is asked.
        self._gauges = {
            name: Gauge(exported, text, registry=self._registry, multiprocess_mode="mostrecent")
            for name, (exported, text) in _GAUGES.items()
        }

    def count(self, name: str, **labels: str) -> None:
        counter = self._counters[name]
        (counter.labels(**labels) if labels else counter).inc()

    def observe(self, name: str, value: float, **labels: str) -> None:
        histogram = self._histograms[name]
        (histogram.labels(**labels) if labels else histogram).observe(value)

    def set(self, name: str, value: float) -> None:
        """The present value of a gauge; a name that is none is ignored, because the rows counted may hold any status."""
        if (gauge := self._gauges.get(name)) is not None:
            gauge.set(value)

    def render(self) -> bytes:
        """The exposition text."""
        if not self._folder:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together, path=self._folder)  # type: ignore[no-untyped-call]
        return generate_latest(together)
