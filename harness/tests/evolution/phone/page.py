"""The phone simulator in a real Chromium, as a person without a mouse uses it, and what a screen reader is told of it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

Seen = TypeVar("Seen")

PATIENCE_S = 30.0
_SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# What a person operates. Each must say what it is.
_OPERABLE = frozenset(
    {
        "button",
        "checkbox",
        "combobox",
        "link",
        "radio",
        "searchbox",
        "slider",
        "spinbutton",
        "switch",
        "textbox",
        "DisclosureTriangle",
    }
)
_NAMED_TOO = frozenset({"image", "log", "region", "form", "listbox", "radiogroup"})


def missing_browser() -> str:
    """Why there is no browser to test with; empty when there is one."""
    lacking = [program for program in ("chromium", "chromedriver") if shutil.which(program) is None]
    return f"no {' and no '.join(lacking)} on PATH (Debian: chromium and chromium-driver)" if lacking else ""


def browser_is_required() -> bool:
    return os.environ.get("GOLIVE_REQUIRE_BROWSER", "") not in {"", "0"}


@contextmanager
def browser(profile: Path) -> Iterator[webdriver.Chrome]:
    """A Chromium with a profile of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for switch in (*_SWITCHES, f"--user-data-dir={profile}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(shutil.which("chromedriver"))))
    try:
        yield driver
    finally:
        driver.quit()


class Page:
    """One tab on the simulator of a fake."""

    def __init__(self, driver: webdriver.Chrome, url: str, token: str) -> None:
        self.driver = driver
        self.url = f"{url}/__fake__/phone"
        self._token = token
        # Another document first: a change of the fragment alone would not load the page again.
        driver.get("about:blank")
        self.resize(1280, 900)
        self.prefer()
        driver.get(self.url)
        self.script("sessionStorage.clear()")
        self.complaints()

    def resize(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, *, scheme: str = "light", motion: str = "no-preference") -> None:
        features = [{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": motion}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def load(self, fragment: str = "") -> None:
        self.driver.get("about:blank")
        self.driver.get(self.url + fragment)

    def open(self) -> None:
        """Loads the page with the token in the fragment; returns when it shows the fake."""
        self.load(f"#token={self._token}")
        self.until(lambda: self.at("desk").is_displayed() and self.text("link") == "Live", "the desk")

    def at(self, element_id: str) -> WebElement:
        return self.driver.find_element("id", element_id)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements("css selector", selector)

    def text(self, element_id: str) -> str:
        # Also of what is there for a screen reader alone.
        return str(self.script("return document.getElementById(arguments[0]).textContent", element_id)).strip()

    def texts(self, selector: str) -> list[str]:
        found = self.script("return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)", selector)
        return [str(text) for text in found]

    def script(self, source: str, *arguments: Any) -> Any:
        return self.driver.execute_script(source, *arguments)

    def until(self, look: Callable[[], Seen], what: str) -> Seen:
        """What `look` sees as soon as it sees something."""
        deadline = time.monotonic() + PATIENCE_S
        while not (seen := look()):
            assert time.monotonic() < deadline, f"waited {PATIENCE_S:g} s for {what}; news: {self.text('news')!r}"
        return seen

    def press(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def press_with(self, modifier: str, key: str) -> None:
        ActionChains(self.driver).key_down(modifier).send_keys(key).key_up(modifier).perform()

    def replace(self, text: str, *then: str) -> None:
        """Types over what the field holds."""
        self.press_with(Keys.CONTROL, "a")
        self.press(text, *then)

    def focused(self) -> dict[str, Any]:
        """The element that has the focus: `id`, `name` as a screen reader has it, `role`, and whether its focus can be seen."""
        found: dict[str, Any] = self.script(_FOCUSED)
        return found

    def tab_to(self, element_id: str, *, most: int = 150) -> None:
        """Presses Tab until this element, for a radio button the one with this value, has the focus.

        Every stop on the way must show that it has it.
        """
        for _ in range(most):
            self.press(Keys.TAB)
            here = self.focused()
            assert here["visible"], f"the focus cannot be seen on {here}"
            if element_id == (here["value"] if here["type"] == "radio" else here["id"]):
                return
        raise AssertionError(f"Tab does not reach {element_id!r} within {most} stops; the last was {here}")

    def stops(self, most: int = 300) -> list[dict[str, Any]]:
        """Where Tab leads from the skip link until it leaves the page."""
        self.script("document.querySelector('.skip').focus()")
        found = [self.focused()]
        for _ in range(most):
            self.press(Keys.TAB)
            here = self.focused()
            if here["role"] == "body" or here["key"] == found[0]["key"]:
                return found
            found.append(here)
        raise AssertionError(f"Tab does not leave the page within {most} stops")

    def nodes(self) -> list[dict[str, Any]]:
        """The browser's accessibility tree: `role` and `name` of every node that is not ignored."""
        tree = self.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})
        return [
            {"role": node["role"]["value"], "name": str(node.get("name", {}).get("value", "")).strip()}
            for node in tree["nodes"]
            if not node.get("ignored") and "role" in node
        ]

    def without_name(self) -> list[str]:
        """Roles of what a person operates or a reader announces, and that has no name."""
        return [node["role"] for node in self.nodes() if node["role"] in _OPERABLE | _NAMED_TOO and not node["name"]]

    def faint(self) -> list[str]:
        """Texts on show whose contrast with what is behind them is below 4.5."""
        found: list[str] = self.script(_CONTRAST)
        return found

    def complaints(self) -> list[str]:
        """What the browser itself had to complain about: blocked loads, errors of the page."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]


_FOCUSED = """
const one = document.activeElement;
const shown = one.matches('.pick input') ? one.nextElementSibling : one;
const style = getComputedStyle(shown);
const box = shown.getBoundingClientRect();
window.keys ||= new WeakMap();
if (!window.keys.has(one)) { window.keys.set(one, String(window.lastKey = (window.lastKey || 0) + 1)); }
return {
  key: window.keys.get(one),
  id: one.id, value: one.value || '', role: one.getAttribute('role') || one.tagName.toLowerCase(), type: one.type || '',
  outline: style.outlineStyle + ' ' + style.outlineWidth,
  visible: one === document.body
    || (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 && box.width > 0 && box.height > 0),
};
"""
_CONTRAST = """
const parse = (text) => {
  const found = text.match(/[\\d.]+/g).map(Number);
  return { rgb: found.slice(0, 3), alpha: found[3] ?? 1 };
};
const light = ({ rgb }) => {
  const shares = rgb.map((part) => part / 255);
  const [r, g, b] = shares.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (one) => {
  for (let here = one; here; here = here.parentElement) {
    const colour = parse(getComputedStyle(here).backgroundColor);
    if (colour.alpha === 1) return colour;
  }
  return { rgb: [255, 255, 255] };
};
const faint = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let text = walker.nextNode(); text; text = walker.nextNode()) {
  const one = text.parentElement;
  if (!text.data.trim() || !one.checkVisibility() || one.closest('script, style, .off-screen, .skip, :disabled')) continue;
  const [high, low] = [light(parse(getComputedStyle(one).color)), light(behind(one))].sort((a, b) => b - a);
  const ratio = (high + 0.05) / (low + 0.05);
  if (ratio < 4.5) faint.push(`${text.data.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
}
return faint;
"""
