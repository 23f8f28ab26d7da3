"""Change: what a deployment did to an environment's requests; the window before it beside the one after."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import altair as alt
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
    nothing,
    put_together,
    shown,
    targets,
    title,
    window,
)
from createos_nb.errors import InvalidArgument
from createos_nb.schema import DEPLOYMENTS, REQUESTS_OVER_TIME

SIDES = ("before", "after")
_HUES = {"before": "#7d9db3", "after": "#8e1b1b"}
_DASHES = [[6, 3], [1, 0]]
_TARGET = ["project", "environment"]

Deployment = pd.DataFrame | pd.Series | datetime


def before_after(over_time: pd.DataFrame, deployment: Deployment, *, length: str | None = None) -> Chart:
    """Draw the window before a deployment and the one after it over each other, with their shares of errors.

    Parameters
    ----------
    over_time
        Requests over time, of one environment or the sum of several. See `schema.REQUESTS_OVER_TIME`.
    deployment
        A row of `schema.DEPLOYMENTS`, as a Series or as a frame with one row; or a time with its zone. Of a
        row's project only the requests of that project count.
    length
        Length of each window, such as ``"30min"``; the longest that both sides have if not given.

    Returns
    -------
    Chart of three parts: the share of 5xx answers of each window with its 95 % interval, that share minute
    for minute, and requests per minute. Partial intervals, and the one in which the deployment was created,
    belong to neither window.

    Raises
    ------
    FrameError
        A needed column is missing or of another kind.
    InvalidArgument
        The deployment is not one row or has no time, the time has no zone, or ``length`` is no length.

    Notes
    -----
    Intervals and verdict are those of `createos_nb.metrics.compare`, of several environments as if they were one.

    Examples
    --------
    >>> from createos_nb import schema
    >>> deployments = schema.sample("DEPLOYMENTS")
    >>> before_after(schema.sample("REQUESTS_OVER_TIME"), deployments.iloc[2]).title.text
    'Before and after v3'
    """
    at, name, project = _deployment(deployment)
    asked = _length(length)
    heading = f"Before and after {name}"
    taken = REQUESTS_OVER_TIME.take(
        over_time, [*_TARGET, "timestamp", "requests", "status_5xx", "interval_s", "partial"]
    )
    taken = taken[taken["project"] == project] if project is not None else taken
    created = f"created {at:%Y-%m-%d %H:%M:%S} UTC"
    if taken.empty:
        return nothing("No intervals to show.", title(heading, created))
    check(taken, ["requests", "status_5xx"])
    end = taken["timestamp"] + pd.to_timedelta(taken["interval_s"], unit="s")
    whole = taken[~taken["partial"]].assign(end=end)
    before, after = whole[whole["end"] <= at], whole[whole["timestamp"] >= at]
    if before.empty or after.empty:
        side = "before" if before.empty else "after"
        return nothing(f"No whole interval {side} it.", title(heading, targets(taken), created))

    # The interval that the deployment falls into belongs to neither, so the windows begin beside it.
    last, first = before["end"].max(), after["timestamp"].min()
    held = min(last - before["timestamp"].min(), after["end"].max() - first)
    span = held if asked is None else min(asked, held)
    before, after = before[before["timestamp"] >= last - span], after[after["end"] <= first + span]
    if before.empty or after.empty:
        raise InvalidArgument(f"length={length!r} is shorter than an interval. Leave it out, or use a longer one.")
    facts = [targets(taken), created, f"{window(last - span, last)}, then {window(first, first + span)}"]
    if not before["requests"].sum() + after["requests"].sum():
        return nothing("No requests in these windows.", title(heading, *facts))
    [compared] = metrics.compare(_as_one(after), _as_one(before)).to_dict("records")
    points = _points({"before": (before, last - span), "after": (after, first)})
    step = pd.Timedelta(seconds=float(points["step_s"].iloc[0]))
    source = put_together(len(before) + len(after), len(points), f"rows, one point per {in_words(step)}")
    parts = alt.VConcatChart(
        vconcat=[_shares(compared), *_aligned(points, span)],
        title=title(heading, *facts, source, compared["reason"], completeness(over_time)),
        spacing=22,
    )
    drawn: alt.VConcatChart = parts.resolve_scale(color="independent", strokeDash="independent", fill="independent")
    return drawn


def _deployment(deployment: Deployment) -> tuple[pd.Timestamp, str, str | None]:
    """Return when it was created, what it is called, and its project."""
    if isinstance(deployment, pd.Series):
        deployment = deployment.to_frame().T
    if isinstance(deployment, pd.DataFrame):
        if len(deployment) != 1:
            raise InvalidArgument(f"The deployment has {len(deployment)} rows. Pass one: deployments.iloc[0].")
        names = ["project", "version", "created_at"]
        [row] = DEPLOYMENTS.take(deployment, names, may_miss=names).to_dict("records")
        if pd.isna(row["created_at"]):
            raise InvalidArgument("The deployment has no 'created_at'. Pass a time instead.")
        version = "the deployment" if pd.isna(row["version"]) else shown(row["version"])
        return row["created_at"], version, None if pd.isna(row["project"]) else row["project"]
    if not isinstance(deployment, datetime) or pd.isna(deployment) or deployment.tzinfo is None:
        raise InvalidArgument("Pass a row of deployments, or a time with its zone: pd.Timestamp(..., tz='UTC').")
    at = pd.Timestamp(deployment).tz_convert("UTC")
    return at, f"{at:%H:%M} UTC", None


def _length(length: str | None) -> pd.Timedelta | None:
    if length is None:
        return None
    try:
        asked = pd.Timedelta(length)
    except ValueError:
        raise InvalidArgument(f"length={length!r} is no length. Use one such as '30min' or '2h'.") from None
    if not asked > pd.Timedelta(0):
        raise InvalidArgument(f"length={length!r} is not longer than nothing. Use one such as '30min'.")
    return asked


def _points(windows: dict[str, tuple[pd.DataFrame, pd.Timestamp]]) -> pd.DataFrame:
    """Return a row per point of each window, with the minutes since that window began."""
    sides = []
    for side, (rows, begins) in windows.items():
        # Counted from the beginning of the window, so that both are put together at the same places.
        epoch = pd.Timestamp(0, tz="UTC")
        summed = together(rows.assign(timestamp=epoch + (rows["timestamp"] - begins)), ["requests", "status_5xx"])
        length = summed["end"] - summed["start"]
        some = summed["requests"] > 0
        sides.append(
            pd.DataFrame(
                {
                    "window": side,
                    "minutes": (summed["start"] - epoch + length / 2).dt.total_seconds() / 60,
                    "share": (summed["status_5xx"] / summed["requests"]).where(some),
                    "rpm": summed["requests"] / (length.dt.total_seconds() / 60),
                    "requests": summed["requests"],
                    "time": (summed["start"] - epoch + begins).dt.strftime("%Y-%m-%d %H:%M:%S"),
                    "step_s": length.dt.total_seconds(),
                    # The last point may hold less than a whole step; its rate would be too low.
                    "cut": summed["partial"],
                }
            )
        )
    points = pd.concat(sides, ignore_index=True)
    points["rpm"] = points["rpm"].where(~points.pop("cut"))
    return points


def _as_one(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the intervals of all environments as those of one."""
    if len(rows[_TARGET].drop_duplicates()) == 1:
        return rows.drop(columns="end")
    summed = rows.groupby("timestamp", as_index=False).agg(
        requests=("requests", "sum"), status_5xx=("status_5xx", "sum"), interval_s=("interval_s", "min")
    )
    # Where their intervals differ in length, one ends where the next begins.
    until_next = -summed["timestamp"].diff(-1).dt.total_seconds()
    length = summed["interval_s"].where(~(until_next < summed["interval_s"]), until_next).astype("int64")
    return summed.assign(project="all", environment="all", interval_s=length, partial=False)


def _shares(compared: dict[Any, Any]) -> alt.LayerChart:
    rows = []
    for side, prefix in (("before", "baseline_"), ("after", "")):
        rate, low, high = (compared[f"{prefix}error_rate{end}"] for end in ("", "_low", "_high"))
        text = "no requests" if pd.isna(rate) else f"{rate:.2%} ({100 * low:.2f} to {100 * high:.2f} %)"
        requests = compared[f"{prefix}requests"]
        rows.append({"window": side, "share": rate, "low": low, "high": high, "text": f"{text} of {requests:,}"})
    told = pd.DataFrame(rows)
    has = told.dropna(subset="share")
    top = max(0.01, float(has["high"].max()) * 1.05)
    x_axis = axis("share of 5xx answers, with its 95 % interval", format="~%", tickCount=6, grid=True)
    scale = alt.Scale(domain=[0, top])
    x = alt.X("share:Q", axis=x_axis, scale=scale)
    # A point at nothing has half of its width beyond the axis.
    names = axis("", ticks=False, domain=False, labelFontSize=12, labelPadding=10)
    y = alt.Y("window:N", sort=list(SIDES), axis=names)
    colour = alt.Color("window:N", scale=colours.scale(SIDES, _HUES), legend=None)
    base = alt.Chart(has)
    return alt.LayerChart(
        layer=[
            base.mark_rule(strokeWidth=5, opacity=0.45).encode(
                x=alt.X("low:Q", axis=x_axis, scale=scale), x2="high:Q", y=y, color=colour
            ),
            base.mark_point(filled=True, size=110, opacity=1, stroke=colours.MARKER, strokeWidth=1).encode(
                x=x,
                y=y,
                fill=alt.Fill("window:N", scale=colours.scale(SIDES, _HUES), legend=None),
                tooltip=[alt.Tooltip("window:N"), alt.Tooltip("text:N", title="5xx share")],
            ),
            alt.Chart(told)
            .mark_text(align="left", fontSize=11, color=colours.MARKER)
            .encode(y=y, x=alt.value(WIDTH - 190), text="text:N"),
        ],
        width=WIDTH - 200,
        height=64,
        view=PLAIN,
    )


def _aligned(points: pd.DataFrame, span: pd.Timedelta) -> list[alt.Chart]:
    """Return the two lines of each measure, over the minutes since their windows began."""
    minutes = axis("minutes since the window began", grid=False)
    hues = colours.scale(SIDES, _HUES)
    charts = []
    domain = alt.Scale(domain=[0, span.total_seconds() / 60], nice=False)
    for name, text, form, least in (("share", "5xx share", "~%", 0.01), ("rpm", "requests per minute", ",~f", 1)):
        legend = colours.legend("window", symbol="stroke") if name == "rpm" else None
        highest = points[name].max()
        top = max(least, 0.0 if pd.isna(highest) else float(highest) * 1.08)
        charts.append(
            alt.Chart(points, width=WIDTH - 200, height=110, view=PLAIN)
            .mark_line(strokeWidth=2, point=alt.OverlayMarkDef(filled=True, size=16))
            .encode(
                x=alt.X("minutes:Q", axis=minutes, scale=domain),
                y=alt.Y(f"{name}:Q", axis=axis(text, tickCount=4, format=form), scale=alt.Scale(domain=[0, top])),
                color=alt.Color("window:N", scale=hues, legend=legend),
                strokeDash=alt.StrokeDash(
                    "window:N", scale=alt.Scale(domain=list(SIDES), range=_DASHES), legend=legend
                ),
                tooltip=[
                    alt.Tooltip("window:N"),
                    alt.Tooltip("time:N", title="from (UTC)"),
                    alt.Tooltip(f"{name}:Q", title=text, format=".2%" if name == "share" else ",.1f"),
                    alt.Tooltip("requests:Q", format=","),
                ],
            )
        )
    return charts
