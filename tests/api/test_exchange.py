"""What is sent, sent again, believed and refused: pure, no HTTP at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

import createos_nb.api.declarations  # noqa: F401 - of every operation
from createos_nb import errors
from createos_nb.api.account import User
from createos_nb.api.answer import Answer
from createos_nb.api.envelope import retry_after_s
from createos_nb.api.exchange import ATTEMPTS, PATIENCE_S, call, send
from createos_nb.api.listing import Listing
from createos_nb.api.message import Unanswered
from createos_nb.api.operation import OPERATIONS
from tests.api.played import Played, itself, request, response, success


def play(safety, *answers):
    """Send a request of some safety, and answer it with each in turn, the last one for ever."""
    script = list(answers)
    return Played(send(request(safety)), lambda _request: script.pop(0) if len(script) > 1 else script[0])


# --- envelopes (SAFETY H01) ---------------------------------------------------------------------------

REFUSALS = {
    "fail": (b'{"status": "fail", "data": "the name is taken"}', "the name is taken"),
    "error": (b'{"status": "error", "message": "broken"}', "broken"),
    "fail without a reason": (b'{"status": "fail"}', "no reason given"),
    "fail with data of the right shape": (b'{"status": "fail", "data": {"id": "1"}}', "an object with id"),
    "both a message and data": (b'{"status": "error", "message": "boom", "data": [{"runEnvs": {}}]}', "boom"),
    "another spelling of fail": (b'{"success": false, "message": "no"}', "no"),
    "an error object": (b'{"error": {"code": "x", "message": "no", "details": null}}', "no"),
    "an error text": (b'{"error": "no"}', "no"),
    "an error beside data": (b'{"status": "success", "error": {"code": "x", "message": "no"}, "data": []}', "no"),
    "two that disagree": (b'{"success": true, "status": "Failed", "message": "no", "data": []}', "no"),
    "two that disagree the other way": (b'{"success": "false", "status": "success", "message": "no"}', "no"),
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
        played = Played(itself(declared, arguments(declared)), lambda _request, answer=answer: answer)

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
        played = Played(itself(declared, arguments(declared)), lambda _request, answer=answer: answer)

        once = declared.safety in {"creates", "destroys"}
        assert type(played.error) is (errors.OutcomeUnknown if once else errors.UnexpectedResponse), declared.name
        assert ("It may have happened" in str(played.error)) == once
        assert played.error.operation == declared.name
        assert played.error.status == status or declared.paged
        assert len(played.requests) == 1
        assert str(played.error).startswith(declared.name)
        assert "s3cret" not in str(played.error)


@pytest.mark.parametrize("declared", OPERATIONS.values(), ids=OPERATIONS)
@pytest.mark.parametrize("spelling", [{"status": "success"}, {"success": True}], ids=["jsend", "success"])
def test_every_operation_reads_an_answer_of_the_documented_shape(declared, arguments, documented_answer, spelling):
    data = documented_answer(declared)
    played = Played(
        itself(declared, arguments(declared)), lambda _request: response(200, {**spelling, "data": data})
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
        played = Played(itself(declared, arguments(declared)), lambda _request, answer=answer: answer)

        refused = status < 500 or declared.safety not in {"creates", "destroys"} or b'"fail"' in body
        assert type(played.error) is (kind if refused else errors.OutcomeUnknown), declared.name
        assert ("may have happened" in str(played.error)) != refused
        assert (len(played.requests), played.error.operation, played.error.status) == (1, declared.name, status)


def test_a_success_that_says_it_is_no_json_is_none():
    good = {"status": "success", "data": "x"}
    for kind in ("text/html", "application/octet-stream"):
        error = play("read", response(200, good, content_type=kind, x_request_id="r-1")).error
        assert (type(error), error.status, error.request_id) == (errors.UnexpectedResponse, 200, "r-1")
        assert kind in str(error)
    for kind in ("application/json; charset=utf-8", "application/problem+json"):
        assert play("read", response(200, good, content_type=kind)).value == "x"


@pytest.mark.parametrize(("allowed", "said"), [(1, "in 1 attempt "), (ATTEMPTS, "in 3 attempts ")])
def test_a_read_without_an_answer_says_how_often_it_was_sent(allowed, said):
    played = Played(send(request()), lambda _request: CUT, attempts=allowed)
    assert len(played.requests) == allowed
    assert said in str(played.error)


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
def test_a_redirect_is_refused_and_names_the_target(arguments, status):
    answer = response(status, b"", location="https://evil.example/\x1b[31m")
    for declared in OPERATIONS.values():
        played = Played(itself(declared, arguments(declared)), lambda _request: answer)

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
        call(request(), Answer(User).of), lambda _request: success({"id": "1", "email": {"token": "s3cret"}})
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
    played = Played(itself(declared, arguments(declared)), lambda _request: CUT)

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
    # A server that breaks may have done it by then; so may one that a proxy got no answer of.
    kind = errors.OutcomeUnknown if safety in {"creates", "destroys"} else errors.ServerError
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
    assert f"There is room again at {played.error.retry_at:%H:%M:%S} UTC, in 21 s." in str(played.error)


def test_without_a_time_to_wait_a_refusal_stands():
    played = play("read", response(429), GOOD)
    assert (len(played.requests), played.error.retry_at) == (1, None)


def test_a_date_without_the_platforms_time_is_read_by_this_machines():
    def said(seconds):
        return retry_after_s(
            {"retry-after": format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)}
        )

    assert 20 < said(30) <= 30
    assert said(-30) is None
    assert said(7200) is None


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
