from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from createos_nb.errors import InvalidArgument
from createos_nb.timerange import TimeRange, duration, utc

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)

moments = st.integers(0, 7 * 10**15).map(lambda us: datetime(1980, 1, 1, tzinfo=UTC) + timedelta(microseconds=us))
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.mark.parametrize(
    "moment",
    [
        NOON,
        NOON.astimezone(timezone(timedelta(hours=5, minutes=30))),
        pd.Timestamp("2026-11-23T12:00Z"),
        pd.Timestamp("2026-11-23T13:00", tz="Europe/Berlin"),
        "2026-11-23T12:00:00Z",
        " 2026-11-23 13:00+01:00\n",
        1795435200,
        1795435200.0,
        np.int64(1795435200),
    ],
    ids=repr,
)
def test_every_way_to_write_noon_is_noon_in_utc(moment):
    assert utc(moment) == NOON
    assert utc(moment).utcoffset() == timedelta()


@pytest.mark.parametrize(
    ("moment", "advice"),
    [
        (datetime(2026, 11, 23, 12), "2026-11-23T12:00:00Z"),  # noqa: DTZ001 - the point of the test
        ("2026-11-23T12:00:00", "no time zone"),
        ("noon", "or text like"),
        ("", "or text like"),
        (True, "aware datetime"),
        (1795435200000, "Divide by 1000"),
        (float("nan"), "unix time"),
        (float("inf"), "unix time"),
        (date(2026, 11, 23), "Write '2026-11-23T00:00:00Z' for UTC"),
        (np.datetime64("2026-11-23T12:00"), "Write '2026-11-23T12:00:00Z' for UTC"),
        (pd.NaT, "one is missing"),
        (None, "Pass an aware datetime"),
        ("0001-01-01T00:00+14:00", "outside of the years"),
    ],
    ids=repr,
)
def test_a_moment_that_is_none_is_refused_with_the_way_to_write_it(moment, advice):
    with pytest.raises(InvalidArgument, match=advice):
        utc(moment)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("15m", 900),
        ("15min", 900),
        ("2h", 7200),
        ("1d", 86400),
        ("1w", 604800),
        ("1h30m", 5400),
        ("1.5h", 5400),
        (" 1h 30m ", 5400),
        (timedelta(seconds=5), 5),
    ],
    ids=repr,
)
def test_a_length_is_written_as_people_write_it(text, seconds):
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        *("", "15", "m", "-15m", "0m", "0s", "15 minutes", "15m ago", "1e3s", "15M", "15m\x00"),
        *("9" * 400 + "s", "9" * 15 + "w", timedelta(), timedelta(seconds=-1), 15, None),
    ],
    ids=lambda text: repr(text)[:20],
)
def test_a_length_that_is_none_is_refused(text):
    with pytest.raises(InvalidArgument):
        duration(text)


def test_the_default_window_is_the_last_hour_and_ends_now():
    assert TimeRange.of(now=NOON) == TimeRange(NOON - timedelta(hours=1), NOON)
    before = datetime.now(UTC)
    window = TimeRange.of()
    assert before <= window.end < datetime.now(UTC) + timedelta(seconds=1)


def test_since_counts_back_from_the_end_that_was_given():
    assert TimeRange.of("15m", end=NOON, now=NOON + timedelta(days=1)) == TimeRange(
        NOON - timedelta(minutes=15), NOON
    )


def test_since_and_start_exclude_each_other():
    with pytest.raises(InvalidArgument, match="not both"):
        TimeRange.of("15m", start=NOON)


@pytest.mark.parametrize(
    ("window", "advice"),
    [
        ({"start": NOON, "end": NOON}, "is empty. .* a second long or more"),
        ({"start": NOON, "end": NOON - timedelta(seconds=1)}, "before it starts .* Swap the two"),
        ({"start": NOON + timedelta(hours=1), "end": NOON + timedelta(hours=2)}, "in the future"),
        ({"start": NOON + timedelta(hours=1)}, "in the future"),
        ({"since": TimeRange(NOON + timedelta(hours=1), NOON + timedelta(hours=2))}, "in the future"),
        *(
            ({"since": moment}, "is a time, .* Pass it as start=")
            for moment in (NOON, pd.Timestamp(NOON), "2026-11-23T11:00Z", NOON.timestamp(), date(2026, 11, 23))
        ),
    ],
)
def test_a_window_that_cannot_be_asked_for_is_refused_with_what_to_write(window, advice):
    with pytest.raises(InvalidArgument, match=advice):
        TimeRange.of(**window, now=NOON)


@given(
    moment=moments,
    lengths=st.lists(st.timedeltas(timedelta(seconds=1), timedelta(hours=1)), min_size=2, max_size=9),
)
def test_windows_that_adjoin_share_no_second_and_are_asked_for_as_they_are_shown(moment, lengths):
    ends = [moment + sum(lengths[:place], timedelta()) for place in range(len(lengths) + 1)]
    windows = [TimeRange.of(start=start, end=end) for start, end in pairwise(ends)]
    assert all(before.end_s == after.start_s for before, after in pairwise(windows))
    assert all((utc(each.start_s), utc(each.end_s)) == (each.start, each.end) for each in windows)
    assert timedelta() <= windows[-1].end - ends[-1] < timedelta(seconds=1)


def test_a_length_that_reaches_before_year_one_is_refused():
    with pytest.raises(InvalidArgument, match="shorter"):
        TimeRange.of("200000w", now=NOON)


def test_a_naive_now_is_refused_too():
    with pytest.raises(InvalidArgument, match="no time zone"):
        TimeRange.of("15m", now=NOON.replace(tzinfo=None))


def test_the_repr_says_both_ends_in_utc():
    berlin = timezone(timedelta(hours=1))
    window = TimeRange.of("15m", now=NOON.astimezone(berlin))
    assert repr(window) == "TimeRange(2026-11-23T11:45:00Z .. 2026-11-23T12:00:00Z)"


@given(start=moments, length=st.timedeltas(timedelta(microseconds=1), timedelta(days=3650)), zone=zones)
def test_a_window_is_the_same_in_every_zone(start, length, zone):
    window = TimeRange(start.astimezone(zone), (start + length).astimezone(zone))

    assert window == TimeRange(start, start + length)
    assert window.duration == length
    assert window.start.utcoffset() == window.end.utcoffset() == timedelta()


@given(seconds=st.integers(1, 10**9), now=moments)
def test_a_window_is_as_long_as_it_was_asked_to_be(seconds, now):
    assert TimeRange.of(f"{seconds}s", now=now).duration == timedelta(seconds=seconds)


@given(st.text(max_size=30))
def test_no_text_makes_anything_but_a_length_or_a_refusal(text):
    with suppress(InvalidArgument):
        assert duration(text) > timedelta()


def test_no_default_is_fixed_when_the_module_is_imported():
    first = TimeRange.of("1s")
    assert TimeRange.of("1s").end >= first.end


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/New_York"])
def test_the_zone_of_the_machine_changes_nothing(zone):
    code = "from createos_nb.timerange import *; print(utc(1795435200), TimeRange.of('1h', end=1795435200))"
    result = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "TZ": zone}, capture_output=True, text=True, check=True
    )
    assert result.stdout == ("2026-11-23 12:00:00+00:00 TimeRange(2026-11-23T11:00:00Z .. 2026-11-23T12:00:00Z)\n")
