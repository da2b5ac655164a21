"""Deployment steps"""

from __future__ import annotations

from collections.abc import Iterator

from gate.registry import section
from reports import facts
from reports.claims import claim, quoted, seconds, source
from reports.document import Badge, Block, Code, CodeBlock, DocumentName, Heading, Link, ListBlock, Mark, Paragraph, Row, Table
from reports.expectations import SMOKE
from reports.view import Missing, RunView

_VARIABLES = (
    ("APP_ENV", "production (NODE_ENV is accepted in its place)"),
    ("ENABLE_TEST_BYPASS", "unset or false"),
    ("EVOLUTION_API_URL", "address of the Evolution API"),
    ("EVOLUTION_API_KEY", "32 characters or more, not the example value"),
    ("JWT_ACCESS_SECRET", "32 characters or more, not the example value"),
    ("JWT_REFRESH_SECRET", "32 characters or more, differs from the access secret"),
    ("BASE_URL", "https, reachable by the Evolution API: webhooks arrive there"),
    ("DATABASE_URL", "or SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY"),
)
MIGRATION = "PRODUCTION_MIGRATION_GOLIVE.sql"


@section(order=50, documents=(DocumentName.REPORT, DocumentName.EXECUTIVE, DocumentName.DEPLOYMENT))
def build(view: RunView) -> Iterator[Block]:
    """Four phases, each with its commands and what the rehearsal measured of it."""
    yield Paragraph(content=("Commands are for a person to run; the tables beside them say what the rehearsal measured.",))
    yield Heading(text="Phase 1: database migrations")
    yield CodeBlock(
        text=f'psql "$DATABASE_URL" -v ON_ERROR_STOP=1 -f {quoted(_migration_file(view), MIGRATION)}',
        language="bash",
    )
    yield Paragraph(
        content=(
            (
                "On Supabase: run it with psql over the direct connection. Its SQL editor puts everything into one transaction, "
                "in which indexes cannot be built concurrently; the file then stops and changes nothing."
            ),
        )
    )
    migration = view.fact("migration", facts.migration)
    took = seconds(None if isinstance(migration, Missing) else migration.duration_s)
    yield Table(
        caption="Phase 1 in the rehearsal",
        columns=("Claim", "Result", "What was measured", "Source"),
        rows=(
            claim(("Migrations applied and safe",), view.outcomes("migration.*")),
            Row(
                cells=(
                    ("Time that the statements took",),
                    (Badge(mark=Mark.NOT_MEASURED),) if took == "not measured" else (took,),
                    (str(migration) if isinstance(migration, Missing) else f"{len(migration.statements)} statements",),
                    (Code(text="fact:migration"),),
                ),
                sources=(source("migration"),),
                mark=Mark.NOT_MEASURED if took == "not measured" else None,
            ),
        ),
    )
    yield Heading(text="Phase 2: code")
    tag = quoted(f"v{view.release('version')}" if view.release("version") else "", "vX.Y.Z")
    commit = quoted(view.release("commit"), "COMMIT")
    yield CodeBlock(
        text=f"git tag -a {tag} {commit} -m 'Evolution WhatsApp go-live'\ngit push origin {tag}\n\n"
        "# then, on the platform at hand:\n"
        "railway up --detach                                                    # Railway\n"
        f'render deploys create "$RENDER_SERVICE_ID" --commit {commit} --wait --confirm   # Render\n'
        "vercel deploy --prod                                                   # Vercel",
        language="bash",
    )
    yield Table(
        caption="Environment variables of production",
        columns=("Variable", "Must be"),
        rows=tuple(Row(cells=((Code(text=name),), (rule,))) for name, rule in _VARIABLES),
    )
    yield Table(
        caption="Phase 2 in the rehearsal",
        columns=("Claim", "Result", "What was measured", "Source"),
        rows=(
            claim(("Configuration is complete, strong and spelt right",), view.outcomes("config.*")),
            claim(("Modules import with the names the application uses",), view.outcomes("imports.*")),
        ),
    )
    yield Heading(text="Phase 3: smoke test")
    yield CodeBlock(text='golive smoke --target "$BASE_URL" --recipient "$TEST_RECIPIENT" --pause', language="bash")
    yield ListBlock(ordered=True, items=tuple((title,) for title in SMOKE.values()))
    yield Table(
        caption="Phase 3 in the rehearsal",
        columns=("Claim", "Result", "What was measured", "Source"),
        rows=(claim(("All steps of the smoke test",), view.outcomes(*SMOKE) + view.outcomes("smoke.*")),),
    )
    yield Heading(text="Phase 4: the first hour")
    yield Paragraph(
        content=(
            "Follow ",
            Link(text=DocumentName.MONITORING.file, target=DocumentName.MONITORING.file),
            ": checkpoints at T+5, T+10, T+20, T+30 and T+60.",
        ),
    )
    plan = view.fact("plan", facts.plan)
    if not isinstance(plan, Missing):
        yield Table(
            caption="What was planned for the release",
            columns=("Plan", "Value"),
            rows=tuple(Row(cells=((name,), (value,)), sources=(source("plan"),)) for name, value in plan.entries),
        )
    yield Table(
        caption="Phase 4 in the rehearsal",
        columns=("Claim", "Result", "What was measured", "Source"),
        rows=(
            claim(("First hour, all signals",), view.outcomes("watch.*")),
            *(() if not isinstance(plan, Missing) else (_no_plan(plan),)),
        ),
    )


def _no_plan(missing: Missing) -> Row:
    return Row(
        cells=(("Plan of the release",), (Badge(mark=Mark.NOT_MEASURED),), (str(missing),), (Code(text="fact:plan"),)),
        sources=(source("plan"),),
        mark=Mark.NOT_MEASURED,
    )


def _migration_file(view: RunView) -> str:
    files = view.fact("package", facts.package)
    return "" if isinstance(files, Missing) else next((file.path for file in files if file.path.endswith(f"/{MIGRATION}")), "")
