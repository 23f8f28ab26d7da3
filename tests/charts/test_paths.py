from __future__ import annotations

import pandas as pd
import pytest

from createos_nb import charts, schema
from createos_nb.charts.paths import MAX_BARS
from createos_nb.errors import FrameError

FACTS = "shop/production · 2026-11-23 12:00 to 12:10 UTC"


def paths(*counts, environment="production"):
    return schema.TOP_HIT_PATHS.frame(
        {"project": "shop", "environment": environment, "rank": rank, "path": path, "requests": requests}
        for rank, (path, requests) in enumerate(counts, start=1)
    )


def test_a_chart_says_what_and_of_whom(read):
    hit = read(charts.top_paths(schema.sample("TOP_HIT_PATHS")))
    assert (hit.heading, hit.facts) == ("Most requested paths", FACTS)
    errors = read(charts.top_error_paths(schema.sample("TOP_ERROR_PATHS")))
    assert (errors.heading, errors.facts) == (
        "Paths with most errors",
        "shop/production · 2026-11-23 12:00 to 12:10 UTC",
    )
    assert "requests" in hit.axis_titles()
    assert "requests" in errors.axis_titles()


def test_bars_are_ordered_and_carry_their_number(read):
    chart = read(charts.top_paths(paths(("/b", 5), ("/a", 1_234), ("/c", 5))))
    bars = chart.rows(chart.layer("bar"))
    assert [bar["path"] for bar in bars] == chart.layer("bar")["encoding"]["y"]["sort"] == ["/a", "/b", "/c"]
    assert [bar["shown"] for bar in bars] == ["1,234", "5", "5"]


def test_a_path_of_several_environments_is_one_bar(read):
    both = schema.TOP_HIT_PATHS.concat([paths(("/", 2), ("/a", 1)), paths(("/", 3), environment="staging")])
    chart = read(charts.top_paths(both))
    assert [(bar["path"], bar["requests"]) for bar in chart.rows(chart.layer("bar"))] == [("/", 5), ("/a", 1)]


def test_an_error_path_shows_its_status_and_its_class(read):
    chart = read(charts.top_error_paths(schema.sample("TOP_ERROR_PATHS")))
    bars = chart.rows(chart.layer("bar"))
    assert [(bar["path"], bar["class"]) for bar in bars] == [
        ("500  /checkout", "5xx"),
        ("404  /favicon.ico", "4xx"),
        ("404  /products/99", "4xx"),
    ]
    assert chart.layer("bar")["encoding"]["color"]["scale"]["domain"] == ["4xx", "5xx"]


def test_long_paths_that_look_alike_stay_two_bars(read):
    long = "/" + "x" * 300
    chart = read(charts.top_paths(paths((long + "a", 2), (long + "b", 1))))
    names = [bar["path"] for bar in chart.rows(chart.layer("bar"))]
    assert len(set(names)) == 2
    assert all(len(name) < 130 for name in names)


def test_more_bars_than_fit_are_counted(read):
    chart = read(charts.top_paths(paths(*((f"/{number}", number) for number in range(50)))))
    assert len(chart.rows(chart.layer("bar"))) == MAX_BARS
    assert f"the first {MAX_BARS} of 50" in chart.facts


def test_nothing_to_draw_is_said_in_words(read):
    assert read(charts.top_paths(schema.TOP_HIT_PATHS.empty())).words == "No requests in this window."
    assert read(charts.top_error_paths(schema.TOP_ERROR_PATHS.empty())).words == "No errors in this window."


def test_a_wrong_frame_is_refused_by_the_columns_name():
    with pytest.raises(FrameError, match="no column 'status'"):
        charts.top_error_paths(schema.sample("TOP_HIT_PATHS"))


@pytest.mark.parametrize(
    ("draw", "kind"),
    [
        (charts.top_paths, "TOP_HIT_PATHS"),
        (charts.top_error_paths, "TOP_ERROR_PATHS"),
        (charts.request_distribution, "REQUEST_DISTRIBUTION"),
    ],
)
def test_the_window_is_told_and_two_of_them_are_told_apart_from_one(read, draw, kind):
    sample = schema.sample(kind)
    assert "2026-11-23 12:00 to 12:10 UTC" in read(draw(sample)).facts
    later = sample.assign(start=sample["end"], end=sample["end"] + pd.Timedelta("10min"))
    assert "windows within 2026-11-23 12:00 to 12:20 UTC" in read(draw(pd.concat([sample, later]))).facts
