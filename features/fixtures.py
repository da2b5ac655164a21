"""What steps are given. Loaded by the plugin when there is a target, and only then."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from features.backend import Backend, Member
from features.exchanges import ObservedControl
from features.expectations import Eventually
from features.operations import Operations
from features.plugin import scenario_run
from features.provider import Courier
from features.recording import Observe, Recording
from features.secrecy import Secrecy
from features.tenants import Customer, Numbers, Tenants
from features.timing import TargetTime, target_time
from gate.errors import Inconclusive
from harness.evolution.client import EvolutionControl
from harness.target import Pace, Target


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Target:
    """The backend under test."""
    return scenario_run(request.config).target


@pytest.fixture(scope="session")
def secrecy(request: pytest.FixtureRequest) -> Secrecy:
    """Masks whatever is reported; learns what the scenarios come to know."""
    return scenario_run(request.config).secrecy


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest, target: Target) -> Iterator[EvolutionControl | None]:
    """The control plane of the fake provider; None when the target talks to a real one."""
    if not target.evolution_url:
        yield None
        return
    witness = scenario_run(request.config).witness
    with ObservedControl(target.evolution_url, target.control_token, witness=witness) as control:
        yield control


@pytest.fixture
def evolution(control_plane: EvolutionControl | None) -> EvolutionControl:
    """The control plane of the fake provider, for steps that cannot do without."""
    if control_plane is None:
        raise Inconclusive("the target talks to a real provider: what it received cannot be looked at; give --golive-evolution")
    return control_plane


@pytest.fixture(scope="session")
def time_of_target(request: pytest.FixtureRequest, target: Target, control_plane: EvolutionControl | None) -> TargetTime:
    """How to wait for the target, and how to let hours pass."""
    if control_plane is None:
        return target_time(None, lambda: None)
    probe = Backend(target.url, time=target_time(None, lambda: None), secrecy=Secrecy())
    try:
        return target_time(control_plane, probe.uptime, shared=scenario_run(request.config).shared)
    finally:
        probe.close()


@pytest.fixture(scope="session")
def pace(time_of_target: TargetTime) -> Pace:
    return time_of_target.pace


@pytest.fixture(scope="session")
def eventually(pace: Pace) -> Eventually:
    """`eventually(look, expected, within_s=…, what=…)`: waits on the target's clock."""
    return Eventually(pace)


@pytest.fixture(scope="session")
def api(request: pytest.FixtureRequest, target: Target, time_of_target: TargetTime, secrecy: Secrecy) -> Iterator[Backend]:
    """A client of the backend."""
    backend = Backend(target.url, time=time_of_target, secrecy=secrecy, witness=scenario_run(request.config).witness)
    yield backend
    backend.close()


@pytest.fixture(scope="session")
def super_admin(target: Target, api: Backend) -> Member:
    return api.member(target.admin_email, target.admin_password)


@pytest.fixture(scope="session")
def numbers(request: pytest.FixtureRequest) -> Numbers:
    return Numbers(scenario_run(request.config).worker)


@pytest.fixture
def tenants(
    api: Backend,
    super_admin: Member,
    time_of_target: TargetTime,
    numbers: Numbers,
    control_plane: EvolutionControl | None,
) -> Tenants:
    """Makes the units of one scenario."""
    return Tenants(backend=api, admin=super_admin, time=time_of_target, numbers=numbers, control=control_plane)


@pytest.fixture
def stranger(tenants: Tenants) -> Customer:
    """Somebody whose messages arrive where they do not belong."""
    return tenants.customer()


@pytest.fixture
def courier(api: Backend, evolution: EvolutionControl, time_of_target: TargetTime, secrecy: Secrecy) -> Courier:
    """Delivers events to the backend as the provider does."""
    return Courier(backend=api, control=evolution, time=time_of_target, secrecy=secrecy)


@pytest.fixture
def operations(request: pytest.FixtureRequest, target: Target) -> Operations:
    """What the operator of the backend can do to it."""
    return Operations(target, shared=scenario_run(request.config).shared)


@pytest.fixture
def evidence(request: pytest.FixtureRequest) -> Observe:
    """`evidence(label, value, unit="")`: one observed fact of the running scenario."""
    recording: Recording = scenario_run(request.config).recording(request.node)
    return recording.observe
