from __future__ import annotations

import contextlib
import socket
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from createos_nb.api import client as _declares_all_operations  # noqa: F401
from createos_nb.api.operation import OPERATIONS
from createos_nb.errors import BadRequest
from createos_nb.platform.app import MAX_JSON_BYTES, create_app
from createos_nb.platform.archives import MAX_ARCHIVE_BYTES
from createos_nb.platform.budget import Limits
from createos_nb.platform.platform import Platform

JSON = {"Content-Type": "application/json"}
PROJECT = {
    "uniqueName": "never-made",
    "displayName": "Never made",
    "type": "upload",
    "settings": {"runtime": "python"},
}


def addressed(operation):
    """The operation's path, with ids of nothing."""
    return operation.path.replace("{", "no-").replace("}", "")


@pytest.fixture
def stranger(platform):
    """Plain HTTP to the API, without a key."""
    with httpx.Client(base_url=platform.api_url, trust_env=False) as http:
        yield http


@contextlib.asynccontextmanager
async def embedded(state, **options):
    """A platform in this process, and HTTP to it without a socket."""
    platform = Platform(state)
    try:
        transport = httpx.ASGITransport(create_app(platform, **options))
        headers = {"X-Api-Key": (state / "key").read_text().strip()}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as http:
            yield platform, http
    finally:
        await platform.close()


# --- keys ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bad_keys(client, platform):
    """Ways to be without a good key, as the headers and the query of a request."""
    good = platform.api_key().reveal()
    revoked = client.api_keys.create(name="to-be-revoked", expiry_at=datetime.now(UTC) + timedelta(days=1))
    client.api_keys.revoke(revoked.id)
    return {
        "none": ([], {}),
        "wrong": ([("X-Api-Key", good[:-1] + ("a" if good[-1] != "a" else "b"))], {}),
        "empty": ([("X-Api-Key", "")], {}),
        "not ASCII": ([("X-Api-Key", "skp_\xfc".encode("latin-1"))], {}),
        "revoked": ([("X-Api-Key", revoked.secret.reveal())], {}),
        "two": ([("X-Api-Key", good), ("X-Api-Key", good)], {}),
        "two kinds": ([("X-Api-Key", good), ("X-Access-Token", good)], {}),
        "in the query": ([], {"X-Api-Key": good, "api_key": good}),
        "as a bearer": ([("Authorization", f"Bearer {good}")], {}),
    }


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.name)
def test_every_operation_is_refused_without_a_good_key(stranger, bad_keys, operation):
    for kind, (headers, query) in bad_keys.items():
        answer = stranger.request(operation.method, addressed(operation), headers=headers, params=query)
        assert (answer.status_code, answer.json()["status"]) == (401, "fail"), kind


def test_a_key_that_is_expired_already_is_not_made(client):
    with pytest.raises(BadRequest, match="past"):
        client.api_keys.create(name="in-the-past", expiry_at=datetime.now(UTC) - timedelta(seconds=1))


def test_a_new_key_is_good_until_it_is_revoked(client, stranger):
    new = client.api_keys.create(name="for-a-moment", expiry_at=datetime.now(UTC) + timedelta(hours=1))
    headers = {"X-Api-Key": new.secret.reveal()}
    assert new.secret.reveal().startswith("skp_local_")
    assert stranger.get("/v1/users/me", headers=headers).status_code == 200
    client.api_keys.revoke(new.id)
    assert stranger.get("/v1/users/me", headers=headers).status_code == 401
    assert new.secret.reveal() not in str([key.wire() for key in client.api_keys.list()])


# --- who may ask --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "attacker.example",
        "localhost.attacker.example",
        "127.0.0.1.nip.io",
        "attacker.localhost.example:80",
        "2130706433",
        "0x7f000001",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "[::]",
        "localhost.",
        "localhost@attacker.example",
        "192.168.0.1",
        "localhost:80:80",
        "localhost:port",
        "",
    ],
)
def test_another_host_is_refused(http, host):
    answer = http.get("/v1/users/me", headers={"Host": host})
    assert (answer.status_code, answer.json()["status"]) == (421, "fail")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "127.0.0.1", "[::1]:8080"])
def test_a_name_of_this_machine_is_answered(http, host):
    assert http.get("/v1/users/me", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "http://127.0.0.1:{port}.attacker.example"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://localhost:{port}"},
        {"Origin": "http://production.shop.localhost:{port}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "unheard-of"},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_page_of_another_site_is_refused(http, headers, method):
    given = {name: value.replace("{port}", str(http.base_url.port)) for name, value in headers.items()}
    answer = http.request(method, "/v1/projects", headers=given)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_second_origin_does_not_hide_the_first(http):
    own = f"http://127.0.0.1:{http.base_url.port}"
    headers = [("Origin", own), ("Origin", "https://attacker.example")]
    assert http.get("/v1/users/me", headers=headers).status_code == 403
    assert http.get("/v1/users/me", headers={"Origin": own}).status_code == 200


# --- bodies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_body_that_a_form_could_send_is_refused(http, kind):
    headers = {"Content-Type": kind} if kind else {}
    assert http.post("/v1/projects", content=b"{}", headers=headers).status_code == 415


def test_an_archive_is_taken_as_a_multipart_form_only(http, site):
    path = f"/v1/projects/{site.project_id}/deployments/upload-zip"
    assert http.put(path, content=b"PK", headers={"Content-Type": "application/zip"}).status_code == 415
    assert http.put(path, data={"file": "PK"}).status_code == 415
    assert http.put(path, files={"other": b"PK"}).status_code == 400
    assert http.put(path, content=b"no form", headers={"Content-Type": "multipart/form-data"}).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"displayName": NaN}',
        b'{"displayName": 1e999}',
        b'{"displayName": "\\ud800"}',
        b'{"displayName": "\xed\xa0\x80"}',
        '{"displayName": "x"}'.encode("utf-16"),
        b"[" * 100_000,
    ],
    ids=lambda body: body[:24].decode("latin-1"),
)
def test_a_body_that_is_not_a_JSON_object_is_refused(http, body):
    answer = http.post("/v1/projects", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["status"]) == (400, "fail")


def chunks(size):
    """A body that does not say its length."""
    for _ in range(size // 2**20 + 1):
        yield b" " * 2**20


def test_a_body_that_is_too_large_is_refused(http, site):
    announced = http.post("/v1/projects", content=b" " * (MAX_JSON_BYTES + 1), headers=JSON)
    assert announced.status_code == 413
    assert http.post("/v1/projects", content=chunks(MAX_JSON_BYTES), headers=JSON).status_code == 413
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    path = f"/v1/projects/{site.project_id}/deployments/upload-zip"
    assert http.put(path, content=chunks(MAX_ARCHIVE_BYTES + 2**20), headers=form).status_code == 413


@pytest.mark.usefixtures("all_deleted")
def test_what_is_refused_changes_nothing(http):
    before = http.get("/v1/projects").json()
    for headers in ({"Origin": "https://attacker.example"}, {"Host": "attacker.example"}, {"X-Api-Key": "wrong"}):
        assert http.post("/v1/projects", json=PROJECT, headers=headers).status_code >= 400
    assert http.post("/v1/projects", content=b'{"uniqueName": "x"}', headers=JSON).status_code == 400
    assert http.get("/v1/projects").json() == before


# --- answers ------------------------------------------------------------------------------------------------


def test_there_is_an_envelope_also_where_nothing_is(http):
    nowhere = http.get("/v1/nothing/here")
    assert (nowhere.status_code, nowhere.json()["status"]) == (404, "fail")
    method = http.delete("/v1/projects")
    assert (method.status_code, method.json()["status"]) == (405, "fail")
    slash = http.get("/v1/projects/")
    assert (slash.status_code, "location" in slash.headers) == (404, False)


def test_every_answer_says_that_it_is_local_and_has_an_id_of_its_own(http):
    answers = [
        http.get("/v1/users/me"),
        http.get("/v1/users/me", headers={"Host": "attacker.example"}),
        http.get("/v1/users/me", headers={"X-Api-Key": "wrong"}),
        http.get("/v1/nothing"),
        http.post("/v1/projects", content=b"{", headers=JSON),
    ]
    assert {answer.headers["X-CreateOS-Local"] for answer in answers} == {"1"}
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == len(answers)


def test_creating_answers_201_and_an_upload_200(http, site):
    body = {**PROJECT, "uniqueName": "made-for-201"}
    created = http.post("/v1/projects", json=body)
    assert created.status_code == 201
    http.delete(f"/v1/projects/{created.json()['data']['id']}")
    files = {"files": [{"path": "main.py", "content": "print(1)"}]}
    assert http.put(f"/v1/projects/{site.project_id}/deployments/files", json=files).status_code == 200


def test_a_target_that_names_another_host_is_refused_whatever_the_header_says(platform):
    host = platform.api_url.removeprefix("http://")
    address = host.partition(":")[0], int(host.rpartition(":")[2])
    for target, status in ((f"http://{host}", b"200"), ("http://evil.example", b"421"), ("evil", b"4")):
        with socket.create_connection(address, timeout=20) as connection:
            head = [f"GET {target}/v1/users/me HTTP/1.1", f"Host: {host}", "Connection: close"]
            head += [f"X-Api-Key: {platform.api_key().reveal()}", "", ""]
            connection.sendall("\r\n".join(head).encode())
            assert connection.recv(65536).split(b" ")[1].startswith(status), target


def test_a_name_of_a_key_is_taken_while_the_key_is_of_use(client):
    expiry = datetime.now(UTC) + timedelta(hours=1)
    first, second = (client.api_keys.create(name=name, expiry_at=expiry).id for name in ("one-name", "two-names"))
    with pytest.raises(BadRequest, match="called one-name"):
        client.api_keys.create(name="one-name", expiry_at=expiry)
    with pytest.raises(BadRequest, match="called one-name"):
        client.api_keys.update(second, name="one-name")
    client.api_keys.update(first, name="one-name", description="As it was")
    client.api_keys.revoke(first)
    client.api_keys.update(second, name="one-name")
    client.api_keys.revoke(second)


def test_a_word_in_the_place_of_an_id_is_a_route_of_its_own(http):
    assert {row["type"] for row in http.get("/v1/projects/supported").json()["data"]} <= {"runtime", "framework"}


@pytest.mark.anyio
async def test_the_limit_is_announced_and_kept(tmp_path):
    async with embedded(tmp_path, limits=Limits(3)) as (platform, http):
        platform.clock.move(10 - platform.clock.time() % 60)  # or a new minute may begin on the way
        answers = [await http.get("/v1/users/me") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200] * 3 + [429] * 2
        assert all(answer.headers["X-RateLimit-Limit"] == "3" for answer in answers)
        for answer in answers:
            refused = answer.status_code == 429
            assert ("Retry-After" in answer.headers) == refused
            assert (answer.headers["X-RateLimit-Remaining"] == "0") or not refused
            assert 0 < int(answer.headers["X-RateLimit-Reset"]) - platform.clock.time() <= 60
        # Who guesses keys uses up nothing of those who have one.
        guess = await http.get("/v1/users/me", headers={"X-Api-Key": "guess"})
        assert guess.status_code == 401
        assert guess.headers["X-RateLimit-Remaining"] == "2"


@pytest.mark.anyio
async def test_a_failure_of_the_platform_is_an_answer_without_details(tmp_path, caplog):
    async with embedded(tmp_path) as (platform, http):
        platform.store.close()
        answer = await http.get("/v1/users/me")
        platform.store = type(platform.store)(tmp_path / "platform.sqlite")
    body = answer.json()
    assert (answer.status_code, body["status"]) == (500, "error")
    assert answer.headers["X-Request-Id"] in body["data"]
    assert "sqlite" not in body["data"].lower()
    assert answer.headers["X-Request-Id"] in caplog.text
