"""The report in a real browser: on a desk, on a phone and on paper nothing sticks out."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from reports.build import render_run
from reports.tests import runs

# Read now: tests see no setting of whoever runs them.
_REQUIRED = os.environ.get("GOLIVE_REQUIRE_BROWSER", "") not in {"", "0"}
_LACKING = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(bool(_LACKING) and not _REQUIRED, reason=f"no {' and no '.join(_LACKING)} on PATH"),
]


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (900, False), (500, False)])
def test_the_page_is_never_wider_than_its_window(width: int, dark: bool, tmp_path: Path) -> None:
    runs.write_run(tmp_path)
    render_run(tmp_path, runs.policy(), runs.TODAY)
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in ("--headless=new", "--no-sandbox", f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(str(shutil.which("chromedriver"))))
    try:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        driver.set_window_size(width, 900)
        driver.get((tmp_path / "report.html").as_uri())
        # What a reader opens must not make it wider either.
        driver.execute_script("document.querySelectorAll('details').forEach(item => item.open = true)")
        page, window, ground = driver.execute_script(
            "const root = document.documentElement;"
            "return [root.scrollWidth, root.clientWidth, getComputedStyle(document.body).backgroundColor]"
        )
    finally:
        driver.quit()
    assert page <= window
    assert ground == ("rgb(16, 20, 24)" if dark else "rgb(246, 247, 249)")
