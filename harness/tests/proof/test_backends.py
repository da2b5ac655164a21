"""A proof believes only what it saw: the named scenario failed, on a planted change that was run through."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gate.errors import SelectionError
from gate.journal import Journal, read
from gate.model import Evidence, Outcome, Severity, Status
from harness.datastores import SERVER_SETTINGS
from harness.proof import backends
from harness.proof.backends import End, Trial, choose, prove
from harness.proof.trials import LEAST_POOL, POOL
from harness.reference import Variant, settings_faults, variants
from harness.scenarios import FEATURES, read_features

CHAFFS, WHEATS = variants("chaff"), variants("wheat")
PLANNED = read_features(FEATURES)
CHAFF = Variant(kind="chaff", name="sample", title="Sample", area="inbound", killed_by=("scenario.named",))
WHEAT = replace(CHAFF, kind="wheat", killed_by=())


def outcome(item: str, status: Status) -> Outcome:
    return Outcome(
        id=item,
        status=status,
        severity=Severity.MAJOR,
        title=item,
        reason="" if status is Status.PASS else "expected 1, saw 2",
        evidence=(Evidence(label="seen", value=1),),
        observed_at=datetime.now(UTC),
    )


def judged(variant: Variant, found: dict[str, Status], *, reached: int = 1, problem: str = "") -> Trial:
    part = backends._Found(outcomes=tuple(outcome(*one) for one in found.items()), reached=reached, problem=problem)
    return backends._judged(variant, ("scenario.named",), [part])


@pytest.mark.parametrize("chaff", CHAFFS, ids=lambda chaff: chaff.name)
def test_every_chaff_names_a_scenario_that_is_there(chaff: Variant) -> None:
    bench = backends._Bench(scenarios=[one.id for one in PLANNED], workdir=Path(), features=None, full=False)
    assert bench.named_in(chaff), chaff.killed_by


@pytest.mark.parametrize("variant", [*CHAFFS, *WHEATS], ids=lambda variant: f"{variant.kind} {variant.name}")
def test_nothing_is_planted_in_production(variant: Variant) -> None:
    switch = variant.kind.upper()
    faults = settings_faults({"APP_ENV": "production", switch: variant.name})
    deed = {"chaff": "a bug", "wheat": "another way to answer"}[variant.kind]
    refused = f"{switch} plants {deed} and is refused in production; unset it"
    assert [fault for fault in faults if fault.startswith(switch)] == [refused]
    assert [fault for fault in settings_faults({"APP_ENV": "rehearsal", switch: variant.name}) if fault.startswith(switch)] == []


def test_every_area_of_bugs_is_there_and_one_filter_for_every_route() -> None:
    assert {chaff.area for chaff in CHAFFS} == {"connect", "inbound", "outbound", "campaign", "security", "release"}
    assert len([chaff for chaff in CHAFFS if chaff.name.startswith("route-without-unit-filter.")]) == 22


def test_trials_at_the_same_time_leave_their_postgres_connections() -> None:
    most = next(int(one.partition("=")[2]) for one in SERVER_SETTINGS if one.startswith("max_connections="))
    # Beside its pool a process has the queue's four connections, the one that listens for jobs, and the one that relays events.
    taken = [one.processes * (max(LEAST_POOL, POOL // one.processes) + 6) for one in [*CHAFFS, *WHEATS] if one.postgres]
    assert backends.ON_POSTGRES * max(taken) < most


def test_the_named_scenario_must_fail_and_nothing_less_kills() -> None:
    killed = judged(CHAFF, {"scenario.named": Status.FAIL, "scenario.other": Status.FAIL})
    assert (killed.end, killed.proves, killed.killers) == (End.KILLED, True, ("scenario.named", "scenario.other"))
    assert judged(CHAFF, {"scenario.named": Status.PASS, "scenario.other": Status.FAIL}).end is End.KILLED_BY_ANOTHER
    assert judged(CHAFF, {"scenario.named": Status.PASS}).end is End.SURVIVED
    assert judged(CHAFF, {"scenario.named": Status.INCONCLUSIVE}).end is End.ERROR
    assert judged(CHAFF, {"scenario.named": Status.FAIL}, problem="the trial ended with status -9").end is End.ERROR


@pytest.mark.parametrize("status", [Status.PASS, Status.FAIL])
def test_a_change_that_was_never_run_through_is_said(status: Status) -> None:
    trial = judged(CHAFF, {"scenario.named": status}, reached=0)
    assert (trial.end, trial.proves) == (End.NOT_REACHED, False)


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PASS])
def test_a_wheat_must_pass_every_scenario(status: Status) -> None:
    assert judged(WHEAT, {"scenario.named": Status.PASS}).end is End.PASSED
    refused = judged(WHEAT, {"scenario.named": Status.PASS, "scenario.other": status})
    assert (refused.end, refused.proves) == (End.REFUSED, False)
    assert "scenario.other" in refused.reason


def test_a_wheat_against_which_nothing_ran_has_not_passed() -> None:
    assert judged(WHEAT, {}).end is End.ERROR


def test_variants_are_chosen_by_name_area_and_kind_and_a_slip_is_named() -> None:
    assert {one.kind for one in choose([*CHAFFS, *WHEATS], ["wheat"])} == {"wheat"}
    assert {one.area for one in choose([*CHAFFS, *WHEATS], ["inbound", "campaign"])} == {"inbound", "campaign"}
    assert [one.name for one in choose(CHAFFS, ["chaff:fourth-attempt"])] == ["fourth-attempt"]
    with pytest.raises(SelectionError, match="did you mean fourth-attempt"):
        choose(CHAFFS, ["forth-attempt"])


@pytest.mark.process
def test_a_bug_is_killed_for_real_and_survives_when_its_scenario_is_taken_away(tmp_path: Path) -> None:
    chosen = choose(CHAFFS, ["qr-kept-after-scan"])
    heard: list[Trial] = []
    journal = Journal.create(tmp_path / "journal.jsonl", release={"name": "proof"})
    proof = prove(chosen, PLANNED, workdir=tmp_path, journal=journal, workers=2, on_trial=heard.append)
    assert (proof.holds, proof.counted("chaff"), len(heard)) == (True, (1, 1), 2)
    assert proof.trials[0].named == ("scenario.scan-connects",)
    recording = read(journal.path)
    assert {one.id: one.status for one in recording.outcomes} == {
        "proof.chaff.qr-kept-after-scan": Status.PASS,
        "proof.sound": Status.PASS,
        "proof.chaffs-killed": Status.PASS,
    }
    matrix = recording.facts[backends.MATRIX]
    assert matrix["chaff qr-kept-after-scan"]["found"] == {"scenario.scan-connects": "fail"}
    others = tmp_path / "features"
    shutil.copytree(FEATURES / "webhooks", others / "webhooks")
    command = [sys.executable, "-m", "harness.cli", "prove", "--select", "qr-kept-after-scan", "--features", str(others)]
    ended = subprocess.run([*command, "--format", "json"], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1, ended.stderr
    told = json.loads(ended.stdout)
    assert told["chaffs"] == {"killed": 0, "of": 1}
    assert re.search(r"no scenario scenario\.scan-connects", told["trials"][0]["reason"])
