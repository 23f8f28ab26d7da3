from __future__ import annotations

import json

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from createos_nb import logs, schema
from createos_nb.markup import visible

JSON_LINE = json.dumps(
    {
        "timestamp": "2026-11-23T12:00:00.123456Z",
        "level": "ERROR",
        "message": "POST /checkout 500",
        "logger": "shop",
        "method": "POST",
        "path": "/checkout",
        "status": 500,
        "duration_ms": 8.25,
        "request_id": "r-1",
        "trace": "Traceback (most recent call last):\n  ...\nKeyError: 'coupon'",
    }
)
TRACEBACK = [
    "Traceback (most recent call last):",
    '  File "/app/main.py", line 10, in checkout',
    "    price = prices[item]",
    "            ~~~~~~^^^^^^",
    "KeyError: 'item'",
]
CHAINED = [
    *TRACEBACK,
    "",
    "During handling of the above exception, another exception occurred:",
    "",
    "Traceback (most recent call last):",
    '  File "/app/main.py", line 12, in checkout',
    "shop.errors.CheckoutFailed: no price",
]


def parse(*lines):
    return schema.LOGS.check(logs.parse("\n".join(lines), project="shop", environment="production"))


def row(*lines):
    frame = parse(*lines)
    assert len(frame) == 1
    return frame.iloc[0]


def test_a_json_line_fills_the_columns():
    read = row(JSON_LINE)
    assert read["timestamp"] == pd.Timestamp("2026-11-23T12:00:00.123456Z")
    assert (read["level"], read["message"], read["logger"]) == ("ERROR", "POST /checkout 500", "shop")
    assert (read["method"], read["path"], read["status"]) == ("POST", "/checkout", 500)
    assert (read["duration_ms"], read["request_id"]) == (8.25, "r-1")
    assert read["trace"].endswith("KeyError: 'coupon'")
    assert read["raw"] == JSON_LINE
    assert (read["project"], read["environment"]) == ("shop", "production")
    assert pd.isna(read["stream"])


@pytest.mark.parametrize(
    ("written", "level"),
    [
        ("info", "INFO"),
        ("WARN", "WARNING"),
        ("Fatal", "CRITICAL"),
        ("notice", "INFO"),
        (30, "INFO"),
        (60, "CRITICAL"),
        ("audit", "audit"),
    ],
)
def test_levels_have_one_spelling_and_strange_ones_are_kept(written, level):
    assert row(json.dumps({"level": written, "msg": "hello"}))["level"] == level


@pytest.mark.parametrize(
    "written",
    [
        *("2026-11-23T12:00:00Z", "2026-11-23 13:00:00+01:00", "2026-11-23T12:00:00.000000000Z"),
        *(1795435200, 1795435200.0, 1795435200 * 10**3, 1795435200 * 10**6, 1795435200 * 10**9),
    ],
)
def test_a_time_is_read_however_it_is_written(written):
    assert row(json.dumps({"ts": written, "msg": "hello"}))["timestamp"] == pd.Timestamp("2026-11-23T12:00:00Z")


@pytest.mark.parametrize(
    "written",
    [
        "now",
        "today",
        "noon",
        "12:00",
        "",
        True,
        [],
        1e400,
        -1e400,
        10**400,
        1e300,
        float("nan"),
        "2026-99-99T00:00:00Z",
    ],
)
def test_what_is_not_a_time_is_missing(written):
    read = row(json.dumps({"ts": written, "msg": "hello"}))
    assert pd.isna(read["timestamp"])
    assert read["message"] == "hello"


@pytest.mark.parametrize(
    ("line", "time", "level", "message"),
    [
        ("2026-11-23T12:00:00Z INFO started", "12:00:00", "INFO", "started"),
        ("2026-11-23 12:00:00,250 WARNING: low disk", "12:00:00.25", "WARNING", "low disk"),
        ("[2026-11-23 12:00:00 +0000] [ERROR] boom: x", "12:00:00", "ERROR", "boom: x"),
        ("2026-11-23T13:00:00.5+01:00 - debug - deep", "12:00:00.5", "DEBUG", "deep"),
        ("2026-11-23T12:00:00Z warn", "12:00:00", "WARNING", ""),
        ("2026-11-23T12:00:00 UTC INFO started", "12:00:00", "INFO", "started"),
    ],
)
def test_a_line_with_time_and_level_is_read(line, time, level, message):
    read = row(line)
    assert read["timestamp"] == pd.Timestamp(f"2026-11-23T{time}Z")
    assert (read["level"], read["message"], read["raw"]) == (level, message, line)


def test_a_line_with_only_a_time_has_no_level():
    read = row("2026-11-23T12:00:00Z INFORMATIONAL started")
    assert read["timestamp"] == pd.Timestamp("2026-11-23T12:00:00Z")
    assert pd.isna(read["level"])
    assert read["message"] == "INFORMATIONAL started"


@pytest.mark.parametrize(
    "line",
    [
        "starting",
        "",
        "{broken",
        '{"a": 1}',
        "{}",
        "[1, 2]",
        "2026 was a year",
        '{"a":' * 100_000,
        '{"n": ' + "9" * 5000 + "}",
    ],
    ids=["words", "empty", "broken", "no message", "no fields", "list", "number", "deep", "long number"],
)
def test_any_other_line_is_its_own_message(line):
    read = row(line, "") if line == "" else row(line)
    assert read["message"] == line
    assert read[["timestamp", "level", "stream", "trace"]].isna().all()


def test_values_of_the_wrong_kind_are_missing_and_cost_nothing_else():
    read = row(json.dumps({"msg": {"a": 1}, "status": "ok", "duration_ms": "fast", "level": None, "logger": 7}))
    assert read["message"] == '{"a": 1}'
    assert read[["status", "duration_ms", "level"]].isna().all()
    assert read["logger"] == "7"


@pytest.mark.parametrize("status", [10**30, -5, 99, 1000, 2.5, "20", "٢٠٠"])
def test_a_status_that_http_does_not_know_is_missing(status):
    assert pd.isna(row(json.dumps({"msg": "x", "status": status}))["status"])


def test_a_traceback_belongs_to_the_line_that_announced_it():
    frame = parse("2026-11-23T12:00:00Z ERROR checkout failed", *TRACEBACK, "next")
    assert frame["message"].tolist() == ["checkout failed", "next"]
    assert frame["trace"].iloc[0] == "\n".join(TRACEBACK)
    assert frame["raw"].iloc[0].count("\n") == 5


@pytest.mark.parametrize("before", [[], ["2026-11-23T12:00:00Z INFO GET / 200"]], ids=["first", "after INFO"])
def test_a_traceback_that_nothing_announced_is_an_error_of_its_own(before):
    frame = parse(*before, *TRACEBACK, "next")
    assert len(frame) == len(before) + 2
    error = frame.iloc[len(before)]
    assert (error["level"], error["message"]) == ("ERROR", "KeyError: 'item'")
    assert error["trace"] == error["raw"] == "\n".join(TRACEBACK)


def test_chained_tracebacks_are_one():
    frame = parse("ERROR: checkout", *CHAINED, "next")
    assert frame["message"].tolist() == ["checkout", "next"]
    assert frame["trace"].iloc[0] == "\n".join(CHAINED)


def test_a_traceback_ends_where_the_next_line_begins():
    cut = TRACEBACK[:-1]
    assert parse(*cut, JSON_LINE)["message"].tolist() == [cut[-1], "POST /checkout 500"]
    assert parse(*cut)["raw"].tolist() == ["\n".join(cut)]
    assert parse(*TRACEBACK, *TRACEBACK)["trace"].tolist() == ["\n".join(TRACEBACK)] * 2


def test_the_stack_of_node_and_java_belongs_to_the_line_above():
    stack = [
        "    at checkout (main.js:10:3)",
        "    at main.js:1:1",
        "Caused by: Error: no price",
        "    at price (x.js:1)",
    ]
    frame = parse("Error: checkout failed", *stack, "next")
    assert frame["message"].tolist() == ["Error: checkout failed", "next"]
    assert frame["trace"].iloc[0] == "\n".join(stack)


def test_a_traceback_is_put_behind_the_one_a_json_line_has():
    frame = parse(JSON_LINE, *TRACEBACK)
    assert frame["trace"].iloc[0] == json.loads(JSON_LINE)["trace"] + "\n" + "\n".join(TRACEBACK)


@pytest.mark.parametrize("nothing", ["", "Listening for logs...", "Listening for logs...\n"])
def test_no_lines_are_an_empty_frame(nothing):
    frame = logs.parse(nothing, project="shop", environment="production")
    pd.testing.assert_frame_equal(frame, schema.LOGS.empty())


def test_windows_line_ends_disturb_nothing_and_are_kept():
    frame = parse('{"level": "INFO", "message": "a"}\r', *(f"{line}\r" for line in TRACEBACK))
    assert frame["message"].tolist() == ["a", "KeyError: 'item'"]
    assert frame["raw"].iloc[0].endswith("}\r")


def test_other_ends_of_line_do_not_make_a_line():
    forged = "real\x0b2026-11-23T12:00:00Z ERROR forged\x85more\u2028and\rmore\x0c"
    assert row(forged)["message"] == visible(forged)
    assert row(forged)["raw"] == forged


A_LINE = st.one_of(
    st.text(alphabet=st.characters(blacklist_characters="\n", blacklist_categories=("Cs",))),
    st.sampled_from(
        [JSON_LINE, *CHAINED, "    at x", "Caused by: y", "2026-11-23T12:00:00Z INFO x", "\r", "{", ""]
    ),
    st.dictionaries(
        st.sampled_from(["timestamp", "level", "message", "status", "duration_ms", "trace", "other"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2),
    ).map(json.dumps),
)


@given(st.lists(A_LINE, min_size=1))
@example(["a\ud800"])
@example([*TRACEBACK[:1]])
@example([*CHAINED[:-1]])
def test_no_line_is_ever_dropped_changed_or_moved(lines):
    text = "\n".join(lines)
    frame = schema.LOGS.check(logs.parse(text, project="shop", environment=None))
    if text:
        kept = text.encode("utf-8", "backslashreplace").decode()
        assert "\n".join(frame["raw"]) == kept.removesuffix("\n")
    assert frame["message"].notna().all()


def test_a_field_that_asks_for_a_trace_is_none_and_an_empty_one_hides_no_other():
    lines = [
        {"level": "error", "msg": "boom", "exc_info": True, "exception": "Traceback …"},
        {"level": "error", "msg": "boom", "exc_info": True},
        {"level": "", "severity": "ERROR", "message": "", "msg": "real"},
        {"level": "info", "message": "", "msg": ""},
    ]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    frame = logs.parse(text, project="shop", environment="production")
    assert frame["trace"].astype(object).where(frame["trace"].notna(), None).tolist() == [
        "Traceback …",
        None,
        None,
        None,
    ]
    assert frame["level"].tolist() == ["ERROR", "ERROR", "ERROR", "INFO"]
    assert frame["message"].tolist() == ["boom", "boom", "real", ""]
