"""What a log line holds is seen, and does nothing (SAFETY N10, N11)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pandas as pd
import pytest

from createos_nb import logs, schema
from createos_nb.markup import HIDDEN

HOSTILE = {
    "colour": "\x1b[31mred\x1b[0m",
    "title": "\x1b]0;owned\x07",
    "link": "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;cm0gLXJmIH4=\x07",
    "clear": "\x1b[2J\x1b[H",
    "c1": "\x9b31m and \x90q",
    "overwrite": "GET /admin 500\rGET /      200",
    "backspace": "secret\b\b\b\b\b\bpublic",
    "bidi": "user \u202etxt.exe\u202c \u2066x\u2069",
    "zero width": "pass\u200bword \ufeffx\u2060y",
    "other line ends": "a\x0b2026-11-25T00:00:00Z ERROR forged\x0cb\x85c\u2028d\u2029e",
    "null": "a\x00b\x7f",
}
FORMS = {
    "plain": "{}",
    "time": "2026-11-25T00:00:00Z ERROR {}",
    "level": "ERROR:shop:{}",
    "access": '1.1.1.1 - - [25/Nov/2026:00:00:01 +0000] "GET /{} HTTP/1.1" 200 1',
    "logfmt": 'level="x{}" msg="{}" path="{}"',
}


def lines():
    for value in HOSTILE.values():
        yield from (form.replace("{}", value) for form in FORMS.values())
        fields = ("level", "msg", "logger", "method", "path", "request_id", "stream", "trace")
        yield json.dumps(dict.fromkeys(fields, value))
        yield json.dumps(dict.fromkeys(fields, value), ensure_ascii=False)


def parse(text):
    return schema.LOGS.check(logs.parse(text, project="shop", environment="production"))


def unsafe(text):
    return HIDDEN.findall(text.replace("\n", ""))


def test_hostile_lines_are_one_row_each_and_whole_in_raw():
    assert parse("\n".join(lines()))["raw"].tolist() == list(lines())


def test_no_column_but_raw_holds_what_moves_a_cursor_or_hides_text():
    frame = parse("\n".join(lines())).drop(columns="raw")
    for name in frame.columns:
        assert unsafe("".join(frame[name].astype("str").fillna(""))) == [], name
    assert r"\x1b[31mred\x1b[0m" in frame["message"].tolist()
    assert any(r"\u202e" in path for path in frame["path"].dropna())


@pytest.mark.parametrize("width", [50, None])
@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        pd.DataFrame.to_string,
        pd.DataFrame.to_html,
        pd.DataFrame._repr_html_,
        lambda frame: repr(frame["raw"]),
        lambda frame: frame["raw"].to_string(),
        lambda frame: repr(frame.tail(9)),
        lambda frame: repr(frame[frame["level"] == "ERROR"].sort_values("raw")),
        lambda frame: repr(pd.concat([frame, frame])),
        lambda frame: repr(schema.LOGS.concat([frame, frame]).copy()),
        lambda frame: repr(frame.reset_index(drop=True).query("status != 200").head()),
    ],
)
def test_what_is_shown_of_a_frame_moves_no_cursor_and_hides_nothing(show, width):
    frame = parse("\n".join(lines()))
    with pd.option_context("display.max_colwidth", width, "display.max_rows", None, "display.width", None):
        shown = show(frame)
    assert unsafe(shown) == []


def test_a_line_of_ten_megabytes_is_read_and_shown_small_and_soon():
    text = f"first\n{'x' * 10_000_000}\n" + json.dumps({"msg": "y" * 10_000_000, "level": "info"}) + "\nlast"
    frame = parse(text)
    assert "\n".join(frame["raw"]) == text
    began = time.monotonic()
    shown = repr(frame) + frame._repr_html_()
    assert len(shown) < 20_000
    # The goal is 2 s; what is asserted is only that it does not hang.
    assert time.monotonic() - began < 60


def test_a_million_rows_are_shown_as_a_few():
    frame = parse("\n".join(f"2026-11-25T00:00:00Z INFO line {number}" for number in range(1_000_000)))
    assert len(frame) == 1_000_000
    assert frame["message"].iloc[-1] == "line 999999"
    assert len(repr(frame) + frame._repr_html_()) < 50_000
    assert "1000000 rows" in repr(frame)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "text",
    [
        *("{" * 5_000_000, "[" * 5_000_000, " " * 5_000_000, "a=" + '"' * 2_000_000, "1.1.1.1 " * 500_000),
        *("2026-11-25 " * 300_000, "a=b " * 500_000 + "level=info", '{"a":' * 1_000_000 + "}", "a.b:" * 1_000_000),
        *("  x\n" * 300_000, "Traceback (most recent call last):\n" * 50_000, "/a:1\n  x\n" * 100_000),
        *("goroutine 1 [running]:\nmain()\n" * 50_000, "    at x {\n" * 100_000, "\n" * 300_000),
        '{"msg": "a", "time": 1}\n{"msg": 1, "time": "x"}\n{bad}\n' * 10_000,
    ],
    ids=range(16),
)
def test_no_text_makes_the_patterns_go_back(text):
    """Quadratic time over these would be hours."""
    assert "\n".join(parse(text)["raw"]) == text.removesuffix("\n")


MEASURED = """
import sys
from createos_nb import logs
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
line = '2026-11-25T00:00:%02d.123Z INFO shop.http: handled request %d in 12 ms for user 7719, cart 13, of Berlin'
logs.parse("\\n".join(line % (n % 60, n) for n in range(20000)), project="a", environment="b")
text = "\\n".join(line % (n % 60, n) for n in range(1_000_000))
megabytes = len(text) / 1e6
open("/proc/self/clear_refs", "w").write("5")  # the peak from here on
before = peak()
frame = logs.parse(text, project="a", environment="b")
assert len(frame) == 1_000_000
print((peak() - before) / megabytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_peak_of_memory_is_at_most_three_times_the_text():
    done = subprocess.run(
        [sys.executable, "-c", MEASURED],
        # Arrow's other allocators keep what was given back for a while, more or less of it each time.
        env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"},
        capture_output=True,
        text=True,
        check=False,
    )
    if "Permission" in done.stderr:
        pytest.skip("this machine does not let a process reset its peak")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) <= 3
