"""Which request reaches what, and which guard speaks first (section 3 of the contract)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from harness.evolution import app
from harness.tests.evolution.conftest import KEY
from harness.tests.evolution.fakes import AnyFake
from harness.tests.evolution.listener import Listener

pytestmark = pytest.mark.in_process_only(reason="one application answers in every way of running; these ask it about its routes")

_NEW = {"integration": "WHATSAPP-BAILEYS"}
_UNAUTHORIZED = {"status": 401, "error": "Unauthorized", "response": {"message": "Unauthorized"}}


def _create(api: httpx.Client, name: str, **more: Any) -> dict[str, Any]:
    answer = api.post("/instance/create", json={"instanceName": name, **_NEW, **more})
    assert answer.status_code == 201
    created: dict[str, Any] = answer.json()
    return created


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nope"),
        ("GET", "/nope?x=1"),
        ("POST", "/nope/x"),
        ("PUT", "/instance/create"),
        ("GET", "/instance/create"),
        ("PATCH", "/message/sendText/shop"),
        ("PUT", "/instance/restart/shop"),
        ("GET", "/message/sendText/shop?number=1"),
        ("GET", "/instance/connectionState"),
        ("GET", "/instance/connectionState/"),
        ("GET", "/instance/connectionState/shop/more"),
        ("GET", "//instance/fetchInstances"),
        ("GET", "/instance//connectionState/shop"),
        ("DELETE", "/"),
        ("HEAD", "/nope"),
    ],
)
def test_no_route_is_404_whatever_the_method_and_shows_what_was_asked(api: httpx.Client, method: str, path: str) -> None:
    _create(api, "shop")
    url = httpx.URL(api.base_url).copy_with(raw_path=path.encode())
    answer = api.send(httpx.Request(method, url, headers=api.headers))
    assert answer.status_code == 404
    if method != "HEAD":
        assert answer.json() == {"status": 404, "error": "Not Found", "response": {"message": [f"Cannot {method} {path}"]}}


@pytest.mark.parametrize(
    "path", ["/instance/connectionState/shop/", "/INSTANCE/ConnectionSTATE/shop", "/instance/connectionstate/shop"]
)
def test_a_slash_at_the_end_and_the_case_of_fixed_words_do_not_matter(api: httpx.Client, path: str) -> None:
    _create(api, "shop")
    assert api.get(path).json() == {"instance": {"instanceName": "shop", "state": "close"}}


@pytest.mark.parametrize(
    "name", ["Loja São 1", "a/b", "100%", "x" * 300, "😀", " lead", "trail ", "a?b#c", "..%2f", "undefined", "null", "create"]
)
def test_any_name_is_reached_by_percent_encoding_and_as_it_is_written_alone(api: httpx.Client, name: str) -> None:
    _create(api, name)
    url = httpx.URL(api.base_url).copy_with(raw_path=f"/instance/connectionState/{quote(name, safe='')}".encode())
    assert api.get(url).json()["instance"]["instanceName"] == name
    if name.lower() != name.upper():
        other = httpx.URL(api.base_url).copy_with(
            raw_path=f"/instance/connectionState/{quote(name.swapcase(), safe='')}".encode()
        )
        assert api.get(other).status_code == 404


def test_a_name_that_cannot_be_decoded_is_400(api: httpx.Client) -> None:
    for segment in ("%E0%A4%A", "%", "100%"):
        url = httpx.URL(api.base_url).copy_with(raw_path=f"/instance/connectionState/{segment}".encode())
        answer = api.get(url)
        message = f"Failed to decode param '{segment}'"
        assert answer.json() == {"status": 400, "error": "Internal Server Error", "response": {"message": message}}


@pytest.mark.parametrize("name", ["constructor", "__proto__", "toString", "hasOwnProperty"])
def test_a_name_that_every_javascript_object_has_is_taken_and_is_no_instance(api: httpx.Client, name: str) -> None:
    taken = api.post("/instance/create", json={"instanceName": name, **_NEW})
    assert (taken.status_code, taken.json()["response"]["message"]) == (403, [f'This name "{name}" is already in use.'])
    assert api.get(f"/instance/connectionState/{name}").json() == {"instance": {"instanceName": name}}
    sent = api.post(f"/message/sendText/{name}", json={"number": "5511988887777", "text": "x"})
    said = "this.waMonitor.waInstances[instanceName].textMessage is not a function"
    assert (sent.status_code, sent.json()["response"]["message"]) == (500, said)
    assert httpx.get(f"{api.base_url}/instance/connectionState/{name}").status_code == 401


def test_the_guards_speak_in_their_order(api: httpx.Client) -> None:
    """Malformed JSON, then no route, then no instance, then a taken name, then the key, then the body."""
    _create(api, "shop")
    nobody = httpx.Client(base_url=api.base_url)
    json_type = {"content-type": "application/json"}
    asked = [
        nobody.post("/nope", content="{", headers=json_type),
        nobody.post("/message/sendText/ghost", content="{", headers=json_type),
        nobody.post("/nope", json={}),
        nobody.post("/message/sendText/ghost", json={}),
        nobody.post("/instance/create", json={"instanceName": "shop"}),
        nobody.post("/instance/create", json={"instanceName": "other", "qrcode": "yes"}),
        nobody.post("/message/sendText/shop", json={}),
        api.post("/message/sendText/shop", json={}),
        nobody.post("/message/sendText/shop?instanceName=ghost", json={}),
    ]
    nobody.close()
    assert [answer.status_code for answer in asked] == [400, 400, 404, 404, 403, 401, 401, 400, 401]
    assert [type(answer.json()["response"]["message"]) for answer in asked] == [str, str, list, list, list, str, str, list, str]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"apikey": ""},
        {"apikey": "wrong"},
        {"apikey": KEY.upper()},
        {"apikey": f"{KEY} x"},
        {"authorization": f"Bearer {KEY}"},
    ],
)
@pytest.mark.parametrize("path", ["/message/sendText/shop", "/instance/create", "/verify-creds"])
def test_nothing_but_the_header_with_the_key_opens(api: httpx.Client, headers: dict[str, str], path: str) -> None:
    _create(api, "shop")
    answer = httpx.post(f"{api.base_url}{path}?apikey={KEY}", headers=headers, json={"instanceName": "new", **_NEW})
    assert (answer.status_code, answer.json()) == (401, _UNAUTHORIZED)


def test_an_instances_token_opens_its_own_routes_alone(api: httpx.Client) -> None:
    token = _create(api, "one")["hash"]
    _create(api, "two")
    mine = {"apikey": token}
    ways = [
        ("GET", "/instance/connectionState/one", 200),
        ("GET", "/instance/connectionState/two", 401),
        ("POST", "/instance/create", 401),
        ("POST", "/verify-creds", 401),
        ("GET", "/instance/fetchInstances", 200),
        ("GET", "/webhook/find/one", 200),
        ("GET", "/webhook/find/two", 401),
    ]
    body = {"instanceName": "new", **_NEW}
    asked = [httpx.request(method, f"{api.base_url}{path}", headers=mine, json=body).status_code for method, path, _ in ways]
    assert asked == [status for _, _, status in ways]
    assert httpx.get(f"{api.base_url}/instance/connectionState/one", headers={"apikey": token.lower()}).status_code == 401


def test_the_query_names_another_instance_after_the_guards_but_not_everywhere(api: httpx.Client) -> None:
    token = _create(api, "one")["hash"]
    _create(api, "two")
    mine = {"apikey": token}
    state = httpx.get(f"{api.base_url}/instance/connectionState/one?instanceName=two", headers=mine).json()
    assert state["instance"]["instanceName"] == "two"
    nobody = httpx.post(
        f"{api.base_url}/message/sendText/one?instanceName=ghost", headers=mine, json={"number": "1", "text": "x"}
    )
    said = "Cannot read properties of undefined (reading 'textMessage')"
    assert (nobody.status_code, nobody.json()["response"]["message"]) == (500, said)
    group = httpx.get(f"{api.base_url}/group/participants/one?instanceName=ghost&groupJid=120363000000000001", headers=mine)
    assert group.json()["response"]["message"][0] == "No participants"
    chat = httpx.get(f"{api.base_url}/chat/findChatByRemoteJid/one?instanceName=ghost&remoteJid=1@lid", headers=mine)
    assert (chat.status_code, chat.json()) == (200, None)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("APPLICATION/JSON", 201),
        ("text/json", 400),
        ("application/vnd.api+json", 400),
        ("text/plain", 400),
        ("", 400),
    ],
)
def test_only_the_exact_type_is_json_and_any_other_body_is_none(api: httpx.Client, content_type: str, status: int) -> None:
    body = b'{"instanceName": "shop", "integration": "WHATSAPP-BAILEYS"}'
    headers = {"content-type": content_type} if content_type else {}
    assert api.post("/instance/create", content=body, headers=headers).status_code == status


def test_a_form_may_have_objects_and_lists_in_it(api: httpx.Client) -> None:
    form = "instanceName=shop&integration=WHATSAPP-BAILEYS&webhook[url]=http://127.0.0.1:1/x&webhook[events][]=CALL&webhook[events][]=LABELS_EDIT"
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert api.post("/instance/create", content=form, headers=headers).status_code == 201
    found = api.get("/webhook/find/shop").json()
    assert (found["url"], found["events"]) == ("http://127.0.0.1:1/x", ["CALL", "LABELS_EDIT"])


def test_a_body_that_is_too_large_is_413(api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    _create(api, "shop")
    monkeypatch.setattr(app, "_MOST_BYTES", 100)
    answer = api.post("/message/sendText/shop", json={"number": "5511988887777", "text": "x" * 100})
    message = "request entity too large"
    assert answer.json() == {"status": 413, "error": "Internal Server Error", "response": {"message": message}}


def test_an_answer_has_the_real_servers_headers(api: httpx.Client) -> None:
    answer = api.get("/", headers={"origin": "http://a.example"})
    shown = {name: answer.headers[name] for name in ("x-powered-by", "content-type", "vary", "keep-alive")}
    assert shown == {
        "x-powered-by": "Express",
        "content-type": "application/json; charset=utf-8",
        "vary": "Origin, Accept-Encoding",
        "keep-alive": "timeout=5",
    }
    assert answer.headers["etag"].startswith('W/"')
    assert answer.headers["access-control-allow-origin"] == "http://a.example"
    assert answer.headers["access-control-allow-credentials"] == "true"


def test_who_has_an_answer_already_is_told_so(api: httpx.Client) -> None:
    etag = api.get("/instance/fetchInstances").headers["etag"]
    again = api.get("/instance/fetchInstances", headers={"if-none-match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert api.get("/instance/fetchInstances", headers={"if-none-match": 'W/"other"'}).status_code == 200
    assert api.get("/instance/fetchInstances", headers={"if-none-match": etag, "cache-control": "no-cache"}).status_code == 200


def test_head_is_get_without_its_body_and_options_is_answered_everywhere(api: httpx.Client) -> None:
    head = api.head("/")
    assert (head.status_code, head.content) == (200, b"")
    options = httpx.options(
        f"{api.base_url}/nope", headers={"origin": "http://a.example", "access-control-request-headers": "apikey"}
    )
    assert (options.status_code, options.headers["access-control-allow-methods"]) == (204, "POST,GET,PUT,DELETE")
    assert options.headers["access-control-allow-headers"] == "apikey"


def test_the_manager_is_where_the_client_looks_for_the_server(api: httpx.Client) -> None:
    answer = httpx.get(f"{api.base_url}/", headers={"host": "evolution.example:8443"})
    assert answer.json()["manager"] == "http://evolution.example:8443/manager"


def test_a_missing_route_is_no_error_that_the_errors_webhook_hears_of(
    evolution: AnyFake, api: httpx.Client, listener: Listener
) -> None:
    evolution.restart_server(
        environment={"WEBHOOK_EVENTS_ERRORS": "true", "WEBHOOK_EVENTS_ERRORS_WEBHOOK": f"{listener.url}/s500"}, empty=True
    )
    api.get("/nope")
    api.get("/instance/connectionState/ghost")
    evolution.advance(3600)
    evolution.quiesce()
    # Told once, whatever the listener answers.
    assert [body["data"]["status"] for body in listener.bodies()] == [404]
    assert listener.bodies()[0]["data"]["message"] == ['The "ghost" instance does not exist']
