"""Distribution: how often each HTTP status was answered."""

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
from createos_nb.schema import REQUEST_DISTRIBUTION

MAX_BARS = 12
"""Statuses drawn side by side; of more, those answered most often."""


def request_distribution(distribution: pd.DataFrame) -> Chart:
    """Draw how often each status was answered, with its share of all requests.

    Parameters
    ----------
    distribution
        Requests per status, of one environment or the sum of several. See `schema.REQUEST_DISTRIBUTION`.

    Raises
    ------
    FrameError
        A needed column is missing or of another kind.

    Examples
    --------
    >>> from createos_nb import schema
    >>> request_distribution(schema.sample("REQUEST_DISTRIBUTION")).title.text
    'Answers by status'
    """
    heading = "Answers by status"
    taken = REQUEST_DISTRIBUTION.take(distribution, ["project", "environment", "status", "requests"])
    if not taken["requests"].sum():
        return nothing(
            "No requests in this window.", title(heading, targets(taken), asked(REQUEST_DISTRIBUTION, distribution))
        )
    summed = taken.groupby("status", as_index=False).agg(requests=("requests", "sum"))
    check(taken, ["requests"])
    every, total = len(summed), summed["requests"].sum()
    summed = summed.nlargest(MAX_BARS, "requests").sort_values("status")
    left_out = f"the {MAX_BARS} most frequent of {every:,}" if every > MAX_BARS else ""
    share = summed["requests"] / total
    bars = summed.assign(
        status=distinct(list(summed["status"])),
        shown=[f"{n:,} ({part:.1%})" for n, part in zip(summed["requests"], share, strict=True)],
        **{"class": [colours.status_class(status) for status in summed["status"]]},
    )
    classes = [name for name in (*colours.STATUS_CLASSES, "other") if name in set(bars["class"])]
    x = alt.X("status:N", sort=None, axis=axis("HTTP status", labelAngle=0, ticks=False))
    top = int(bars["requests"].max())
    y = alt.Y(
        "requests:Q",
        axis=count_axis("requests", top, grid=False),
        scale=alt.Scale(domain=[0, top * 1.1]),
    )
    drawn = (
        alt.Chart(bars)
        .mark_bar()
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "class:N",
                scale=colours.scale(classes, colours.STATUS_CLASSES),
                legend=colours.legend("status"),
            ),
            tooltip=[alt.Tooltip("status:N"), alt.Tooltip("shown:N", title="requests")],
        )
    )
    numbers = alt.Chart(bars).mark_text(dy=-7, fontSize=11).encode(x=x, y=y, text="shown:N")
    return alt.LayerChart(
        layer=[drawn, numbers],
        title=title(
            heading, targets(taken), asked(REQUEST_DISTRIBUTION, distribution), left_out, completeness(distribution)
        ),
        width=min(WIDTH, 100 * len(bars)),
        height=200,
        view=PLAIN,
    )
