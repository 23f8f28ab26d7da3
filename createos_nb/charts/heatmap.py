"""Fleet: many environments over time as a map, a row for each, the worst at the top."""

from __future__ import annotations

from math import ceil, log10
from typing import Literal

import altair as alt
import numpy as np
import pandas as pd

from createos_nb import metrics
from createos_nb.charts import colours
from createos_nb.charts.intervals import check, in_words, together
from createos_nb.charts.labels import (
    PLAIN,
    WIDTH,
    Chart,
    axis,
    completeness,
    distinct,
    nothing,
    put_together,
    title,
    window,
)
from createos_nb.charts.timeline import time_axis, times
from createos_nb.errors import InvalidArgument
from createos_nb.schema import REQUESTS_OVER_TIME, SUMMARY

MAX_ROWS = 40
"""Environments that have a row."""
MAX_CELLS_ACROSS = 120
BY_BOUND = "by the lower bound of the 95 % interval"
"""What "worst" means: one error of two requests is no worse than a hundred of a thousand."""
ROW_PX = 15

By = Literal["error_share", "requests"]

_TARGET = ["project", "environment"]
_LIMITS = (0, 0.001, 0.01, 0.05, 0.2)


def fleet(frame: pd.DataFrame, *, by: By = "error_share") -> Chart:
    """Draw environments over time as a heat map, by their share of 5xx answers or by their requests.

    Parameters
    ----------
    frame
        Requests over time of many environments, or summaries of them, of one window or of several. See
        `schema.REQUESTS_OVER_TIME` and `schema.SUMMARY`.
    by
        ``"error_share"``: 5xx answers of all requests, the worst environment first; an environment with few
        requests is as bad as the lower bound of its 95 % interval. ``"requests"``: the busiest first.

    Returns
    -------
    Chart with a row per environment, at most 40; the subtitle says how many more there are, and how bad.

    Raises
    ------
    FrameError
        A needed column is missing or of another kind.
    InvalidArgument
        ``by`` is neither.

    Notes
    -----
    The interval is Wilson's, see `createos_nb.metrics.wilson_interval`.

    Examples
    --------
    >>> from createos_nb import schema
    >>> fleet(schema.sample("REQUESTS_OVER_TIME")).title.text
    'Share of 5xx answers by environment'
    """
    if by not in ("error_share", "requests"):
        raise InvalidArgument(f"by={by!r} is unknown. Use 'error_share' or 'requests'.")
    heading = "Share of 5xx answers by environment" if by == "error_share" else "Requests by environment"
    taken = _taken(frame)
    if taken.empty:
        return nothing("No intervals to show.", title(heading))
    check(taken, ["requests", "status_5xx"])
    totals = ranked(taken, by)
    kept = totals.head(MAX_ROWS)
    cells = _cells(taken.merge(kept[_TARGET], on=_TARGET))
    start, end = cells["start"].min(), cells["end"].max()
    facts = (f"{len(totals):,} environments" if len(totals) > 1 else "", window(start, end))
    if not taken["requests"].sum():
        return nothing("No requests in this window.", title(heading, *facts, completeness(frame)))

    names = dict(zip(kept[_TARGET].itertuples(index=False, name=None), _names(kept), strict=True))
    across = cells["start"].nunique()
    per = in_words(cells["end"].iloc[0] - cells["start"].iloc[0])
    cells["environment"] = [names[pair] for pair in cells[_TARGET].itertuples(index=False, name=None)]
    share = cells["status_5xx"] / cells["requests"].where(cells["requests"] > 0)
    if by == "error_share":
        classes, of = list(colours.SHARES), _share_classes(share)
        hues = dict(colours.SHARES)
        legend = "5xx answers of all requests"
    else:
        classes, of = _amounts(cells["requests"])
        hues = dict(zip(classes, (colours.AMOUNTS[0], *colours.AMOUNTS[-len(classes) + 1 :]), strict=True))
        legend = f"requests per {per}"
    drawn = cells.assign(
        **{"class": of},
        shown=["no requests" if pd.isna(part) else f"{part:.2%}" for part in share],
        time=cells["start"].dt.strftime("%Y-%m-%d %H:%M:%S"),
    ).drop(columns=["project", "partial", "status_5xx"])
    there = [name for name in classes if name in set(drawn["class"])]
    width = WIDTH - 180 if across > 1 else 120
    y = alt.Y("environment:N", sort=list(names.values()), axis=axis("", labelLimit=220, ticks=False, domain=False))
    x = time_axis("start", start, end)
    if across == 1:
        x["axis"] = None
    rects = (
        alt.Chart(drawn)
        .mark_rect(stroke="#c4ccd1", strokeWidth=0.3)
        .encode(
            x=x,
            x2="end:T",
            y=y,
            color=alt.Color(
                "class:N",
                scale=colours.scale(there, hues),
                legend=_outlined(legend),
            ),
            tooltip=[
                alt.Tooltip("environment:N"),
                *times("start"),
                alt.Tooltip("requests:Q", format=","),
                alt.Tooltip("shown:N", title="5xx share"),
            ],
        )
    )
    whole = pd.DataFrame({"environment": list(names.values()), "total": _totals(kept, by)})
    texts = (
        alt.Chart(whole)
        .mark_text(align="left", fontSize=10, color=colours.MARKER)
        .encode(y=y, x=alt.value(width + 6), text="total:N")
    )
    source = put_together(len(taken), len(taken.drop_duplicates([*_TARGET, "timestamp"])), "rows")
    if across > 1:
        source = put_together(len(taken.merge(kept[_TARGET], on=_TARGET)), len(cells), f"rows, one cell per {per}")
    order = f"worst first, {BY_BOUND}" if by == "error_share" else "busiest first"
    return alt.LayerChart(
        layer=[rects, texts],
        title=title(heading, *facts, order, _rest(totals, by), source, completeness(frame)),
        width=width,
        height=ROW_PX * len(kept),
        view=PLAIN,
    )


def _outlined(heading: str) -> alt.Legend:
    legend = colours.legend(heading)
    legend.symbolStrokeWidth = 0.6
    legend.symbolStrokeColor = colours.MARKER
    return legend


def _taken(frame: pd.DataFrame) -> pd.DataFrame:
    """Return intervals of environments, whichever of the two kinds the frame is."""
    headings = set(frame.columns) if isinstance(frame, pd.DataFrame) else set()
    if "timestamp" in headings or "server_errors" not in headings:
        return REQUESTS_OVER_TIME.take(
            frame, [*_TARGET, "timestamp", "requests", "status_5xx", "interval_s", "partial"]
        )
    taken = SUMMARY.take(frame, [*_TARGET, "start", "end", "requests", "server_errors"])
    length = (taken["end"] - taken["start"]).dt.total_seconds()
    return taken.rename(columns={"start": "timestamp", "server_errors": "status_5xx"}).assign(
        interval_s=np.ceil(length).astype("int64"), partial=False
    )


def ranked(taken: pd.DataFrame, by: By) -> pd.DataFrame:
    """Return the environments of intervals, worst or busiest first, with their totals."""
    totals = taken.groupby(_TARGET, as_index=False).agg(requests=("requests", "sum"), errors=("status_5xx", "sum"))
    totals["share"] = totals["errors"] / totals["requests"].where(totals["requests"] > 0)
    errors = totals["errors"].clip(upper=totals["requests"])
    totals["bound"] = [
        metrics.wilson_interval(metrics.counts(int(n), int(bad)))[0] if n else -1.0
        for n, bad in zip(totals["requests"], errors, strict=True)
    ]
    first = ["bound", "share"] if by == "error_share" else ["requests"]
    return totals.sort_values(first, ascending=False, kind="stable", ignore_index=True)


def _cells(kept: pd.DataFrame) -> pd.DataFrame:
    if kept["timestamp"].nunique() > 1:
        return together(kept, ["requests", "status_5xx"], by=_TARGET, limit=MAX_CELLS_ACROSS)
    cells = kept.groupby([*_TARGET, "timestamp"], as_index=False, observed=True).agg(
        requests=("requests", "sum"), status_5xx=("status_5xx", "sum"), length=("interval_s", "max")
    )
    end = cells["timestamp"] + pd.to_timedelta(cells.pop("length"), unit="s")
    return cells.rename(columns={"timestamp": "start"}).assign(end=end, partial=False)


def _names(kept: pd.DataFrame) -> list[str]:
    return distinct([f"{project}/{environment}" for project, environment in kept[_TARGET].to_numpy()])


def _totals(kept: pd.DataFrame, by: By) -> list[str]:
    if by == "requests":
        return [f"{requests:,} requests" for requests in kept["requests"]]
    return [
        "no requests" if pd.isna(share) else f"{share:.2%} of {requests:,}"
        for share, requests in zip(kept["share"], kept["requests"], strict=True)
    ]


def _rest(totals: pd.DataFrame, by: By) -> str:
    """Return what is said of the environments that have no row."""
    rest = totals.iloc[MAX_ROWS:]
    if rest.empty:
        return ""
    if by == "requests":
        return f"and {len(rest):,} more, with at most {rest['requests'].max():,} requests each"
    highest = rest["share"].max()
    most = "without requests" if pd.isna(highest) else f"with at most {highest:.2%} each"
    return f"and {len(rest):,} more, {most}"


def _share_classes(share: pd.Series[float]) -> list[str]:
    names = list(colours.SHARES)[1:]
    places = np.searchsorted(_LIMITS, share.fillna(0).to_numpy(), side="left")
    return ["no requests" if pd.isna(part) else names[at] for part, at in zip(share, places, strict=True)]


def _amounts(requests: pd.Series[int]) -> tuple[list[str], list[str]]:
    """Return the classes of amounts, least first, and the class of each: powers of ten up to the largest."""
    top = max(1, ceil(log10(max(2, int(requests.max())))))
    powers = [10**power for power in range(max(1, top - 5), top + 1)]
    classes = ["no requests", *(f"up to {power:,}" for power in powers)]
    places = np.searchsorted(powers, requests.to_numpy(), side="left")
    return classes, ["no requests" if n == 0 else classes[at + 1] for n, at in zip(requests, places, strict=True)]
