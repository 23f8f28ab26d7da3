"""Traffic: requests, error rate and requests per minute of environments over time."""

from __future__ import annotations

from collections.abc import Callable

import altair as alt
import pandas as pd

from createos_nb import metrics
from createos_nb.charts import colours
from createos_nb.charts.heatmap import BY_BOUND, By, ranked
from createos_nb.charts.intervals import check, in_words, together
from createos_nb.charts.labels import (
    Chart,
    axis,
    completeness,
    count_axis,
    distinct,
    nothing,
    put_together,
    targets,
    title,
    window,
)
from createos_nb.charts.timeline import markers, on_timeline, time_axis, times
from createos_nb.errors import InvalidArgument
from createos_nb.schema import REQUESTS_OVER_TIME

MAX_SERIES = 5
"""Environments drawn as lines of their own; of more, those with most requests."""

MAX_DOTS = 60
"""With more intervals than these, only points without neighbours are drawn as dots."""

_TARGET = ["project", "environment"]
_CLASSES = {"2xx": "status_2xx", "3xx": "status_3xx", "4xx": "status_4xx", "5xx": "status_5xx"}
_NEEDED = [*_TARGET, "timestamp", "requests", *_CLASSES.values(), "interval_s", "partial"]


def requests_over_time(over_time: pd.DataFrame, deployments: pd.DataFrame | None = None) -> Chart:
    """Draw requests over time, stacked by class of status, server errors at the bottom.

    Parameters
    ----------
    over_time
        Requests over time, of one environment or the sum of several. See `schema.REQUESTS_OVER_TIME`.
    deployments
        Deployments to mark with dashed lines. See `schema.DEPLOYMENTS`.

    Returns
    -------
    Chart with one bar per interval; intervals are put together so that there are at most 240. Paler bars
    are intervals that the window cuts or that are not over.

    Raises
    ------
    FrameError
        A needed column is missing or of another kind.

    Examples
    --------
    >>> from createos_nb import schema
    >>> chart = requests_over_time(schema.sample("REQUESTS_OVER_TIME"), schema.sample("DEPLOYMENTS"))
    >>> chart.title.text
    'Requests by status class'
    """
    heading = "Requests by status class"
    taken = REQUESTS_OVER_TIME.take(over_time, _NEEDED)
    if taken.empty:
        return nothing("No intervals to show.", title(heading))
    summed = together(taken, ["requests", *_CLASSES.values()])
    start, end = summed["start"].min(), summed["end"].max()
    facts = (targets(taken), window(start, end), completeness(over_time))
    if not summed["requests"].sum():
        return nothing("No requests in this window.", title(heading, *facts))

    bars = _stacked(summed)
    marks = markers(deployments, start, end, taken["project"])
    classes = [name for name in (*_CLASSES, "other") if name in set(bars["class"])]
    per = in_words(summed["end"].iloc[0] - summed["start"].iloc[0])
    partial = "pale: partial interval" if bars["partial"].any() else ""
    source = put_together(len(taken), len(summed), f"rows, one bar per {per}")
    base = alt.Chart(bars).mark_rect(stroke="white", strokeWidth=0.4)
    drawn = base.encode(
        x=time_axis("start", start, end),
        x2="end:T",
        y=alt.Y("low:Q", axis=count_axis(f"requests per {per}", float(bars["high"].max()))),
        y2="high:Q",
        color=alt.Color(
            "class:N",
            scale=colours.scale(classes, colours.STATUS_CLASSES),
            legend=colours.legend("status"),
        ),
        opacity=alt.condition("datum.partial", alt.value(0.5), alt.value(1)),
        tooltip=[
            *times("start"),
            alt.Tooltip("class:N", title="status"),
            alt.Tooltip("requests:Q", format=","),
        ],
    )
    return on_timeline(title(heading, *facts, source, partial, marks.fact), drawn, marks, height=260)


def error_rate(
    over_time: pd.DataFrame, deployments: pd.DataFrame | None = None, *, objective: float | None = None
) -> Chart:
    """Draw the share of requests answered 5xx over time, a line for each environment.

    Parameters
    ----------
    over_time
        Requests over time. See `schema.REQUESTS_OVER_TIME`.
    deployments
        Deployments to mark with dashed lines. See `schema.DEPLOYMENTS`.
    objective
        Share of requests that are to succeed, between 0 and 1, such as 0.999; a line shows the budget that
        it leaves for errors.

    Returns
    -------
    Chart with a point per interval; the line breaks where there were no requests. Of more than five
    environments, those that `fleet` has first: with the highest error rates, as far as can be told.

    Raises
    ------
    FrameError
        A needed column is missing or of another kind.
    InvalidArgument
        ``objective`` is not between 0 and 1.

    Examples
    --------
    >>> from createos_nb import schema
    >>> error_rate(schema.sample("REQUESTS_OVER_TIME"), objective=0.99).title.text
    'Error rate'
    """
    if objective is not None and not 0 < objective < 1:
        raise InvalidArgument(f"objective={objective!r} is not between 0 and 1. Use 0.999 for 99.9 %.")
    return _lines(
        over_time,
        deployments,
        heading="Error rate",
        value=lambda intervals: metrics.error_rate(intervals)["error_rate"],
        axis_title="error rate (5xx, % of requests)",
        form="~%",
        least_top=0.01,
        colour=colours.STATUS_CLASSES["5xx"],
        by="error_share",
        budget=None if objective is None else 1 - objective,
    )


def rpm(over_time: pd.DataFrame, deployments: pd.DataFrame | None = None) -> Chart:
    """Draw requests per minute over time, a line for each environment.

    Parameters
    ----------
    over_time
        Requests over time. See `schema.REQUESTS_OVER_TIME`.
    deployments
        Deployments to mark with dashed lines. See `schema.DEPLOYMENTS`.

    Returns
    -------
    Chart with a point per whole interval; partial ones are left out. Of more than five environments, those
    with most requests.

    Raises
    ------
    FrameError
        A needed column is missing or of another kind.

    Examples
    --------
    >>> from createos_nb import schema
    >>> rpm(schema.sample("REQUESTS_OVER_TIME")).title.text
    'Requests per minute'
    """
    return _lines(
        over_time,
        deployments,
        heading="Requests per minute",
        value=lambda intervals: metrics.rpm(intervals)["rpm"],
        axis_title="requests per minute",
        form=",~f",
        least_top=1,
        colour=colours.SERIES[0],
    )


def _lines(
    over_time: pd.DataFrame,
    deployments: pd.DataFrame | None,
    *,
    heading: str,
    value: Callable[[pd.DataFrame], pd.Series[float]],
    axis_title: str,
    form: str,
    least_top: float,
    colour: str,
    by: By = "requests",
    budget: float | None = None,
) -> Chart:
    taken = REQUESTS_OVER_TIME.take(over_time, _NEEDED)
    if taken.empty:
        return nothing("No intervals to show.", title(heading))
    kept, left_out = _first(taken, by)
    summed = together(kept, ["requests", *_CLASSES.values()], by=_TARGET)
    start, end = summed["start"].min(), summed["end"].max()
    facts = (targets(taken), window(start, end), left_out, completeness(over_time))
    intervals = summed.rename(columns={"start": "timestamp"})
    intervals["interval_s"] = (summed["end"] - summed["start"]).dt.total_seconds().astype("int64")
    summed["value"] = value(intervals)
    if not summed["value"].notna().any():
        what = "whole interval" if summed["requests"].sum() else "requests"
        return nothing(f"No {what} in this window.", title(heading, *facts))

    points, series = _points(summed)
    several = len(series) > 1
    marks = markers(deployments, start, end, taken["project"])
    legend = colours.legend("environment", symbol="stroke") if several else None
    hues = dict(zip(series, colours.SERIES if several else (colour,), strict=False))
    colour_of = alt.Color("environment:N", scale=colours.scale(series, hues), legend=legend)
    step = in_words(summed["end"].iloc[0] - summed["start"].iloc[0])
    source = put_together(len(kept), len(summed), f"rows, one point per {step}")
    highest = max(float(points["value"].max()), budget or 0)
    y_scale = alt.Scale(domain=[0, max(least_top, highest * 1.08)])
    lines = alt.Chart(points).encode(
        x=time_axis("middle", start, end),
        y=alt.Y("value:Q", axis=axis(axis_title, tickCount=5, format=form), scale=y_scale),
        color=colour_of,
    )
    dashes = alt.Scale(domain=series, range=list(colours.DASHES[: len(series)]))
    drawn = alt.LayerChart(
        layer=[
            lines.mark_line(strokeWidth=2).encode(
                strokeDash=alt.StrokeDash("environment:N", scale=dashes, legend=legend)
            ),
            lines.mark_point(filled=True, size=24, opacity=1).encode(
                opacity=alt.condition("datum.dot", alt.value(1), alt.value(0)),
                tooltip=[
                    *times("start"),
                    alt.Tooltip("environment:N"),
                    alt.Tooltip("value:Q", title=axis_title, format=".2%" if "%" in form else ",.1f"),
                    alt.Tooltip("requests:Q", format=","),
                ],
            ),
            *(_budget_line(budget, y_scale) if budget is not None else ()),
        ]
    )
    return on_timeline(title(heading, *facts, source, marks.fact), drawn, marks, height=200)


def _budget_line(budget: float, y_scale: alt.Scale) -> tuple[alt.Chart, alt.Chart]:
    text = f"budget {100 * budget:.3g} % (objective {100 * (1 - budget):.6g} %)"
    line = alt.Chart(pd.DataFrame({"budget": [budget], "text": [text]})).encode(y=alt.Y("budget:Q", scale=y_scale))
    label = line.encode(x=alt.value(4), text="text:N")
    return (
        line.mark_rule(color=colours.MARKER, strokeWidth=1.5),
        label.mark_text(align="left", baseline="bottom", dy=-3, fontSize=11, color=colours.MARKER),
    )


def _points(summed: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return one row per point, and the environments' names in order."""
    pairs = list(summed[_TARGET].drop_duplicates().itertuples(index=False, name=None))
    names = distinct([f"{project}/{environment}" for project, environment in pairs])
    step = summed["end"].iloc[0] - summed["start"].iloc[0]
    grid = pd.date_range(summed["start"].min(), summed["start"].max(), freq=step, name="start")
    few = len(grid) <= MAX_DOTS
    lines = []
    for (project, environment), name in zip(pairs, names, strict=True):
        of_it = summed[(summed["project"] == project) & (summed["environment"] == environment)]
        # A row for every interval, so that the line breaks where there is no data instead of bridging it.
        line = of_it.set_index("start")[["value", "requests"]].reindex(grid)
        there = line["value"].notna()
        alone = there & ~there.shift(1, fill_value=False) & ~there.shift(-1, fill_value=False)
        lines.append(line.assign(environment=name, dot=there & (few | alone)))
    points = pd.concat(lines).reset_index()
    # In the middle of what it stands for.
    points["middle"] = points["start"] + step / 2
    points["time"] = points["start"].dt.strftime("%Y-%m-%d %H:%M:%S")
    return points, names


def _stacked(summed: pd.DataFrame) -> pd.DataFrame:
    """Return one row per bar: start, end, class, requests, and where it lies on the other bars."""
    counts = summed[list(_CLASSES.values())].set_axis(list(_CLASSES), axis="columns")
    # An informational answer, or one that was never given, is in the requests and in no class.
    counts["other"] = (summed["requests"] - counts.sum(axis="columns")).clip(lower=0)
    counts = counts[["5xx", "4xx", "3xx", "2xx", "other"]]
    high = counts.cumsum(axis="columns")
    bars = pd.DataFrame(
        {
            "class": [name for name in counts for _ in range(len(counts))],
            "requests": counts.to_numpy().T.ravel(),
            "high": high.to_numpy().T.ravel(),
        }
    )
    bars["low"] = bars["high"] - bars["requests"]
    spans = pd.concat([summed[["start", "end", "partial"]]] * counts.shape[1], ignore_index=True)
    bars = pd.concat([spans, bars], axis="columns")
    bars["time"] = bars["start"].dt.strftime("%Y-%m-%d %H:%M:%S")
    return bars[bars["requests"] > 0].reset_index(drop=True)


def _first(taken: pd.DataFrame, by: By) -> tuple[pd.DataFrame, str]:
    """Return the intervals of as many environments as have a line each, and what is said of the choice."""
    check(taken, ["requests", "status_5xx"])
    totals = ranked(taken, by)
    if len(totals) <= MAX_SERIES:
        return taken, ""
    what = f"the highest error rates, {BY_BOUND}" if by == "error_share" else "most requests"
    kept = totals[_TARGET].head(MAX_SERIES)
    return taken.merge(kept, on=_TARGET), f"the {MAX_SERIES} of {len(totals):,} with {what}"
