"""What is sent, sent again, believed and refused: pure, no HTTP at all."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

import createos_nb.api.client  # noqa: F401 - declares every operation
from createos_nb import errors
from createos_nb.api.account import User
from createos_nb.api.envelope import retry_after_s
from createos_nb.api.environments import Environments
from createos_nb.api.exchange import ATTEMPTS, PATIENCE_S, call, send
from createos_nb.api.listing import Listing
from createos_nb.api.message import Request, Reserve, Response, Sleep, Unanswered
from createos_nb.api.operation import OPERATIONS
from createos_nb.api.paging import pages
from createos_nb.api.waiting import until


class Played:
    """An exchange carried out by a script: each request takes the next answer; sleeping moves the clock."""

    def __init__(self, exchange, answer):
        self.requests: list[Request] = []
        self.pauses: list[float] = []
        self.value = self.error = None
        clock_s = 1000.0
        try:
            step = next(exchange)
            while True:
                if isinstance(step, Reserve):
                    step = exchange.send(True)
                    continue
                if isinstance(step, Sleep):
                    clock_s += step.seconds
                    self.pauses.append(step.seconds)
                    step = exchange.send(clock_s)
                    continue
                self.requests.append(step)
                answered = answer(step)
                step = exchange.throw(answered) if isinstance(answered, Exception) else exchange.send(answered)
        except StopIteration as end:
            self.value = end.value
        except errors.CreateOSError as error:
            self.error = error


def success(data):
    return response(200, {"status": "success", "data": data})


def response(status, body=b"", **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def request(safety="read", method="GET"):
    return Request("GetThing", method, "/v1/things/{thing_id}", "/v1/things/1", safety)


def play(safety, *answers):
    """Send a request of some safety, and answer it with each in turn, the last one for ever."""
    script = list(answers)
    return Played(send(request(safety)), lambda _request: script.pop(0) if len(script) > 1 else script[0])


# --- envelopes (SAFETY H01) ---------------------------------------------------------------------------

REFUSALS = {
    "fail": (b'{"status": "fail", "data": "the name is taken"}', "the name is taken"),
    "error": (b'{"status": "error", "message": "broken"}', "broken"),
    "fail without a reason": (b'{"status": "fail"}', "no reason given"),
    "fail with data of the right shape": (b'{"status": "fail", "data": {"id": "1"}}', '{"id": "1"}'),
    "another spelling of fail": (b'{"success": false, "message": "no"}', "no"),
    "an error object": (b'{"error": {"code": "x", "message": "no", "details": null}}', "no"),
    "an error text": (b'{"error": "no"}', "no"),
}
NO_ANSWER_AT_ALL = {
    "no status": b'{"data": {"id": "1"}}',
    "an unknown status": b'{"status": "ok", "data": {"id": "1"}}',
    "no data": b'{"status": "success"}',
    "null data": b'{"status": "success", "data": null}',
    "data of a wrong shape": b'{"status": "success", "data": 7}',
    "an empty body": b"",
    "html": b"<html><body>Bad gateway</body></html>",
    "truncated": b'{"status": "success", "data": {"id": "1"',
    "an array": b"[]",
    "a text": b'"success"',
    "null": b"null",
    "the same key twice": b'{"status": "fail", "data": "no", "status": "success"}',
    "not utf-8": b'{"status": "success", "data": "\xff"}',
    "nested without end": b"[" * 200_000,
}
STATUSES = [200, 201, 204]


@pytest.mark.parametrize(("body", "said"), REFUSALS.values(), ids=REFUSALS)
def test_every_operation_takes_a_refusal_within_a_success_for_what_it_is(arguments, body, said):
    for declared, status in product(OPERATIONS.values(), STATUSES):
        answer = response(status, body, x_request_id="r-1")
        played = Played(declared.exchange(**arguments(declared)), lambda _request, answer=answer: answer)

        error = played.error
        assert type(error) is errors.Rejected, declared.name
        assert len(played.requests) == 1
        assert (error.operation, error.method, error.path) == (declared.name, declared.method, declared.path)
        assert (error.status, error.detail, error.request_id) == (status, said, "r-1")
        assert str(error).startswith(declared.name)


@pytest.mark.parametrize("body", NO_ANSWER_AT_ALL.values(), ids=NO_ANSWER_AT_ALL)
def test_no_operation_makes_a_value_of_something_else(arguments, body):
    for declared, status in product(OPERATIONS.values(), STATUSES):
        answer = response(status, body)
        played = Played(declared.exchange(**arguments(declared)), lambda _request, answer=answer: answer)

        assert type(played.error) is errors.UnexpectedResponse, declared.name
        assert len(played.requests) == 1
        assert str(played.error).startswith(declared.name)
        assert "s3cret" not in str(played.error)


@pytest.mark.parametrize("declared", OPERATIONS.values(), ids=OPERATIONS)
@pytest.mark.parametrize("spelling", [{"status": "success"}, {"success": True}], ids=["jsend", "success"])
def test_every_operation_reads_an_answer_of_the_documented_shape(declared, arguments, documented_answer, spelling):
    data = documented_answer(declared)
    played = Played(
        declared.exchange(**arguments(declared)), lambda _request: response(200, {**spelling, "data": data})
    )

    assert played.error is None
    if isinstance(played.value, Listing):
        assert len(played.value) == 1
    else:
        assert played.value is not None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.BadRequest),
        (401, errors.Unauthorized),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (418, errors.OperationFailed),
        (422, errors.Unprocessable),
        (429, errors.RateLimited),
        (500, errors.ServerError),
        (599, errors.ServerError),
    ],
)
def test_an_http_error_is_its_class_whatever_the_body_says(arguments, status, kind):
    bodies = [b'{"status": "fail", "data": "no"}', b'{"status": "success", "data": {"id": "1"}}', b"", b"<html>"]
    for declared, body in product(OPERATIONS.values(), bodies):
        answer = response(status, body)
        played = Played(declared.exchange(**arguments(declared)), lambda _request, answer=answer: answer)

        assert type(played.error) is kind, declared.name
        assert (len(played.requests), played.error.operation, played.error.status) == (1, declared.name, status)


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
def test_a_redirect_is_refused_and_names_the_target(arguments, status):
    answer = response(status, b"", location="https://evil.example/\x1b[31m")
    for declared in OPERATIONS.values():
        played = Played(declared.exchange(**arguments(declared)), lambda _request: answer)

        assert isinstance(played.error, errors.UnexpectedResponse), declared.name
        assert "https://evil.example/" in str(played.error)
        assert "\x1b" not in str(played.error)
        assert len(played.requests) == 1


def test_a_refusal_says_what_the_platform_said_and_what_to_do():
    played = play("read", response(404, {"status": "fail", "data": "No such project."}))
    assert str(played.error) == (
        "GetThing was refused (HTTP 404): No such project. Check the id, or that this API key may see it."
    )


@pytest.mark.parametrize(
    "said", ["a" * 10_000, "\x1b[2Jclear", "two\nlines", {"port": "too large"}, ["x"]], ids=repr
)
def test_what_the_platform_says_is_one_bounded_line(said):
    message = str(play("read", response(400, {"status": "fail", "data": said})).error)
    assert len(message) < 500
    assert message.isprintable()


def test_an_answer_of_another_shape_names_the_field_and_never_its_value():
    played = Played(
        call(request(), User.model_validate), lambda _request: success({"id": "1", "email": {"token": "s3cret"}})
    )
    assert isinstance(played.error, errors.UnexpectedResponse)
    assert "email" in str(played.error)
    assert "s3cret" not in f"{played.error}{played.error.body}"


# --- sending again (SAFETY H07) -----------------------------------------------------------------------

CUT = Unanswered("ReadError")
UNREACHED = errors.ConnectionFailed("nothing answers")
GOOD = success("x")
BUSY = response(429, retry_after="1")


@pytest.mark.parametrize("safety", ["read", "idempotent", "creates", "destroys"])
def test_what_was_never_sent_may_be_sent_again_whatever_it_does(safety):
    assert play(safety, UNREACHED, UNREACHED, GOOD).value == "x"
    played = play(safety, UNREACHED)
    assert (len(played.requests), played.error) == (ATTEMPTS, UNREACHED)


@pytest.mark.parametrize(("safety", "kind"), [("read", errors.TimedOut), ("idempotent", errors.OutcomeUnknown)])
def test_what_may_be_repeated_is_repeated_when_no_answer_came(safety, kind):
    assert play(safety, CUT, CUT, GOOD).value == "x"
    played = play(safety, CUT)
    assert (len(played.requests), type(played.error)) == (ATTEMPTS, kind)


@pytest.mark.parametrize("declared", OPERATIONS.values(), ids=OPERATIONS)
def test_an_operation_that_creates_or_destroys_is_never_sent_twice_when_no_answer_came(declared, arguments):
    played = Played(declared.exchange(**arguments(declared)), lambda _request: CUT)

    assert len(played.requests) == (1 if declared.safety in {"creates", "destroys"} else ATTEMPTS)
    if declared.safety == "read":
        assert type(played.error) is errors.TimedOut
    else:
        assert type(played.error) is errors.OutcomeUnknown
        assert played.error.operation == declared.name
        assert "present state" in str(played.error)


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize(("safety", "sent"), [("read", 3), ("idempotent", 3), ("creates", 1), ("destroys", 1)])
def test_an_ailing_server_is_asked_again_only_where_it_does_no_harm(safety, sent, status):
    played = play(safety, response(status))
    # What a proxy says when the server got the request and did not answer: a change may have happened.
    unknown = status in {502, 504} and safety in {"creates", "destroys"}
    kind = errors.OutcomeUnknown if unknown else errors.ServerError
    assert (len(played.requests), type(played.error)) == (sent, kind)


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 500, 501])
def test_any_other_refusal_stands_at_once(status):
    assert len(play("read", response(status), GOOD).requests) == 1


@pytest.mark.parametrize("safety", ["read", "idempotent", "creates", "destroys"])
def test_a_refused_request_was_not_carried_out_and_is_sent_again_when_the_platform_says(safety):
    played = play(safety, BUSY, GOOD)
    assert played.value == "x"
    assert len(played.pauses) == 1
    assert 1.0 <= played.pauses[0] <= 2.0


def test_a_wait_that_is_too_long_is_the_callers_decision():
    played = play("read", response(429, retry_after=str(PATIENCE_S + 1)), GOOD)
    assert len(played.requests) == 1
    assert isinstance(played.error, errors.RateLimited)
    left = played.error.retry_at - datetime.now(UTC)
    assert timedelta(seconds=PATIENCE_S - 5) < left <= timedelta(seconds=PATIENCE_S + 1)


def test_without_a_time_to_wait_a_refusal_stands():
    played = play("read", response(429), GOOD)
    assert (len(played.requests), played.error.retry_at) == (1, None)


def test_pauses_grow_and_are_not_equal_for_all_clients():
    walks = [play("read", CUT, CUT, GOOD).pauses for _ in range(20)]
    assert all(0.2 <= first <= 0.3 and 0.4 <= second <= 0.6 for first, second in walks)
    assert len(set(map(tuple, walks))) > 1


DATE = "Mon, 23 Nov 2026 12:00:00 GMT"
DATE_S = 1795435200


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 7 "}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "99999999"}, 86400),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 GMT", "date": DATE}, 30),
        ({"retry-after": "Mon, 23 Nov 2026 13:00:30 +0100", "date": DATE}, 30),
        ({"retry-after": "Monday, 23-Nov-26 12:00:30 GMT", "date": DATE}, 30),
        ({"retry-after": "Mon, 23 Nov 2026 11:00:00 GMT", "date": DATE}, 0),
        ({"x-ratelimit-reset": str(DATE_S + 12), "date": DATE}, 12),
        ({"x-ratelimit-reset": str(DATE_S - 12), "date": DATE}, 0),
        ({"retry-after": "5", "x-ratelimit-reset": str(DATE_S + 12), "date": DATE}, 5),
        ({"retry-after": "soon", "x-ratelimit-reset": str(DATE_S + 12), "date": DATE}, 12),
        ({}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 GMT"}, None),
        ({"x-ratelimit-reset": str(DATE_S + 12)}, None),
        ({"retry-after": "Mon, 99 Nov 99999 12:00:00 GMT", "date": DATE}, None),
    ],
    ids=str,
)
def test_the_time_to_wait_is_read_against_the_platforms_own_clock(headers, seconds):
    assert retry_after_s(headers) == seconds


@given(st.dictionaries(st.sampled_from(["retry-after", "date", "x-ratelimit-reset"]), st.text(max_size=40)))
def test_no_header_breaks_the_reading(headers):
    seconds = retry_after_s(headers)
    assert seconds is None or 0 <= seconds <= 86400


# --- paging (SAFETY H13) ------------------------------------------------------------------------------


class Server:
    """A paged list, newest first, that changes between requests as it is told to."""

    def __init__(self, rows, change=lambda _rows: None, *, total=len, most=20):
        self.rows = list(rows)
        self.always = set(self.rows)
        self.change, self.total, self.most = change, total, most
        self.limits: list[int] = []

    def __call__(self, request):
        limit, offset = int(request.query["limit"]), int(request.query["offset"])
        self.limits.append(limit)
        rows = self.rows[offset : offset + min(limit, self.most)]
        pagination = {"limit": limit, "offset": offset, "count": len(rows)}
        if (total := self.total(self.rows)) is not None:
            pagination["total"] = total
        answer = success({"data": list(rows), "pagination": pagination})
        self.change(self.rows)
        self.always &= set(self.rows)
        assert len(self.limits) <= 1000, "the walk must end"
        return answer

    def walk(self, *, page_size=20, max_rows=None):
        def page(limit, offset):
            return Request(
                "ListThings",
                "GET",
                "/v1/things",
                "/v1/things",
                "read",
                {"limit": str(limit), "offset": str(offset)},
            )

        played = Played(
            pages(page, lambda rows: rows, page_size=page_size, max_rows=max_rows, key=lambda row: row), self
        )
        assert played.error is None
        return played.value


@pytest.mark.parametrize("size", [0, 1, 2, 3, 17, 18, 19, 20, 21, 38, 39, 40, 100, 400])
@pytest.mark.parametrize("page_size", [1, 2, 3, 20])
@pytest.mark.parametrize("total", [len, lambda _rows: None], ids=["total", "no total"])
def test_a_list_that_stands_still_comes_whole_and_in_order(size, page_size, total):
    server = Server(range(size), total=total)
    listing = server.walk(page_size=page_size)
    assert list(listing) == list(range(size))
    assert listing.complete
    if page_size == 20 and total is len:
        assert len(server.limits) <= size // 18 + 1


@pytest.mark.parametrize(
    ("size", "max_rows", "rows", "complete"),
    [(100, 30, 30, False), (100, 100, 100, True), (5, 30, 5, True), (30, 30, 30, True), (31, 30, 30, False)],
)
def test_max_rows_is_kept_and_said(size, max_rows, rows, complete):
    listing = Server(range(size)).walk(max_rows=max_rows)
    assert (len(listing), listing.complete) == (rows, complete)


def inserting(count):
    fresh = iter(range(-1, -(10**9), -1))
    return lambda _rng: lambda rows: rows.__setitem__(slice(0, 0), [next(fresh) for _ in range(count)])


def deleting(count):
    return lambda _rng: lambda rows: rows.__delitem__(slice(0, count))


def scattered(rng):
    def change(rows):
        for _ in range(rng.randint(0, 4)):
            if rows:
                rows.pop(rng.randrange(len(rows)))
        if rng.random() < 0.3:
            rows.insert(0, -rng.randrange(1, 10**12))

    return change


def at_once(rng):
    when = rng.randint(1, 15)
    left = iter(range(10**6))
    return lambda rows: rows.__delitem__(slice(0, rng.randint(1, 300))) if next(left) == when else None


PATTERNS = {
    "1 insert a page": inserting(1),
    "25 inserts a page": inserting(25),
    "1 delete a page": deleting(1),
    "3 deletes a page": deleting(3),
    "25 deletes a page": deleting(25),
    "scattered": scattered,
    "many at once": at_once,
}


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
@pytest.mark.parametrize("page_size", [1, 5, 20])
def test_a_list_that_changes_while_it_is_read_is_whole_or_says_that_it_is_not(pattern, page_size):
    for seed in range(200):
        rng = random.Random(seed)
        server = Server(range(rng.randint(0, 200 if page_size == 20 else 60)), pattern(rng))
        listing = server.walk(page_size=page_size)

        assert max(Counter(listing).values(), default=1) == 1
        missed = server.always - set(listing)
        assert not (missed and listing.complete), f"seed {seed}: {len(missed)} rows missed and nothing said"


@pytest.mark.parametrize("deleted", [1, 3, 25])
def test_deletions_lose_no_row_that_stays(deleted):
    server = Server(range(400), deleting(deleted)(None))
    listing = server.walk()
    assert server.always <= set(listing)
    assert listing.complete
    assert len(server.limits) <= 50


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(Server(range(400), total=lambda _rows: 10**6), id="a total that is too high"),
        pytest.param(Server(range(400), total=lambda _rows: 5), id="a total that is too low"),
        pytest.param(Server(range(400), most=7), id="pages smaller than asked for"),
        pytest.param(Server(range(400), most=7, total=lambda _rows: None), id="smaller pages and no total"),
    ],
)
def test_a_server_that_errs_about_its_pages_misleads_nobody(server):
    listing = server.walk()
    assert set(listing) == set(range(400)) or not listing.complete


@pytest.mark.parametrize("total", [400, None])
def test_a_server_that_ignores_the_offset_is_noticed(total):
    def answer(_request):
        return success({"data": list(range(20)), "pagination": {} if total is None else {"total": total}})

    listing = Played(numbers(), answer).value
    assert (list(listing), listing.complete) == (list(range(20)), False)


@pytest.mark.parametrize("total", [400, None])
def test_pages_without_end_come_to_an_end(total):
    fresh = iter(range(10**9))
    asked = []

    def answer(request):
        asked.append(request)
        assert len(asked) <= 1000
        rows = [next(fresh) for _ in range(20)]
        return success({"data": rows, "pagination": {} if total is None else {"total": total}})

    assert not Played(numbers(), answer).value.complete


def numbers():
    return pages(
        lambda limit, offset: Request("L", "GET", "/l", "/l", "read", {"limit": str(limit), "offset": str(offset)}),
        lambda rows: rows,
        page_size=20,
        max_rows=None,
        key=lambda row: row,
    )


# --- waiting ------------------------------------------------------------------------------------------


def read_once():
    return (yield from send(request()))


def wait_for(states, *, timeout_s=900.0, on_change=None):
    script = list(states)
    return Played(
        until(read_once, lambda state: state == "done", timeout_s=timeout_s, what="The end", on_change=on_change),
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
    played = wait_for(["building", "building", "done"], timeout_s=0.6)
    assert played.value == "done"
    assert sum(played.pauses) == pytest.approx(0.6)


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


def test_a_promotion_that_failed_ends_with_the_old_deployment():
    played = promotion(("promoting", "old"), ("active", "old"))
    assert (played.value.project_deployment_id, len(played.requests)) == ("old", 2)


def test_a_promotion_that_never_begins_is_given_up_after_some_seconds_only():
    played = promotion(("active", "old"))
    assert played.value.project_deployment_id == "old"
    assert 5 < sum(played.pauses) < 20


def test_an_environment_that_is_gone_is_not_found():
    exchange = Environments.wait.function(None, "p", "gone", timeout_s=300)
    assert isinstance(Played(exchange, environments(("active", "old"))).error, errors.NotFound)
