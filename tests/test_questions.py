"""Questions: what they cost, what explains them, what is known already, and what an interrupt leaves behind."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
import zlib
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from createos_nb import schema
from createos_nb.account import AccountFrames
from createos_nb.answers import RECENT_S, SETTLED_AFTER, Answers
from createos_nb.api.client import Client
from createos_nb.api.clock import PlatformClock
from createos_nb.api.github import GithubAccount, GithubBranch, GithubRepository
from createos_nb.api.message import Response
from createos_nb.api.pace import Pace
from createos_nb.api.projects import Transfer
from createos_nb.api.security_scans import SecurityScan
from createos_nb.errors import CreateOSError, GivenUp, InvalidArgument, PartialAnswer, PartialWarning
from createos_nb.explanation import documented_s
from createos_nb.fanout import FanOut, Question, Targets, gather
from createos_nb.frames import EnvironmentFrames
from createos_nb.names import Names
from createos_nb.timerange import TimeRange
from createos_nb.workspace import Workspace
from tests.test_workspace import ANALYTICS, FRAMES, OF_A_SELECTION, visit

OF_AN_ACCOUNT = [name for name in FRAMES if name not in {"errors", "journal"}]


@contextmanager
def counted(client):
    """Count what is sent, by operation."""
    sent, transport = Counter(), client._driver.transport
    send = transport.send

    def counting(request):
        sent[request.operation] += 1
        return send(request)

    transport.send = counting
    try:
        yield sent
    finally:
        del transport.send


@pytest.fixture
def both(ws, shop):
    return ws[f"{shop.project}/*"]


def past(hours=2):
    """A window of an hour that has been over for long."""
    end = pd.Timestamp.now("UTC").floor("h") - pd.Timedelta(hours=hours)
    return {"start": end - pd.Timedelta(hours=1), "end": end}


# --- explaining -----------------------------------------------------------------------------------------


def explained(frame):
    """What an explanation says is sent: exact numbers, and least ones."""
    schema.EXPLANATION.check(frame)
    rows = [row for row in frame.itertuples() if row.operation != "in all"]
    assert frame["requests"].iloc[-1] == sum(row.requests for row in rows)
    return (
        {row.operation: row.requests for row in rows if row.bound == "exactly" and row.requests},
        {row.operation: row.requests for row in rows if row.bound == "at least"},
    )


def check(said, sent):
    exact, least = explained(said)
    assert {name: n for name, n in sent.items() if name not in least} == exact
    assert all(sent[name] >= n for name, n in least.items())


@pytest.mark.parametrize("name", OF_AN_ACCOUNT)
def test_what_is_explained_of_an_account_is_what_is_sent(ws, shop, name):
    shop.upload(1)
    said = getattr(ws.explain(), name)()
    with counted(ws.api) as sent:
        getattr(ws, name)()
    check(said, sent)


@pytest.mark.parametrize("name", [*OF_A_SELECTION, *(f"analytics.{name}" for name in ANALYTICS)])
def test_what_is_explained_of_a_selection_is_what_is_sent(both, shop, name):
    shop.upload(1)

    def asked(selection):
        return getattr(selection.analytics, name.partition(".")[2]) if "." in name else getattr(selection, name)

    with counted(both.api) as nothing:
        said = asked(both.explain())()
    assert not nothing
    with counted(both.api) as sent:
        asked(both)()
    check(said, sent)


@pytest.mark.parametrize("version", [1, 3], ids=["quiet", "failing"])
def test_what_is_explained_of_a_blame_is_what_is_sent_at_least(ws, shop, version):
    shop.upload(version)
    visit(shop, ["/checkout"])
    prod = ws[f"{shop.project}/production"]
    with counted(prod.api) as nothing:
        said = prod.explain().blame("2h")
    assert not nothing
    assert said["requests"].iloc[-1] == 2
    with counted(prod.api) as sent:
        prod.blame("2h")
    check(said, sent)


def test_what_is_explained_of_following_is_a_look_at_each_environment_at_least(both):
    with counted(both.api) as nothing:
        said = both.explain().follow(since="5m")
    assert not nothing
    assert said[["operation", "bound", "requests"]].values.tolist() == [
        ["GetProjectEnvironmentLogs", "at least", 2],
        ["in all", "at least", 2],
    ]


@pytest.mark.parametrize("options", [{"since": "2h"}, {"since": "soon"}, {"keep": 0}], ids=str)
def test_what_following_refuses_is_not_explained(both, options):
    for asked in (both, both.explain()):
        with pytest.raises(InvalidArgument):
            asked.follow(**options)


def test_a_blame_of_many_is_not_explained(both):
    with pytest.raises(InvalidArgument, match="Blame looks at one environment, and this selection has 2"):
        both.explain().blame()


def test_every_question_can_be_explained():
    def questions(kind):
        return {name for name in vars(kind) if not name.startswith("_")}

    assert questions(AccountFrames) == set(OF_AN_ACCOUNT) | {"github_branches"}
    assert questions(EnvironmentFrames) == {*OF_A_SELECTION, "ask", "answers", "name", "targets"}


def test_explaining_costs_a_request_at_most_and_says_what_the_documented_budget_makes_of_it(ws, shop):
    with counted(ws.api) as sent:
        said = ws.explain().deployments()
    assert sent == {"ListProjects": 1}
    assert (said["share_of_minute"] > said["share_of_hour"]).all()
    assert documented_s(460, many=True) == 5 * 60
    assert documented_s(1, many=False) == 0


def test_only_a_repositorys_full_name_is_asked_for(ws):
    for name in ("shop", "/shop", "ada/", "ada/shop/x", ""):
        with pytest.raises(InvalidArgument, match="octocat/shop"):
            ws.github_branches(name)
    with pytest.raises(InvalidArgument, match="There are: none at all"):
        ws.github_branches("ada/shop")


class Branches:
    """A transport to a GitHub account with a repository of many branches."""

    name = "rest"

    def __init__(self, branches, *, heeds_page):
        self.branches, self.heeds_page = branches, heeds_page

    def check(self, request):
        """Refuse nothing."""

    def send(self, request):
        data = [{"installationId": 7, "username": "ada"}]
        if request.operation == "ListGithubRepositoryBranches":
            page, size = (int(request.query[name]) for name in ("page", "per-page"))
            start = (page - 1) * size if self.heeds_page else 0
            data = [{"name": f"b{n}"} for n in range(start, min(start + size, self.branches))]
        return Response(200, {}, json.dumps({"status": "success", "data": data}).encode())

    def close(self):
        pass


@pytest.mark.parametrize("branches", [0, 99, 100, 250])
@pytest.mark.parametrize("heeds_page", [True, False], ids=["pages", "one page"])
def test_all_branches_are_read_or_the_frame_says_that_it_is_not_whole(branches, heeds_page):
    with Client("http://127.0.0.1:1", api_key="skp_local_x") as client:
        client._driver.transport = Branches(branches, heeds_page=heeds_page)
        frame = schema.GITHUB_BRANCHES.check(Workspace(client).github_branches("ada/shop"))
    whole = heeds_page or branches < 100
    assert len(frame) == (branches if whole else 100)
    assert frame["complete"].all() == whole


def test_rows_of_what_only_the_real_platform_has_fit_their_kinds():
    at = "2026-11-24T12:00:00Z"
    account = GithubAccount(installation_id=7, username="ada", owner_id=8)
    repository = GithubRepository(id=9, name="shop", full_name="ada/shop")
    branch = GithubBranch.model_validate({"name": "main", "commit": {"sha": "0" * 40}})
    transfer = Transfer.model_validate(
        {"id": "t", "projectId": "p", "fromUserId": "a", "toUserId": "b", "createdAt": at, "expiresAt": at}
    )
    rows = {
        schema.GITHUB_ACCOUNTS: schema.github_account_row(account),
        schema.GITHUB_REPOSITORIES: schema.github_repository_row(account, repository),
        schema.GITHUB_BRANCHES: schema.github_branch_row(account, "ada/shop", branch),
        schema.TRANSFERS: schema.transfer_row("shop", transfer),
    }
    for kind, row in rows.items():
        assert len(kind.check(kind.frame([row]))) == 1
        assert set(row) == set(kind.names) - {"complete"}


def test_a_scan_that_is_not_there_is_a_row_without_a_scan(both, shop):
    shop.upload(1)
    scans = both.security_scans()
    assert set(scans["environment"]) == {"production", "staging"}
    assert scans["scan_id"].isna().all()
    scan = SecurityScan.model_validate(
        {"id": "s", "deploymentId": "d", "status": "success", "createdAt": "2026-11-24T12:00:00Z"}
    )
    live = [shop.environment(name) for name in ("staging", "production")]
    row = schema.SECURITY_SCANS.frame([schema.security_scan_row(shop.project, live, scan)]).iloc[0]
    assert (row.environment, row.status) == ("production,staging", "success")


# --- the same over MCP ----------------------------------------------------------------------------------


def test_every_frame_is_the_same_over_mcp(platform, ws, shop):
    shop.upload(3)
    visit(shop, ["/", "/checkout", "/missing"])
    window = {"start": pd.Timestamp.now("UTC") - pd.Timedelta(minutes=5), "end": pd.Timestamp.now("UTC").ceil("s")}
    with Client(platform.api_url, api_key=platform.api_key(), transport="mcp") as client:
        over_mcp = Workspace(client)
        for name in OF_AN_ACCOUNT:
            pd.testing.assert_frame_equal(getattr(over_mcp, name)(), getattr(ws, name)())
        one, other = over_mcp[f"{shop.project}/*"], ws[f"{shop.project}/*"]
        for name in OF_A_SELECTION:
            pd.testing.assert_frame_equal(getattr(one, name)(), getattr(other, name)())
        for name in ANALYTICS:
            options = {**window, "refresh": True}
            pd.testing.assert_frame_equal(
                getattr(one.analytics, name)(**options), getattr(other.analytics, name)(**options)
            )


# --- what is known already ------------------------------------------------------------------------------


def test_all_eight_answers_about_a_window_cost_two_requests_an_environment(both):
    window = past()
    with counted(both.api) as sent:
        for name in ANALYTICS:
            getattr(both.analytics, name)(**window)
    assert sum(sent.values()) == 2 * len(both)


def test_a_window_that_is_over_costs_nothing_the_second_time_whoever_asks(ws, both, shop):
    window = past()
    first = both.analytics.summary(**window), both.analytics.requests_over_time(**window)
    again = Workspace(ws.api)[f"{shop.project}/*"]
    said = again.explain().analytics.requests_over_time(**window).iloc[-1]
    assert (said.requests, said.held) == (0, len(both))
    with counted(ws.api) as sent:
        second = again.analytics.summary(**window), again.analytics.requests_over_time(**window)
    assert not sent
    for one, other in zip(first, second, strict=True):
        pd.testing.assert_frame_equal(one, other)
    with counted(ws.api) as sent:
        again.analytics.summary(**window, refresh=True)
    assert sum(sent.values()) == len(both)


def test_a_window_that_is_not_over_is_asked_for_every_time(both, shop):
    shop.upload(1)
    start = pd.Timestamp.now("UTC").floor("s")
    end = start + pd.Timedelta(hours=1)
    assert both.analytics.overall_requests(start=start, end=end)["requests"].sum() == 0
    visit(shop, ["/"] * 3)
    assert both.analytics.overall_requests(start=start, end=end)["requests"].sum() == 3


NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = TimeRange(NOON - timedelta(hours=1), NOON)


def test_what_has_just_ended_is_known_for_half_a_minute_and_what_is_over_for_good(tmp_path):
    clock = [0.0]
    answers = Answers(tmp_path / "a.sqlite3", clock=lambda: clock[0])
    answers.keep("Get", "e", HOUR, {"n": 1}, now=NOON - timedelta(seconds=1))
    assert answers.get("Get", "e", HOUR) is None
    answers.keep("Get", "e", HOUR, {"n": 1}, now=NOON)
    assert answers.get("Get", "e", HOUR) == {"n": 1}
    assert answers.get("Get", "f", HOUR) is answers.get("Other", "e", HOUR) is None
    clock[0] += RECENT_S + 1
    assert answers.get("Get", "e", HOUR) is None
    answers.keep("Get", "e", HOUR, {"n": 2}, now=NOON + SETTLED_AFTER)
    assert Answers(tmp_path / "a.sqlite3").get("Get", "e", HOUR) == {"n": 2}


def test_what_is_known_is_the_accounts_own_and_a_file_that_fails_costs_only_requests(home):
    with Client("http://127.0.0.1:1", api_key="skp_local_canary") as one:
        mine = Answers.of(one)
        mine.keep("Get", "e", HOUR, [1], now=NOON + timedelta(days=1))
    with Client("http://127.0.0.1:1", api_key="skp_local_other") as other:
        assert Answers.of(other).get("Get", "e", HOUR) is None
    files = list((home / "answers").glob("*.sqlite3*"))
    assert len({file.name.partition(".")[0] for file in files}) == 2
    for file in files:
        assert file.stat().st_mode & 0o077 == 0
        assert "canary" not in file.name
        assert b"canary" not in file.read_bytes()
    broken = home / "answers" / "broken.sqlite3"
    broken.write_bytes(b"not a database" * 99)
    answers = Answers(broken)
    answers.keep("Get", "e", HOUR, [1], now=NOON + timedelta(days=1))
    assert answers.get("Get", "e", HOUR) is None


# --- windows --------------------------------------------------------------------------------------------

moments = st.integers(0, 4 * 10**9).map(lambda s: datetime.fromtimestamp(s, UTC))


@settings(max_examples=300, deadline=None)
@given(moments, st.integers(1, 40 * 86_400 * 10**6))
def test_pieces_of_a_window_follow_each_other_without_gap_or_overlap(start, length_us):
    window = TimeRange(start, start + timedelta(microseconds=length_us))
    pieces = window.pieces()
    assert (pieces[0].start, pieces[-1].end) == (window.start, window.end)
    assert all(one.end == other.start for one, other in pairwise(pieces))
    assert all(piece.duration <= timedelta(days=1) for piece in pieces)
    assert (len(pieces) == 1) == (window.duration <= timedelta(days=1))
    assert all(piece.start.hour == piece.start.minute == piece.start.second == 0 for piece in pieces[1:])


def test_a_long_window_is_stitched_of_days_and_equals_what_the_platform_says_of_it(both, shop):
    shop.upload(1)
    visit(shop, ["/"] * 4 + ["/missing"])
    end = pd.Timestamp.now("UTC").ceil("s")
    start = end - pd.Timedelta(hours=60.5)
    with counted(both.api) as sent:
        frame = both.analytics.requests_over_time(start=start, end=end)
    assert set(sent.values()) == {len(both) * len(TimeRange(start, end).pieces())}
    target = next(item for item in both.targets() if item.names[1] == "production")
    whole = both.api.analytics.requests_over_time(
        *target.ids, start=int(start.timestamp()), end=int(end.timestamp())
    )
    mine = frame[frame["environment"] == "production"]
    assert list(mine["requests"]) == [row.count for row in whole]
    assert list(mine["timestamp"]) == [pd.Timestamp(row.timestamp, unit="s", tz="UTC") for row in whole]
    assert mine["requests"].sum() == 5
    assert list(mine["partial"]).count(True) <= 2
    with counted(both.api) as sent:
        both.analytics.requests_over_time(start=start, end=end)
    assert sum(sent.values()) <= len(both)  # but for the last day, it is known


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [("2026-10-25 00:00", "2026-10-26 00:00", 25), ("2026-03-29 00:00", "2026-03-30 00:00", 23)],
    ids=["the long day of autumn", "the short day of spring"],
)
def test_a_local_day_is_as_long_as_daylight_saving_makes_it(start, end, hours):
    ends = [datetime.fromisoformat(at).replace(tzinfo=ZoneInfo("Europe/Berlin")) for at in (start, end)]
    window = TimeRange.of(start=ends[0], end=ends[1])
    assert window.duration == timedelta(hours=hours)
    assert sum((piece.duration for piece in window.pieces()), timedelta()) == timedelta(hours=hours)
    stamps = pd.Timestamp(start, tz="Europe/Berlin"), pd.Timestamp(end, tz="Europe/Berlin")
    assert TimeRange.of(start=stamps[0], end=stamps[1]) == window
    assert TimeRange.of(window) == window
    with pytest.raises(InvalidArgument, match="not both"):
        TimeRange.of(window, end=NOON)


def answer_of(at):
    return Response(200, {"date": at.strftime("%a, %d %b %Y %H:%M:%S GMT")}, b"")


@pytest.mark.parametrize("skew_s", [0, 2, 3600, -3600, 86_400])
def test_the_present_is_the_platforms_whatever_this_machines_clock_says(skew_s):
    clock = PlatformClock()
    clock.learn(answer_of(datetime.now(UTC) + timedelta(seconds=skew_s)))
    assert abs((clock.now() - datetime.now(UTC)).total_seconds() - (skew_s if abs(skew_s) > 5 else 0)) < 2
    clock.learn(Response(200, {"date": "soon"}, b""))
    assert abs(clock.offset_s - (skew_s if abs(skew_s) > 5 else 0)) < 2


def test_a_window_ends_at_the_platforms_present(both, shop):
    shop.upload(1)
    visit(shop, ["/"] * 3)
    clock = both.api._driver.clock
    # As on a machine whose clock is two hours slow, and whose platform has said so.
    clock.learn(answer_of(datetime.now(UTC)))
    try:
        clock._offset_s = 7200.0
        assert both.analytics.overall_requests(since="1h")["requests"].sum() == 0
        assert both.analytics.overall_requests(since="3h")["requests"].sum() == 3
    finally:
        clock._offset_s = 0.0


# --- interrupting (SAFETY H15) --------------------------------------------------------------------------


def test_an_interrupt_ends_a_fan_out_at_once_and_gives_its_places_back(platform, figures):
    took = []
    with Client(platform.api_url, api_key=platform.api_key()) as client:
        budget = client._driver.budget

        def slow(paced, _one):
            # As if the budget were used up: every target waits for its place.
            paced._driver._sleep(600)

        for pause_s in (0.05, 0.2, 0.4):
            before = budget.state()
            # Within, so that an interrupt that comes before the fan-out is none of the whole run.
            with pytest.raises(KeyboardInterrupt):  # noqa: PT012
                began = time.monotonic()
                threading.Timer(pause_s, os.kill, (os.getpid(), signal.SIGINT)).start()
                gather(client, range(100), slow)
            took.append(time.monotonic() - began - pause_s)
            assert took[-1] < 60, "not the 600 s of a place"
            assert budget.state()["hour"] == before["hour"]
        deadline = time.monotonic() + 60
        # Those of a fan-out, by number: others of other tests may be there.
        while any(re.fullmatch(r"createos-nb-\d+", thread.name) for thread in threading.enumerate()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert len(gather(client, [1, 2], lambda paced, _one: paced.account.user())) == 2
    with figures():
        print(f"H15: a fan-out to 100 targets ended at most {max(took):.2f} s after its interrupt (asked: 1)")


def test_what_was_given_up_sends_nothing_more(client):
    stop = threading.Event()
    paced = client.paced(stop=stop)
    assert paced.account.user().id
    stop.set()
    with counted(client) as sent, pytest.raises(GivenUp):
        paced.account.user()
    assert not sent


def test_many_targets_leave_a_part_of_the_budget_to_people(client):
    seen = []
    gather(client, [1, 2], lambda paced, _one: seen.append(paced._driver.pace))
    gather(client, [1], lambda paced, _one: seen.append(paced._driver.pace))
    assert [pace.lane for pace in seen] == ["background", "background", "interactive"]
    assert seen[0].patience_s > Pace().patience_s


def test_the_pieces_of_one_target_are_given_up_with_the_whole(client):
    stops = []
    gather(client, [1, 2], lambda paced, _one: gather(paced, [3, 4], lambda piece, _two: stops.append(piece.stop)))
    assert len(set(map(id, stops))) == 1


# --- when some fail (SAFETY H14) ------------------------------------------------------------------------

FAILURES = {
    "a key that is refused": (401, {"status": "fail", "data": "no"}),
    "nothing there": (404, {"status": "fail", "data": "gone"}),
    "a limit": (429, {"status": "fail", "data": "slow down"}),
    "a failure of the platform": (500, {"status": "error", "data": "oops"}),
    "a failure within a success": (200, {"status": "fail", "data": "no"}),
    "what is no answer": (200, b"<html>"),
    "no end": (200, b'{"status": "success", "data": {"over'),
    "another shape": (200, {"status": "success", "data": {"total": "many"}}),
}
GOOD = {"total": 7, "success": 7, "client": 0, "server": 0}
OVERALL = {
    "overallRequests": GOOD,
    "requestDistribution": [],
    "rpm": {"peak": 1, "average": 1},
    "successPercentage": 100,
    "topErrorPaths": [],
    "topHitPaths": [],
}


class Mixed:
    """A transport to a platform on which each environment fails in its own way, or answers."""

    name = "rest"

    def __init__(self, ways):
        self.ways = ways

    def check(self, request):
        """Refuse nothing."""

    def send(self, request):
        status, body = FAILURES.get(self.ways[request.arguments["environment_id"]], (200, None))
        body = {"status": "success", "data": OVERALL} if body is None else body
        return Response(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())

    def close(self):
        pass


def test_every_target_is_a_row_or_an_error_however_failures_mix(both, figures):
    """Of SAFETY's 1,000 mixes over 50 projects a twenty-fifth; CREATEOS_NB_SOAK=1 makes them all."""
    mixes, one = 1000 if os.environ.get("CREATEOS_NB_SOAK") else 40, both.targets()[0]
    environments = [one.environment.model_copy(update={"id": str(n)}) for n in range(50)]
    targets = [replace(one, environment=environment) for environment in environments]
    dice, lost = random.Random(14), 0
    with Client("http://127.0.0.1:1", api_key="skp_local_x") as client:
        client._driver.retries.take = lambda: False
        client._driver.budget.learn(Response(200, {"x-ratelimit-limit": "6000000"}, b""))
        for _ in range(mixes):
            ways = {str(n): dice.choice([*FAILURES, *["well"] * dice.randint(0, 9)]) for n in range(50)}
            client._driver.transport = Mixed(ways)
            fanout = FanOut(client, Answers(None))
            question = EnvironmentFrames(targets, fanout).analytics.overall_requests
            well = sum(way == "well" for way in ways.values())
            if not well:
                with pytest.raises(CreateOSError):
                    question()
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", PartialWarning)
                frame = question()
            errors = fanout.errors()
            lost += len(frame) != well or len(errors) != 50 - well
            assert frame["complete"].all() == (well == 50)
            if well < 50:
                with pytest.raises(PartialAnswer) as raised:
                    question(strict=True)
                assert len(raised.value.frame) == well
    assert lost == 0
    with figures():
        print(f"\nH14: {mixes} mixes of 50 targets, lost {lost}")


# --- names for Tab --------------------------------------------------------------------------------------


def test_tab_costs_nothing_for_a_minute_and_leaves_what_failed_told(ws, shop, monkeypatch):
    monkeypatch.setattr("createos_nb.names.PATIENCE_S", 60.0)  # however slow the machine
    now_s = 0.0
    names = Names(ws.api, clock=lambda: now_s)
    before = ws.errors()
    with counted(ws.api) as sent:
        assert f"{shop.project}/*" in names.selections()
        assert sent["ListProjects"]
        sent.clear()
        assert f"{shop.project}/*" in names.selections()
        assert not sent
        now_s = 61.0
        names.selections()
        assert sent["ListProjects"]
        ws._ipython_key_completions_()
    pd.testing.assert_frame_equal(ws.errors(), before)


def test_tab_does_not_wait_for_a_platform_that_hangs():
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        Client(f"http://127.0.0.1:{silent.getsockname()[1]}", api_key="skp_local_x") as client,
    ):
        names = Names(client)
        names.learn({"shop": ["production"]})
        for _ in range(2):
            assert names.selections() == ["*/*", "shop/production"]
            assert names._reader.is_alive(), "it was not waited for"


def test_an_interrupted_fan_out_does_not_keep_the_process(tmp_path):
    """Requests are under way to a server that says nothing; the process ends all the same."""
    program = """
import os, signal, socket, threading
from createos_nb.api.client import Client
from createos_nb.fanout import gather
with socket.create_server(("127.0.0.1", 0)) as silent:
    client = Client(f"http://127.0.0.1:{silent.getsockname()[1]}", api_key="skp_local_x")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        gather(client, range(4), lambda client, one: client.projects.get(f"p-{one}"))
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""
    # Less than the 30 s that a request waits for its answer, thrice.
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (run.stdout, run.returncode) == ("interrupted\n", 0), run.stderr


def test_errors_are_those_of_the_last_call_also_when_it_failed_before_it_asked(ws):
    def fails(_):
        raise InvalidArgument("no targets")

    fanout = FanOut(ws.api, Answers(None))
    fanout._rows = [{"project": "a", "environment": "b", "operation": "c", "error": "d"}]
    with pytest.raises(InvalidArgument, match="no targets"):
        fanout.ask(Question(schema.PROJECTS, Targets(fails, str), lambda *_: [], {}))
    assert fanout.errors().empty


@pytest.mark.parametrize("broken", [b"", b"not compressed", zlib.compress(b"{"), zlib.compress(b"[1]")])
def test_an_answer_that_cannot_be_read_any_more_is_asked_for_again(tmp_path, broken):
    answers, now = Answers(tmp_path / "answers"), datetime.now(UTC)
    window = TimeRange(now - timedelta(hours=3), now - timedelta(hours=2))

    def told():
        ask, parse = lambda: {"a": 1}, lambda held: {"a": held["a"]}
        return answers.answer("A", "e", window, ask, parse, now=now, refresh=False)

    assert told() == {"a": 1}
    answers._execute("UPDATE answers SET answer = ?", [broken])
    assert told() == {"a": 1}
    assert told() == {"a": 1}


def test_what_is_to_come_has_no_rows_and_costs_no_requests(ws, shop):
    frames = ws[f"{shop.project}/production"]
    now = ws.api.now()
    with counted(ws.api) as sent:
        frame = frames.analytics.requests_over_time(start=now - timedelta(minutes=30), end=now + timedelta(days=40))
    assert sum(sent.values()) <= 2
    assert len(frame) > 20
    assert (frame["timestamp"] <= pd.Timestamp(ws.api.now())).all()


def test_of_many_projects_tab_knows_the_environments_that_were_selected(ws, shop, monkeypatch):
    monkeypatch.setattr("createos_nb.names.FEW", 0)
    with counted(ws.api) as sent:
        assert f"{shop.project}/production" not in ws._ipython_key_completions_()
        assert not sent["ListProjectEnvironments"]
    len(ws[f"{shop.project}/staging"])
    assert {f"{shop.project}/production", f"{shop.project}/staging"} <= set(ws._ipython_key_completions_())
