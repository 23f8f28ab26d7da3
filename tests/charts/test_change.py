from __future__ import annotations

import pandas as pd
import pytest

from createos_nb import charts, metrics, schema
from createos_nb.errors import InvalidArgument
from tests.metrics.traffic import minute, traffic

NOON = pd.Timestamp("2026-11-23T12:00:00Z")
SAMPLE = schema.sample("REQUESTS_OVER_TIME")
DEPLOYMENTS = schema.sample("DEPLOYMENTS")
V3 = DEPLOYMENTS.iloc[2]


def shares(chart):
    return {row["window"]: row for row in chart.rows(next(chart.layers()))}


def points(chart):
    return pd.DataFrame(chart.rows(chart.layer("line")))


def test_both_windows_carry_their_share_and_its_interval(read):
    chart = read(charts.before_after(SAMPLE, V3))
    before, after = SAMPLE.iloc[:4], SAMPLE.iloc[4:8]
    for side, rows in (("before", before), ("after", after)):
        counts = metrics.counts(int(rows["requests"].sum()), int(rows["status_5xx"].sum()))
        told = shares(chart)[side]
        assert (told["low"], told["high"]) == metrics.wilson_interval(counts)
        assert told["share"] == counts.error_rate
    assert "The error rate rose" in chart.facts
    assert "created 2026-11-23 12:04:00 UTC" in chart.facts


def test_it_says_what_compare_says_also_of_errors_that_come_in_bursts(read):
    """Bursts of the same size on both sides: independent requests would be a rise, these are none."""
    errors = [30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 30, 0, 0, 30, 0, 0, 0, 0, 0, 0]
    frame = traffic([100] * 20, errors)
    at = pd.Timestamp(minute(10))
    [told] = metrics.compare(frame.iloc[10:], frame.iloc[:10]).to_dict("records")
    assert told["verdict"] == "unclear"
    for drawn in (frame, schema.REQUESTS_OVER_TIME.concat([frame, frame.assign(environment="staging")])):
        chart = read(charts.before_after(drawn, at))
        assert told["reason"].split(":")[0] in chart.facts
    after = shares(read(charts.before_after(frame, at)))["after"]
    assert (after["low"], after["high"]) == (told["error_rate_low"], told["error_rate_high"])


def test_the_windows_are_aligned_at_their_beginning(read):
    drawn = points(read(charts.before_after(SAMPLE, V3)))
    minutes = {side: rows["minutes"].tolist() for side, rows in drawn.groupby("window")}
    assert minutes == {"before": [0.5, 1.5, 2.5, 3.5], "after": [0.5, 1.5, 2.5, 3.5]}


def test_the_interval_of_the_deployment_belongs_to_neither_window(read):
    drawn = points(read(charts.before_after(SAMPLE, NOON + pd.Timedelta("4min 20s"))))
    assert "2026-11-23 12:04:00" not in set(drawn["time"])
    assert drawn["window"].value_counts().to_dict() == {"before": 4, "after": 4}


def test_a_length_shortens_both(read):
    drawn = points(read(charts.before_after(SAMPLE, V3, length="2min")))
    assert drawn["time"].str[-8:].tolist() == ["12:02:00", "12:03:00", "12:04:00", "12:05:00"]


def test_a_frame_of_one_row_a_series_and_a_time_are_the_same_deployment(read):
    ways = (V3, DEPLOYMENTS.iloc[2:3], V3["created_at"], V3["created_at"].to_pydatetime())
    assert len({str(shares(read(charts.before_after(SAMPLE, way)))) for way in ways}) == 1


def test_other_projects_do_not_count(read):
    both = schema.REQUESTS_OVER_TIME.concat([SAMPLE, SAMPLE.assign(project="blog")])
    assert shares(read(charts.before_after(both, V3))) == shares(read(charts.before_after(SAMPLE, V3)))


@pytest.mark.parametrize(
    ("deployment", "length"),
    [
        (DEPLOYMENTS, None),
        (DEPLOYMENTS.assign(created_at=pd.NaT).iloc[0], None),
        (pd.Timestamp("2026-11-23T12:04"), None),
        ("v3", None),
        (V3, "long"),
        (V3, "-1min"),
        (V3, "1s"),
    ],
    ids=["three", "no time", "naive", "name", "no length", "negative", "too short"],
)
def test_what_is_no_deployment_or_no_length_is_refused(deployment, length):
    with pytest.raises(InvalidArgument):
        charts.before_after(SAMPLE, deployment, length=length)


def test_nothing_to_draw_is_said_in_words(read):
    assert read(charts.before_after(schema.REQUESTS_OVER_TIME.empty(), V3)).words == "No intervals to show."
    assert read(charts.before_after(SAMPLE, NOON)).words == "No whole interval before it."
    assert read(charts.before_after(SAMPLE, NOON + pd.Timedelta("1h"))).words == "No whole interval after it."
    idle = SAMPLE.assign(requests=0, status_5xx=0)
    assert read(charts.before_after(idle, V3)).words == "No requests in these windows."
