"""One definition of each question: the same numbers as the metrics, and nothing that one engine alone knows."""

from __future__ import annotations

import ast
import inspect
import random
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from types import SimpleNamespace

import ibis
import pandas as pd
import pyarrow as pa
import pytest

from createos_nb import metrics, schema
from createos_nb.archive import questions
from createos_nb.archive.tables import TABLES
from createos_nb.errors import InvalidArgument

MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
TARGET = ["project", "environment"]


def table(name):
    """A table of an archive, without any rows or engine."""
    known = TABLES[name]
    columns = ibis.Schema.from_pyarrow(known.arrow)
    return ibis.table({**columns, **dict.fromkeys(known.partitions, "string"), "day": "date"}, name=name)


QUESTIONS = {
    "over_time": "traffic",
    "error_rate": "traffic",
    "rpm": "traffic",
    "success_share": "traffic",
    "summary": "traffic",
    "service_level": "traffic",
    "burn_rate": "traffic",
    "top_paths": "top_error_paths",
    "status_distribution": "request_distribution",
    "log_volume": "logs",
    "deployments_per_day": "deployments",
}


@pytest.fixture(scope="module")
def traffic():
    """Two days of three environments, with partial intervals and minutes without requests."""
    chance = random.Random(7)
    rows = []
    for project, environment in (("shop", "production"), ("shop", "staging"), ("blog", "production")):
        for minute in range(0, 2880, 7):
            counts = [chance.randrange(limit) for limit in (50, 9, 5, 4)] if chance.random() > 0.2 else [0] * 4
            rows.append(
                {
                    "project": project,
                    "environment": environment,
                    "timestamp": MIDNIGHT + timedelta(minutes=minute),
                    "requests": sum(counts),
                    **dict(zip(("status_2xx", "status_3xx", "status_4xx", "status_5xx"), counts, strict=True)),
                    "interval_s": 60,
                    "partial": chance.random() < 0.05,
                }
            )
    return schema.REQUESTS_OVER_TIME.frame(rows)


@pytest.fixture(scope="module")
def duckdb():
    connection = ibis.duckdb.connect()
    connection.raw_sql("SET TimeZone = 'UTC'")
    return connection


def answered(expression, frame, duckdb, by):
    held = ibis.memtable(pa.Table.from_pandas(frame, preserve_index=False))
    return duckdb.to_pandas(expression(held)).sort_values(by, ignore_index=True)


@pytest.mark.parametrize("name", ["error_rate", "rpm", "success_share", "summary"])
def test_a_question_gives_the_numbers_of_the_metric_of_its_name(traffic, duckdb, name):
    by = [*TARGET, "timestamp"] if name in {"error_rate", "rpm"} else TARGET
    expected = getattr(metrics, name)(traffic).sort_values(by, ignore_index=True).drop(columns="complete")
    pd.testing.assert_frame_equal(answered(getattr(questions, name), traffic, duckdb, by), expected)


# SQLite has no times, and ibis none of a number for it: those of these are left to polars, which has them all.
ON_SQLITE = ("error_rate", "rpm", "success_share", "service_level", "burn_rate")
ON_POLARS = (*ON_SQLITE, "over_time", "summary")
ENGINES = [
    *(pytest.param("sqlite", name, id=f"sqlite-{name}") for name in ON_SQLITE),
    *(
        pytest.param(
            "polars",
            name,
            id=f"polars-{name}",
            marks=pytest.mark.skipif(not find_spec("polars"), reason="polars is not installed, of 170 MB"),
        )
        for name in ON_POLARS
    ),
]


@pytest.mark.parametrize(("engine", "name"), ENGINES)
def test_a_question_has_the_same_answer_on_another_engine(traffic, duckdb, engine, name):
    kept = TABLES["traffic"].decode(TABLES["traffic"].encode(traffic))
    for column in TARGET:
        kept = kept.append_column(column, pa.array(traffic[column].tolist()))
    answers = []
    for connection in (duckdb, getattr(ibis, engine).connect()):
        held = connection.create_table("kept", kept, overwrite=True)
        answer = connection.to_pandas(getattr(questions, name)(held))
        by = [column for column in (*TARGET, "timestamp") if column in answer]
        answers.append(answer.sort_values(by, ignore_index=True))
    pd.testing.assert_frame_equal(*answers, check_dtype=False)


@pytest.mark.parametrize("name", ["success_share", "summary", "service_level", "burn_rate"])
def test_without_requests_shares_are_missing_and_counts_are_whole_numbers(traffic, duckdb, name):
    quiet = traffic[traffic["requests"] == 0]
    answer = answered(getattr(questions, name), quiet, duckdb, TARGET)
    assert (answer["requests"] == 0).all()
    assert str(answer["requests"].dtype) == "int64"
    shares = [n for n in answer.columns if n in {"share_2xx", "error_rate", "service_level", "burn_rate"}]
    assert shares
    assert answer[shares].isna().all(axis=None)


def test_longer_intervals_hold_all_requests_once(traffic, duckdb):
    answer = answered(lambda held: questions.over_time(held, every="6h"), traffic, duckdb, [*TARGET, "timestamp"])
    named = traffic.assign(timestamp=traffic["timestamp"].dt.floor("6h"))
    counted = ["requests", "status_2xx", "status_3xx", "status_4xx", "status_5xx"]
    expected = named.groupby([*TARGET, "timestamp"], as_index=False)[counted].sum()
    pd.testing.assert_frame_equal(answer[[*TARGET, "timestamp", *counted]], expected)


def test_longer_intervals_are_requests_over_time_that_everything_takes(traffic, duckdb):
    minutes = traffic.assign(interval_s=420, partial=False)

    def summed(rows, then=lambda longer: longer, every="7h"):
        return answered(lambda held: then(questions.over_time(held, every=every)), rows, duckdb, TARGET)

    answer = summed(minutes).sort_values([*TARGET, "timestamp"], ignore_index=True)
    kind = schema.REQUESTS_OVER_TIME
    shown = kind.check(answer.astype({column.name: column.dtype for column in kind.columns}))
    assert shown["interval_s"].unique().tolist() == [25_200]
    rows = minutes.groupby([*TARGET, minutes["timestamp"].dt.floor("7h")]).size()
    assert shown["partial"].tolist() == (rows != 60).tolist(), "the first and the last are not all there"
    assert 0 < shown["partial"].sum() < len(shown)
    assert shown["complete"].all()
    assert shown.createos.chart() is not None
    rpm = summed(minutes, questions.rpm)["rpm"]
    assert rpm.notna().sum() == (~shown["partial"]).sum()
    assert len(summed(minutes, lambda longer: questions.burn_rate(longer, window="7h"))) == 3
    assert not summed(minutes.assign(complete=False))["complete"].any()
    assert summed(minutes, every="10m")["partial"].all(), "of two intervals, or less than the whole of one"


def test_the_error_budget_and_its_burn_rate_are_counted_in_requests(traffic, duckdb):
    total = traffic.groupby(TARGET)[["requests", "status_5xx"]].sum()
    level = answered(lambda held: questions.service_level(held, objective=0.99), traffic, duckdb, TARGET)
    assert level["error_budget"].tolist() == pytest.approx((total["requests"] * 0.01).tolist())
    assert level["service_level"].tolist() == pytest.approx((1 - total["status_5xx"] / total["requests"]).tolist())
    spent = total["status_5xx"] / (total["requests"] * 0.01)
    assert level["budget_spent"].tolist() == pytest.approx(spent.tolist())

    last = traffic["timestamp"].max() + timedelta(minutes=1)
    recent = traffic[traffic["timestamp"] >= last - timedelta(hours=6)].groupby(TARGET)[["requests", "status_5xx"]]
    expected = recent.sum()["status_5xx"] / recent.sum()["requests"] / 0.01
    burning = answered(lambda held: questions.burn_rate(held, objective=0.99, window="6h"), traffic, duckdb, TARGET)
    assert burning["burn_rate"].tolist() == pytest.approx(expected.tolist())
    assert burning["window_s"].tolist() == [21_600] * 3


def test_top_paths_are_ranked_in_each_environment(duckdb):
    row = {"project": "shop", "environment": "production", "rank": 1}
    frame = schema.TOP_HIT_PATHS.frame(
        [{**row, "path": path, "requests": requests} for path, requests in [("/", 5), ("/cart", 7), ("/", 3)]]
        + [{**row, "environment": "staging", "path": "/b", "requests": 1}]
    )
    answer = answered(lambda held: questions.top_paths(held, limit=1), frame, duckdb, TARGET)
    assert answer[["environment", "rank", "path", "requests"]].values.tolist() == [
        ["production", 1, "/", 8],
        ["staging", 1, "/b", 1],
    ]


def test_statuses_have_their_share_of_the_environment(duckdb):
    row = {"project": "shop", "environment": "production", "share": 1.0}
    frame = schema.REQUEST_DISTRIBUTION.frame(
        [{**row, "status": status, "requests": count} for status, count in [("200", 5), ("500", 2), ("200", 1)]]
    )
    answer = answered(questions.status_distribution, frame, duckdb, ["status"])
    assert answer[["status", "requests", "share"]].values.tolist() == [["200", 6, 0.75], ["500", 2, 0.25]]


def test_log_lines_and_deployments_are_counted_by_time(duckdb):
    logs = pd.DataFrame({"project": "shop", "environment": "production", "level": ["INFO", "ERROR", "INFO", None]})
    logs["at"] = pd.to_datetime([MIDNIGHT + timedelta(minutes=m) for m in (0, 59, 59.995, 60)]).as_unit("us")
    answer = answered(questions.log_volume, logs, duckdb, ["timestamp", "level"])
    assert answer["lines"].tolist() == [1, 2, 1]
    assert answer["timestamp"].tolist() == [MIDNIGHT, MIDNIGHT, MIDNIGHT + timedelta(hours=1)]

    deployments = schema.sample("DEPLOYMENTS").astype({"status": "str"})
    counted = answered(questions.deployments_per_day, deployments, duckdb, ["timestamp"])
    assert counted[["timestamp", "deployments", "failed"]].values.tolist() == [[MIDNIGHT, 3, 0]]
    for status, failed in {"build_error": 3, "error": 3, "crashing": 3, "failed": 3, "cancelled": 0}.items():
        ended = answered(questions.deployments_per_day, deployments.assign(status=status), duckdb, ["timestamp"])
        assert ended["failed"].tolist() == [failed], status


@pytest.mark.parametrize("objective", [0, 1, 99.9, True, "0.9"], ids=repr)
def test_an_objective_that_is_no_share_is_refused(objective):
    with pytest.raises(InvalidArgument, match=r"Write 0\.999"):
        questions.service_level(table("traffic"), objective=objective)


def test_an_interval_of_part_of_a_second_is_refused():
    with pytest.raises(InvalidArgument, match="whole number of seconds"):
        questions.over_time(table("traffic"), every="0.5s")


def public():
    return {
        name: member
        for name, member in vars(questions).items()
        if inspect.isfunction(member) and member.__module__ == questions.__name__ and not name.startswith("_")
    }


def test_every_question_is_tested_for_every_engine():
    assert set(public()) == set(QUESTIONS)


@pytest.mark.parametrize("dialect", ["duckdb", "pyspark", "trino", "bigquery"])
@pytest.mark.parametrize("name", QUESTIONS)
def test_every_question_can_be_put_to_other_engines(name, dialect, monkeypatch):
    # Ibis knows this option of Spark's only where PySpark is installed; this is its default.
    monkeypatch.setattr(type(ibis.options), "pyspark", SimpleNamespace(treat_nan_as_null=False), raising=False)
    assert "SELECT" in ibis.to_sql(getattr(questions, name)(table(QUESTIONS[name])), dialect=dialect)


def test_the_questions_use_nothing_that_engines_answer_differently():
    tree = ast.parse(inspect.getsource(questions))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert used.isdisjoint(
        {"bucket", "approx_quantile", "approx_median", "approx_nunique", "sql", "raw_sql", "strftime"}
        | {"builtin", "udf", "duckdb", "con", "arg_max", "array_agg", "group_concat", "sample", "quantile", "mode"}
    )
    # To whole seconds only, which are the same in every zone.
    truncated = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func).endswith(".truncate")]
    assert [ast.unparse(call.args[0]) for call in truncated] == ["'s'"]
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported == {"ibis"}
    # A sum without a value is null, a float or a decimal, depending on the engine: one function sees to it.
    sums = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr == "sum"]
    assert len(sums) == 1
