"""The sample backend as a subject, and what an observer would have seen of it with and without a planted bug."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

from gate.errors import GateError
from gate.facts.allowances import LintWaiver
from gate.facts.expected import load
from gate.facts.flow import FlowObservations, Send
from gate.facts.subject import ImportedModule, Route, Subject

WORLDS = Path(__file__).parent
UNIT = "5b0f4c1e-2f5a-4a8e-9b1d-0c6a1f7d3e21"

MODULES = (
    ImportedModule(
        role="webhook-route",
        name="sample_backend.webhooks:router",
        routes=(Route(method="POST", path="/webhooks/whatsapp/{provider}/{secret}"),),
    ),
    ImportedModule(
        role="messages-route", name="sample_backend.messages:router", routes=(Route(method="POST", path="/messages"),)
    ),
    ImportedModule(role="message-handler", name="sample_backend.inbound:InboundMessages"),
    ImportedModule(role="webhook-helper", name="sample_backend.events:parse_event"),
    ImportedModule(role="campaign-service", name="sample_backend.campaigns:CampaignService"),
    ImportedModule(role="evolution-provider", name="sample_backend.evolution:EvolutionProvider"),
)

ENVIRONMENT = {
    "APP_ENV": "production",
    "EVOLUTION_API_URL": "http://evolution.internal:8080",
    "EVOLUTION_API_KEY": "Vw8-kL2_qZr5TnX9sBd3JfH7mPc1YgAe",
    "JWT_ACCESS_SECRET": "aH4-rT9_uKs2NvQ6xWb8LdF3zMj7EpCy",
    "JWT_REFRESH_SECRET": "pR7-cY3_gMn8ZkD1vTq5SxJ9wLb2HfUe",
    "BASE_URL": "https://backend.invalid",
    "DATABASE_URL": "postgresql://app@database.internal/app",
}

LINT_WAIVERS = (
    LintWaiver(rule="ban-drop-constraint", about="status_check", reason="the next statement puts a wider one in its place"),
    LintWaiver(rule="adding-foreign-key-constraint", about="unit_id uuid", reason="a new column is null everywhere"),
    LintWaiver(rule="prefer-bigint-over-int", about="retry_count", reason="never more than three"),
)

OBSERVED = FlowObservations(
    unit_id=UNIT,
    instances={f"unit_{UNIT}": 1},
    caller_name="chosen-by-the-caller",
    before_scan={"status": "qr", "reason": "waiting_scan", "qrCode": "data:image/png;base64,AAAA"},
    after_scan=({"status": "connected", "reason": "scan_completed", "connectedAt": "2026-01-22T10:00:00Z", "qrCode": None},),
    scan_took_s=0.2,
    statuses_read_s=5.0,
    failing_calls=3,
    failing_status=502,
    failing_attempts=3,
    watched_s=30.0,
    campaign_recipients=4,
    campaign_sends=tuple(Send(recipient=f"****000{number}", at_s=100 + 2.3 * number) for number in range(4)),
)


def subject(folder: Path, *, database_url: str = "", repository: Path | None = None) -> Subject:
    """The sample backend with its log in `folder`. `repository` has a commit that is tagged `released`, and one after it."""
    log = folder / "backend.log"
    log.write_text('{"time":"2026-01-22T10:00:00Z","level":"info","phone":"****9999","apikey":"[MASKED]"}\n', encoding="utf-8")
    package = folder / "sample_backend-1.0-py3-none-any.whl"
    with zipfile.ZipFile(package, "w") as archive:
        for path in sorted((WORLDS / "sample_backend").glob("*.py")):
            archive.write(path, f"sample_backend/{path.name}")
    report = folder / "audit.json"
    report.write_text('{"dependencies": [{"name": "httpx", "version": "0.28.1", "vulns": []}], "fixes": []}', encoding="utf-8")
    run = folder / "run"
    run.mkdir(exist_ok=True)
    (run / "journal.jsonl").write_text(
        '{"id": "smoke.send", "evidence": [{"label": "to", "value": "****9999"}]}\n', encoding="utf-8"
    )
    return Subject(
        repository=repository or WORLDS / "sample_backend",
        commits="released..HEAD" if repository else "",
        artefacts=(package,),
        documents=(run,),
        audit_report=report,
        database_url=database_url,
        schema=load("seed"),
        modules=MODULES,
        application="sample_backend.http:create",
        source_paths=(WORLDS,),
        datastore="sample_backend.store:contacts",
        baseline=WORLDS / "baseline.sql",
        migration=WORLDS / "migration.sql",
        metadata="sample_backend.tables:metadata",
        lint_waivers=LINT_WAIVERS,
        environment=ENVIRONMENT,
        logs=(log,),
        canaries={"the API key": ENVIRONMENT["EVOLUTION_API_KEY"]},
        source_roots=(WORLDS / "sample_backend",),
        features=WORLDS / "features",
        scenario_tests=("-p", "pytest_bdd.plugin", str(WORLDS / "features")),
        # Plugins that the sample does not use take seconds to import.
        scenario_environment={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )


class AlteredFlow:
    """What an observer sees of a backend with one bug."""

    def __init__(self) -> None:
        self.seen = OBSERVED

    def plant(self, chaff: str) -> None:
        hasty = tuple(replace(send, at_s=100 + number // 2 * 4.0) for number, send in enumerate(OBSERVED.campaign_sends))
        qr = {**OBSERVED.after_scan[0], "qrCode": "data:image/png;base64,AAAA"}
        bugs = {
            "instance-name-from-caller": replace(OBSERVED, instances={"chosen-by-the-caller": 1}),
            "connect-twice-two-instances": replace(OBSERVED, instances={f"unit_{UNIT}": 2}),
            "webhook-secret-mismatch": replace(OBSERVED, after_scan=(OBSERVED.before_scan,), scan_took_s=None),
            "qr-kept-after-scan": replace(OBSERVED, after_scan=(qr,)),
            "fourth-attempt": replace(OBSERVED, failing_calls=4, failing_attempts=4),
            "pause-between-batches": replace(OBSERVED, campaign_sends=hasty),
        }
        if chaff not in bugs:
            raise GateError(f"no chaff is called {chaff!r}")
        self.seen = bugs[chaff]

    def observe(self) -> FlowObservations:
        return self.seen
