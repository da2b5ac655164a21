"""Items are found by themselves, and what is not well formed or not there is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from gate.errors import RegistryError, SelectionError
from gate.model import Severity
from gate.registry import Kind, Registry, parse_docstring, registry

ITEM = dedent(
    '''
    """The index refuses a second row.

    Why: without it two workers
    send one message twice.

    Fix: apply the migration.

    A paragraph without a name.
    """
    from gate.model import Severity
    from gate.registry import check

    @check(severity=Severity.CRITICAL, tags={"seed"})
    def run(catalog, settings):
        """Answers."""
        yield catalog

    @run.breaks
    def index_dropped(database):
        database.drop()
    '''
).lstrip()

Make = Callable[[dict[str, str]], str]


@pytest.fixture
def make_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Writes a package `planted.checks` of the given files and forgets it afterwards."""
    kept = dict(registry(Kind.CHECK)._items)

    def make(files: dict[str, str]) -> str:
        for name, text in {"planted/__init__.py": "", "planted/checks/__init__.py": "", **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))
        return "planted.checks"

    yield make
    registry(Kind.CHECK)._items.clear()
    registry(Kind.CHECK)._items.update(kept)
    for name in [name for name in sys.modules if name.split(".")[0] == "planted"]:
        del sys.modules[name]


def test_a_file_below_a_package_is_found_with_id_title_facts_and_saboteurs(make_package: Make) -> None:
    package = make_package({"planted/checks/family/__init__.py": "", "planted/checks/family/one_check.py": ITEM})
    item = registry(Kind.CHECK).load(package).get("family.one-check")
    assert item.title == "The index refuses a second row."
    assert item.paragraphs == {"Why": "without it two workers send one message twice.", "Fix": "apply the migration."}
    assert item.facts == ("catalog", "settings")
    assert item.severity is Severity.CRITICAL
    assert [(saboteur.name, saboteur.worlds) for saboteur in item.saboteurs] == [("index_dropped", ("database",))]
    assert list(item("a fact", None)) == ["a fact"]


def test_tests_beside_items_are_not_taken_for_items(make_package: Make) -> None:
    package = make_package({"planted/checks/tests/__init__.py": "raise AssertionError('imported')"})
    registry(Kind.CHECK).load(package)


def test_a_file_without_an_item_is_refused(make_package: Make) -> None:
    package = make_package({"planted/checks/forgotten.py": '"""Nothing here."""'})
    with pytest.raises(RegistryError, match="forgotten holds no @check"):
        registry(Kind.CHECK).load(package)


def test_two_items_of_one_id_are_refused(make_package: Make) -> None:
    package = make_package(
        {
            "planted/checks/family/__init__.py": "",
            "planted/checks/family/same.py": ITEM,
            "planted/other/__init__.py": "",
            "planted/other/checks/__init__.py": "",
            "planted/other/checks/family/__init__.py": "",
            "planted/other/checks/family/same.py": ITEM,
        }
    )
    registry(Kind.CHECK).load(package)
    with pytest.raises(RegistryError, match="family.same is defined twice"):
        registry(Kind.CHECK).load("planted.other.checks")


def test_loading_twice_changes_nothing(make_package: Make) -> None:
    package = make_package({"planted/checks/family/__init__.py": "", "planted/checks/family/one.py": ITEM})
    first = [item.id for item in registry(Kind.CHECK).load(package)]
    assert [item.id for item in registry(Kind.CHECK).load(package)] == first


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("", "has none"), ("Title.\n\nWhy: because.\n", "lacks Fix:"), ("Title.\n", "lacks Why:, Fix:")],
)
def test_a_docstring_that_does_not_document_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(RegistryError, match=complaint):
        parse_docstring(text, where="planted", kind=Kind.CHECK)


def test_a_section_needs_no_more_than_a_title() -> None:
    assert parse_docstring("Risks.", where="planted", kind=Kind.SECTION) == ("Risks.", {})


@pytest.fixture
def loaded(make_package: Make) -> Registry:
    files = {f"planted/checks/{family}/__init__.py": "" for family in ("alpha", "beta")}
    files |= {"planted/checks/alpha/one.py": ITEM, "planted/checks/alpha/two.py": ITEM.replace('{"seed"}', "set()")}
    files |= {"planted/checks/beta/three.py": ITEM.replace("@check(", "@check(order=-1, ")}
    package = make_package(files)
    registry(Kind.CHECK)._items.clear()
    return registry(Kind.CHECK).load(package)


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        ([], ["beta.three", "alpha.one", "alpha.two"]),
        (["alpha"], ["alpha.one", "alpha.two"]),
        (["alpha.*"], ["alpha.one", "alpha.two"]),
        (["@seed"], ["beta.three", "alpha.one"]),
        (["alpha.two", "alpha.two"], ["alpha.two"]),
    ],
)
def test_a_selection_by_id_family_or_tag_keeps_the_order(loaded: Registry, names: list[str], ids: list[str]) -> None:
    assert [item.id for item in loaded.select(names)] == ids


@pytest.mark.parametrize(
    ("name", "hint"), [("alpha.on", "alpha.one"), ("alhpa", "alpha"), ("@sead", "@seed"), ("alpha.x.*", "alpha")]
)
def test_a_name_that_selects_nothing_is_refused_with_the_nearest(loaded: Registry, name: str, hint: str) -> None:
    with pytest.raises(SelectionError, match=f"did you mean '{hint}'"):
        loaded.select([name])


def test_an_unknown_id_is_refused_with_the_nearest(loaded: Registry) -> None:
    assert len(loaded) == 3
    with pytest.raises(SelectionError, match="no check 'alpha.tow'; did you mean 'alpha.two'"):
        loaded.get("alpha.tow")
