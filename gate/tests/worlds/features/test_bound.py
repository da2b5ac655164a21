from pytest_bdd import given, scenarios

scenarios("connect.feature")


@given("a unit")
def _unit() -> None:
    """A step of the sample."""
