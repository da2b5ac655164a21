from pytest_bdd import given, scenarios, then

scenarios("connect.feature")


@given("a unit", target_fixture="status")
def _unit() -> str:
    """A step of the sample."""
    return "qr"


@then("it waits for a scan")
def _waits(status: str) -> None:
    assert status == "qr"
