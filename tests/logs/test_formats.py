from __future__ import annotations

import itertools
import json
import random

import numpy as np
import pandas as pd
import pytest

from createos_nb import logs, schema

T = "2026-11-25T00:00:01"


def parse(text):
    return schema.LOGS.check(logs.parse(text, project="shop", environment="production"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            '10.0.0.1 - - [25/Nov/2026:00:00:01 +0000] "GET /a?b=1 HTTP/1.1" 404 12',
            {"format": "access", "timestamp": f"{T}Z", "method": "GET", "path": "/a", "status": 404},
        ),
        (
            '::1 - bob smith [25/Nov/2026:01:00:01 +0100] "POST / HTTP/2.0" 500 1 "https://x/" "curl \\"8\\""',
            {"format": "access", "timestamp": f"{T}Z", "method": "POST", "path": "/", "status": 500},
        ),
        (
            r'10.0.0.1 - - [25/Nov/2026:00:00:01 +0000] "\x16\x03\x01" 400 150 "-" "-"',
            {"format": "access", "timestamp": f"{T}Z", "message": r"\x16\x03\x01", "status": 400},
        ),
        (
            '127.0.0.1 - - [25/Nov/2026 00:00:01] "GET /nope?a=b HTTP/1.1" 404 -',
            {"format": "access", "timestamp": f"{T}Z", "method": "GET", "path": "/nope", "status": 404},
        ),
        (
            "127.0.0.1 - - [25/Nov/2026 00:00:01] code 404, message File not found",
            {"format": "time", "timestamp": f"{T}Z", "message": "code 404, message File not found"},
        ),
        (
            '127.0.0.1 - - [25/Nov/2026 00:00:01] "\x1b[1mGET /a?a=1 HTTP/1.1\x1b[0m" 500 -',
            {
                "format": "access",
                "timestamp": f"{T}Z",
                "method": "GET",
                "path": "/a",
                "status": 500,
                "message": r'127.0.0.1 - - [25/Nov/2026 00:00:01] "\x1b[1mGET /a?a=1 HTTP/1.1\x1b[0m" 500 -',
            },
        ),
        (
            'ERROR [25/Nov/2026 00:00:01] "GET / HTTP/1.1" 500 12',
            {"format": "level", "level": "ERROR", "message": '[25/Nov/2026 00:00:01] "GET / HTTP/1.1" 500 12'},
        ),
        (
            '[25/Nov/2026 00:00:01] "POST /admin/ HTTP/1.1" 500 1234',
            {"format": "access", "timestamp": f"{T}Z", "method": "POST", "path": "/admin/", "status": 500},
        ),
        (
            '[GIN] 2026/11/25 - 00:00:01 | 500 |     1.234ms |       127.0.0.1 | GET      "/ping"',
            {"format": "access", "timestamp": f"{T}Z", "method": "GET", "path": "/ping", "status": 500},
        ),
        (
            'INFO:     127.0.0.1:1234 - "GET /x HTTP/1.1" 200 OK',
            {"format": "access", "level": "INFO", "method": "GET", "path": "/x", "status": 200},
        ),
        (
            "GET /x 304 1.5 ms - 12",
            {"format": "access", "method": "GET", "path": "/x", "status": 304, "duration_ms": 1.5},
        ),
        (
            f'time={T}.5Z level=WARN msg="low \\"disk\\"" status=507 duration=1.5s request_id=r-1 user="a b"',
            {
                "format": "logfmt",
                "timestamp": f"{T}.5Z",
                "level": "WARNING",
                "message": 'low "disk"',
                "status": 507,
                "duration_ms": 1500.0,
                "request_id": "r-1",
            },
        ),
        (
            "ts=1795564801.25 lvl=info msg=up",
            {"format": "logfmt", "timestamp": f"{T}.25Z", "level": "INFO", "message": "up"},
        ),
        (
            "WARNING:shop.cart:low stock: 3",
            {"format": "level", "level": "WARNING", "logger": "shop.cart", "message": "low stock: 3"},
        ),
        (
            "2026-11-25 00:00:01,123 - shop.cart - ERROR - boom - bang",
            {
                "format": "time",
                "timestamp": f"{T}.123Z",
                "level": "ERROR",
                "logger": "shop.cart",
                "message": "boom - bang",
            },
        ),
        (
            "[2026-11-25 00:00:01 +0000] [7] [INFO] Booting worker",
            {"format": "time", "timestamp": f"{T}Z", "level": "INFO", "message": "Booting worker"},
        ),
        (
            "INFO:     Started server process [1]",
            {"format": "level", "level": "INFO", "message": "Started server process [1]"},
        ),
        ("info: listening", {"format": "level", "level": "INFO", "message": "listening"}),
        ("[error] broken", {"format": "level", "level": "ERROR", "message": "broken"}),
        (
            "2026/11/25 00:00:01 main.go:12: hello",
            {"format": "time", "timestamp": f"{T}Z", "message": "main.go:12: hello"},
        ),
        (
            "2026/11/25 00:00:01 [error] 7#7: *1 open() failed",
            {"format": "time", "timestamp": f"{T}Z", "level": "ERROR", "message": "7#7: *1 open() failed"},
        ),
        (
            "2026-11-25T00:00:01.123Z\tINFO\tmain.go:3\tzap",
            {"format": "time", "timestamp": f"{T}.123Z", "level": "INFO", "message": "main.go:3\tzap"},
        ),
        (
            "2026-11-25 00:00:01.123 [http-1] WARN  com.x.Y - slow",
            {"format": "time", "timestamp": f"{T}.123Z", "level": "WARNING", "message": "com.x.Y - slow"},
        ),
        (
            "2026-11-25 00:00:01.123 | ERROR    | a:b:12 - loguru",
            {"format": "time", "timestamp": f"{T}.123Z", "level": "ERROR", "message": "a:b:12 - loguru"},
        ),
        (
            "E1125 00:00:01.123456       1 main.go:12] no such pod",
            {"format": "klog", "level": "ERROR", "logger": "main.go:12", "message": "no such pod"},
        ),
        (
            json.dumps(
                {
                    "level": 30,
                    "time": 1795564801123,
                    "msg": "done",
                    "responseTime": 3,
                    "req": {"id": 7, "method": "GET", "url": "/x"},
                    "res": {"statusCode": 200},
                }
            ),
            {
                "format": "json",
                "timestamp": f"{T}.123Z",
                "level": "INFO",
                "message": "done",
                "method": "GET",
                "path": "/x",
                "status": 200,
                "duration_ms": 3.0,
                "request_id": "7",
            },
        ),
        (
            json.dumps({"level": 50, "time": 1795564801123, "msg": "no", "err": {"stack": "E: no\n    at x"}}),
            {
                "format": "json",
                "timestamp": f"{T}.123Z",
                "level": "ERROR",
                "message": "no",
                "trace": "E: no\n    at x",
            },
        ),
        (
            json.dumps({"level": "error", "ts": 1795564801.5, "caller": "a.go:1", "msg": "zap", "stack": "main"}),
            {
                "format": "json",
                "timestamp": f"{T}.5Z",
                "level": "ERROR",
                "message": "zap",
                "logger": "a.go:1",
                "trace": "main",
            },
        ),
        (
            json.dumps({"time": f"{T}.123456789Z", "level": "INFO+2", "msg": "slog", "status": 201}),
            {"format": "json", "timestamp": f"{T}.123456Z", "level": "INFO", "message": "slog", "status": 201},
        ),
        ("PATH=/usr/bin:/bin", {"format": "unparsed", "message": "PATH=/usr/bin:/bin"}),
        ("  indented", {"format": "unparsed", "message": "  indented"}),
        ("Error: not a level", {"format": "unparsed", "message": "Error: not a level"}),
        ('level=info msg="never closed', {"format": "unparsed", "message": 'level=info msg="never closed'}),
    ],
)
def test_a_line_is_read_by_its_format_and_nothing_is_invented(line, expected):
    [read] = parse(line).to_dict("records")
    if "timestamp" in expected:
        expected = {**expected, "timestamp": pd.Timestamp(expected["timestamp"])}
    found = {
        name: value
        for name, value in read.items()
        if not pd.isna(value) and name not in {"project", "environment", "raw", "complete"}
    }
    expected.setdefault("message", line)
    assert found == expected
    assert read["raw"] == line


def test_formats_mixed_in_one_stream_keep_their_order():
    lines = [
        line
        for number in range(300)
        for line in (
            json.dumps({"time": f"{T}Z", "level": "info", "msg": f"json {number}"}),
            json.dumps({"time": 1795564801, "level": 40, "msg": number}),
            f"level=error msg=logfmt-{number}",
            f'1.1.1.1 - - [25/Nov/2026:00:00:01 +0000] "GET /{number} HTTP/1.1" 200 1',
            f"{T}Z ERROR time {number}",
            f"nothing {number}",
            f'{{"msg": {number}',
        )
    ]
    frame = parse("\n".join(lines))
    assert frame["raw"].tolist() == lines
    assert frame["format"].tolist() == ["json", "json", "logfmt", "access", "time", "unparsed", "unparsed"] * 300
    assert frame["message"].tolist()[7 * 299 :][:3] == ["json 299", "299", "logfmt-299"]
    assert frame["timestamp"].notna().sum() == 4 * 300
    assert frame["path"].dropna().tolist() == [f"/{number}" for number in range(300)]


def test_a_field_that_one_line_in_thousands_has_is_found():
    lines = [json.dumps({"level": "info", "msg": f"line {number}"}) for number in range(5000)]
    lines[3210] = json.dumps({"msg": "boom", "traceback": "KeyError", "other": {"level": 3}})
    frame = parse("\n".join(lines))
    assert frame["trace"].dropna().to_dict() == {3210: "KeyError"}
    assert frame["level"].isna().sum() == 1


@pytest.mark.parametrize(
    "pair",
    [
        ['{"msg": "a', 'b"}'],
        ['{"msg": {"a": 1}', ', "level": "info"}'],
        ['{"msg": [{}', '{"a": {}}]}'],
        ['{"msg": "a"} {"msg": "b"}', '{"level": "info"}'],
        ['{"msg": "a"}}', '{"msg": "b"}'],
        ['{"msg": "one", "msg": "two"}', '{"msg": "b"}'],
    ],
)
def test_what_one_line_leaves_open_no_other_line_closes(pair):
    alone = [parse(line)["message"].iloc[0] for line in pair]
    assert parse("\n".join(pair))["message"].tolist() == alone
    assert parse("\n".join(pair * 200))["message"].tolist() == alone * 200


def not_cut(lines):
    return [], np.arange(len(lines))


def not_alike(lines):
    raise logs.jsonlines.pa.ArrowInvalid("not alike")


def test_json_lines_cut_read_by_arrow_and_by_python_are_the_same(monkeypatch):
    written = [
        {"time": f"{T}Z", "level": "info", "msg": "a", "status": 200, "duration_ms": 1.5, "req": {"id": 12}},
        {"time": f"{T}.25+01:00", "level": "audit", "msg": "ä\u202e\x1b[1m", "status": 99, "duration_ms": 2},
        {"time": None, "level": None, "msg": None, "status": None, "req": None},
        {"other": [{"msg": "deep"}]},
    ]
    text = "\n".join(json.dumps(line) for line in written * 50)
    cut = parse(text)
    monkeypatch.setattr(logs.jsonlines.alike, "parse", not_cut)
    by_arrow = parse(text)
    monkeypatch.setattr(logs.jsonlines, "_by_arrow", not_alike)
    pd.testing.assert_frame_equal(cut, by_arrow)
    pd.testing.assert_frame_equal(parse(text), by_arrow)


NAMED = ("time", "level", "msg", "name", "status", "http.method", "url", "duration_ms", "request_id", "user", "err")
WORDS = ("a", "GET /x", "", "é漢", 'a"b', "\t", "\\", "\x1b[1m", "200", f"{T}Z", "}", "null", "a, b: c")
SCALARS = (1, 200, 0, -1, 1.5, 1e10, 1e-7, True, False, None, 12345678901234567890, 1764000000, 1764000000.5)


def of_one_form(choose):
    """Lines with the same names and separators, of which now and then one is a little otherwise."""
    names = choose.sample(NAMED, choose.randrange(1, 8))
    kinds = [choose.choice(["word", "status", "number", "object"] * 4 + ["any"]) for _ in names]
    separators = choose.choice([(",", ":"), (", ", ": ")])

    def value(kind):
        if kind == "any" or choose.random() < 0.01:
            return choose.choice([*WORDS, *SCALARS, [], [1, "x"], {}])
        if kind == "object":
            return {"stack": choose.choice(WORDS[:4])}
        if kind == "word":
            return choose.choice(["info", "GET", f"/{choose.randrange(99)}"])
        return choose.randrange(100, 600) if kind == "status" else choose.random() * 100

    for _ in range(choose.randrange(1, 120)):
        line = json.dumps(dict(zip(names, map(value, kinds), strict=True)), separators=separators)
        at = choose.randrange(len(line))
        broken = [line[:at], line[:at] + choose.choice('"{}[],:1x\t ') + line[at:], line.replace(":", ": 0", 1)]
        broken.append(line.translate(str.maketrans("abcdefghijklm{", "bcdefghijklmn[")))
        yield choose.choice(broken) if choose.random() < 0.06 else line


def test_a_line_cut_at_its_quotes_says_what_a_parser_says(monkeypatch):
    choose = random.Random(20261127)
    cut_lines = 0
    for _ in range(60):
        text = "\n".join(line for _ in range(3) for line in of_one_form(choose))
        lines = logs.jsonlines.pa.array([line for line in text.split("\n") if line], "large_string")
        cut_lines += sum(len(places) for places, _ in logs.jsonlines.alike.parse(lines)[0])
        cut = parse(text)
        with monkeypatch.context() as parsed:
            parsed.setattr(logs.jsonlines.alike, "parse", not_cut)
            pd.testing.assert_frame_equal(cut, parse(text))
    assert cut_lines > 1000


def test_a_request_in_an_access_log_is_cut_whatever_stands_about_it():
    ends = ("", " 12", ' 12 "https://x/[y] " "Mozilla (\\"x\\") ] "')
    hosts = ("10.0.0.1 - -", "[::1] - bob", "é - x]")
    lines = [
        f'{host} [25/Nov/2026:00:00:01 +0100] "GET /{number}?q=[a]{version}" 200{end}'
        for number, (host, end, version) in enumerate(itertools.product(hosts, ends, ("", " HTTP/1.1", "  x")))
    ]
    wrong = ['] "', '[] "GET /x" 200', '- - [25/Nov/2026:00:00:01 +0000] "get /x HTTP/1.1" 200', '- - [] "']
    frame = parse("\n".join([*lines, *wrong, *lines]))
    right = frame[frame["path"].notna()]
    assert right["raw"].tolist() == lines * 2
    assert right["path"].tolist() == [f"/{number}" for number in range(len(lines))] * 2
    assert set(right["method"]) == {"GET"}
    assert set(right["status"]) == {200}
    assert set(right["timestamp"]) == {pd.Timestamp("2026-11-24T23:00:01Z")}
    assert right["message"].tolist() == right["raw"].tolist()
