"""How a wait ends, with a virtual clock: success alone is returned."""

from __future__ import annotations

import json

import pytest

from createos_nb import errors
from createos_nb.api.deployments import Deployments
from createos_nb.api.message import Reserve, Response, Sleep

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
