"""Timeline: the time axis that charts share, and deployments as labelled lines across it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from createos_nb.charts.colours import MARKER
from createos_nb.charts.labels import PLAIN, WIDTH, axis, shown
from createos_nb.schema import DEPLOYMENTS

LANES = 3
"""Rows of version labels above the plot."""
LANE_PX = 13
TIME = "time (UTC, local time below it where that differs)"
_GLYPH_PX = 7
_GAP_PX = 6


def time_axis(name: str, start: pd.Timestamp, end: pd.Timestamp) -> alt.X:
    """Return the x encoding of a time column over a window, labelled in UTC, and below in local time.

    Local is where the chart is looked at: a browser's time zone, for a picture that of the machine that draws
    it. The second line says its offset, and is left out where local time is UTC.
    """
    span = end - start
    local = "%H:%M:%S %Z" if span <= pd.Timedelta("4min") else "%H:%M %Z"
    if span <= pd.Timedelta("4min"):
        form = "%H:%M:%S"
    elif span <= pd.Timedelta("26h"):
        form = "%H:%M"
    else:
        form = "%d %b %H:%M" if span <= pd.Timedelta("4D") else "%d %b"
    domain = [start.timestamp() * 1000, end.timestamp() * 1000]
    # A utc scale, or the labels would be in the time zone of whoever looks.
    scale = alt.Scale(type="utc", domain=domain, nice=False)
    utc = f"utcFormat(datum.value, '{form}')"
    labels = f"timezoneoffset(datum.value) == 0 ? {utc} : [{utc}, timeFormat(datum.value, '{local}')]"
    return alt.X(
        f"{name}:T",
        scale=scale,
        axis=axis(TIME, format=form, labelExpr=labels, tickCount=8, grid=False, labelFlush=False),
    )


def times(name: str) -> list[alt.Tooltip]:
    """Return the tooltips of a time column, in UTC (from the text column ``time``) and in local time."""
    return [
        alt.Tooltip("time:N", title="from (UTC)"),
        alt.Tooltip(f"{name}:T", title="from (local)", format="%Y-%m-%d %H:%M:%S %Z"),
    ]


@dataclass(frozen=True)
class Markers:
    """Deployments within a window, ready to lie over a chart.

    Attributes
    ----------
    layers
        Lines and labels; empty when no deployment was created in the window.
    """

    layers: tuple[alt.Chart, ...] = ()

    @property
    def fact(self) -> str:
        """What the lines are, for the chart's subtitle."""
        return "dashed lines: deployments created" if self.layers else ""


def markers(
    deployments: pd.DataFrame | None, start: pd.Timestamp, end: pd.Timestamp, projects: pd.Series
) -> Markers:
    """Return the deployments created in a window as layers of a chart.

    Parameters
    ----------
    deployments
        Needs ``project``, ``version`` and ``created_at``, see `schema.DEPLOYMENTS`; None for no markers.
    start, end
        The window the chart shows, half open.
    projects
        Whose chart it is, a name for each of its rows: deployments of others are none of its lines.

    Raises
    ------
    FrameError
        A needed column is missing or of another kind.
    """
    if deployments is None:
        return Markers()
    taken = DEPLOYMENTS.take(deployments, ["project", "version", "created_at"], may_miss=["version", "created_at"])
    shown_here = (taken["created_at"] >= start) & (taken["created_at"] < end) & taken["project"].isin(projects)
    taken = taken[shown_here].sort_values("created_at")
    if taken.empty:
        return Markers()
    name = taken["version"].fillna("?")
    if projects.nunique() > 1:
        name = taken["project"] + " " + name
    # Lines that fall on the same pixel are one line; all of them are counted in the labels.
    pixel = ((taken["created_at"] - start) / (end - start) * WIDTH).astype("int64")
    lines = pd.DataFrame(
        {
            "pixel": pixel.array,
            "created_at": taken["created_at"].array,
            "version": [shown(text) for text in name],
            "created": taken["created_at"].dt.strftime("%Y-%m-%d %H:%M:%S").array,
        }
    )
    share = (lines["created_at"] - start) / (end - start)
    placed = _placed([WIDTH * float(part) for part in share], list(lines["version"]))
    x = time_axis("created_at", start, end)
    rules = (
        alt.Chart(lines.drop_duplicates("pixel").drop(columns="pixel"))
        .mark_rule(strokeDash=[4, 3], color=MARKER, strokeWidth=1.2)
        .encode(x=x, tooltip=[alt.Tooltip("version:N"), alt.Tooltip("created:N", title="created (UTC)")])
    )
    texts = (
        alt.Chart(
            pd.DataFrame(
                [(lines["created_at"][label.index], label.text) for label in placed if label.lane == lane],
                columns=["created_at", "label"],
            )
        )
        .mark_text(align="left", baseline="bottom", fontSize=11, fontWeight="bold", color=MARKER)
        .encode(x=x, y=alt.value(-3 - LANE_PX * lane), text="label:N")
        for lane in sorted({label.lane for label in placed})
    )
    return Markers((rules, *texts))


def on_timeline(
    heading: alt.TitleParams, drawn: alt.Chart | alt.LayerChart, marks: Markers, *, height: int
) -> alt.LayerChart:
    """Return what is drawn with the deployments over it."""
    return alt.LayerChart(layer=[drawn, *marks.layers], title=heading, width=WIDTH, height=height, view=PLAIN)


@dataclass(frozen=True)
class _Label:
    index: int
    """Of the deployment it stands at."""
    lane: int
    text: str


def _placed(positions: Sequence[float], versions: Sequence[str]) -> list[_Label]:
    """Return labels that do not overlap; where too many crowd together, one label for a whole group."""
    groups = [[index] for index in range(len(positions))]
    apart_px = 8.0
    while (placed := _in_lanes(groups, positions, versions)) is None:
        apart_px *= 2
        groups = [[0]]
        for index in range(1, len(positions)):
            if positions[index] - positions[index - 1] < apart_px:
                groups[-1].append(index)
            else:
                groups.append([index])
    return placed


def _in_lanes(
    groups: Sequence[Sequence[int]], positions: Sequence[float], versions: Sequence[str]
) -> list[_Label] | None:
    free_from = [0.0] * LANES
    placed = []
    for group in groups:
        first, last = versions[group[0]], versions[group[-1]]
        text = first if len(group) == 1 else f"{first} … {last} ({len(group)})"
        x = positions[group[0]]
        lane = next((lane for lane in range(LANES) if free_from[lane] <= x), None)
        if lane is None:
            return None
        free_from[lane] = x + len(text) * _GLYPH_PX + _GAP_PX
        placed.append(_Label(group[0], lane, text))
    return placed
