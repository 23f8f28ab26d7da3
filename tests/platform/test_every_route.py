"""SAFETY P01, P02 and P03 over every route that there is, however it is asked: plain, as events, as a websocket.

The routes are read from the application itself, so that none that is added is forgotten. Operations without a
good key are in test_app.py, one by one; what no library sends is in test_guards.py.
"""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx
import pytest

from createos_nb.api import client as _declares_all_operations  # noqa: F401
from createos_nb.api.operation import OPERATIONS
from createos_nb.platform.app import create_app
from createos_nb.platform.platform import Platform
from createos_nb.platform.users import ADD

pytestmark = pytest.mark.usefixtures("all_deleted")

EVENTS = {"Accept": "text/event-stream"}
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
WAYS = {"plain": {}, "events": EVENTS, "websocket": UPGRADE}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def routes(tmp_path_factory):
    """Every method and path that the API has, with ids of nothing."""

    async def read():
        platform = Platform(tmp_path_factory.mktemp("routes"))
        try:
            return create_app(platform)._app.routes
        finally:
            await platform.close()

    found = {
        (method, re.sub(r"\{\w+\}", "no-such", route.path))
        for route in asyncio.run(read())
        for method in sorted(route.methods or {"GET", "POST"})
    }
    assert len(found) > 150
    assert {"/mcp", "/openapi.json", "/local/downloads/no-such", "/local/clock", "/v1/users/me"} <= {
        path for _, path in found
    }
    return sorted(found)


@pytest.fixture(scope="module")
def http(platform):
    headers = {"X-Api-Key": platform.api_key().reveal()}
    with httpx.Client(base_url=platform.api_url, headers=headers, trust_env=False, timeout=30) as http:
        yield http


def what_is_there(http):
    """What must not have changed by what was refused."""
    return [http.get(path).json() for path in ("/v1/projects", "/v1/apps", "/v1/api-keys", "/v1/users/me")]


def ask(http, method, path, **given):
    """Ask, and see to what holds for every answer whatever it is."""
    body = b"{}" if method in {"POST", "PUT", "PATCH", "DELETE"} else None
    answer = http.request(method, path, content=body, **given)
    assert answer.headers["x-createos-local"] == "1"
    assert not [name for name in answer.headers if name.startswith("access-control-") or name == "set-cookie"]
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code


# --- P01 ----------------------------------------------------------------------------------------------------


def test_no_route_serves_anybody_without_a_good_key(platform, client, http, routes, figures):
    good = platform.api_key().reveal()
    revoked = client.api_keys.create(
        name=f"revoked-{datetime.now(UTC):%H%M%S%f}", expiry_at=datetime.now(UTC) + timedelta(days=1)
    )
    client.api_keys.revoke(revoked.id)
    # A user's key is good for that user's things alone; see test_guards.py. A name for one is no key.
    user = client.projects.run(ADD.exchange(username=f"other-{datetime.now(UTC):%H%M%S%f}")).username
    bad = {
        "none": {},
        "wrong": {"X-Api-Key": good[:-1] + ("a" if good[-1] != "a" else "b")},
        "revoked": {"X-Api-Key": revoked.secret.reveal()},
        "a user's name": {"X-Api-Key": user},
        "empty": {"X-Api-Key": ""},
        "two": [("X-Api-Key", good), ("X-Access-Token", good)],
        "in a cookie": {"Cookie": f"X-Api-Key={good}"},
        "in the query": {},
        "in another header": {"Proxy-Authorization": f"Bearer {good}", "Api-Key": good},
    }
    before = what_is_there(http)
    served = []
    with httpx.Client(base_url=platform.api_url, trust_env=False, timeout=30) as stranger:
        for number, (method, path) in enumerate(routes):
            allowed = {401, 405} if not path.startswith("/local/downloads/") else {404}
            for shift, (kind, headers) in enumerate(bad.items()):
                # Each route with each credential; each in one of the three ways, in turn.
                way = list(WAYS.values())[(number + shift) % len(WAYS)]
                given = [*(headers.items() if isinstance(headers, dict) else headers), *way.items(), *JSON.items()]
                query = {"X-Api-Key": good, "key": good} if kind == "in the query" else {}
                status = ask(stranger, method, path, headers=given, params=query)
                if status not in allowed:
                    served.append((method, path, kind, status))
    with figures():
        print(f"\nP01: {len(routes)} routes with {len(bad)} bad credentials: served {len(served)}")
    assert served == []
    assert what_is_there(http) == before


# --- P02 ----------------------------------------------------------------------------------------------------

HOSTS = [
    "attacker.example",
    "attacker.example:{port}",
    "localhost.attacker.example:{port}",
    "127.0.0.1.nip.io:{port}",
    "localhost.:{port}",
    "127.0.0.1.:{port}",
    "[::]:{port}",
    "[::ffff:127.0.0.1]:{port}",
    "[::ffff:7f00:1]:{port}",
    "[fe80::1%25lo]:{port}",
    "2130706433:{port}",
    "0177.0.0.1:{port}",
    "0x7f.1:{port}",
    "127.1:{port}",
    "0.0.0.0:{port}",
    "0:{port}",
    "production.shop.localhost:{port}",
    "localhost:{port}:{port}",
    "localhost:{port}/",
    "localhost@attacker.example",
    "attacker.example#localhost",
    "localhost%00.attacker.example",
]


@pytest.mark.parametrize("host", HOSTS)
def test_no_route_answers_to_a_name_that_somebody_may_lead_here(platform, http, routes, host):
    """As a page of that name would ask, which is then of the same origin: with a matching Origin, and a key."""
    named = host.format(port=urlsplit(platform.api_url).port)
    before = what_is_there(http)
    asked = [*routes[HOSTS.index(host) :: len(HOSTS)], ("POST", "/mcp"), ("GET", "/openapi.json")]
    asked += [("GET", "/local/downloads/x"), ("DELETE", "/v1/projects/x"), ("GET", "/nowhere")]
    for method, path in asked:
        for way in WAYS.values():
            origin = {"Origin": f"http://{named}", "Sec-Fetch-Site": "same-origin"}
            assert ask(http, method, path, headers={**JSON, **way, **origin, "Host": named}) == 421
    # To the gateway it is a host that nobody has, or not one at all.
    for way in WAYS.values():
        answer = httpx.get(platform.gateway_url, headers={**way, "Host": named}, trust_env=False)
        assert answer.status_code in {400, 421}
    assert what_is_there(http) == before


# --- P03 ----------------------------------------------------------------------------------------------------

PAGES = [
    {"Origin": "http://attacker.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "file://"},
    {"Origin": "https://127.0.0.1:{port}"},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://localhost:{port}"},
    {"Origin": "http://127.0.0.1:{port}.attacker.example"},
    {"Origin": "http://127.0.0.1:{port}@attacker.example"},
    {"Origin": "http://attacker.example/http://127.0.0.1:{port}"},
    {"Origin": "http://production.shop.localhost:{port}"},
    {"Origin": "http://127.0.0.1:{port} http://attacker.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none, cross-site"},
    {"Sec-Fetch-Site": ""},
    {"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://attacker.example", "Sec-Fetch-Site": "same-origin"},
    {"Origin": "http://attacker.example", "Access-Control-Request-Method": "DELETE"},
]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_no_route_answers_to_a_page_of_another_site(platform, http, routes, page):
    """Forty cases, each with and without a key, over a part of the routes that is another one for each."""
    port, number = urlsplit(platform.api_url).port, PAGES.index(page)
    headers = {name: value.format(port=port) for name, value in page.items()}
    before = what_is_there(http)
    asked = [*routes[number :: len(PAGES)], ("POST", "/mcp"), ("OPTIONS", "/mcp"), ("OPTIONS", "/v1/projects")]
    asked += [("GET", "/local/downloads/x"), ("GET", "/openapi.json"), ("POST", "/v1/projects"), ("GET", "/no")]
    for method, path in asked:
        for way in WAYS.values():
            for key in ({}, {"X-Api-Key": "x"}):  # With the good one, unless another takes its place.
                assert ask(http, method, path, headers={**JSON, **way, **headers, **key}) == 403
    assert what_is_there(http) == before


def test_what_changes_something_by_being_looked_at_is_known():
    """A page needs no permission to have its browser look at something: it is the missing key that stops it.

    The two are the real platform's: transferring a project is a GET there, and so is making the token for it.
    """
    looks = [operation for operation in OPERATIONS.values() if operation.method == "GET"]
    assert {each.name for each in looks if each.safety != "read"} == {"GetProjectTransferUri", "TransferProject"}


@pytest.mark.parametrize(
    "kind",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json", "json"],
)
def test_no_route_takes_a_body_that_a_form_could_send(http, routes, kind):
    before = what_is_there(http)
    for method, path in routes:
        if method in {"POST", "PUT", "PATCH"}:
            given = {"Content-Type": kind} if kind else {}
            status = ask(http, method, path, headers=given)
            multipart = path.endswith("/upload-zip") and kind.startswith("multipart/")
            assert status in ({400, 404} if multipart else {404, 405, 415}), (method, path)
    assert what_is_there(http) == before
