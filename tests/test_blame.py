"""Blame, on the embedded platform with a real bad deployment."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

import createos_nb as cos
from createos_nb import schema
from createos_nb.api.client import Client
from createos_nb.api.rest import RestTransport
from createos_nb.errors import InvalidArgument
from createos_nb.platform import service
from createos_nb.platform.admin import Admin
from createos_nb.workspace import Workspace
from tests.platform.conftest import echo, make_site, visit


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """The scenario ``bad-deploy``: v3 was created ten minutes ago and fails at the checkout.

    At night it has so few visitors that one blame of five would say "cannot tell": here some more come now.
    """
    patch = pytest.MonkeyPatch()
    state = tmp_path_factory.mktemp("blame")
    patch.setenv("CREATEOS_NB_HOME", str(tmp_path_factory.mktemp("home")))
    ws = cos.local("bad-deploy", state=state, ephemeral=True)
    endpoint = ws["shop/production"].targets()[0].environment.extra.endpoint
    for path in (["/"] * 7 + ["/checkout"]) * 20:
        visit(endpoint, path)
    yield ws
    ws.api.close()
    service.stop(state)
    patch.undo()


@pytest.fixture(scope="module")
def told(broken):
    return broken["shop/production"].blame()


def test_the_bad_deployment_is_found(broken, told):
    bad = next(each for each in broken.api.deployments.list(broken.projects()["project_id"].iloc[0]))
    assert (told.verdict, told.suspect.id) == ("likely", bad.id)
    change = told.change_points().iloc[-1]
    assert bad.created_at <= change["latest"]  # and before the earliest, when its first failures came a while later
    assert (told.changed_at - bad.created_at).total_seconds() < 8 * 60
    [row] = schema.BLAME.check(told.frame()).to_dict("records")
    assert (row["verdict"], row["version"], row["deployment_id"]) == ("likely", "v3", bad.id)


def test_before_and_after_are_those_of_the_traffic(told):
    before, after = told.table().to_dict("records")
    assert (before["when"], before["errors"]) == ("before", 0)
    assert before["end"] == after["start"] == told.changed_at
    assert after["error_rate_low"] > before["error_rate_high"] or before["error_rate_low"] == 0
    assert 0.05 < after["error_rate"] < 0.25
    schema.COMPARISON.check(told.comparison())


def test_the_new_error_path_is_the_one_that_the_deployment_broke(told):
    paths = schema.MOVERS.check(told.error_paths())
    [checkout] = paths[paths["path"] == "/checkout"].to_dict("records")
    assert (checkout["listed"], checkout["status"], checkout["requests_before"]) == ("after", "500", 0)
    assert any("/checkout (500)" in each for each in told.evidence)


def test_markers_are_named_for_what_they_are(told):
    markers = schema.DEPLOYMENTS.check(told.deployments())
    assert markers["version"].tolist() == ["v3"]  # v2 is hours older than the window
    assert "the platform does not say" in repr(told)
    assert "by creation, not by first traffic" in told._repr_html_()


def test_it_costs_as_many_requests_as_it_says(broken, monkeypatch):
    sent = []
    real = RestTransport.send

    def counted(self, request):
        sent.append(request.path)
        return real(self, request)

    prod = Workspace(broken.api)["shop/production"]  # to which nothing is known from the tests before
    monkeypatch.setattr(RestTransport, "send", counted)
    assert prod.blame().requests == len(sent)
    assert len(sent) in {4, 5}  # one more where v3 was created within the interval of the rise
    sent.clear()
    assert prod.blame(start=time.time() - 3000, end=time.time() - 1200).requests == len(sent) == 2


def test_quiet_traffic_blames_nobody(broken):
    told = broken["shop/production"].blame(start=time.time() - 3000, end=time.time() - 1200)
    assert (told.verdict, told.suspect, told.changed_at) == ("cannot tell", None, None)
    assert "not seen to rise" in told.reason
    assert len(told.table()) == len(told.error_paths()) == len(told.comparison()) == 0
    assert told.frame()["deployment_id"].isna().all()
    schema.CHANGE_POINTS.check(told.change_points())


def test_few_requests_blame_nobody(broken):
    """Staging has two requests a minute: its errors are there, but they are too few."""
    told = broken["shop/staging"].blame("20m")
    assert (told.verdict, told.suspect) == ("cannot tell", None)
    assert "too few" in told.reason or "too little" in told.reason


def test_a_rise_without_a_deployment_before_it_is_not_pinned_on_one(broken):
    at = broken["shop/production"].blame().changed_at
    told = broken["shop/production"].blame(lag="1s")
    assert told.changed_at == at
    near = told.deployments()["created_at"].iloc[0]
    if not told.change_points()["earliest"].iloc[0] <= near <= told.change_points()["latest"].iloc[0]:
        assert told.verdict == "cannot tell"


def test_of_two_deployments_at_the_same_time_neither_is_blamed(broken):
    """v2 was created six hours ago; with a lag as long as that, either may have begun to serve then."""
    told = broken["shop/production"].blame(lag="8h")
    assert (told.verdict, told.suspect) == ("cannot tell", None)
    assert "any of v3, v2 may be behind it" in told.reason


def test_it_looks_at_one_environment(broken):
    with pytest.raises(InvalidArgument, match="one environment, and this selection has 2"):
        broken["shop/*"].blame()


def test_a_path_cannot_act_in_its_html_or_move_the_cursor(told):
    import dataclasses

    hostile = "<img src=x onerror=alert(1)>\x1b[2J\nnext"
    changed = dataclasses.replace(
        told,
        project=hostile,
        reason=hostile,
        evidence=(hostile,),
        _errors=told.error_paths().assign(path=hostile),
        _markers=told.deployments().assign(version=hostile),
    )
    assert "<img" not in changed._repr_html_()
    assert "\x1b" not in changed._repr_html_() + repr(changed)
    assert len(repr(changed).splitlines()) == 3


def test_its_frames_are_copies(told):
    mine = told.change_points()
    mine["reason"] = "mine"
    assert "mine" not in set(told.change_points()["reason"])


def test_a_window_before_there_was_anything_says_so(broken):
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    told = broken["shop/production"].blame("1h", end=long_ago)
    assert told.verdict == "cannot tell"
    assert "too few" in told.reason


def test_who_was_put_live_before_the_failures_is_likely_and_the_answer_to_them_is_not(tmp_path):
    """v1 goes live again and fails, and v3 is uploaded because of that, at best within one minute."""
    ws = cos.local(state=tmp_path / "state", ephemeral=True, admin=True)
    admin, site = Admin(ws.api), make_site(ws.api, "site")
    site.deploy(echo(1))
    site.live(site.deploy(echo(2)).id)

    def next_minute():
        admin.move_clock(seconds=61 - admin.clock().now.timestamp() % 60)

    def visits(paths):
        for path in paths:
            visit(endpoint, path)

    endpoint = site.environment.extra.endpoint
    admin.move_clock(seconds=1200)  # v2 is there for long
    for _ in range(4):
        next_minute()
        visits(["/"] * 20)
    next_minute()
    visits(["/"] * 20)
    # One that knows the time as it is now.
    with Client(ws.api.settings.api_url, api_key=tmp_path / "state" / "key") as client:
        prod = Workspace(client)["site/production"]
        assert prod.plan_assign(deployment="v1").apply().state == "done"
        # Requests are counted by the second, and the journal's clock is the platform's to a second.
        admin.move_clock(seconds=3)
        visits(["/status/500", "/"] * 10)
        admin.move_clock(seconds=3)
        site.deploy(echo(3))
        for _ in range(3):
            next_minute()
            visits(["/status/500", "/"] * 10)
        told = prod.blame("2h", end=admin.clock().now)
    assert told.verdict == "likely", told.reason
    assert told.suspect.version == "v1"
    assert "it was put live" in told.reason
    assert "v3 was created" in repr(told)
    assert "after the rise may have begun" in repr(told)
    ws.api.close()
    service.stop(tmp_path / "state")
