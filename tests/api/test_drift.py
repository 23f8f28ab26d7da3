"""Answers of a platform that moved on: a value or one of our errors, never another exception (SAFETY H17, H18)."""

from __future__ import annotations

import copy
import json
import random
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import TypeAdapter, ValidationError

import createos_nb.api.declarations  # noqa: F401 - of every operation
from createos_nb.api.deployments import STATUSES
from createos_nb.api.model import Timestamp
from createos_nb.api.operation import OPERATIONS
from createos_nb.errors import CreateOSError
from tests.api.played import Played, itself, response, success

STRANGE = [
    *(None, "", "a status of next year", "\ud800", "9" * 5000, "1", "true", "2026-13-45T99:99:99Z", "\x00"),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-24"),
    *(0, -1, 1, 10**400, 1.5, 1e308, True, [], {}, [[]], {"": None}, [None], {"data": []}),
]


def strange(dice):
    """One of them, of its own: what is put into an answer may be changed there."""
    return copy.deepcopy(dice.choice(STRANGE))


def places(value, path=()):
    """Every place in a JSON value, the whole of it included."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from places(item, (*path, key))


def mutated(value, dice):
    """Return a copy with one to three places changed."""
    value = json.loads(json.dumps(value))
    for _ in range(dice.randint(1, 3)):
        path = dice.choice(list(places(value)))
        if not path:
            return strange(dice)
        holder = value
        for key in path[:-1]:
            holder = holder[key]
        what = dice.randrange(5)
        if what == 0:
            del holder[path[-1]]
        elif what == 1 and isinstance(holder, dict):
            holder[f"new{dice.randrange(10)}"] = strange(dice)
        elif what == 2 and isinstance(holder, list):
            holder.append(holder[path[-1]])
        else:
            holder[path[-1]] = strange(dice)
        if not holder:
            break
    return value


def test_no_mutated_answer_of_any_operation_is_more_than_one_of_our_errors(arguments, documented_answer):
    read = refused = 0
    for declared in OPERATIONS.values():
        whole, sent, dice = documented_answer(declared), arguments(declared), random.Random(declared.name)
        if declared.paged:
            whole = {"data": whole if isinstance(whole, list) else [whole], "pagination": {"total": 1}}
        for _ in range(110):
            data = mutated(whole, dice)
            body = success(data) if dice.random() < 0.9 else response(200, mutated({"status": "success"}, dice))
            # Anything but a CreateOSError is raised by this.
            played = Played(itself(declared, sent), lambda _request, body=body: body)
            assert played.error is None or isinstance(played.error, CreateOSError)
            read, refused = read + (played.error is None), refused + (played.error is not None)
    assert read + refused >= 10_000
    assert min(read, refused) > 1_000, "both happen"


def test_no_unknown_status_becomes_one_that_is_documented(documented_answer):
    declared = OPERATIONS["GetDeployment"]
    for status in ["Deployed", "deployed ", "DEPLOYED", "deployed\n", "succeeded", ""]:
        data = {**documented_answer(declared), "status": status, "newField": {"a": [1]}}
        seen = Played(declared.exchange("p", "d"), lambda _request, data=data: success(data)).value
        assert seen.status == status
        assert seen.status not in STATUSES
        assert seen.wire()["newField"] == {"a": [1]}


TIME = TypeAdapter(Timestamp)


def a_time(dice):
    """Return a moment's text, and the moment."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
        seconds=dice.randrange(-(10**9), 10**10), microseconds=dice.randrange(10**6)
    )
    minutes = dice.choice([0, 0, 60, -300, 330, 345, 840, -720, dice.randrange(-840, 840)])
    local = moment.astimezone(timezone(timedelta(minutes=minutes)))
    offset = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    if minutes == 0:
        offset = dice.choice(["Z", "z", "+00:00", ""])
    digits = dice.choice([0, 3, 6, 9])
    fraction = f"{local.microsecond:06}{dice.randrange(1000):03}"[:digits]
    kept = int(fraction[:6].ljust(6, "0")) if digits else 0
    text = f"{local:%Y-%m-%d}{dice.choice('T ')}{local:%H:%M:%S}{'.' * bool(digits)}{fraction}{offset}"
    return text, moment.replace(microsecond=kept)


def test_every_time_is_read_as_the_moment_that_it_is_in_utc():
    dice = random.Random(18)
    for _ in range(50_000):
        text, moment = a_time(dice)
        read = TIME.validate_python(text)
        assert (read, read.tzinfo) == (moment, UTC), text


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        # Both halves of an hour that a clock in Berlin shows twice.
        ("2026-10-25T02:30:00+02:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-10-25T02:30:00+01:00", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
        ("2028-02-29T23:59:59.999999999Z", datetime(2028, 2, 29, 23, 59, 59, 999999, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_the_odd_ones_too(text, moment):
    assert TIME.validate_python(text) == moment


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2027-02-29T00:00:00Z"])
def test_a_moment_that_there_is_not_is_a_validation_error(text):
    with pytest.raises(ValidationError):
        TIME.validate_python(text)
