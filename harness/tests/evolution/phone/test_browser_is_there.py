"""Whether the tests of the page can be skipped in silence."""

from __future__ import annotations

import pytest

from harness.tests.evolution.phone import page
from harness.tests.running import ROOT

pytest_plugins = ["pytester"]


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda program: None if program == "chromedriver" else "/usr/bin/x")
    assert page.missing_browser() == "no chromedriver on PATH (Debian: chromium and chromium-driver)"
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert page.missing_browser().startswith("no chromium and no chromedriver on PATH")
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/x")
    assert page.missing_browser() == ""


def test_a_missing_browser_fails_where_it_was_asked_for(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makeconftest(
        """
        import shutil
        import pytest
        from harness.tests.evolution.phone.conftest import driver

        @pytest.fixture(scope="session", autouse=True)
        def no_browser():
            shutil.which = lambda _: None
        """
    )
    pytester.makepyfile("def test_it(no_browser, driver): raise AssertionError('it ran')")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for asked, expected in (("", {"skipped": 1}), ("0", {"skipped": 1}), ("1", {"errors": 1})):
        monkeypatch.setenv("GOLIVE_REQUIRE_BROWSER", asked)
        done = pytester.runpytest_subprocess("-rsE", "-p", "no:cacheprovider")
        done.assert_outcomes(**expected)
        done.stdout.fnmatch_lines(["*no chromium and no chromedriver on PATH*"])
