from __future__ import annotations

import pandas as pd

from createos_nb import charts, schema
from createos_nb.charts.deployments import MAX_DEPLOYMENTS, MAX_PROJECTS

NOON = pd.Timestamp("2026-11-23T12:00:00Z")


def deployments(count, *, projects=1, every="7min", **changes):
    return schema.DEPLOYMENTS.frame(
        {
            "project": f"shop-{number % projects}",
            "version": f"v{number}",
            "status": "deployed",
            "created_at": NOON + number * pd.Timedelta(every),
            **changes,
        }
        for number in range(count)
    )


def points(chart):
    return pd.DataFrame(chart.rows(chart.layer("point")))


def test_each_deployment_is_a_point_in_its_projects_row_with_its_outcome(read):
    frame = deployments(4, projects=2).assign(status=["deployed", "build_error", "building", "unheard of"])
    chart = read(charts.deployment_timeline(frame))
    drawn = points(chart).set_index("version")
    assert drawn["outcome"].to_dict() == {"v0": "deployed", "v1": "failed", "v2": "under way", "v3": "stopped"}
    assert drawn["project"].to_dict() == {"v0": "shop-0", "v1": "shop-1", "v2": "shop-0", "v3": "shop-1"}
    assert len(set(chart.layer("point")["encoding"]["shape"]["scale"]["range"])) == 4


def test_what_is_live_is_named_with_where(read):
    chart = read(charts.deployment_timeline(schema.sample("DEPLOYMENTS")))
    assert "v2 live on production" in [row["label"] for text in chart.marked("text") for row in chart.rows(text)]


def test_of_many_the_latest_are_drawn_and_it_is_said(read):
    chart = read(charts.deployment_timeline(deployments(100_000, projects=50, every="1s")))
    assert points(chart)["project"].nunique() == MAX_PROJECTS
    assert len(points(chart)) == MAX_DEPLOYMENTS
    assert "the latest 400 of 100,000" in chart.facts
    assert "and 20 more projects" in chart.facts


def test_nothing_to_draw_is_said_in_words(read):
    assert read(charts.deployment_timeline(schema.DEPLOYMENTS.empty())).words == "No deployments."
    assert read(charts.deployment_timeline(deployments(2, created_at=None))).words == "No deployments with a time."
