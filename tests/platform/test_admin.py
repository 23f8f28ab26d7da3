"""The admin API: a clock that is moved, faults that are planned, states that are held; seen by the real client."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

import createos_nb as cos
from createos_nb.api.client import Client
from createos_nb.errors import (
    BadRequest,
    CreateOSError,
    Forbidden,
    OperationFailed,
    OutcomeUnknown,
    PartialWarning,
    PlatformError,
    RateLimited,
    Unauthorized,
    Unprocessable,
)
from createos_nb.platform import service
from createos_nb.platform.admin import LOCAL, Admin
from createos_nb.platform.options import Options
from createos_nb.workspace import Workspace
from tests.platform.conftest import echo, eventually, make_site, visit

PROJECT = {"unique_name": "planned", "display_name": "Planned", "type": "upload", "settings": {"runtime": "python"}}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    state = tmp_path_factory.mktemp("admin")
    yield service.start(state, ephemeral=True, options=Options(admin=True, idle_s=3600))
    service.stop(state)


@pytest.fixture
def client(address):
    with Client(address.api_url, api_key=address.api_key()) as client:
        yield client


@pytest.fixture
def admin(client):
    admin = Admin(client)
    yield admin
    admin.forget_faults()
    admin.move_clock(seconds=-admin.clock().ahead_s)


def raw(address, method="GET", path="/v1/projects", **options):
    headers = {"X-Api-Key": address.api_key().reveal(), **options.pop("headers", {})}
    return httpx.request(method, address.api_url + path, headers=headers, trust_env=False, timeout=20, **options)


# --- off unless it is asked for -------------------------------------------------------------------------------


def test_without_the_flag_nothing_can_be_planned_and_the_answer_says_what_to_do(platform):
    with Client(platform.api_url, api_key=platform.api_key()) as client:
        plain = Admin(client)
        for call in (
            lambda: plain.plan_fault(operation="*", status=500),
            lambda: plain.move_clock(seconds=1),
            plain.clock,
            plain.faults,
            plain.forget_faults,
            lambda: plain.set_transition(noun="environment", status="promoting", mode="by hand"),
            lambda: plain.advance(noun="environment", status="promoting"),
            lambda: plain.force_domain("00000000-0000-0000-0000-000000000000", status="active"),
        ):
            with pytest.raises(Forbidden, match="local up --admin"):
                call()
        assert plain.status().admin is False


def test_it_needs_a_key_on_every_route_and_loopback(address):
    for operation in LOCAL:
        url = address.api_url + operation.path.replace("{domain_id}", "x")
        assert httpx.request(operation.method, url, trust_env=False).status_code == 401, operation
        foreign = httpx.request(operation.method, url, headers={"Host": "attacker.example"}, trust_env=False)
        assert foreign.status_code == 421, operation


def test_a_platform_that_runs_without_it_is_not_taken_for_one_with_it(tmp_path):
    cos.local(state=tmp_path / "state", ephemeral=True).api.close()
    with pytest.raises(PlatformError, match="admin=False, not True"):
        cos.local(state=tmp_path / "state", admin=True)
    service.stop(tmp_path / "state")


# --- faults ---------------------------------------------------------------------------------------------------


def test_a_call_is_delayed_and_then_answered(client, admin):
    admin.plan_fault(operation="ListProjects", delay_s=0.4)
    began = time.monotonic()
    client.projects.list()
    assert time.monotonic() - began >= 0.4
    assert admin.faults() == [], "the next is not delayed"


def test_a_429_is_waited_out_as_its_header_says_and_the_call_succeeds(client, admin):
    admin.plan_fault(operation="ListProjects", status=429, retry_after_s=1)
    began = time.monotonic()
    client.projects.list()
    assert time.monotonic() - began >= 1
    assert admin.faults() == []


def test_a_429_that_lasts_is_raised(address, client, admin):
    other = client.api_keys.create(name="other", expiry_at=datetime.now(UTC) + timedelta(hours=1)).secret
    admin.plan_fault(operation="ListProjects", status=429, retry_after_s=7200, times=0)
    answer = raw(address)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7200")
    assert answer.json() == {"status": "fail", "data": "This failure was planned."}
    with Client(address.api_url, api_key=other) as impatient, pytest.raises(RateLimited):
        impatient.projects.list()


@pytest.mark.parametrize(
    ("envelope", "body"),
    [
        ("jsend", {"status": "fail", "data": "No."}),
        ("flat", {"success": False, "message": "No."}),
        ("nested", {"error": {"code": "PLANNED", "message": "No.", "details": None}}),
    ],
)
def test_a_failure_within_a_200_is_a_failure_for_the_client(address, client, admin, envelope, body):
    for _ in range(2):
        admin.plan_fault(operation="CreateProject", status=200, envelope=envelope, message="No.")
    answer = raw(address, "POST", json={**PROJECT, "uniqueName": "planned", "displayName": "Planned"})
    assert (answer.status_code, answer.json()) == (200, body)
    with pytest.raises(OperationFailed, match=r"No\."):
        client.projects.create(**PROJECT)
    assert client.projects.check_unique_name(unique_name="planned").is_available


def test_a_read_that_is_cut_off_is_repeated(client, admin):
    admin.plan_fault(operation="ListProjects", cut=True)
    assert client.projects.list() is not None
    assert admin.faults() == []


def test_a_change_that_is_cut_off_before_it_was_made_was_not_made_and_may_be_sent_again(client, admin):
    admin.plan_fault(operation="CreateProject", cut=True, when="before")
    with pytest.raises(OutcomeUnknown) as caught:
        client.projects.create(**{**PROJECT, "unique_name": "cut-before"})
    assert caught.value.reconcile().outcome == "not applied"
    assert client.projects.create(**{**PROJECT, "unique_name": "cut-before"}).id


def test_a_change_that_is_cut_off_after_it_was_made_was_made_and_reconciling_finds_it(client, admin):
    admin.plan_fault(operation="CreateProject", cut=True, when="after")
    with pytest.raises(OutcomeUnknown) as caught:
        client.projects.create(**{**PROJECT, "unique_name": "cut-after"})
    assert caught.value.reconcile().outcome == "applied"
    assert not client.projects.check_unique_name(unique_name="cut-after").is_available


def test_a_status_can_come_after_the_call_was_carried_out(address, client, admin):
    admin.plan_fault(operation="CreateProject", status=504, when="after")
    with pytest.raises(CreateOSError):
        client.projects.create(**{**PROJECT, "unique_name": "late"})
    assert not client.projects.check_unique_name(unique_name="late").is_available


def test_faults_skip_and_last_as_planned_and_carry_headers(address, admin):
    admin.plan_fault(operation="ListProjects", status=503, skip=1, times=2, headers={"X-Weather": "storm"})
    answers = [raw(address) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 503, 503, 200, 200]
    assert [answer.headers.get("X-Weather") for answer in answers] == [None, "storm", "storm", None, None]
    assert all("X-RateLimit-Remaining" in answer.headers for answer in answers)


def test_a_fault_of_every_operation_leaves_the_admin_api_alone(client, admin):
    admin.plan_fault(operation="*", status=400, times=0)
    with pytest.raises(BadRequest, match="planned"):
        client.account.user()
    assert len(admin.faults()) == 1
    assert admin.forget_faults() == 1
    client.account.user()


def test_faults_befall_calls_over_mcp_as_well(address, admin):
    admin.plan_fault(operation="ListProjects", status=422, message="Not over MCP either.")
    with Client(address.api_url, api_key=address.api_key(), transport="mcp") as client:
        with pytest.raises(Unprocessable, match="Not over MCP either"):
            client.projects.list()
        admin.plan_fault(operation="ListProjects", cut=True)
        client.projects.list()
    assert admin.faults() == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"operation": "NoSuch", "status": 500}, "no operation"),
        ({"operation": "ListProjects"}, "Nothing goes wrong"),
    ],
)
def test_a_fault_that_is_none_is_refused(admin, arguments, says):
    with pytest.raises(BadRequest, match=says):
        admin.plan_fault(**arguments)
    with pytest.raises(BadRequest):
        admin.set_transition(noun="environment", status="active", mode="by hand")


# --- the clock ------------------------------------------------------------------------------------------------


def test_a_key_expires_when_the_clock_is_moved_and_the_date_of_answers_goes_with_it(address, client, admin):
    made = client.api_keys.create(name="brief", expiry_at=datetime.now(UTC) + timedelta(hours=1))
    with Client(address.api_url, api_key=made.secret) as brief:
        brief.account.user()
        assert admin.move_clock(seconds=7200).ahead_s == 7200
        with pytest.raises(Unauthorized):
            brief.account.user()
    date = datetime.strptime(raw(address).headers["Date"], "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    assert timedelta(seconds=7190) < date - datetime.now(UTC) < timedelta(seconds=7210)


def test_an_application_sleeps_when_the_clock_is_moved_and_its_records_have_the_moved_time(client, admin):
    site = make_site(client, "clockwork")
    deployment = site.deploy(echo())
    site.live(deployment.id)
    admin.move_clock(seconds=4000)
    eventually(lambda: client.deployments.get(site.project_id, deployment.id).status == "sleeping")
    assert site.visit().status_code == 200
    start = int(time.time()) + 3900
    window = {"start": start, "end": start + 300}
    assert client.analytics.overall_requests(*site.target, **window).total == 1
    client.projects.delete(site.project_id)


# --- transitions ----------------------------------------------------------------------------------------------


def test_states_are_held_by_hand_and_for_a_time(client, admin):
    for status, mode in (("queue", "by hand"), ("deploying", "timed")):
        admin.set_transition(noun="deployment", status=status, mode=mode, seconds=900)
    admin.set_transition(noun="environment", status="promoting", mode="by hand")
    site = make_site(client, "held")
    deployment_id = site.begin(echo())

    def status():
        return client.deployments.get(site.project_id, deployment_id).status

    time.sleep(0.2)
    assert status() == "queue"
    assert admin.advance(noun="deployment", status="queue") == 1
    eventually(lambda: "Healthy" in site.log(deployment_id))
    assert status() == "deploying"
    admin.move_clock(seconds=1000)
    eventually(lambda: status() == "deployed")
    eventually(lambda: site.environment.project_deployment_id == deployment_id)
    assert site.environment.status == "promoting"
    for noun, state in (("deployment", "queue"), ("deployment", "deploying"), ("environment", "promoting")):
        admin.set_transition(noun=noun, status=state, mode="at once")
    assert site.live().status == "active"
    client.projects.delete(site.project_id)


# --- domains --------------------------------------------------------------------------------------------------


def test_a_domain_is_forced_to_a_status_says_so_and_is_served_only_while_it_is_active(client, admin):
    site = make_site(client, "forced")
    site.live(site.deploy(echo()).id)
    made = client.domains.create(site.project_id, name="www.forced.example", environment_id=site.environment_id)
    port = site.environment.extra.endpoint.rpartition(":")[2]

    def answer():
        url = f"http://127.0.0.1:{port}/"
        return httpx.get(url, headers={"Host": "www.forced.example"}, trust_env=False).status_code

    assert answer() == 421
    for status, expected in (("active", 200), ("error", 421), ("issuing", 421), ("active", 200)):
        admin.force_domain(made.id, status=status)
        [domain] = client.domains.list(site.project_id)
        assert domain.status == status
        assert domain.message == f"Its status was forced to {status} by the admin API; no DNS was looked up."
        assert answer() == expected
    with pytest.raises(BadRequest, match="no status of a domain"):
        admin.force_domain(made.id, status="fine")
    assert visit(site.environment.extra.endpoint).status_code == 200
    client.projects.delete(site.project_id)


# --- what is in force -----------------------------------------------------------------------------------------


def test_the_status_tells_the_limits_in_force(admin):
    admin.move_clock(seconds=60)
    status = admin.status()
    assert (status.idle_s, status.admin, status.rate_limit, status.clock_ahead_s) == (3600, True, "generous", 60)
    assert status.memory_limit.startswith("by ")
    assert status.sqlite_version.startswith("3.")


@pytest.mark.parametrize(
    ("request_of", "status"),
    [
        ({"headers": {"Host": "attacker.example"}}, 421),
        ({"headers": {"Origin": "http://attacker.example"}}, 403),
        ({"path": "/v1/nowhere"}, 404),
        ({"path": "/local/downloads/guessed"}, 404),
        ({"method": "PATCH"}, 405),
        ({"method": "POST", "content": "{}", "headers": {"Content-Type": "text/plain"}}, 415),
        ({"path": "/v1/api-keys", "headers": {"X-Api-Key": "wrong"}}, 401),
        ({"path": "/openapi.json"}, 200),
    ],
)
def test_every_answer_says_how_many_requests_are_left(address, request_of, status):
    before = time.time()
    answer = raw(address, **request_of)
    assert answer.status_code == status
    assert int(answer.headers["X-RateLimit-Limit"]) > int(answer.headers["X-RateLimit-Remaining"]) - 1 >= 0
    assert int(answer.headers["X-RateLimit-Reset"]) > before - 1


def test_each_operation_has_the_tier_of_the_published_description(address):
    def tiers(document):
        facts = [facts for methods in document["paths"].values() for facts in methods.values()]
        return {each["operationId"]: each["x-tier"] for each in facts}

    published = json.loads((Path(__file__).parents[1] / "api" / "createos-openapi.json").read_text())
    assert tiers(raw(address, path="/openapi.json").json()) == tiers(published)


def test_a_clock_that_was_moved_as_far_as_it_goes_can_be_moved_back(admin, client):
    admin.move_clock(seconds=10 * 365 * 86_400)
    assert admin.clock().ahead_s > 9 * 365 * 86_400
    assert client.account.quotas().api_keys.current >= 1, "the platform's own key does not expire"


def test_an_expired_key_is_no_part_of_the_quota(admin, client):
    before = client.account.quotas().api_keys.current
    client.api_keys.create(name="soon-over", expiry_at=datetime.now(UTC) + timedelta(hours=1))
    assert client.account.quotas().api_keys.current == before + 1
    admin.move_clock(seconds=7200)
    assert client.account.quotas().api_keys.current == 1, "only the platform's own does not expire"


# --- what a person sees of it ---------------------------------------------------------------------------------


def test_a_project_that_cannot_be_read_is_left_out_of_a_pattern_and_said_so_and_raised_when_it_is_named(
    client, admin
):
    names = [f"selected-{number}" for number in range(3)]
    for name in names:
        make_site(client, name)
    ws = Workspace(client)
    assert sorted(set(ws["selected-*/*"].environments()["project"])) == names
    admin.plan_fault(operation="ListProjectEnvironments", status=403, message="not yours", times=1)
    with pytest.warns(PartialWarning, match=r"lacks environments: 1 of 3 targets failed, such as sel") as said:
        selection = ws["selected-*/*"]
    assert said[0].filename == __file__
    left_out = ws.errors()["project"].tolist()
    assert len(left_out) == 1
    frame = selection.variables()
    assert len(selection) == 2
    assert not selection.analytics.overall_requests()["complete"].any()
    assert not selection.deployments()["complete"].any()
    assert frame.empty
    assert ws["selected-*/*"].analytics.overall_requests()["complete"].all()
    admin.plan_fault(operation="ListProjectEnvironments", status=403, message="not yours", times=1)
    with (
        pytest.warns(PartialWarning, match="The selection lacks environments"),
        pytest.raises(Forbidden, match="not yours") as raised,
    ):
        ws["selected-*/staging"]  # It may be where nobody could look: to be told that there is none would be a lie.
    assert raised.value.__notes__[0].startswith("Asked about selected-")
    assert len(ws.errors()) == 1
    assert len(ws["selected-*/*"]) == 3
    assert len(ws.errors()) == 1, "of the last question that had any"
    for key in ("selected-1/production", ["selected-1/production", "selected-2/*"]):
        admin.plan_fault(operation="ListProjectEnvironments", status=403, message="not yours", times=0)
        with pytest.raises(Forbidden, match="not yours") as raised:
            ws[key]
        admin.forget_faults()
        assert raised.value.__notes__ == ["Asked about selected-1."]
    # What all would meet is nobody's alone: the rest is not asked, and no part of it is taken for the selection.
    admin.plan_fault(operation="ListProjectEnvironments", status=401, message="revoked", times=1)
    with pytest.raises(Unauthorized, match="revoked"):
        ws["selected-*/*"]
