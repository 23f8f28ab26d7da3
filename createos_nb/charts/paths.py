"""Paths: which are asked for most, and which answer most errors."""

from __future__ import annotations

import altair as alt
import pandas as pd

from createos_nb.charts import colours
from createos_nb.charts.intervals import check
from createos_nb.charts.labels import (
    PLAIN,
    WIDTH,
    Chart,
    asked,
    axis,
    completeness,
    count_axis,
    distinct,
    nothing,
    targets,
    title,
)
from createos_nb.schema import TOP_ERROR_PATHS, TOP_HIT_PATHS

MAX_BARS = 20

_TARGET = ["project", "environment"]


def top_paths(paths: pd.DataFrame) -> Chart:
    """Draw the paths asked for most, one bar each.

    Parameters
    ----------
    paths
        Top paths, of one environment or the sum of several. See `schema.TOP_HIT_PATHS`.

    Raises
    ------
    FrameError
        A needed column is missing or of another kind.

    Examples
    --------
    >>> from createos_nb import schema
    >>> top_paths(schema.sample("TOP_HIT_PATHS")).title.text
    'Most requested paths'
    """
    heading = "Most requested paths"
    taken = TOP_HIT_PATHS.take(paths, [*_TARGET, "path", "requests"])
    if taken.empty:
        return nothing("No requests in this window.", title(heading))
    check(taken, ["requests"])
    summed = taken.groupby("path", as_index=False).agg(requests=("requests", "sum"))
    summed["class"] = "2xx"
    facts = (targets(taken), asked(TOP_HIT_PATHS, paths), completeness(paths))
    return _bars(summed, heading, *facts, legend=False)


def top_error_paths(paths: pd.DataFrame) -> Chart:
    """Draw the paths and statuses with most 4xx and 5xx answers, one bar each.

    Parameters
    ----------
    paths
        Top error paths, of one environment or the sum of several. See `schema.TOP_ERROR_PATHS`.

    Raises
    ------
    FrameError
        A needed column is missing or of another kind.

    Examples
    --------
    >>> from createos_nb import schema
    >>> top_error_paths(schema.sample("TOP_ERROR_PATHS")).title.text
    'Paths with most errors'
    """
    heading = "Paths with most errors"
    taken = TOP_ERROR_PATHS.take(paths, [*_TARGET, "path", "status", "requests"])
    if taken.empty:
        return nothing("No errors in this window.", title(heading))
    check(taken, ["requests"])
    summed = taken.groupby(["path", "status"], as_index=False).agg(requests=("requests", "sum"))
    summed["class"] = [colours.status_class(status) for status in summed["status"]]
    summed["path"] = summed["status"] + "  " + summed["path"]
    facts = (targets(taken), asked(TOP_ERROR_PATHS, paths), completeness(paths))
    return _bars(summed, heading, *facts, legend=True)


def _bars(summed: pd.DataFrame, heading: str, *facts: str, legend: bool) -> Chart:
    ordered = summed.sort_values(["requests", "path"], ascending=[False, True])
    shown = ordered.head(MAX_BARS)
    bars = pd.DataFrame(
        {
            "path": distinct(list(shown["path"])),
            "requests": shown["requests"].array,
            "class": shown["class"].array,
            "shown": [f"{requests:,}" for requests in shown["requests"]],
        }
    )
    left_out = f"the first {MAX_BARS} of {len(ordered):,}" if len(ordered) > MAX_BARS else ""
    classes = [name for name in (*colours.STATUS_CLASSES, "other") if name in set(bars["class"])]
    y = alt.Y(
        "path:N",
        sort=list(bars["path"]),
        axis=axis("", labelLimit=300, labelFontSize=12, labelPadding=6, ticks=False),
    )
    top = int(bars["requests"].max())
    x = alt.X(
        "requests:Q",
        axis=count_axis("requests", top, grid=False),
        scale=alt.Scale(domain=[0, top * 1.1]),
    )
    tooltip = [alt.Tooltip("path:N"), alt.Tooltip("requests:Q", format=",")]
    drawn = (
        alt.Chart(bars)
        .mark_bar(height=14)
        .encode(
            y=y,
            x=x,
            color=alt.Color(
                "class:N",
                scale=colours.scale(classes, colours.STATUS_CLASSES),
                legend=colours.legend("status") if legend else None,
            ),
            tooltip=tooltip,
        )
    )
    numbers = alt.Chart(bars).mark_text(align="left", dx=4, fontSize=11).encode(y=y, x=x, text="shown:N")
    return alt.LayerChart(
        layer=[drawn, numbers],
        title=title(heading, *facts, left_out),
        width=WIDTH - 200,
        height=22 * len(bars),
        view=PLAIN,
    )
