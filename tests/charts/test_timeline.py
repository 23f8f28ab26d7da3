from __future__ import annotations

from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from createos_nb import schema
from createos_nb.charts.timeline import LANES, TIME, _placed, markers, time_axis
from createos_nb.errors import FrameError

NOON = pd.Timestamp("2026-11-23T12:00:00Z")
START, END = NOON, NOON + pd.Timedelta("10min")
OURS = pd.Series(["shop"])


def deployments(*minutes, **changes):
    return schema.DEPLOYMENTS.frame(
        {
            "project": "shop",
            "version": f"v{number}",
            "created_at": NOON + pd.Timedelta(minutes=minute),
            **changes,
        }
        for number, minute in enumerate(minutes, start=1)
    )


def texts(found):
    return [row["label"] for layer in found.layers[1:] for row in layer.data.to_dict("records")]


def test_deployments_of_the_window_are_lines_with_their_versions():
    found = markers(deployments(-1, 0, 4, 10), START, END, OURS)
    assert found.layers[0].data["version"].tolist() == ["v2", "v3"]
    assert texts(found) == ["v2", "v3"]
    assert found.fact == "dashed lines: deployments created"


@pytest.mark.parametrize("given_", [None, deployments(), deployments(-5)], ids=["none", "empty", "before"])
def test_without_deployments_in_the_window_there_is_nothing(given_):
    found = markers(given_, START, END, OURS)
    assert found.layers == ()
    assert found.fact == ""


def test_versions_of_several_projects_are_told_apart():
    both = schema.DEPLOYMENTS.concat([deployments(1), deployments(8, project="blog")])
    assert texts(markers(both, START, END, pd.Series(["blog", "shop"]))) == ["shop v1", "blog v1"]


def test_deployments_of_other_projects_are_none_of_a_charts_lines():
    both = pd.concat([deployments(1, project="shop"), deployments(2, project="blog")])
    assert texts(markers(both, START, END, OURS)) == ["v1"]
    assert markers(deployments(2, project="blog"), START, END, OURS).layers == ()


def test_a_deployment_without_a_version_or_a_time_does_no_harm():
    assert texts(markers(deployments(1, version=None), START, END, OURS)) == ["?"]
    assert markers(deployments(1, created_at=None), START, END, OURS).layers == ()


def test_close_versions_stand_above_each_other():
    placed = _placed([100.0, 105.0, 110.0, 400.0], ["v1", "v2", "v3", "v4"])
    assert [(label.text, label.lane) for label in placed] == [("v1", 0), ("v2", 1), ("v3", 2), ("v4", 0)]


def test_a_crowd_shares_one_label():
    placed = _placed([100.0 + index for index in range(18)], [f"v{number}" for number in range(7, 25)])
    assert [label.text for label in placed] == ["v7 … v24 (18)"]


@given(st.lists(st.floats(0, 720, exclude_max=True), min_size=1, max_size=60).map(sorted))
def test_labels_never_overlap_and_none_is_lost(positions):
    versions = [f"v{number}" for number in range(len(positions))]
    placed = _placed(positions, versions)
    spans = {lane: [] for lane in range(LANES)}
    for label in placed:
        left = positions[label.index]
        spans[label.lane].append((left, left + 6 * len(label.text)))
    for lane in spans.values():
        ordered = sorted(lane)
        assert all(before[1] < after[0] for before, after in pairwise(ordered))
    told = sum(int(label.text.split("(")[1][:-1]) if "(" in label.text else 1 for label in placed)
    assert told == len(versions)


@pytest.mark.parametrize(
    ("span", "form"),
    [("2min", "%H:%M:%S"), ("1h", "%H:%M"), ("24h", "%H:%M"), ("3D", "%d %b %H:%M"), ("30D", "%d %b")],
)
def test_the_time_axis_is_utc_and_as_fine_as_the_window(span, form):
    x = time_axis("start", START, START + pd.Timedelta(span)).to_dict()
    assert x["scale"]["type"] == "utc"
    assert x["scale"]["domain"][0] == START.timestamp() * 1000
    assert (x["axis"]["title"], x["axis"]["format"]) == (TIME, form)
    assert f"utcFormat(datum.value, '{form}')" in x["axis"]["labelExpr"]


def test_a_frame_that_is_not_of_deployments_is_refused():
    with pytest.raises(FrameError, match="no column 'version'"):
        markers(schema.sample("TOP_HIT_PATHS"), START, END, OURS)


def test_deployments_on_one_pixel_are_one_line():
    found = markers(deployments(*(minute / 1000 for minute in range(10_000))), START, END, OURS)
    assert len(found.layers[0].data) <= 720
