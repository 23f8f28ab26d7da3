"""Deployments: what was built when, a row for each project, and what became of it."""

from __future__ import annotations

import altair as alt
import pandas as pd

from createos_nb.charts import colours
from createos_nb.charts.labels import (
    PLAIN,
    WIDTH,
    Chart,
    axis,
    completeness,
    distinct,
    nothing,
    shown,
    title,
    window,
)
from createos_nb.charts.timeline import time_axis
from createos_nb.schema import DEPLOYMENTS

MAX_PROJECTS = 30
"""Projects that have a row; of more, those with the latest deployments."""
MAX_DEPLOYMENTS = 400
ROW_PX = 34
_OPTIONAL = ["version", "status", "created_at", "environments"]


def deployment_timeline(deployments: pd.DataFrame) -> Chart:
    """Draw deployments over time, a row for each project, by what became of them and where they are live.

    Parameters
    ----------
    deployments
        Deployments of one project or of several. See `schema.DEPLOYMENTS`.

    Returns
    -------
    Chart with a point per deployment, at most the latest 400 of the 30 projects that deployed last. Outcomes
    have shapes of their own, so that they can be told apart in greyscale.

    Raises
    ------
    FrameError
        A needed column is missing or of another kind.

    Examples
    --------
    >>> from createos_nb import schema
    >>> deployment_timeline(schema.sample("DEPLOYMENTS")).title.text
    'Deployments'
    """
    heading = "Deployments"
    taken = DEPLOYMENTS.take(deployments, ["project", *_OPTIONAL], may_miss=_OPTIONAL)
    timed = taken.dropna(subset="created_at").sort_values("created_at", ascending=False, kind="stable")
    untimed = len(taken) - len(timed)
    without = f"{untimed:,} without a time are not shown" if untimed else ""
    if timed.empty:
        what = "No deployments with a time." if untimed else "No deployments."
        return nothing(what, title(heading, without))

    every = list(timed["project"].unique())
    projects = every[:MAX_PROJECTS]
    held = timed[timed["project"].isin(projects)].head(MAX_DEPLOYMENTS)
    projects = [project for project in projects if project in set(held["project"])]
    left_out = f"the latest {len(held):,} of {len(timed):,}" if len(held) < len(timed) else ""
    more = f"and {len(every) - len(projects):,} more projects" if len(every) > len(projects) else ""
    names = dict(zip(projects, distinct(projects), strict=True))
    first, last = held["created_at"].min(), held["created_at"].max()
    margin = max((last - first) * 0.04, pd.Timedelta("1min"))
    start, end = first - margin, last + margin

    points = pd.DataFrame(
        {
            "project": held["project"].map(names).array,
            "created_at": held["created_at"].array,
            "version": [shown(version) for version in held["version"].fillna("?")],
            "outcome": [colours.outcome(None if pd.isna(value) else value) for value in held["status"]],
            "status": ["unknown" if pd.isna(value) else shown(value) for value in held["status"]],
            "created": held["created_at"].dt.strftime("%Y-%m-%d %H:%M:%S").array,
            "live on": [shown(value) for value in held["environments"].fillna("")],
        }
    )
    points["label"] = _labels(points, start, end)
    outcomes = [name for name in colours.OUTCOMES if name in set(points["outcome"])]
    legend = colours.legend("outcome")
    shapes = alt.Scale(domain=outcomes, range=[colours.SHAPES[name] for name in outcomes])
    x = time_axis("created_at", start, end)
    y = alt.Y("project:N", sort=list(names.values()), axis=axis("project", labelLimit=200, grid=True, ticks=False))
    drawn = (
        alt.Chart(points)
        .mark_point(filled=True, size=110, opacity=1, stroke=colours.MARKER, strokeWidth=1)
        .encode(
            x=x,
            y=y,
            fill=alt.Fill("outcome:N", scale=colours.scale(outcomes, colours.OUTCOMES), legend=legend),
            shape=alt.Shape("outcome:N", scale=shapes, legend=legend),
            tooltip=[
                *(alt.Tooltip(f"{name}:N") for name in ("version", "status", "live on")),
                alt.Tooltip("created:N", title="created (UTC)"),
                alt.Tooltip("created_at:T", title="created (local)", format="%Y-%m-%d %H:%M:%S %Z"),
            ],
        )
    )
    texts = (
        alt.Chart(points[points["label"] != ""])
        .mark_text(align="left", dx=8, fontSize=10, color=colours.MARKER)
        .encode(x=x, y=y, text="label:N")
    )
    # What is live now is named above its point, where nothing is in its way.
    live = points[points["live on"] != ""]
    named = (
        alt.Chart(live.assign(label=live["version"] + " live on " + live["live on"]))
        .mark_text(dy=-12, fontSize=10, fontWeight="bold", color=colours.MARKER)
        .encode(x=x, y=y, text="label:N")
    )
    facts = (f"{len(every):,} projects" if len(every) > 1 else shown(every[0]), window(first, last))
    return alt.LayerChart(
        layer=[drawn, texts, named],
        title=title(heading, *facts, left_out, more, without, completeness(deployments)),
        width=WIDTH,
        height=max(60, ROW_PX * len(projects)),
        view=PLAIN,
    )


def _labels(points: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> list[str]:
    """Return a version for each point, empty where it would run into the next point of its project."""
    labels = [""] * len(points)
    next_px: dict[str, float] = {}
    # The latest first, so that the point to the right is the one before.
    for index, point in enumerate(points.to_dict("records")):
        at = WIDTH * float((point["created_at"] - start) / (end - start))
        if not point["live on"] and at + 14 + 6 * len(point["version"]) <= next_px.get(point["project"], WIDTH * 2):
            labels[index] = point["version"]
        next_px[point["project"]] = at
    return labels
