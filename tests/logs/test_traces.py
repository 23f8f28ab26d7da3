from __future__ import annotations

import pandas as pd
import pytest

from createos_nb import logs, schema
from createos_nb.logs import lines as pieces

PYTHON = ["Traceback (most recent call last):", '  File "a.py", line 1, in f', "    x()", "KeyError: 'x'"]
NODE = ["    at f (/app/index.js:5:7)", "    at node:internal:1"]
JAVA = ["\tat a.b.C.d(C.java:1)", "Caused by: java.io.IOException: y", "\tat a.b.C.e(C.java:2)", "\t... 12 more"]
GO = ["", "goroutine 1 [running]:", "main.main()", "\t/app/main.go:8 +0x1d", "exit status 2"]
UNCAUGHT = ["/app/index.js:5", "    throw new Error('x');", "    ^", "", "Error: x", *NODE, "", "Node.js v20.1.0"]
PROPERTIES = ["    at f (x.js:1) {", "  code: 'ENOENT',", "  errno: -2", "}"]


def parse(*lines):
    return schema.LOGS.check(logs.parse("\n".join(lines), project="shop", environment="production"))


@pytest.mark.parametrize(
    ("head", "trace", "level", "message"),
    [
        ("2026-11-25T00:00:00Z ERROR failed", PYTHON, "ERROR", "failed"),
        ("Error: x", NODE, "ERROR", "Error: x"),
        ("Error: x", PROPERTIES, "ERROR", "Error: x"),
        ('Exception in thread "main" E: x', JAVA, "ERROR", 'Exception in thread "main" E: x'),
        ("panic: runtime error: index", GO, "CRITICAL", "runtime error: index"),
        ("2026/11/25 00:00:00 http: panic serving [::1]:1: x", GO[1:4], "ERROR", "http: panic serving [::1]:1: x"),
        ('{"level": "warn", "msg": "slow"}', PYTHON, "WARNING", "slow"),
    ],
)
def test_a_trace_belongs_to_the_line_that_announced_it(head, trace, level, message):
    frame = parse("before", head, *trace, "after")
    assert frame["message"].tolist() == ["before", message, "after"]
    assert frame["level"].iloc[1] == level
    assert frame["trace"].tolist()[1] == "\n".join(trace)
    assert frame["trace"].isna().tolist() == [True, False, True]
    assert frame["raw"].tolist() == ["before", "\n".join([head, *trace]), "after"]
    assert frame["format"].iloc[1] != "unparsed"


def test_what_ends_a_node_process_is_one_row():
    frame = parse("before", *UNCAUGHT, "after")
    assert frame["message"].tolist() == ["before", "Error: x", "after"]
    assert frame.loc[1, ["level", "format"]].tolist() == ["ERROR", "trace"]
    assert frame.loc[1, "trace"] == frame.loc[1, "raw"] == "\n".join(UNCAUGHT)


def test_a_hundred_tracebacks_in_a_row_are_a_hundred_errors():
    frame = parse(*PYTHON * 100)
    assert frame["trace"].tolist() == ["\n".join(PYTHON)] * 100
    assert (frame["level"] == "ERROR").all()


@pytest.mark.parametrize("size", [1, 30, 70, 200, 1000])
def test_where_the_text_is_cut_into_pieces_makes_no_difference(size, monkeypatch):
    lines = [
        *("2026-11-25T00:00:00Z ERROR failed", *PYTHON, "2026-11-25T00:00:00Z INFO fine", *PYTHON, *PYTHON),
        *("Error: x", *NODE, "panic: y", *GO, *UNCAUGHT, "plain", "E: z", *JAVA, "", "last", *NODE),
    ]
    whole = parse(*lines)
    monkeypatch.setattr(pieces, "CHUNK", size)
    cut = parse(*lines)
    pd.testing.assert_frame_equal(cut, whole)
    assert "\n".join(cut["raw"]) == "\n".join(lines)
    assert len(whole) == 11
