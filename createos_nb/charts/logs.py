"""Logs: how many lines an application wrote over time, by how grave they are."""

from __future__ import annotations

import altair as alt
import pandas as pd

from createos_nb.charts import colours
from createos_nb.charts.intervals import in_words, step_s
from createos_nb.charts.labels import (
    Chart,
    completeness,
    count_axis,
    nothing,
    put_together,
    shown,
    targets,
    title,
    window,
)
from createos_nb.charts.timeline import markers, on_timeline, time_axis, times
from createos_nb.schema import LEVELS, LOGS

MAX_BARS = 120
MAX_UNKNOWN = 8
"""Levels that are none of ours and are drawn by their names; of more, those with most lines."""
NO_LEVEL = "no level"
OTHERS = "other levels"

_TARGET = ["project", "environment"]
_OPTIONAL = ["timestamp", "level"]


def log_volume(logs: pd.DataFrame, deployments: pd.DataFrame | None = None) -> Chart:
    """Draw the number of log lines over time, stacked by level, the gravest at the bottom.

    Parameters
    ----------
    logs
        Log lines, of one environment or several. See `schema.LOGS`.
    deployments
        Deployments to mark with dashed lines. See `schema.DEPLOYMENTS`.

    Returns
    -------
    Chart with at most 120 bars of equal length in time. Lines without a time are counted in the subtitle.

    Raises
    ------
    FrameError
        A needed column is missing or of another kind.

    Examples
    --------
    >>> from createos_nb import schema
    >>> log_volume(schema.sample("LOGS")).title.text
    'Log lines by level'
    """
    return volume(logs, deployments)


def volume(
    logs: pd.DataFrame, deployments: pd.DataFrame | None = None, *, beside: pd.Timedelta | None = None
) -> Chart:
    """Draw `log_volume`, with bars that can be seen on an axis that is as long as what it stands beside.

    Parameters
    ----------
    logs, deployments
        As for `log_volume`.
    beside
        How long the axis is, at least.
    """
    heading = "Log lines by level"
    taken = LOGS.take(logs, [*_TARGET, *_OPTIONAL], may_miss=["environment", *_OPTIONAL])
    if "gap" in logs.columns:
        taken = taken[logs["gap"].isna().to_numpy()]  # of `follow`: what is not known there is no line
    timed = taken.dropna(subset="timestamp")
    untimed = len(taken) - len(timed)
    without = f"{untimed:,} without a time are not shown" if untimed else ""
    if timed.empty:
        what = "No log lines with a time." if untimed else "No log lines."
        return nothing(what, title(heading, targets(taken), without))

    first, last = timed["timestamp"].min(), timed["timestamp"].max()
    length = max(last - first, beside or pd.Timedelta(0))
    step = pd.Timedelta(seconds=step_s(1, length.total_seconds() + 1, limit=MAX_BARS))
    bars, levels = _stacked(timed, step)
    source = put_together(len(timed), len(bars), f"lines, one bar per {in_words(step)}")
    start, end = bars["start"].min(), bars["end"].max()
    marks = markers(deployments, start, end, taken["project"])
    drawn = (
        alt.Chart(bars)
        .mark_rect(stroke="white", strokeWidth=0.4)
        .encode(
            x=time_axis("start", start, end),
            x2="end:T",
            y=alt.Y("low:Q", axis=count_axis(f"lines per {in_words(step)}", float(bars["high"].max()))),
            y2="high:Q",
            color=alt.Color("level:N", scale=colours.scale(levels, colours.LEVELS), legend=colours.legend("level")),
            tooltip=[
                *times("start"),
                alt.Tooltip("level:N"),
                alt.Tooltip("lines:Q", format=","),
            ],
        )
    )
    facts = (targets(taken), window(start, end), source, without, completeness(logs), marks.fact)
    return on_timeline(title(heading, *facts), drawn, marks, height=180)


def _stacked(timed: pd.DataFrame, step: pd.Timedelta) -> tuple[pd.DataFrame, list[str]]:
    """Return one row per bar, and the levels there are, mildest first."""
    held = timed["level"].cat.remove_unused_categories()
    names = {value: shown(value) for value in held.cat.categories}
    known = [NO_LEVEL, *LEVELS]
    frequent = set(held[~held.isin(known)].value_counts().head(MAX_UNKNOWN).index)
    names = {value: name if value in known or value in frequent else OTHERS for value, name in names.items()}
    level = held.astype("str").map(names).astype("str").fillna(NO_LEVEL)
    there = set(level.unique())
    levels = [name for name in known if name in there] + sorted(there - set(known))
    counted = (
        pd.DataFrame({"start": timed["timestamp"].dt.floor(step).array, "level": level.array})
        .value_counts()
        .rename("lines")
        .reset_index()
    )
    counted["grave"] = counted["level"].map({name: place for place, name in enumerate(levels)})
    counted = counted.sort_values(["start", "grave"], ascending=[True, False], ignore_index=True)
    high = counted.groupby("start")["lines"].cumsum()
    bars = counted.assign(
        end=counted["start"] + step,
        high=high,
        low=high - counted["lines"],
        time=counted["start"].dt.strftime("%Y-%m-%d %H:%M:%S"),
    )
    return bars.drop(columns="grave"), levels
