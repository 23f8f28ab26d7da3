"""The linked charts, with a real mouse over a real page."""

from __future__ import annotations

import pytest

from createos_nb import charts, schema

pytestmark = pytest.mark.browser


def test_a_window_marked_in_the_traffic_leaves_the_paths_of_its_log_lines(page, tmp_path):
    chart = charts.drilldown(schema.sample("REQUESTS_OVER_TIME"), schema.sample("LOGS"))
    (tmp_path / "chart.html").write_text(charts.to_html(chart))
    page.goto((tmp_path / "chart.html").as_uri())
    labels = page.locator("#chart svg text")
    for path in ("/checkout", "/products", "/products/99"):
        labels.get_by_text(path, exact=True).wait_for()

    # Of ten minutes the third and fourth: one line, at 12:03.
    left, top, width = 82, 108, 720
    plot = page.locator("#chart svg").bounding_box()
    y = plot["y"] + top + 60
    page.mouse.move(plot["x"] + left + 0.22 * width, y)
    page.mouse.down()
    page.mouse.move(plot["x"] + left + 0.30 * width, y, steps=4)
    page.mouse.move(plot["x"] + left + 0.38 * width, y, steps=4)
    page.mouse.up()
    labels.get_by_text("/checkout", exact=True).wait_for(state="detached")
    # Waited for as well: on the way there the window held no line at all, and the page draws when it can.
    labels.get_by_text("/products/99", exact=True).wait_for()
    labels.get_by_text("/products", exact=True).wait_for(state="detached")

    page.mouse.dblclick(plot["x"] + left + 0.30 * width, y)
    labels.get_by_text("/checkout", exact=True).wait_for()
