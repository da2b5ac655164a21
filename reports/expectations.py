"""What every run must speak about, whether it answered or not: scenarios, smoke steps, families of checks, and their titles."""

from __future__ import annotations

__all__ = ["FAMILIES", "GATE_FAMILIES", "SCENARIOS", "SMOKE", "TITLES"]

SCENARIOS = {
    "scenario.connect-generates-qr": "Connect generates a QR code",
    "scenario.scan-connects": "Scanning connects",
    "scenario.inbound-creates-conversation": "Inbound creates contact, conversation and message",
    "scenario.inbound-stored-once": "A repeated inbound message is stored once",
    "scenario.outbound-sent-once": "Outbound is sent once with retry",
    "scenario.campaign-one-after-the-other": "A campaign sends one after the other",
    "scenario.invalid-provider-refused": "An invalid provider is refused",
    "scenario.unknown-instance-tolerated": "An unknown instance is tolerated",
    "scenario.tenants-isolated": "Tenants are isolated",
}

SMOKE = {
    "smoke.health": "Health check",
    "smoke.login": "Login",
    "smoke.units": "Get units",
    "smoke.connect": "Connect WhatsApp (QR)",
    "smoke.status-before": "Status before the scan",
    "smoke.scan": "Scan the QR code",
    "smoke.status-after": "Status after the scan",
    "smoke.send": "Send a test message",
}

TITLES = SCENARIOS | SMOKE

GATE_FAMILIES = {
    "schema": "Database schema",
    "datastore": "Datastore and upsert",
    "imports": "Code consistency (imports)",
    "flow": "Evolution flow",
    "migration": "Migration safety",
    "config": "Configuration",
    "secrets": "Security scan (secrets)",
}

FAMILIES = GATE_FAMILIES | {
    "scenario": "Scenarios, end to end",
    "smoke": "Smoke test",
    "load": "Load",
    "watch": "First hour",
    "rollback": "Rollback rehearsal",
}
