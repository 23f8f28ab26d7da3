"""A roll-up over an archive's rows: through Ibis, beside plain DuckDB SQL and pandas on the same files.

``CREATEOS_NB_BENCHMARK_ARCHIVE_ROWS=100000000 pytest tests/benchmarks/test_archive.py`` gives figures worth
quoting; it writes some gigabytes to the temporary directory. Set ``CREATEOS_NB_BENCHMARK_PANDAS=no`` where
memory is short.
"""

from __future__ import annotations

import os
import resource
import sys
from statistics import median
from time import perf_counter

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from createos_nb.archive import Archive, questions
from createos_nb.archive.layout import DAY_S, Part
from createos_nb.archive.store import Store
from createos_nb.archive.tables import LOGS
from tests.benchmarks.size import size

ROWS = size(100_000, 10_000_000, "ARCHIVE_ROWS")
WITH_PANDAS = os.environ.get("CREATEOS_NB_BENCHMARK_PANDAS", "yes") == "yes"
ROUNDS = size(1, 3) if ROWS <= 20_000_000 else 1
ENVIRONMENTS, DAYS = 10, 10
FIRST_DAY = 1_795_392_000
SQL = """
    SELECT project, environment, to_timestamp(floor(epoch(logs.at))::BIGINT // 3600 * 3600) AS timestamp, level,
           count(*) AS lines
    FROM read_parquet(?, hive_partitioning = true, hive_types_autocast = false) AS logs GROUP BY ALL
"""
SQL_OF_SECONDS = SQL.replace("floor(epoch(logs.at))::BIGINT", "at_s")


def a_day(start_s, rows, chance):
    """A day of log lines, as an Arrow table of the archive's columns."""
    levels = np.array(["INFO", "WARNING", "ERROR"])[chance.choice(3, rows, p=[0.9, 0.07, 0.03])]
    paths = np.array([f"/products/{number}" for number in range(200)])[chance.integers(0, 200, rows)]
    at = np.sort(chance.integers(start_s * 1_000_000, (start_s + DAY_S) * 1_000_000, rows))
    moments = pa.array(at).cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    filled = {
        "timestamp": moments,
        "at": moments,
        "level": pa.array(levels),
        "path": pa.array(paths),
        "message": pa.array(paths),
        "status": pa.array(chance.choice([200, 303, 404, 500], rows, p=[0.9, 0.05, 0.03, 0.02])),
        "duration_ms": pa.array(chance.exponential(10, rows)),
        "line": pa.array(np.arange(1, rows + 1)),
        "complete": pa.array(np.ones(rows, dtype=bool)),
    }
    return pa.table([filled.get(f.name, pa.nulls(rows, f.type)) for f in LOGS.arrow], schema=LOGS.arrow)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """An archive of so many log lines of ten environments on ten days."""
    directory = tmp_path_factory.mktemp("archive")
    store, chance = Store(directory), np.random.default_rng(4)
    rows = ROWS // (ENVIRONMENTS * DAYS)
    for number in range(DAYS):
        start = FIRST_DAY + number * DAY_S
        content = LOGS.written(a_day(start, rows, chance))
        for environment in range(ENVIRONMENTS):
            store.put(Part("logs", "shop", f"e{environment}", start, start + DAY_S).path, content)
    return directory


def files(place):
    return sorted(str(path) for path in place.rglob("*.parquet"))


def with_ibis(place):
    return questions.log_volume(Archive(place).logs()).to_pandas()


def with_ibis_one_environment(place):
    logs = Archive(place).logs()
    return questions.log_volume(logs.filter(logs.environment == "e3")).to_pandas()


def with_duckdb(place, sql=SQL):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection.execute(sql, [files(place)]).to_arrow_table().to_pandas()


def with_duckdb_and_seconds(place):
    return with_duckdb(place, SQL_OF_SECONDS)


def with_pandas(place):
    logs = pd.read_parquet(place / "logs", columns=["project", "environment", "at", "level"])
    named = logs.assign(timestamp=logs["at"].dt.floor("h"))
    by = ["project", "environment", "timestamp", "level"]
    return named.groupby(by, observed=True, dropna=False).size().rename("lines").reset_index()


def counted(frame):
    """A roll-up in an order and in dtypes that can be compared."""
    plain = frame.astype({"project": str, "environment": str, "level": str, "lines": "int64"})
    plain["timestamp"] = plain["timestamp"].dt.tz_convert("UTC").dt.as_unit("us")
    columns = ["project", "environment", "timestamp", "level", "lines"]
    return plain.sort_values(columns[:-1], ignore_index=True)[columns]


def timed(function, place):
    began = perf_counter()
    function(place)
    return perf_counter() - began


def peak_mb():
    """The most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)


def test_a_roll_up_through_ibis_beside_duckdb_and_pandas(place, figures):
    ways = {
        "createos_nb: Ibis on DuckDB": with_ibis,
        "createos_nb: one environment": with_ibis_one_environment,
        "plain DuckDB SQL": with_duckdb,
        "plain DuckDB SQL over at_s": with_duckdb_and_seconds,
    }
    for way in ways.values():
        way(place)
    # In turns, so that whatever else the machine does falls on all of them.
    seconds = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            seconds[name].append(timed(way, place))
    peaks = dict.fromkeys(ways, peak_mb())
    if WITH_PANDAS:
        # Last, and once: it takes the most memory.
        seconds["pandas"] = [timed(with_pandas, place)]
        peaks["pandas"] = peak_mb()
    plain = median(seconds["plain DuckDB SQL"])
    size_mb = sum(os.path.getsize(path) for path in files(place)) / 1e6
    with figures():
        print(f"\n\nLines per hour and level, {ROWS:,} log lines in {len(files(place))} files of {size_mb:,.0f} MB")
        print(f"{'':36}{'s':>9}{'ratio':>8}{'peak MB':>9}")
        for name, times in seconds.items():
            print(f"{name:36}{median(times):9.2f}{median(times) / plain:8.2f}{peaks[name]:9.0f}")


@pytest.mark.skipif(not WITH_PANDAS, reason="memory is short")
def test_all_ways_give_the_same_numbers(place):
    ours = counted(with_ibis(place))
    pd.testing.assert_frame_equal(ours, counted(with_duckdb(place)))
    pd.testing.assert_frame_equal(ours, counted(with_duckdb_and_seconds(place)))
    pd.testing.assert_frame_equal(ours, counted(with_pandas(place)))
    one = counted(with_ibis_one_environment(place))
    pd.testing.assert_frame_equal(one, ours[ours["environment"] == "e3"].reset_index(drop=True))
