"""What gates like this one have let through before: each case is played with the command line, and none of them ends GO.

The project is sound before it is broken: it is GO with everything that is asked for here, and so is each part of it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gate.facts import throwaway
from gate.facts.throwaway import ThrowawayDatabase
from gate.facts.worlds import MigrationScript
from gate.tests.worlds.subjects import ENVIRONMENT, WORLDS
from harness.proof.forks import Forks, forks
from harness.tests.projects import EVERYTHING, PRELOADED, Project
from harness.tests.running import Finished

pytestmark = pytest.mark.process

NO_GO, HOLD = 1, 3
# Not the shape of any vendor's, and as random as a real one.
SECRET = "q7Zk2Vx9Lw4Rt8Np3Ys6Hd1Jf5Bm0GcQe"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.sound(tmp_path_factory.mktemp("sound"))


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    with forks(PRELOADED, log=tmp_path_factory.mktemp("forks") / "log") as started:
        yield started


@pytest.fixture
def project(sound: Project, processes: Forks, tmp_path: Path) -> Project:
    """A copy of the sound project at a place of its own."""
    shutil.copytree(sound.path, tmp_path / "project", symlinks=True)
    copy = Project(path=tmp_path / "project", forks=processes)
    copy.configure()
    return copy


def refused(run: Finished, status: int, words: str) -> None:
    """The last line and the exit status say the same, the reason is there, and nobody sees a traceback."""
    assert run.status == status, run.output + run.errors
    assert run.last_line == {NO_GO: "NO-GO", HOLD: "HOLD"}[status]
    assert re.search(words, run.output), run.output
    assert "Traceback" not in run.output + run.errors


def test_the_project_is_go_before_it_is_broken(sound: Project) -> None:
    run = sound.gate()
    assert (run.status, run.last_line) == (0, "GO"), run.output + run.errors
    assert f"{33} selected checks passed" in run.output
    assert len(EVERYTHING) == 8


def test_an_unreachable_database(project: Project) -> None:
    project.configure(["schema.*"], url="postgresql://app@127.0.0.1:9/app")
    refused(project.gate(), HOLD, "nothing listens there")


def test_an_empty_database(project: Project) -> None:
    (project.path / "app.sqlite").write_bytes(b"")
    project.configure(["schema.not-empty"])
    refused(project.gate(), NO_GO, "holds no table at all")


@pytest.mark.parametrize(
    ("table", "column", "words"),
    [("mesages", "id", "table mesages is missing"), ("messages", "retry_cuont", "messages.retry_cuont is missing")],
)
def test_made_up_table_or_column_names(project: Project, table: str, column: str, words: str) -> None:
    (project.path / "expected.toml").write_text(f"schema_version = 1\n[tables.{table}.columns.{column}]\n")
    project.configure(["schema.as-expected"], expected="expected.toml")
    refused(project.gate(), NO_GO, words)


def test_an_expectation_of_nothing_is_no_expectation(project: Project) -> None:
    (project.path / "expected.toml").write_text("schema_version = 1\n")
    project.configure(["schema.as-expected"], expected="expected.toml")
    run = project.gate()
    assert (run.status, run.output) == (2, "")
    assert "it names no table" in run.errors


OTHER_INDEX = """
DROP INDEX idx_messages_client_message_id_unit;
CREATE {kind} idx_messages_client_message_id_unit ON messages (conversation_id, client_message_id) WHERE client_message_id {rows};
"""
TEXT_COUNT = """
DROP INDEX idx_messages_retry_failed;
ALTER TABLE messages DROP COLUMN retry_count;
ALTER TABLE messages ADD COLUMN retry_count text DEFAULT '0';
"""
OLD_CAMPAIGNS = """
DROP TABLE campaign_recipients;
DROP TABLE campaigns;
CREATE TABLE campaigns (id char(32) PRIMARY KEY, name text NOT NULL);
"""
NO_COLUMN = "DROP INDEX IF EXISTS idx_messages_unit_external_id; ALTER TABLE messages DROP COLUMN external_id;"
A_VIEW = "DROP TABLE campaign_recipients; CREATE VIEW campaign_recipients AS SELECT 1 AS campaign_id;"
SCHEMA_BREAKS = {
    "the unique index that is not unique": (
        OTHER_INDEX.format(kind="INDEX", rows="IS NOT NULL"),
        "is not unique, expected unique",
    ),
    "the unique index over other rows": (OTHER_INDEX.format(kind="UNIQUE INDEX", rows="= 'never'"), "covers rows where"),
    "a right column name with the wrong type": (TEXT_COUNT, "messages.retry_count is text, expected integer"),
    "an older shape of campaigns": (OLD_CAMPAIGNS, "campaigns.content is missing"),
    "a column that the code writes and no migration creates": (NO_COLUMN, "messages.external_id is missing"),
    "a table that became a view": (A_VIEW, "campaign_recipients is a view, expected a table"),
}


@pytest.mark.parametrize("case", SCHEMA_BREAKS)
def test_a_database_of_another_shape(project: Project, case: str) -> None:
    statements, words = SCHEMA_BREAKS[case]
    project.execute(statements)
    project.configure(["schema.*"])
    refused(project.gate(), NO_GO, words)


@pytest.fixture
def migrated(postgres_url: str) -> Iterator[ThrowawayDatabase]:
    with throwaway.on_postgres(postgres_url) as database:
        for script in ("baseline.sql", "migration.sql"):
            database.execute((WORLDS / script).read_text(encoding="utf-8"))
        yield database


CHECK_WITHOUT_QR = """
ALTER TABLE unit_whatsapp_connections DROP CONSTRAINT IF EXISTS unit_whatsapp_connections_status_check;
ALTER TABLE unit_whatsapp_connections ADD CONSTRAINT unit_whatsapp_connections_status_check
  CHECK (status IN ('connecting', 'connected', 'disconnected', 'error')) NOT VALID
"""
OTHER_TYPE = "ALTER TABLE messages DROP COLUMN client_message_id; ALTER TABLE messages ADD COLUMN client_message_id integer"
LOOKALIKE = "CREATE SCHEMA lookalike; ALTER TABLE messages SET SCHEMA lookalike"


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (LOOKALIKE, "table messages is missing from schema public .* one of that name is in lookalike, which does not count"),
        (CHECK_WITHOUT_QR, "refuses 'qr', by CHECK"),
        (OTHER_TYPE, "client_message_id is integer, expected text"),
    ],
    ids=["look-alike tables in another schema", "a status CHECK without qr", "the wrong type"],
)
def test_a_postgres_of_another_shape(project: Project, migrated: ThrowawayDatabase, statements: str, words: str) -> None:
    project.configure(["schema.*"], url="")
    assert project.gate(DATABASE_URL=migrated.url).last_line == "GO"
    migrated.execute(statements)
    refused(project.gate(DATABASE_URL=migrated.url), NO_GO, words)


@pytest.mark.postgres
def test_a_migration_that_reports_success_by_name_only(project: Project, migrated: ThrowawayDatabase) -> None:
    for script in ("baseline.sql", "migration.sql"):
        shutil.copy(WORLDS / script, project.path)
    project.configure(["migration.verifies-itself"], url="", migration="migration.sql", baseline="baseline.sql")
    sound = project.gate(DATABASE_URL=migrated.url)
    assert sound.last_line == "GO", sound.output
    MigrationScript(path=project.path / "migration.sql").drop_verification()
    refused(project.gate(DATABASE_URL=migrated.url), NO_GO, "migration.verifies-itself")


def test_a_column_that_new_code_writes_and_no_migration_creates(project: Project) -> None:
    (project.path / "sample_backend" / "colours.py").write_text(
        "def paint(connection):\n    connection.execute('INSERT INTO messages (id, colour) VALUES (1, 2)')\n"
    )
    project.configure(["code.columns-exist"])
    refused(project.gate(), NO_GO, "colours.py, line 2 writes messages.colour, and there is no such column")


def test_an_upsert_that_only_inserts(project: Project) -> None:
    project.replace("sample_backend/store.py", "phone text PRIMARY KEY", "phone text")
    project.replace(
        "sample_backend/store.py", '\n            " ON CONFLICT (phone) DO UPDATE SET name = excluded.name",', '\n            "",'
    )
    project.configure(["datastore.*"])
    refused(project.gate(), NO_GO, "datastore.upsert")


def test_a_module_that_imports_but_whose_route_is_not_mounted(project: Project) -> None:
    project.replace("sample_backend/http.py", ', Mount("/", app=webhooks.router)', "")
    project.configure(["imports.*"])
    refused(project.gate(), NO_GO, r"POST /webhooks/whatsapp/\{provider\}/\{secret\} is not served by")


def test_a_test_mode_that_silently_swaps_the_database(project: Project) -> None:
    project.replace(
        "sample_backend/store.py",
        "    return Contacts(url)",
        '    return Contacts("sqlite:///:memory:")',
    )
    project.configure(["datastore.*"])
    run = project.gate()
    assert run.status in (NO_GO, HOLD), run.output
    assert run.last_line != "GO"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "import os\n\nURL = 'sqlite://' if os.environ.get('PYTEST_CURRENT_TEST') else ''\n",
            "asks whether a test runner is at work",
        ),
        ("import sys\n\nif 'pytest' in sys.modules:\n    URL = 'sqlite://'\n", "asks whether a test runner is at work"),
    ],
)
def test_a_test_mode_that_is_asked_for_in_the_code(project: Project, code: str, words: str) -> None:
    (project.path / "sample_backend" / "mode.py").write_text(code)
    project.configure(["config.test-bypass"])
    refused(project.gate(), NO_GO, words)


@pytest.mark.parametrize(
    ("name", "value"), [("APP_ENV", "test"), ("ENABLE_TEST_BYPASS", "true"), ("TEST_MODE", "1"), ("DATABASE_URL", "sqlite://")]
)
def test_a_test_mode_that_is_switched_on_in_the_deployment(project: Project, name: str, value: str) -> None:
    settings = {**ENVIRONMENT, name: value}
    (project.path / ".env.production").write_text("".join(f"{key}={one}\n" for key, one in settings.items()))
    project.configure(["config.environment", "config.test-bypass"])
    refused(project.gate(), NO_GO, name)


def test_documented_and_read_environment_names_that_differ(project: Project) -> None:
    project.replace("sample_backend/settings.py", "EVOLUTION_API_KEY", "EVOLUTION_APIKEY")
    project.configure(["config.names-documented"])
    refused(project.gate(), NO_GO, "EVOLUTION_API_KEY is documented and nowhere in the code, which reads EVOLUTION_APIKEY")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("docs/notes.md", "Log in with `EVOLUTION_API_KEY={}`.\n"),
        ("deploy/values.yaml", "evolution:\n  apiKey: {}\n"),
        ("sample_backend/old.py", "# API_KEY = '{}'\n"),
        ("sample_backend/typed.py", "API_KEY: str = '{}'\n"),
        ("sample_backend/typed.ts", "const apiKey: string = '{}'; // nobody looks here\n"),
    ],
    ids=["in a document", "in a manifest", "behind a comment", "with a type annotation", "with a type annotation, in a script"],
)
def test_a_secret_in_a_file_of_any_kind_ends_no_go_and_is_never_printed(project: Project, file: str, text: str) -> None:
    (project.path / file).parent.mkdir(exist_ok=True)
    (project.path / file).write_text(text.format(SECRET))
    project.commit("with a secret")
    project.configure(["secrets.repository"])
    run = project.gate()
    refused(run, NO_GO, re.escape(file))
    assert SECRET not in run.output + run.errors


def test_a_suite_that_exits_0_having_run_no_test(project: Project) -> None:
    project.record("scenarios", answered=False)
    project.configure(["evidence.scenarios-ran"])
    refused(project.gate(), HOLD, "0 scenarios were executed")


def test_a_suite_that_never_ends(project: Project) -> None:
    project.record("scenarios", ended=False)
    project.configure(["evidence.scenarios-ran"])
    refused(project.gate(), HOLD, "part 'scenarios' began and never ended")


def test_a_check_that_never_ends(project: Project) -> None:
    (project.path / "own").mkdir()
    (project.path / "own" / "endless.py").write_text(
        '"""It waits.\n\nWhy: so.\nFix: so.\n"""\nimport threading\nfrom gate.registry import check\n\n\n@check()\n'
        "def run(subject):\n    threading.Event().wait()\n    yield\n"
    )
    project.configure(["own.*", "schema.not-empty"], more='checks = ["own"]\n[thresholds]\ncheck_timeout_s = 2\n')
    refused(project.gate(), HOLD, r"own.endless.*|did not answer within 2 s")


@pytest.mark.parametrize("word", ["running", "expected"])
def test_results_marked_running_or_expected(project: Project, word: str) -> None:
    path = project.record("smoke")
    path.write_text(path.read_text().replace('"status":"pass"', f'"status":"{word}"'))
    project.configure(["evidence.smoke-ran"])
    refused(project.gate(), HOLD, "evidence.smoke-ran")


def test_a_suite_that_ran_against_the_shipped_reference_instead(project: Project) -> None:
    """Complete, fresh, in the release's own repository, and of another backend."""
    shutil.rmtree(project.path / "runs" / "smoke")
    project.configure(["evidence.smoke-ran"])
    run = project.golive("smoke", "--recipient", "5511988887777", "--database", "memory", "--out", "runs/smoke")
    assert run.last_line == "GO", run.output + run.errors
    refused(project.gate(), NO_GO, "the journal of smoke is of the shipped reference backend")


def test_a_report_older_than_the_commit(project: Project) -> None:
    project.commit("one more")
    project.configure(["evidence.smoke-ran"])
    refused(project.gate(), NO_GO, "the journal of smoke is of commit")
    project.record("smoke", hours_ago=0.5)
    refused(project.gate(), NO_GO, "before its commit was made")


def test_changes_that_are_in_no_commit(project: Project) -> None:
    project.configure(["evidence.tree-committed"])
    project.commit("described")
    assert project.gate().last_line == "GO"
    (project.path / "sample_backend" / "forgotten.py").write_text("x = 1\n")
    refused(project.gate(), NO_GO, "1 files of the released code are in no commit: sample_backend/forgotten.py")
    (project.path / "sample_backend" / "forgotten.py").unlink()
    project.replace("sample_backend/settings.py", "NAMES", "OTHER_NAMES")
    refused(project.gate(), NO_GO, "1 tracked files differ from the commit: sample_backend/settings.py")


def test_a_gate_in_a_folder_of_the_project_is_about_the_project(project: Project) -> None:
    (project.path / "app.sqlite").write_bytes(b"")
    project.configure(["schema.not-empty"])
    below = Project(path=project.path / "sample_backend", forks=project.forks)
    refused(below.gate(), NO_GO, "holds no table at all")


def test_a_report_of_another_schema(project: Project) -> None:
    project.execute("ALTER TABLE contacts ADD COLUMN nickname text;")
    project.configure(["evidence.smoke-ran"])
    refused(project.gate(), NO_GO, "the journal of smoke is of schema")


def waiver(check: str, days: int) -> str:
    expires = (datetime.now(UTC) + timedelta(days=days)).date()
    return f'[[waiver]]\nid = "{check}"\nowner = "Ana"\nreason = "known"\nticket = "OPS-1"\nexpires = {expires}\n'


def test_a_waiver_past_its_date(project: Project) -> None:
    project.execute("DROP INDEX idx_messages_retry_failed;")
    asked = ["schema.as-expected", "schema.not-empty"]
    project.configure(asked, more=waiver("schema.as-expected", 3))
    assert project.gate().last_line == "GO"
    project.configure(asked, more=waiver("schema.as-expected", -1))
    refused(project.gate(), NO_GO, "the waiver of Ana expired on")
    project.configure(["schema.not-empty"], more=waiver("schema.as-expected", -1))
    refused(project.gate(), HOLD, "the waiver of Ana expired on")
    project.configure(asked, more=waiver("schema.as-expected", 40))
    refused(project.gate(), NO_GO, "expected at most 30 days from today")


@pytest.mark.parametrize("check", ["schema.*", "secrets.repository", "schema.as-expectd"])
def test_a_waiver_for_a_family_for_what_cannot_be_waived_or_for_nothing_is_a_usage_error(project: Project, check: str) -> None:
    project.configure(["schema.*"], more=waiver(check, 3))
    run = project.gate()
    assert (run.status, run.output) == (2, "")
    assert "waive" in run.errors


def test_an_answer_that_is_required_and_was_not_asked_for(project: Project) -> None:
    """A selection of what passes is not the release."""
    refused(project.gate("--select", "schema.not-empty"), HOLD, "no answer")


def test_advisory_checks_never_decide_and_their_alarms_are_collected(project: Project) -> None:
    project.execute("DROP INDEX idx_messages_retry_failed;")
    project.configure(["schema.*"], more='advisory = ["schema.as-expected"]\n')
    for count in (1, 2):
        run = project.gate()
        assert (run.status, run.last_line) == (0, "GO"), run.output
        assert (
            f"advisory schema.as-expected: {count} alarms in {count} runs, {count} of them where the release was GO" in run.output
        )


def test_every_format_says_the_same(project: Project) -> None:
    project.execute("DROP INDEX idx_messages_retry_failed;")
    project.configure(["schema.as-expected", "schema.not-empty"])
    assert {project.gate("--format", form).status for form in ("text", "json", "junit", "sarif", "tap")} == {NO_GO}


def test_a_gate_without_a_terminal_that_is_stopped_halfway_is_not_go(project: Project) -> None:
    """Whoever reads only the first lines gets no GO either."""
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.cli", "gate"],
        cwd=project.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=120) != 0
