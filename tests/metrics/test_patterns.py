"""Lines made from known templates, grouped again."""

from __future__ import annotations

import json
import random
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

import createos_nb.accessor  # noqa: F401 - registers df.createos
from createos_nb import metrics, schema
from createos_nb.errors import FrameError, InvalidArgument
from createos_nb.logs import parse

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
WORDS = ["lamp", "chair", "table", "shelf", "mirror", "carpet", "clock", "vase"]


def made(rng, kind):
    """A message of a kind: the kind is the oracle, and no function under test knows it."""
    number, word = rng.randrange(10**6), rng.choice(WORDS)
    identifier = uuid.UUID(int=rng.getrandbits(128))
    return {
        "checkout": f"checkout of order {number} took {number / 7:.2f} ms",
        "login": f"user {identifier} signed in from 10.0.{number % 256}.{number % 199}",
        "stock": f"item {word} is out of stock",
        "retry": f"connection to 0x{number:06x} lost, attempt {number % 9}",
        "start": "the application starts",
    }[kind]


def logs(kinds, *, seed=1, environment="production", step_s=1):
    rng = random.Random(seed)
    return schema.LOGS.frame(
        {
            "project": "shop",
            "environment": environment,
            "timestamp": NOON + timedelta(seconds=step_s * number),
            "level": "ERROR" if kind == "retry" else "INFO",
            "message": made(rng, kind),
            "raw": "",
        }
        for number, kind in enumerate(kinds)
    )


KINDS = random.Random(2).choices(["checkout", "login", "stock", "retry", "start"], [50, 30, 20, 10, 1], k=3000)


def of(found, word):
    (row,) = found[found["template"].str.contains(word)].itertuples(index=False)
    return row


WORD_OF = {"checkout": "checkout", "login": "signed", "stock": "stock", "retry": "attempt", "start": "starts"}


def test_lines_of_one_template_are_one_row_with_their_count_and_share():
    found = schema.PATTERNS.check(metrics.patterns(logs(KINDS)))
    assert len(found) == 5
    for kind, count in Counter(KINDS).items():
        row = of(found, WORD_OF[kind])
        assert row.lines == count
        assert row.share == pytest.approx(count / len(KINDS))
    assert found["lines"].is_monotonic_decreasing


def test_first_and_last_seen_level_and_example_are_those_of_its_lines():
    frame = logs(KINDS)
    found = metrics.patterns(frame)
    for kind in set(KINDS):
        places = [number for number, other in enumerate(KINDS) if other == kind]
        row = of(found, WORD_OF[kind])
        assert row.first_seen == NOON + timedelta(seconds=places[0])
        assert row.last_seen == NOON + timedelta(seconds=places[-1])
        assert row.level == ("ERROR" if kind == "retry" else "INFO")
        assert row.example in set(frame["message"].iloc[places])


def test_lines_of_another_level_are_another_template_and_a_level_that_is_none_of_ours_is_kept():
    found = metrics.patterns(logs(["start"] * 6).assign(level=["NOTE", "AUDIT", "AUDIT", "INFO", None, "INFO"]))
    assert set(found["template"]) == {"the application starts"}
    lines = {
        level if isinstance(level, str) else None: count
        for level, count in zip(found["level"], found["lines"], strict=True)
    }
    assert lines == {"AUDIT": 2, "INFO": 2, "NOTE": 1, None: 1}


def test_however_many_levels_there_are_few_are_kept_apart():
    levels = [f"tenant-{number}" for number in range(300)]
    frame = logs(["start"] * 320).assign(level=[*levels, *["tenant-0"] * 10, *["ERROR"] * 10])
    found = metrics.patterns(frame).set_index("level")["lines"]
    assert len(found) == 12
    assert (found["tenant-0"], found["OTHER"], found["ERROR"]) == (11, 290, 10)


FAILS_AT = NOON + timedelta(seconds=300)


def failing_later(line):
    """Parse 600 lines, of which every fourth fails from the 300th on."""
    times = [NOON + timedelta(seconds=number) for number in range(600)]
    fails = [number >= 300 and number % 4 == 0 for number in range(600)]
    text = "".join(
        line(at, number, failed) + "\n" for number, (at, failed) in enumerate(zip(times, fails, strict=True))
    )
    return parse(text, project="shop", environment="production")


@pytest.mark.parametrize(
    "line",
    [
        lambda at, number, failed: (
            f"{at:%Y-%m-%d %H:%M:%S},000 {'ERROR' if failed else 'INFO'} shop.pay: payment of order {number} "
            f"{'failed' if failed else 'succeeded'}"
        ),
        lambda at, number, failed: json.dumps(
            {
                "time": at.isoformat(),
                "level": "error" if failed else "info",
                "message": f"GET /pay/{number} answered",
            }
            | {"status": 500 if failed else 200}
        ),
        lambda at, _, failed: (
            f'10.0.0.1 - - [{at:%d/%b/%Y:%H:%M:%S} +0000] "GET /pay HTTP/1.1" {500 if failed else 200} 12 "-" "-"'
        ),
    ],
    ids=["Python", "JSON", "an access log"],
)
def test_what_begins_to_fail_is_new_though_all_but_its_outcome_is_as_before(line):
    frame = failing_later(line)
    found = metrics.patterns(frame)
    assert sorted(found["lines"]) == [75, 525]
    (row,) = metrics.first_seen(frame, since=pd.Timestamp(FAILS_AT)).itertuples()
    assert (row.lines, row.first_seen) == (75, FAILS_AT)
    assert not found.duplicated(["template", "level", "status_class"]).any(), "each row says what it is"
    assert row.example in set(frame["message"].iloc[300::4])
    deployment = schema.DEPLOYMENTS.frame([{"project": "shop", "created_at": FAILS_AT}]).iloc[0]
    assert metrics.first_seen(frame, since=deployment)["lines"].tolist() == [75]


def test_what_differs_is_masked_by_its_name():
    found = metrics.patterns(logs(KINDS))
    assert of(found, "signed").template == "user <UUID> signed in from <IP>"
    assert of(found, "checkout").template == "checkout of order <NUM> took <NUM> ms"
    assert of(found, "stock").template == "item <*> is out of stock"


def test_environments_are_counted_apart():
    both = pd.concat([logs(KINDS), logs(["start"], environment="staging")])
    found = metrics.patterns(both)
    assert list(found.groupby("environment")["share"].sum().round(9)) == [1, 1]
    assert found.set_index("environment").loc["staging", "lines"] == 1


def test_no_lines_give_the_columns():
    schema.PATTERNS.check(metrics.patterns(schema.LOGS.empty()))
    schema.PATTERNS.check(metrics.first_seen(schema.LOGS.empty(), since="15m"))


def test_what_a_terminal_would_obey_is_spelled_out():
    frame = schema.LOGS.frame([{"project": "p", "environment": "e", "message": "a\x1b[31mb \u202ec", "raw": ""}])
    (row,) = metrics.patterns(frame).itertuples()
    assert "\x1b" not in row.template + row.example
    assert "\u202e" not in row.template + row.example


def test_rows_of_a_followed_log_that_are_no_lines_are_left_out():
    row = {"project": "p", "environment": "e", "raw": ""}
    frame = schema.FOLLOWED.frame([row | {"message": "hello"}, row | {"message": "lost", "gap": "outrun"}])
    assert list(metrics.patterns(frame)["template"]) == ["hello"]


def test_a_log_of_nothing_but_different_lines_keeps_its_count():
    count = 8000  # more than are compared
    rng = random.Random(3)
    messages = [" ".join(rng.choices("abcdefghij", k=8)) for _ in range(count)]
    frame = schema.LOGS.from_columns(
        {
            column.name: ["p" if column.name in {"project", "environment", "raw"} else None] * count
            for column in schema.LOGS.columns
        }
        | {"message": messages}
    )
    assert metrics.patterns(frame)["lines"].sum() == count


# --- what is new --------------------------------------------------------------------------------------

NEW_AT = NOON + timedelta(seconds=200)
LATER = logs(["stock", "start"] * 100 + ["stock", "retry", "start", "retry"] * 10)


@pytest.mark.parametrize(
    "since",
    [pd.Timestamp(NEW_AT), NEW_AT.isoformat(), "39s", "2026-11-23T12:03:20Z"],
    ids=["a deployment's time", "ISO", "a length", "Z"],
)
def test_only_what_was_never_seen_before_is_new(since):
    found = schema.PATTERNS.check(metrics.first_seen(LATER, since=since))
    (row,) = found.itertuples()
    assert "attempt" in row.template
    assert (row.lines, row.first_seen) == (20, NEW_AT + timedelta(seconds=1))
    assert row.complete


def test_a_traceback_without_a_time_is_new_since_the_line_before_it():
    texts = ["GET / 200", "GET / 200", "Traceback (most recent call last)", "GET / 200"]
    times = [NOON, NEW_AT, None, NEW_AT + timedelta(seconds=5)]
    frame = schema.LOGS.frame(
        {"project": "p", "environment": "e", "timestamp": at, "message": text, "raw": ""}
        for at, text in zip(times, texts, strict=True)
    )
    (row,) = metrics.first_seen(frame, since=pd.Timestamp(NEW_AT)).itertuples()
    assert (row.template, row.first_seen) == ("Traceback (most recent call last)", NEW_AT)


@pytest.mark.parametrize("since", [None, pd.NaT], ids=str)
def test_no_time_at_all_is_refused(since):
    with pytest.raises(InvalidArgument, match="time"):
        metrics.first_seen(LATER, since=since)


def test_without_lines_from_before_it_says_that_it_does_not_know():
    found = metrics.first_seen(LATER, since=pd.Timestamp(NOON))
    assert len(found) == 3
    assert not found["complete"].any()


@pytest.mark.parametrize("since", ["2026-11-23T12:00:00", "lately", pd.Timestamp("2026-11-23")], ids=str)
def test_a_time_that_is_none_is_refused(since):
    with pytest.raises(InvalidArgument):
        metrics.first_seen(LATER, since=since)


def test_a_frame_without_messages_is_refused_with_the_column():
    with pytest.raises(FrameError, match="'message'"):
        metrics.patterns(LATER.drop(columns="message"))


def test_logs_offer_it_with_tab():
    assert {"patterns", "first_seen"} <= set(dir(LATER.createos))
    pd.testing.assert_frame_equal(LATER.createos.patterns(), metrics.patterns(LATER))
    pd.testing.assert_frame_equal(LATER.createos.first_seen(since="39s"), metrics.first_seen(LATER, since="39s"))
