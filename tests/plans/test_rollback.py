"""Rollbacks: which deployment (pure), and what becomes of it (on the embedded platform)."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from createos_nb.api.client import Client
from createos_nb.api.deployments import STATUSES
from createos_nb.api.message import Request, Reserve, Response, Unanswered
from createos_nb.errors import ConnectionFailed, InvalidArgument, LeaseHeld, PlanStale, ServerError
from createos_nb.plans import assign, rollback
from createos_nb.plans.journal import Journal
from createos_nb.plans.lease import lease
from createos_nb.traffic import Traffic

# --- which deployment (SAFETY R08) --------------------------------------------------------------------

SERVING = {"deployed", "sleeping"}
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


class OnPaper:
    """Answers a client's exchanges from a history of deployments, oldest first; refuses every change."""

    def __init__(self, statuses, live, *, description="Live EU", auto_promote=True):
        self.deployments = [
            {
                "id": f"d{number}",
                "projectId": "p",
                "status": status,
                "versionNumber": number + 1,
                "createdAt": f"{NOON + timedelta(minutes=number):%Y-%m-%dT%H:%M:%SZ}",
            }
            for number, status in enumerate(statuses)
        ]
        self.environment = {
            "id": "e",
            "projectId": "p",
            "uniqueName": "production",
            "displayName": "Production",
            "description": description,
            "status": "active",
            "isAutoPromoteEnabled": auto_promote,
            "projectDeploymentId": None if live is None else f"d{live}",
            "createdAt": "2026-11-23T12:00:00Z",
        }

    def run(self, exchange):
        step = next(exchange)
        try:
            while True:
                if isinstance(step, Reserve):
                    step = exchange.send(True)
                    continue
                assert isinstance(step, Request)
                body = json.dumps({"status": "success", "data": self.answer(step)}).encode()
                step = exchange.send(Response(200, {}, body))
        except StopIteration as end:
            return end.value

    def answer(self, request):
        assert request.method == "GET", "showing a plan changes nothing"
        newest_first = self.deployments[::-1]
        if request.operation == "ListProjectEnvironments":
            return [self.environment]
        if request.operation == "GetDeployment":
            return next(item for item in newest_first if request.path.endswith(item["id"]))
        limit, offset = int(request.query["limit"]), int(request.query["offset"])
        return {"data": newest_first[offset : offset + limit], "pagination": {"total": len(newest_first)}}


CLIENT = Client("http://127.0.0.1:1", api_key="k")


def planned(statuses, live, *, deployment=None, **facts):
    CLIENT.environments._driver = CLIENT.deployments._driver = OnPaper(statuses, live, **facts)
    where = {"project": "shop", "project_id": "p", "environment": "production", "environment_id": "e"}
    return rollback(CLIENT, **where, deployment=deployment)


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.sampled_from([*STATUSES, "queued", "failed", "dreaming"]), min_size=1, max_size=45), st.data())
def test_the_newest_older_deployment_that_can_serve_is_chosen_or_none_is(statuses, data):
    live = data.draw(st.integers(0, len(statuses) - 1))
    eligible = [number for number in range(live) if statuses[number] in SERVING]
    if not eligible:
        with pytest.raises(InvalidArgument, match=r"can serve|Fix forward"):
            planned(statuses, live)
        return
    plan = planned(statuses, live)
    assert plan.target_deployment.id == f"d{eligible[-1]}"
    assert [item.deployment.id for item in plan.candidates] == [f"d{number}" for number in reversed(range(live))]
    assert {item.deployment.id for item in plan.candidates if item.eligible} == {f"d{n}" for n in eligible}


def test_an_inference_is_labelled_as_one():
    assert any("inferred" in note for note in planned(["deployed"] * 2, 1).notes)
    assert not any("inferred" in note for note in planned(["deployed"] * 2, 1, deployment="v1").notes)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("v9", "There are: v3, v2, v1"),
        ("v3", "live on shop/production already"),
        ("v2", "cannot serve: it is crashing"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_with_the_reason(wanted, reason):
    with pytest.raises(InvalidArgument, match=reason):
        planned(["deployed", "crashing", "deployed"], 2, deployment=wanted)


@pytest.mark.parametrize("wanted", ["v3", "d2"])
def test_a_choice_may_be_newer_and_is_by_version_or_id(wanted):
    plan = planned(["deployed"] * 3, 0, deployment=wanted)
    assert plan.target_deployment.id == "d2"
    assert any("is not the newest" in note for note in plan.notes)


def test_nothing_live_is_nothing_to_roll_back():
    with pytest.raises(InvalidArgument, match="Nothing is live"):
        planned(["deployed"], None)


def test_an_environment_that_promotes_by_itself_is_pinned_first():
    operations = [call.operation for call in planned(["deployed"] * 2, 1).calls]
    assert operations == [
        "UpdateProjectEnvironment",
        "AssignDeploymentToProjectEnvironment",
        "ListProjectEnvironments",
        "GetProjectEnvironmentAnalyticsOverallRequests",
    ]
    unpinned = planned(["deployed"] * 2, 1, auto_promote=False)
    assert [call.operation for call in unpinned.calls] == operations[1:]


@pytest.mark.parametrize(
    ("description", "written"),
    [
        ("Live EU", "Live EU"),
        ("Live, EU.", "Live EU"),
        ("Łódź — 東京", "Production"),
        ("", "Production"),
        (None, "Production"),
        ("a" * 3000, "a" * 2048),
    ],
)
def test_a_description_that_cannot_be_written_back_is_rewritten_and_said(description, written):
    plan = planned(["deployed"] * 2, 1, description=description)
    assert plan.written_description == written
    assert plan.calls[0].arguments["description"] == written
    assert any("cannot be written back" in note for note in plan.notes) == (written != (description or ""))


def test_the_hash_confirms_what_would_be_done_and_where():
    plan = planned(["deployed"] * 3, 2)
    assert len(plan.hash) == 12
    assert planned(["deployed"] * 3, 2).hash == plan.hash
    others = [
        planned(["deployed"] * 3, 2, deployment="v1"),
        planned(["deployed"] * 3, 2, auto_promote=False),
        planned(["deployed", "sleeping", "deployed"], 2),
        planned(["deployed"] * 3, 2, description="Another"),
    ]
    assert plan.hash not in {other.hash for other in others}


@pytest.mark.parametrize("options", [{"min_requests": 0}, {"verify_for_s": 0}, {"verify_for_s": -1.0}])
def test_a_verification_of_nothing_is_refused_before_anything_is_read(options):
    where = {"project": "shop", "project_id": "p", "environment": "production", "environment_id": "e"}
    with pytest.raises(InvalidArgument, match="at least 1"):
        rollback(CLIENT, **where, **options)


# --- what becomes of it -------------------------------------------------------------------------------

MIXED = ["/checkout", "/products"] * 60


@pytest.fixture
def incident(on_wire, visit):
    """A shop whose newest version fails at the checkout, and has been visited."""
    shop, wire = on_wire
    shop.upload(2)
    bad = shop.upload(3)
    assert shop.environment().project_deployment_id == bad.id
    assert 500 in visit(shop, MIXED)
    wire.sent.clear()
    return shop, wire


def test_showing_a_plan_changes_nothing(incident):
    shop, wire = incident
    plan = rollback(shop.client, **shop.production)
    assert f"{plan!r}{plan._repr_html_()}"
    assert wire.changes == []
    assert plan.before["live"] == "v2"
    assert plan.after["live"] == "v1"
    assert "Nothing has been changed" in repr(plan)


def test_a_rollback_with_traffic_ends_done_and_stays_pinned(incident):
    shop, wire = incident
    plan = rollback(shop.client, **shop.production, verify_for_s=60)
    said = []
    with Traffic(shop.environment().extra.endpoint, ["/checkout", "/products"], per_second=150):
        result = plan.apply(reason="checkout answers 500", progress=said.append)

    assert (result.state, len(result.steps)) == ("done", 4), result
    assert result.measured["error_rate_before"] > 0.2
    assert result.measured["error_rate_after"] == 0
    assert result.measured["requests_after"] >= 100
    assert wire.changes == ["UpdateProjectEnvironment", "AssignDeploymentToProjectEnvironment"]
    assert said
    now = shop.environment()
    assert (now.project_deployment_id, now.is_auto_promote_enabled) == (plan.target_deployment.id, False)
    assert (now.display_name, now.description) == ("Production", "The shop in production")

    # One more upload goes live where it may, and not where it is pinned.
    again = shop.upload(2)
    assert shop.environment().project_deployment_id == plan.target_deployment.id
    assert shop.environment("staging").project_deployment_id == again.id


def test_a_rollback_without_traffic_ends_unclear(incident, clock):
    shop, _ = incident
    plan = replace(rollback(shop.client, **shop.production), clock=clock, sleep=clock.sleep)
    result = plan.apply()

    assert result.state == "unclear"
    assert "only 0 of 100 requests came in 120 s" in result.detail
    assert shop.environment().project_deployment_id == plan.target_deployment.id


def test_too_little_traffic_is_not_taken_for_a_proof(incident, clock, visit):
    shop, _ = incident
    plan = replace(rollback(shop.client, **shop.production, verify_for_s=5), clock=clock)

    def visit_a_little(seconds):
        visit(shop, ["/products"] * 2)
        clock.sleep(seconds)

    result = replace(plan, sleep=visit_a_little).apply()
    assert result.state == "unclear"
    assert "not verified" in result.detail


def test_a_rollback_that_makes_it_worse_is_undone(on_wire, visit):
    shop, wire = on_wire
    shop.upload(3)
    good = shop.upload(2)
    visited_until = time.time() + 1.5  # the baseline is counted in whole seconds
    while time.time() < visited_until:
        visit(shop, MIXED)
    plan = rollback(shop.client, **shop.production)
    result = replace(plan, sleep=lambda _seconds: visit(shop, MIXED)).apply()

    assert result.state == "undone", result
    assert "Errors rose with v1" in result.detail
    now = shop.environment()
    assert (now.project_deployment_id, now.is_auto_promote_enabled) == (good.id, True)
    assert wire.changes[-2:] == ["AssignDeploymentToProjectEnvironment", "UpdateProjectEnvironment"]


FAILS_WITH_SWITCH = "import os\nif 'SWITCH' in os.environ: raise SystemExit('SWITCH must not be set')\n"


def test_a_target_that_does_not_come_live_ends_undone(on_wire):
    shop, _ = on_wire
    shop.upload(1, main__py=FAILS_WITH_SWITCH + shop.files()["main.py"])
    live = shop.upload(2)
    production = shop.environment_ids["production"]
    shop.client.environments.update_variables(shop.project_id, production, run_envs={"SWITCH": "1"})
    result = rollback(shop.client, **shop.production).apply()

    assert result.state == "undone", result
    assert "did not come live" in result.detail
    assert shop.environment().project_deployment_id == live.id
    assert shop.environment().is_auto_promote_enabled


def moves(shop):
    production = shop.environment_ids["production"]
    client, project_id = shop.client, shop.project_id

    def upload():
        shop.upload(2)

    def unpin():
        client.environments.update(
            project_id, production, display_name="Production", description="The shop", is_auto_promote_enabled=False
        )

    def rename():
        client.environments.update(
            project_id, production, display_name="Renamed", description="The shop in production"
        )

    return {"another deployment is live": upload, "it no longer promotes": unpin, "it has another name": rename}


def test_a_world_that_moved_is_refused_with_the_difference_and_nothing_is_changed(incident):
    shop, wire = incident
    for what, move in moves(shop).items():
        plan = rollback(shop.client, **shop.production)
        move()
        wire.sent.clear()
        with pytest.raises(PlanStale, match="Nothing was changed; plan again") as raised:
            plan.apply()
        assert wire.changes == [], what
        assert raised.value.before != raised.value.now
    assert Journal().records() == []


def test_a_second_change_at_the_same_time_is_refused_and_nothing_is_changed(incident):
    shop, wire = incident
    plan = rollback(shop.client, **shop.production)
    with (
        lease(plan.platform, plan.project_id, plan.environment_id, "scale"),
        pytest.raises(LeaseHeld, match="scale"),
    ):
        plan.apply()
    assert wire.changes == []
    assert Journal().records() == []


def fail(error):
    def act():
        raise error

    return act


def test_a_connection_lost_before_the_first_change_ends_undone(incident):
    shop, wire = incident
    plan = rollback(shop.client, **shop.production)
    wire.before["UpdateProjectEnvironment"] = fail(ConnectionFailed("nothing answers"))
    result = plan.apply()
    assert (result.state, result.detail) == ("undone", "Nothing was changed. nothing answers")
    assert shop.environment().is_auto_promote_enabled


def test_a_connection_lost_at_the_assignment_takes_the_pin_off_again(incident):
    shop, wire = incident
    plan = rollback(shop.client, **shop.production)
    wire.before["AssignDeploymentToProjectEnvironment"] = fail(ConnectionFailed("nothing answers"))
    result = plan.apply()
    assert (result.state, result.steps[-1].operation) == ("undone", "UpdateProjectEnvironment")
    now = shop.environment()
    assert (now.project_deployment_id, now.is_auto_promote_enabled) == (plan.live_deployment.id, True)


def test_a_read_that_fails_while_it_comes_live_ends_unclear_and_puts_nothing_back(incident, monkeypatch):
    monkeypatch.setattr("createos_nb.api.waiting.OUTAGE_S", 0.2)
    shop, wire = incident
    plan = rollback(shop.client, **shop.production)

    def lose_the_list():
        wire.before["ListProjectEnvironments"] = fail(ServerError("the platform failed"))

    wire.before["AssignDeploymentToProjectEnvironment"] = lose_the_list
    result = plan.apply()
    assert result.state == "unclear"
    assert wire.changes == ["UpdateProjectEnvironment", "AssignDeploymentToProjectEnvironment"]


def test_a_second_rollback_says_why_it_goes_no_further_back(incident, clock):
    shop, _ = incident
    plan = replace(rollback(shop.client, **shop.production), clock=clock, sleep=clock.sleep)
    plan.apply()
    with pytest.raises(InvalidArgument, match=r"put live on .+ by a rollback already"):
        rollback(shop.client, **shop.production)


def test_an_answer_that_never_came_ends_unclear(incident):
    shop, wire = incident
    plan = rollback(shop.client, **shop.production)
    wire.before["AssignDeploymentToProjectEnvironment"] = fail(Unanswered("ReadTimeout"))
    result = plan.apply()
    assert result.state == "unclear"
    assert [step.outcome for step in result.steps] == ["ok", "unknown"]


def test_an_interrupt_leaves_a_record_and_is_passed_on(incident):
    shop, wire = incident
    plan = rollback(shop.client, **shop.production)
    wire.before["AssignDeploymentToProjectEnvironment"] = fail(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        plan.apply()
    events = [(record["event"], record.get("outcome"), record.get("state")) for record in Journal().records()]
    assert events[-2:] == [("outcome", "unknown", None), ("end", None, "unclear")]
    with lease(plan.platform, plan.project_id, plan.environment_id, "free again"):
        pass


def test_the_journal_tells_what_was_done_in_order_and_why(incident, clock, ws):
    shop, _ = incident
    plan = replace(rollback(shop.client, **shop.production), clock=clock, sleep=clock.sleep)
    result = plan.apply(reason="checkout 500s")

    records = Journal().records()
    assert [(record["event"], record.get("operation")) for record in records] == [
        ("begin", None),
        *((event, call.operation) for call in plan.calls for event in ("intent", "outcome")),
        ("end", None),
    ]
    assert {record["plan"] for record in records} == {plan.hash}
    assert records[0]["detail"] == "checkout 500s"
    assert (records[-1]["state"], records[-1]["hash"]) == ("unclear", result.journal_head)
    assert Journal().tampered() is None
    frame = ws.journal()
    assert set(frame["run"]) == {result.run}


def test_a_result_is_shown_and_stored_without_the_plans_contents(incident, clock):
    shop, _ = incident
    plan = replace(rollback(shop.client, **shop.production), clock=clock, sleep=clock.sleep)
    result = plan.apply()
    stored = json.loads(json.dumps(result.to_json()))
    assert (stored["state"], stored["plan"], stored["run"]) == ("unclear", plan.hash, result.run)
    assert "a person has to look" in repr(result)
    assert "a person has to look" in result._repr_html_()


def test_assigning_by_hand_works_where_the_rollback_says_to(incident):
    shop, _ = incident
    result = assign(shop.client, **shop.production, deployment="v1").apply()
    assert result.state == "done"
