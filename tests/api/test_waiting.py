"""How a wait ends, with a virtual clock: success alone is returned."""

from __future__ import annotations

import json
import traceback

import pytest

from createos_nb import errors
from createos_nb.api.budget import Budget
from createos_nb.api.deployments import Deployments
from createos_nb.api.domains import Domains
from createos_nb.api.driver import Driver
from createos_nb.api.environments import Environments, Resources
from createos_nb.api.exchange import send
from createos_nb.api.message import Reserve, Response, Sleep
from createos_nb.api.pace import Pace
from createos_nb.api.waiting import until
from tests.api.played import Played, request, response, success

GONE = Response(404, {}, b'{"status": "fail", "data": "no"}')
REVOKED = Response(401, {}, b'{"status": "fail", "data": "no"}')
DOWN = errors.ConnectionFailed("nothing answers")


def seen(status):
    data = {"id": "d", "projectId": "p", "status": status, "createdAt": "2026-11-23T12:00:00Z"}
    return Response(200, {}, json.dumps({"status": "success", "data": data}).encode())


class Waited:
    """A wait for a deployment; ``at`` gives the answer at a second. Sleeping moves the clock."""

    def __init__(self, at, *, timeout_s=900.0):
        exchange = Deployments.wait.function(None, "p", "d", timeout_s=timeout_s)
        self.polls, self.clock_s, self.value, self.error = 0, 0.0, None, None
        try:
            step = next(exchange)
            while True:
                if isinstance(step, Reserve):
                    step = exchange.send(True)
                elif isinstance(step, Sleep):
                    self.clock_s += step.seconds
                    step = exchange.send(self.clock_s)
                else:
                    self.polls += 1
                    answer = at(self.clock_s)
                    step = exchange.throw(answer) if isinstance(answer, Exception) else exchange.send(answer)
        except StopIteration as end:
            self.value = end.value
        except errors.CreateOSError as error:
            self.error = error


@pytest.mark.parametrize("status", ["build_error", "crashing", "cancelled", "error", "sleeping", "terminating"])
def test_each_bad_end_is_an_error_that_names_it(status):
    waited = Waited(lambda now: seen("building" if now < 60 else status))
    assert type(waited.error) is errors.WaitFailed
    assert (waited.error.outcome, waited.error.last.status) == (status, status)
    # What it says to do next is a call that can be copied.
    last = waited.error.last
    copied = f"({last.project_id!r}, {last.id!r}" in str(waited.error)
    assert copied is (status != "cancelled"), waited.error


def test_a_build_of_nearly_fifteen_minutes_costs_at_most_35_reads():
    waited = Waited(lambda now: seen("building" if now < 880 else "deployed"))
    assert waited.value.status == "deployed"
    assert waited.polls <= 35


@pytest.mark.parametrize("status", ["building", "queue", "a status of next year"])
def test_what_does_not_end_is_no_success_at_the_deadline(status):
    waited = Waited(lambda _now: seen(status))
    assert type(waited.error) is errors.TimedOut
    assert waited.polls <= 35


def test_a_status_that_goes_backwards_is_waited_out():
    states = iter(["building", "deploying", "queue", "building", "deployed"])
    assert Waited(lambda _now: seen(next(states))).value.status == "deployed"


def test_a_deployment_that_was_there_and_is_gone_has_vanished():
    waited = Waited(lambda now: seen("building") if now < 60 else GONE)
    assert (waited.error.outcome, waited.error.last.status) == ("vanished", "building")
    assert type(Waited(lambda _now: GONE).error) is errors.NotFound


def test_a_revoked_key_ends_the_wait_and_says_that_it_can_be_resumed():
    waited = Waited(lambda now: seen("building") if now < 60 else REVOKED)
    assert type(waited.error) is errors.Unauthorized
    assert "wait again" in str(waited.error)


@pytest.mark.parametrize(
    "answer", [DOWN, Response(503, {}, b""), Response(429, {}, b"")], ids=["cut", "503", "429"]
)
def test_a_minute_without_an_answer_is_waited_out_and_ten_are_not(answer):
    short = Waited(lambda now: answer if 60 < now < 120 else seen("deployed" if now > 200 else "building"))
    assert short.value.status == "deployed"
    long = Waited(lambda now: answer if now > 60 else seen("building"))
    assert isinstance(long.error, errors.ConnectionFailed | errors.ServerError | errors.RateLimited)
    assert long.clock_s < 300


# --- any wait, environments, domains ------------------------------------------------------------------


def read_once():
    return (yield from send(request()))


def wait_for(states, **options):
    script = list(states)
    return Played(
        until(read_once, lambda state: state == "done", **{"timeout_s": 900.0, "what": "The end", **options}),
        lambda _request: success(script.pop(0) if len(script) > 1 else script[0]),
    )


def test_waiting_ends_at_the_first_read_when_it_is_done_already():
    played = wait_for(["done"])
    assert (played.value, len(played.requests), sum(played.pauses)) == ("done", 1, 0)


def test_waiting_tells_of_every_change_once():
    seen = []
    wait_for(["queue", "queue", "building", "building", "done"], on_change=seen.append)
    assert seen == ["queue", "building", "done"]


def test_a_wait_of_fifteen_minutes_costs_at_most_35_reads():
    played = wait_for(["building"])
    assert isinstance(played.error, errors.TimedOut)
    assert len(played.requests) <= 35
    assert sum(played.pauses) == pytest.approx(900)


def test_a_wait_looks_a_last_time_when_its_time_is_up():
    played = wait_for(["building", "building", "done"], timeout_s=0.2)
    assert played.value == "done"
    assert sum(played.pauses) == pytest.approx(0.2)


def test_the_end_of_patience_says_what_was_waited_for_and_that_it_goes_on():
    assert str(wait_for(["building"], timeout_s=5).error) == (
        "The end was not reached within 5 s. It goes on: wait again, or look."
    )


def test_an_error_while_waiting_is_raised():
    played = Played(
        until(read_once, bool, timeout_s=9, what="x"),
        lambda _request: response(404, {"status": "fail", "data": "no"}),
    )
    assert isinstance(played.error, errors.NotFound)


def environments(*states):
    """Answers of ListProjectEnvironments, one for each (status, live deployment), the last for ever."""
    script = list(states)

    def answer(_request):
        status, live = script.pop(0) if len(script) > 1 else script[0]
        common = {
            "projectId": "p",
            "uniqueName": "production",
            "displayName": "P",
            "createdAt": "2026-11-23T12:00Z",
        }
        return success([{"id": "e", "status": status, "projectDeploymentId": live, **common}])

    return answer


def promotion(*states):
    exchange = Environments.wait.function(None, "p", "e", deployment_id="new", timeout_s=300)
    return Played(exchange, environments(*states))


def test_a_promotion_ends_when_the_new_deployment_is_live():
    played = promotion(("active", "old"), ("promoting", "old"), ("active", "new"))
    assert (played.value.project_deployment_id, len(played.requests)) == ("new", 3)


def test_a_promotion_that_failed_is_an_error_that_holds_the_environment():
    played = promotion(("promoting", "old"), ("active", "old"))
    assert (type(played.error), played.error.outcome) == (errors.WaitFailed, "other_deployment")
    assert (played.error.last.project_deployment_id, len(played.requests)) == ("old", 2)


def test_a_promotion_that_never_begins_is_given_up_after_some_seconds_only():
    played = promotion(("active", "old"))
    assert played.error.outcome == "other_deployment"
    assert 5 < sum(played.pauses) < 20


def test_an_environment_that_is_gone_is_not_found():
    exchange = Environments.wait.function(None, "p", "gone", timeout_s=300)
    assert isinstance(Played(exchange, environments(("active", "old"))).error, errors.NotFound)


def test_resources_that_did_not_come_into_force_are_an_error():
    wanted = Resources(cpu=200, memory=500, replicas=3)
    exchange = Environments.wait.function(None, "p", "e", resources=wanted, timeout_s=300)
    played = Played(exchange, environments(("resizing", "old"), ("active", "old")))
    assert played.error.outcome == "other_resources"


def test_an_environment_that_is_being_deleted_is_not_waited_for():
    played = promotion(("promoting", "old"), ("deleting", "old"))
    assert (played.error.outcome, len(played.requests)) == ("deleting", 2)


def domain(*statuses):
    """A wait for a domain that has these statuses in turn, the last for ever."""
    script = list(statuses)

    def answer(_request):
        status = script.pop(0) if len(script) > 1 else script[0]
        common = {"projectId": "p", "name": "api.example.com", "createdAt": "2026-11-23T12:00Z"}
        return success([{"id": "d", "status": status, "message": "no record found", **common}])

    return Played(Domains.wait.function(None, "p", "d", timeout_s=900), answer)


def test_a_domain_is_waited_for_until_it_is_active():
    played = domain("pending", "issuing", "active")
    assert (played.value.status, len(played.requests)) == ("active", 3)


@pytest.mark.parametrize("status", ["error", "deleting"])
def test_a_domain_that_ends_otherwise_is_an_error_with_the_reason(status):
    played = domain("pending", status)
    assert (type(played.error), played.error.outcome) == (errors.WaitFailed, status)
    assert "no record found" in str(played.error)


@pytest.mark.parametrize("status", ["pending", "a status of next year"])
def test_a_domain_that_is_never_active_is_no_success(status):
    assert type(domain(status).error) is errors.TimedOut


def test_the_status_is_shown_where_somebody_watches_and_nowhere_else(monkeypatch, capsys):
    wait_for(["building", "done"], progress=True)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("createos_nb.api.progress.watched", lambda: True)
    wait_for(["building", "done"], progress=True)
    assert "The end, 00:" in capsys.readouterr().err
    wait_for(["building", "done"], progress=False)
    assert capsys.readouterr().err == ""


def test_a_wait_waits_for_its_place_as_long_as_it_has_time(monkeypatch):
    clock = [1_000_000.0]
    monkeypatch.setattr("createos_nb.api.driver.time.monotonic", lambda: clock[0])
    monkeypatch.setattr(
        "createos_nb.api.driver.time.sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds)
    )

    class Platform:
        name = "rest"

        def check(self, _request):
            """Refuse nothing."""

        def send(self, _request):
            return seen("building" if clock[0] < 1_000_030 else "deployed")

    budget = Budget(None, clock=lambda: clock[0])
    for _ in range(95):
        budget.reserve(request(), Pace())
    driver = Driver(Platform(), budget)
    assert driver.run(Deployments.wait.function(None, "p", "d", timeout_s=900)).status == "deployed"
    assert 60 <= clock[0] - 1_000_000 <= 120
    for _ in range(95):
        budget.reserve(request(), Pace(patience_s=3600))
    before = clock[0]
    with pytest.raises(errors.RateLimited):
        driver.run(Deployments.wait.function(None, "p", "d", timeout_s=30))
    assert clock[0] == before, "at once, where its own time is too short"


def test_a_wait_on_a_platform_that_hangs_ends_when_it_was_to():
    waited = Waited(lambda _now: errors.TimedOut("no answer"), timeout_s=60)
    assert type(waited.error) is errors.TimedOut
    assert str(waited.error).startswith("The end of deployment d was not reached within 60 s (")
    assert waited.clock_s <= 61


def test_a_platform_that_asks_for_more_time_than_there_is_is_not_asked_again():
    busy = Response(503, {"retry-after": "19"}, b'{"status": "error", "message": "busy"}')
    waited = Waited(lambda _now: busy, timeout_s=8)
    assert type(waited.error) is errors.TimedOut
    assert "busy" in str(waited.error)
    assert "it is not to be asked again before 19 s" in str(waited.error)
    assert waited.polls == 1


@pytest.mark.parametrize("timeout_s", [0, 0.1, 1, 3, 20, 60])
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (errors.ConnectionFailed("Nothing answers at http://127.0.0.1:1."), "Nothing answers at"),
        (errors.TimedOut("read timeout"), "read timeout"),
        (Response(503, {"content-type": "text/html"}, b"<h1>maintenance</h1>"), "maintenance"),
        (Response(503, {}, b'{"status": "error", "data": "maintenance"}'), "maintenance"),
    ],
    ids=["dead", "silent", "a page", "an envelope"],
)
def test_a_wait_on_what_is_down_says_so_however_short_it_is(answer, said, timeout_s):
    waited = Waited(lambda _now: answer, timeout_s=timeout_s)
    assert type(waited.error) is errors.TimedOut
    assert said in str(waited.error)
    assert "not to be asked" not in str(waited.error)
    assert "Nothing could be read of it" in str(waited.error)


def test_a_function_that_would_have_to_be_awaited_is_refused():
    async def told(_state):
        pytest.fail("it was called")

    exchange = Deployments.wait.function(None, "p", "d", timeout_s=1, on_change=told)
    with pytest.raises(errors.InvalidArgument, match="on_change is refused"):
        next(exchange)


def test_the_time_is_shown_each_second_of_a_long_pause(monkeypatch, capsys):
    monkeypatch.setattr("createos_nb.api.progress.watched", lambda: True)
    sleeps = []
    exchange = Deployments.wait.function(None, "p", "d", timeout_s=900)
    clock_s, step = 0.0, next(exchange)
    while clock_s < 600:
        if isinstance(step, Sleep):
            sleeps.append(step.seconds)
            clock_s += step.seconds
            step = exchange.send(clock_s)
        else:
            step = exchange.send(True if isinstance(step, Reserve) else seen("building"))
    exchange.close()
    assert max(sleeps) <= 1
    assert capsys.readouterr().err.count("The end of deployment d: building, 00:0") > 500


@pytest.mark.parametrize(("pages", "ends_as"), [(3, None), (4, errors.UnexpectedResponse)])
def test_a_page_of_a_proxy_is_waited_out_and_what_is_no_platform_is_not(pages, ends_as):
    page = Response(200, {"content-type": "text/html"}, b"<html>")
    answers = iter([seen("building"), *[page] * pages, seen("deployed")])
    waited = Waited(lambda _now: next(answers))
    assert type(waited.error) is ends_as if ends_as else waited.value.status == "deployed"


@pytest.mark.parametrize("timeout_s", [float("nan"), -1, "5", None, True])
def test_a_time_to_wait_that_is_none_is_refused_before_anything_is_sent(timeout_s):
    waited = Waited(lambda _now: pytest.fail("it was sent"), timeout_s=timeout_s)
    assert type(waited.error) is errors.InvalidArgument
    assert "timeout_s=" in str(waited.error)


def test_an_interruption_leaves_no_frame_that_holds_half_an_answer():
    class Interrupted:
        name = "rest"

        def check(self, _request):
            """Refuse nothing."""

        def send(self, _request):
            half = b"runEnvs: hunter2"
            raise KeyboardInterrupt(len(half))

    with pytest.raises(KeyboardInterrupt) as raised:
        Driver(Interrupted(), Budget(None)).run(send(request("creates", "POST")))
    assert [frame.name for frame in traceback.extract_tb(raised.tb)][1:] == ["run"]
    assert "may have happened" in raised.value.__notes__[0]
