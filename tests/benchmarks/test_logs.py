"""From the platform's one string to a frame, MB/s by format, beside plain Python, pandas, pyarrow and polars.

Theirs end at columns of text, or at JSON's own types: no times, no levels, no traces folded, no whole lines
beside them. polars is measured where it is installed, which nothing here does (129 MB). For one core:
``POLARS_MAX_THREADS=1 taskset -c 0 pytest …``.
"""

from __future__ import annotations

import importlib.util
import json
import re
import time

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
import pytest

from createos_nb import logs
from tests.benchmarks.size import size

MB = size(1, 24)
ACCESS = re.compile(
    r'(?P<host>\S+) \S+ \S+ \[(?P<timestamp>[^\]]+)\] "(?P<method>\S+) (?P<path>\S+)[^"]*" (?P<status>\d{3})'
)
PLAIN = re.compile(r"(?P<timestamp>\d{4}-\d\d-\d\dT\S+) (?P<level>[A-Z]+) (?P<logger>\S+): (?P<message>.*)")
PAIR = re.compile(r'(?P<key>[\w.]+)=(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>\S*))')


def clock(number):
    return f"{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}"


def plain(n):
    return f"2026-11-25T{clock(n)}.{n % 1000:03}Z INFO shop.http: handled request {n} in {n % 97} ms for {n % 7919}"


def access(n):
    return (
        f"10.0.{n % 256}.7 - - [25/Nov/2026:{clock(n)} +0000] "
        f'"GET /products/{n % 999} HTTP/1.1" 200 {n % 9999} "https://shop.example/" "Mozilla/5.0 (X11; Linux)"'
    )


def json_line(n):
    line = {"timestamp": f"2026-11-25T{clock(n)}Z", "level": "info", "logger": "shop", "message": f"GET /{n}"}
    return json.dumps(line | {"method": "GET", "path": f"/{n}", "status": 200, "duration_ms": n % 97 / 7})


def logfmt(n):
    return f'time=2026-11-25T{clock(n)}Z level=info msg="GET /products/{n}" method=GET path=/p/{n} status=200'


def traceback(n):
    return (
        f"2026-11-25T{clock(n)}Z ERROR shop: checkout {n} failed\nTraceback (most recent call last):\n"
        "  File \"/app/main.py\", line 10, in checkout\n    price = prices[item]\nKeyError: 'item'"
    )


def mixed(n):
    return (plain, access, json_line, logfmt)[n % 4](n)


def by_json(text):
    frame = pd.DataFrame([json.loads(line) for line in text.split("\n")])
    return frame.assign(timestamp=pd.to_datetime(frame["timestamp"], utc=True))


def by_regex(pattern):
    def read(text):
        found = (pattern.match(line) for line in text.split("\n"))
        return pd.DataFrame([match.groupdict() if match else {} for match in found])

    return read


def by_pandas(pattern):
    def read(text):
        return pd.Series(text.split("\n")).str.extract(pattern)

    return read


def by_pairs(text):
    return pd.DataFrame(
        [{key: quoted or bare for key, quoted, bare in PAIR.findall(line)} for line in text.split("\n")]
    )


def by_pyarrow(pattern):
    return lambda text: pc.extract_regex(pa.array(text.split("\n"), pa.large_string()), pattern.pattern)


def json_by_pyarrow(text):
    options = pj.ReadOptions(use_threads=False, block_size=4 << 20)
    return pj.read_json(pa.BufferReader(text.encode()), read_options=options)


def polars(read):
    """The opponent, if polars is there."""
    return {"polars": read} if importlib.util.find_spec("polars") else {}


def json_by_polars(text):
    import polars as pl

    return pl.read_ndjson(text.encode())


def by_polars(pattern):
    import polars as pl

    return lambda text: pl.Series("line", text.split("\n")).str.extract_groups(pattern.pattern).struct.unnest()


def by_patterns(pattern):
    return {
        "re, DataFrame": by_regex(pattern),
        "str.extract": by_pandas(pattern),
        "pyarrow": by_pyarrow(pattern),
        **polars(lambda text: by_polars(pattern)(text)),
    }


OPPONENTS = {
    plain: by_patterns(PLAIN),
    access: by_patterns(ACCESS),
    json_line: {
        "json.loads, DataFrame": by_json,
        "pyarrow": json_by_pyarrow,
        **polars(json_by_polars),
    },
    logfmt: {"re.findall, DataFrame": by_pairs},
    traceback: {},
    mixed: {},
}


def measured(read, text):
    best = 0.0
    for _ in range(2):
        wall, cpu = time.perf_counter(), time.process_time()
        frame = read(text)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        best = max(best, len(text) / 1e6 / wall)
    return best, len(text) / 1e6 / cpu, frame


@pytest.mark.parametrize("form", OPPONENTS, ids=lambda form: form.__name__)
def test_log_text_to_columns(form, figures):
    count = int(MB * 1e6 / (len(form(0)) + 1))
    text = "\n".join(map(form, range(count)))
    speed, of_cpu, frame = measured(lambda text: logs.parse(text, project="shop", environment="production"), text)
    assert len(frame) == count
    assert "\n".join(frame["raw"]) == text
    assert frame["timestamp"].notna().all()
    with figures():
        print(f"\n\n{f'{form.__name__}, {count:,} rows':32}{'MB/s':>8}{'MB/cpu s':>10}{'ratio':>8}")
        print(f"{'createos_nb':32}{speed:8.0f}{of_cpu:10.0f}{1:8.1f}")
        for name, read in OPPONENTS[form].items():
            theirs, theirs_cpu, _ = measured(read, text)
            print(f"{name:32}{theirs:8.0f}{theirs_cpu:10.0f}{speed / theirs:8.1f}")
