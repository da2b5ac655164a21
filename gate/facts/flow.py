"""What an observer saw of a running backend before the fake Evolution API. Records only: observing is not the gate's work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["FlowObservations", "Send"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """A message that the provider sent: to whom (masked), and when, in seconds on the provider's clock."""

    recipient: str
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowObservations:
    """One pass through a backend.

    unit_id: the unit that connected. instances: the names of all instances that the provider then had, with how often each was
    created. caller_name: the instance name that the caller tried to choose, empty when none was tried.
    before_scan, after_scan: the status answers (`status`, `reason`, `connectedAt`, `qrCode`) right before the scan, and each
    different one seen after it, in order. scan_took_s: seconds until the status said connected; None when it never did.
    statuses_read_s: for how long the status was read.
    failing_calls: provider calls for one message whose every send failed for certain; None when none was tried.
    failing_status, failing_attempts: HTTP status and `attempts` of the backend's answer to it. watched_s: seconds, on the
    backend's clock, for which nothing more was sent after the last call.
    campaign_recipients: how many the campaign had. campaign_sends: what the provider sent, in its order.
    campaign_interval_s: the least gap that the backend was configured to keep.
    """

    unit_id: str
    instances: Mapping[str, int] = field(default_factory=dict)
    caller_name: str = ""
    before_scan: Mapping[str, object] = field(default_factory=dict)
    after_scan: tuple[Mapping[str, object], ...] = ()
    scan_took_s: float | None = None
    statuses_read_s: float = 0.0
    failing_calls: int | None = None
    failing_status: int = 0
    failing_attempts: int | None = None
    watched_s: float = 0.0
    campaign_recipients: int = 0
    campaign_sends: tuple[Send, ...] = ()
    campaign_interval_s: float = 2.0
