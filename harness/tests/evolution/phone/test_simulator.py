"""The phone simulator in a real browser: with the keyboard alone, for a screen reader, and with hostile texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from selenium.webdriver.common.keys import Keys

from harness.evolution import FakeEvolution
from harness.tests.evolution.phone.conftest import TOKEN
from harness.tests.evolution.phone.page import Page

pytestmark = [pytest.mark.browser, pytest.mark.process]
ME = "5511987650001"


def _say(backend: httpx.Client, name: str, text: str, to: str = ME) -> dict[str, Any]:
    answer = backend.post(f"/message/sendText/{name}", json={"number": to, "text": text})
    answer.raise_for_status()
    message: dict[str, Any] = answer.json()
    return message


def _texts(page: Page) -> list[str]:
    return page.texts(".bubble .text")


def test_without_the_token_nothing_is_shown(page: Page, paired: Callable[..., str]) -> None:
    paired("shop")
    page.load()
    assert page.at("unlock").is_displayed()
    assert not page.at("desk").is_displayed()
    page.tab_to("token")
    page.press("not-the-token", Keys.ENTER)
    page.until(lambda: page.at("notice").is_displayed(), "the complaint")
    assert page.text("notice-text") == "That token is not the fake's."
    assert not page.at("desk").is_displayed()
    page.replace(TOKEN, Keys.ENTER)
    page.until(lambda: page.at("desk").is_displayed(), "the desk")
    page.until(lambda: page.text("news") == "The control plane is open.", "the news")
    assert not page.at("notice").is_displayed()


def test_a_token_in_the_fragment_leaves_the_address_and_is_forgotten_when_told(page: Page) -> None:
    page.open()
    assert page.driver.current_url == page.url
    assert TOKEN not in str(page.script("return document.documentElement.outerHTML"))
    assert page.script("return localStorage.length") == 0
    page.load()
    page.until(lambda: page.at("desk").is_displayed(), "the desk of the same tab")
    page.tab_to("lock")
    page.press(Keys.ENTER)
    page.until(lambda: page.at("unlock").is_displayed(), "the form")
    assert page.script("return Object.values(sessionStorage).join()").count(TOKEN) == 0
    page.load()
    assert not page.at("desk").is_displayed()


def test_a_customer_is_played_with_the_keyboard_alone(
    page: Page, fake: FakeEvolution, backend: httpx.Client, connecting: Callable[..., str]
) -> None:
    connecting("bakery")
    connecting("garage")
    page.open()
    page.tab_to("bakery")
    page.press(Keys.ARROW_DOWN)
    page.until(lambda: page.text("phone-title") == "garage", "the other phone")
    page.tab_to("owner")
    page.press("5511999992222")
    page.tab_to("profile")
    page.press("Garage")
    page.tab_to("scan-button")
    page.press(Keys.ENTER)
    page.until(lambda: page.text("phone-state") == "open", "the connection")
    garage = next(one for one in fake.instances() if one["name"] == "garage")
    assert (garage["ownerJid"], garage["profileName"]) == ("5511999992222@s.whatsapp.net", "Garage")
    page.until(lambda: page.at("write").is_displayed(), "the conversation")

    page.tab_to("text")
    page.press("Oi, vocês abrem hoje?", Keys.ENTER)
    page.until(lambda: _texts(page) == ["Oi, vocês abrem hoje?"], "the own message")
    arrived = fake.deliveries(instance="garage", event="messages.upsert")[0]["body"]["data"]
    assert (arrived["message"], arrived["pushName"]) == ({"conversation": "Oi, vocês abrem hoje?"}, "Ana")
    assert arrived["key"]["remoteJid"] == f"{ME}@s.whatsapp.net"

    answer = _say(backend, "garage", "Sim, até as 18h")
    page.until(lambda: _texts(page) == ["Oi, vocês abrem hoje?", "Sim, até as 18h"], "the answer")
    page.until(lambda: page.texts(".bubble .foot span:last-child")[1] == "✓✓ delivered", "the receipt")
    page.at("read")
    page.tab_to("read")
    page.press(Keys.SPACE)
    page.until(lambda: page.texts(".bubble .foot span:last-child")[1] == "✓✓ read", "the receipt of the reader")
    read = fake.deliveries(instance="garage", event="messages.update", body={"data": {"status": "READ"}})
    assert [row["keyId"] for row in read] == [answer["key"]["id"]]


def test_enter_sends_and_shift_enter_makes_a_new_line(page: Page, fake: FakeEvolution, paired: Callable[..., str]) -> None:
    paired("shop")
    page.open()
    page.tab_to("text")
    page.press("one")
    page.press_with(Keys.SHIFT, Keys.ENTER)
    page.press("two", Keys.ENTER)
    page.until(lambda: _texts(page) == ["one\ntwo"], "both lines")
    assert page.focused()["id"] == "text"
    page.press(Keys.ENTER)
    page.press("three", Keys.ENTER)
    page.until(lambda: _texts(page) == ["one\ntwo", "three"], "the third")


def test_messages_of_other_people_are_not_on_this_phone(
    page: Page, fake: FakeEvolution, backend: httpx.Client, paired: Callable[..., str]
) -> None:
    paired("shop")
    page.open()
    _say(backend, "shop", "for somebody else", to="5511977770002")
    _say(backend, "shop", "for me")
    page.until(lambda: _texts(page) == ["for me"], "the own message alone")
    page.tab_to("customer")
    page.replace("5511977770002", Keys.TAB)
    page.until(lambda: _texts(page) == ["for somebody else"], "the other phone")


def test_the_code_on_show_is_the_newest(page: Page, fake: FakeEvolution, connecting: Callable[..., str]) -> None:
    connecting("shop")
    page.open()
    first = fake.instances()[0]["qr"]
    picture = page.at("qr")
    page.until(lambda: picture.get_attribute("src") == first["base64"], "the first code")
    fake.advance(46)
    second = page.until(lambda: (one := fake.instances()[0]["qr"])["count"] == 2 and one, "the second code of the fake")
    page.until(lambda: picture.get_attribute("src") == second["base64"], "the second code")
    assert page.text("news") == "QR code number 2 of shop is on show."
    assert picture.get_attribute("alt") == "QR code number 2 of shop"
    assert first["base64"] != second["base64"]


def test_a_lost_connection_is_told_and_the_phone_shows_what_to_do(
    page: Page, fake: FakeEvolution, paired: Callable[..., str]
) -> None:
    paired("shop")
    page.open()
    page.tab_to("leave")
    page.press(Keys.ENTER)
    page.until(lambda: page.text("phone-state") == "closed", "the log-out")
    page.until(lambda: page.at("pairing").is_displayed(), "the pairing")
    assert fake.instances()[0]["paired"] is False
    assert page.text("scan-help") == "Your backend asks for a code with GET /instance/connect/shop"
    assert not page.at("scan-button").is_enabled()


def test_deliveries_show_status_attempt_and_what_comes_next(page: Page, fake: FakeEvolution, paired: Callable[..., str]) -> None:
    paired("fine")
    paired("broken", "s500")
    paired("refused", "s404")
    page.open()
    for name, words in (("fine", "200 delivered"), ("broken", "500, will retry"), ("refused", "404, given up")):
        page.script("document.querySelector(`input[value='${arguments[0]}']`).click()", name)
        page.until(lambda words=words: set(page.texts("#deliveries .state")) == {words}, f"deliveries of {name}")  # type: ignore[misc]
    page.script("document.querySelector(`input[value='broken']`).click()")
    fake.advance(1500)
    page.until(lambda: "500, given up" in page.texts("#deliveries .state"), "the last attempt")
    assert any("attempt 10 " in text for text in page.texts("#deliveries .where"))

    page.tab_to("only-this")
    page.press(Keys.TAB, Keys.ENTER)
    shown = page.until(lambda: page.texts("#deliveries details[open] pre"), "the body")[0]
    assert '"instance": "broken"' in shown
    # What is open stays open while new deliveries come in.
    fake.incoming("broken", ME, "more")
    page.until(lambda: "messages.upsert" in page.texts("#deliveries .event"), "the new delivery")
    assert page.texts("#deliveries details[open] pre") == [shown]


def test_a_fault_is_switched_on_with_its_scope_and_off_again(
    page: Page, fake: FakeEvolution, backend: httpx.Client, paired: Callable[..., str]
) -> None:
    paired("shop")
    page.open()
    page.tab_to("find")
    page.press("send-error")
    page.until(lambda: len(page.all("#faults .fault")) < 10, "what was looked for")
    page.tab_to("times")
    page.press("2")
    page.script(
        "window.wanted = document.querySelector('[aria-labelledby=\"fault-send-error\"]'); window.wanted.id = 'the-switch'"
    )
    page.tab_to("the-switch")
    page.press(Keys.SPACE)
    page.until(lambda: page.script("return window.wanted.getAttribute('aria-checked')") == "true", "the switch")
    assert [(one["fault"], one["instance"], one["left"]) for one in fake.faults()] == [("send-error", "shop", 2)]
    assert page.focused()["id"] == "the-switch"
    assert backend.post("/message/sendText/shop", json={"number": ME, "text": "x"}).status_code >= 400
    page.until(lambda: "fired 1 time, 1 left" in page.text("about-send-error"), "the first time")
    page.press(Keys.SPACE)
    page.until(lambda: page.script("return window.wanted.getAttribute('aria-checked')") == "false", "the switch")
    assert fake.faults() == []


def test_a_closed_port_of_the_api_can_be_opened_again_from_the_page(
    page: Page, fake: FakeEvolution, paired: Callable[..., str]
) -> None:
    paired("shop")
    page.open()
    page.tab_to("find")
    page.press("connection-refused")
    page.until(lambda: len(page.all("#faults .fault")) == 1, "what was looked for")
    page.script("document.querySelector('#faults [role=switch]').id = 'the-switch'")
    page.tab_to("the-switch")
    page.press(Keys.ENTER)
    page.until(lambda: page.at("the-switch").get_attribute("aria-checked") == "true", "the switch")
    with pytest.raises(httpx.ConnectError):
        httpx.get(fake.url)
    page.press(Keys.ENTER)
    page.until(lambda: page.at("the-switch").get_attribute("aria-checked") == "false", "the switch")
    assert httpx.get(fake.url).status_code == 200


def test_a_refusal_is_told_in_the_fakes_words(page: Page, fake: FakeEvolution, paired: Callable[..., str]) -> None:
    paired("shop")
    page.open()
    page.tab_to("text")
    fake.close("shop", 401)
    page.press("too late", Keys.ENTER)
    page.until(lambda: page.at("notice").is_displayed(), "the complaint")
    assert page.text("notice-text").startswith("incoming: instance 'shop' is not open but close")
    assert page.at("notice").get_attribute("role") == "alert"


def test_time_is_moved_and_stopped(page: Page, fake: FakeEvolution) -> None:
    page.open()
    before = fake.monotonic()
    page.tab_to("freeze")
    page.press(Keys.ENTER)
    page.until(lambda: page.text("flow") == "frozen", "the clock to stop")
    try:
        assert fake.read_clock()["frozen"] is True
        page.press_with(Keys.SHIFT, Keys.TAB)
        page.press(Keys.ENTER)
        page.until(lambda: fake.monotonic() >= before + 60, "a minute")
    finally:
        fake.resume()
    page.until(lambda: page.text("flow") == "running", "the clock to run")


HOSTILE = (
    "<img src=x onerror=\"window.hacked = 'img'\"><script>window.hacked = 'script'</script>",
    "\u202eevil\u202c <svg/onload=window.hacked=1> مرحبا بالعالم",
    "W" * 10_000,
    "</p></li></ol><h1>owned</h1><style>body{display:none}</style>",
)


def test_a_hostile_text_is_a_text(page: Page, fake: FakeEvolution, backend: httpx.Client, paired: Callable[..., str]) -> None:
    paired("shop")
    page.open()
    for text in HOSTILE:
        fake.incoming("shop", ME, text, push_name=text[:60])
        _say(backend, "shop", text)
    page.until(lambda: len(_texts(page)) == 2 * len(HOSTILE), "all messages")
    assert sorted(_texts(page)) == sorted([*HOSTILE, *HOSTILE])
    assert page.script("return window.hacked") is None
    assert page.all("#messages img, #messages script, #messages svg, #messages h1, #messages style") == []
    assert len(page.all("h1")) == 1
    assert page.script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert page.script("return document.getElementById('log').scrollWidth <= document.getElementById('log').clientWidth")
    assert page.complaints() == []


def test_a_hostile_name_of_an_instance_is_a_text(page: Page, fake: FakeEvolution, paired: Callable[..., str]) -> None:
    name = "<b onmouseover=alert(1)>'\"&shop"
    backend_body = {"instanceName": name, "integration": "WHATSAPP-BAILEYS"}
    httpx.post(f"{fake.url}/instance/create", json=backend_body, headers={"apikey": fake.key}).raise_for_status()
    page.open()
    assert page.texts(".pick .name") == [name]
    assert page.text("phone-title") == name
    assert page.all("#instances b") == []


def test_markup_from_a_text_is_refused_by_the_browser_itself(page: Page) -> None:
    page.open()
    refused = page.script("try { document.body.innerHTML = '<p>x</p>'; return ''; } catch (error) { return error.name; }")
    assert refused == "TypeError"
    blocked = """
    const done = arguments[0];
    document.addEventListener('securitypolicyviolation', (event) => done(event.effectiveDirective), { once: true });
    const picture = document.createElement('img');
    picture.src = 'http://127.0.0.1:9/x.png';
    document.body.append(picture);
    """
    page.driver.set_script_timeout(30)
    assert page.driver.execute_async_script(blocked) == "img-src"


def test_the_page_loads_nothing_but_its_own_fakes_answers(page: Page, paired: Callable[..., str]) -> None:
    paired("shop")
    page.open()
    loaded = page.script("return performance.getEntriesByType('resource').map((one) => one.name)")
    outside = [
        address
        for address in loaded
        if not address.startswith(page.url.removesuffix("phone")) and not address.startswith("data:")
    ]
    assert loaded
    assert outside == []
    assert not any(TOKEN in address for address in loaded)
    assert page.complaints() == []


def test_everything_that_can_be_operated_has_a_name(
    page: Page, fake: FakeEvolution, paired: Callable[..., str], connecting: Callable[..., str]
) -> None:
    page.load()
    assert page.without_name() == []
    connecting("new")
    paired("shop")
    fake.incoming("shop", ME, "hello")
    page.open()
    assert page.without_name() == []
    page.script("document.querySelector(\"input[value='shop']\").click()")
    page.until(lambda: _texts(page) == ["hello"], "the conversation")
    page.script("document.querySelector('#deliveries summary').click()")
    page.until(lambda: page.texts("#deliveries pre"), "a body")
    assert page.without_name() == []
    roles = [node["role"] for node in page.nodes()]
    assert {"banner", "main", "log", "status", "switch", "radio", "heading"} <= set(roles)
    # The check itself can fail.
    page.script("document.getElementById('main').prepend(document.createElement('button'))")
    assert page.without_name() == ["button"]


def test_tab_reaches_everything_and_the_focus_is_always_seen(page: Page, paired: Callable[..., str]) -> None:
    paired("shop")
    page.open()
    page.tab_to("find")
    page.press("banned")
    page.until(lambda: 0 < len(page.all("#faults .fault")) < 10, "a few faults")
    expected = page.script(
        """return [...document.querySelectorAll('a, button, input, select, textarea, summary, [tabindex="0"]')]
        .filter((one) => one.checkVisibility() && !one.disabled && one.tabIndex >= 0).length"""
    )
    stops = page.stops()
    assert [stop for stop in stops if not stop["visible"]] == []
    assert len(stops) >= expected


def test_the_skip_link_comes_first_and_leads_to_the_phone(page: Page, paired: Callable[..., str]) -> None:
    paired("shop")
    page.open()
    page.press(Keys.TAB)
    assert page.script("return document.activeElement.textContent") == "Skip to the phone"
    assert page.focused()["visible"]
    page.press(Keys.ENTER)
    page.until(lambda: page.focused()["id"] == "phone", "the phone")


def test_new_messages_and_states_are_read_out_and_old_ones_are_not(
    page: Page, fake: FakeEvolution, paired: Callable[..., str]
) -> None:
    paired("shop")
    fake.incoming("shop", ME, "history")
    page.open()
    page.until(lambda: _texts(page) == ["history"], "the history")
    log = page.at("log")
    page.until(lambda: log.get_attribute("aria-live") == "polite", "the log to speak")
    assert log.get_attribute("role") == "log"
    page.script("window.same = document.querySelector('.bubble')")
    fake.incoming("shop", ME, "news")
    page.until(lambda: _texts(page) == ["history", "news"], "the news")
    # An element made anew would be read out a second time.
    assert page.script("return window.same === document.querySelector('.bubble')")
    assert page.texts(".bubble .off-screen") == ["You said: ", "You said: "]
    fake.close("shop", 401)
    page.until(lambda: page.text("news") == "shop is closed.", "the change of state")
    assert page.at("news").get_attribute("role") == "status"


@pytest.mark.parametrize(("scheme", "unreadable"), [("light", "#999"), ("dark", "#555")])
def test_every_text_can_be_read(
    page: Page,
    fake: FakeEvolution,
    backend: httpx.Client,
    paired: Callable[..., str],
    connecting: Callable[..., str],
    scheme: str,
    unreadable: str,
) -> None:
    connecting("new")
    paired("shop", "s500")
    fake.incoming("shop", ME, "hello", kind="image")
    _say(backend, "shop", "answer")
    fake.inject("send-error", instance="shop")
    page.prefer(scheme=scheme)
    page.load()
    assert page.faint() == []
    page.open()
    assert page.faint() == []
    page.script("document.querySelector(\"input[value='shop']\").click()")
    page.until(lambda: len(_texts(page)) == 2, "the conversation")
    assert page.faint() == []
    # The check itself can fail.
    page.script("document.querySelector('h1').style.color = arguments[0]", unreadable)
    assert [line.partition(":")[0] for line in page.faint()] == ["Phone simulator"]


@pytest.mark.parametrize(("width", "height"), [(320, 640), (760, 900), (1100, 700)])
def test_no_width_makes_a_person_scroll_sideways(
    page: Page, fake: FakeEvolution, paired: Callable[..., str], width: int, height: int
) -> None:
    paired("an-instance-with-a-rather-long-name-that-nobody-would-choose")
    fake.incoming("an-instance-with-a-rather-long-name-that-nobody-would-choose", ME, "x" * 400)
    page.resize(width, height)
    page.open()
    page.until(lambda: len(_texts(page)) == 1, "the conversation")
    assert page.script("return document.documentElement.scrollWidth") <= width
    cut = page.script(
        """return [...document.querySelectorAll('button, input, select, textarea, h2')]
        .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > window.innerWidth + 1)
        .map((one) => one.id)"""
    )
    assert cut == []


def test_who_wants_less_motion_gets_none(page: Page) -> None:
    page.open()
    moving = (
        "return [...document.querySelectorAll('*')].filter((one) => getComputedStyle(one).transitionDuration !== '0s').length"
    )
    assert page.script(moving) > 0
    page.prefer(motion="reduce")
    assert page.script(moving) == 0


def test_a_fake_that_was_reset_begins_anew_on_the_page(page: Page, fake: FakeEvolution, paired: Callable[..., str]) -> None:
    paired("shop")
    page.open()
    page.until(lambda: page.texts("#deliveries .event"), "the deliveries")
    fake.reset()
    page.until(lambda: page.at("no-instance").is_displayed(), "the empty fake")
    page.until(lambda: not page.texts("#deliveries .event"), "no deliveries")
    paired("shop")
    page.until(lambda: page.text("phone-state") == "open", "the new instance")
    fake.quiesce()
    begun = sorted(row["event"] for row in fake.deliveries())
    page.until(lambda: sorted(page.texts("#deliveries .event")) == begun, "its deliveries and no others")
