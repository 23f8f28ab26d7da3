from __future__ import annotations

import pandas as pd

from createos_nb import charts, schema
from createos_nb.charts.labels import WIDTH
from createos_nb.charts.linked import BRUSH, MAX_PATHS

OVER_TIME, LOGS = schema.sample("REQUESTS_OVER_TIME"), schema.sample("LOGS")


def test_the_brush_of_the_traffic_narrows_log_lines_and_paths(read):
    chart = read(charts.drilldown(OVER_TIME, LOGS, schema.sample("DEPLOYMENTS")))
    assert [param["name"] for param in chart.spec["params"]] == [BRUSH]
    _, volume, paths = chart.spec["vconcat"]
    assert volume["layer"][0]["encoding"]["opacity"]["condition"]["param"] == BRUSH
    assert paths["transform"][-1] == {"filter": {"param": BRUSH}}


def test_traffic_and_log_lines_have_the_same_time_axis():
    traffic, volume, _ = charts.drilldown(OVER_TIME, LOGS).to_dict()["vconcat"]
    assert traffic["layer"][0]["encoding"]["x"] == volume["layer"][0]["encoding"]["x"]


def test_bars_of_a_short_log_are_as_wide_as_can_be_seen_beside_a_day_of_traffic():
    day = pd.concat([OVER_TIME, OVER_TIME.assign(timestamp=OVER_TIME["timestamp"] + pd.Timedelta("1D"))])
    _, volume, _ = (spec := charts.drilldown(day, LOGS).to_dict())["vconcat"]
    bars = pd.DataFrame(spec["datasets"][volume["layer"][0].get("data", volume.get("data"))["name"]])
    shown_s = pd.Timedelta("1D").total_seconds()
    width = (pd.to_datetime(bars["end"]) - pd.to_datetime(bars["start"])).dt.total_seconds() / shown_s * WIDTH
    assert width.min() > 3


def test_every_line_with_a_path_is_counted_with_its_class(read):
    chart = read(charts.drilldown(OVER_TIME, LOGS))
    counted = pd.DataFrame(chart.rows(chart.layer("bar")))
    assert counted.groupby(["path", "class"])["lines"].sum().to_dict() == {
        ("/checkout", "2xx"): 1,
        ("/checkout", "5xx"): 2,
        ("/products", "2xx"): 1,
        ("/products/99", "4xx"): 1,
    }


def test_many_lines_and_paths_stay_small(read):
    many = pd.concat([LOGS] * 4000, ignore_index=True)
    many["path"] = [f"/{number % 300}" for number in range(len(many))]
    chart = read(charts.drilldown(OVER_TIME, schema.LOGS.check(many)))
    assert chart.largest <= 5000
    assert len({row["path"] for row in chart.rows(chart.layer("bar"))}) == MAX_PATHS


def test_with_nothing_to_draw_each_part_says_so():
    spec = charts.drilldown(schema.REQUESTS_OVER_TIME.empty(), schema.LOGS.empty()).to_dict()
    assert [part["description"] for part in spec["vconcat"]] == ["No intervals to show.", "No log lines."]
