from __future__ import annotations

import pytest

from createos_nb import charts, schema
from createos_nb.errors import FrameError


@pytest.mark.parametrize(
    ("name", "heading"),
    [
        ("REQUESTS_OVER_TIME", "Requests by status class"),
        ("LOGS", "Log lines by level"),
        ("TOP_HIT_PATHS", "Most requested paths"),
        ("TOP_ERROR_PATHS", "Paths with most errors"),
        ("REQUEST_DISTRIBUTION", "Answers by status"),
        ("DEPLOYMENTS", "Deployments"),
    ],
)
def test_a_frame_is_drawn_the_way_that_fits_its_columns(name, heading, read):
    assert read(charts.chart(schema.sample(name), schema.sample("DEPLOYMENTS"))).heading == heading


def test_a_frame_that_has_no_chart_is_refused_with_those_that_have():
    with pytest.raises(FrameError, match=r"no chart for these columns.*REQUESTS_OVER_TIME"):
        charts.chart(schema.sample("OVERALL_REQUESTS"))
