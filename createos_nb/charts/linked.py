"""Drill-down: traffic, log lines and paths under one brush; what is marked in the first narrows the others."""

from __future__ import annotations

import altair as alt
import pandas as pd

from createos_nb.charts import colours
from createos_nb.charts.intervals import in_words, step_s
from createos_nb.charts.labels import PLAIN, WIDTH, Chart, axis, distinct, targets, title, window
from createos_nb.charts.logs import volume
from createos_nb.charts.traffic import requests_over_time
from createos_nb.schema import LOGS, REQUESTS_OVER_TIME

MAX_BARS = 40
MAX_PATHS = 15
BRUSH = "window"
"""Name of the selection."""

_WHOLE = "datum.value % 1 ? '' : format(datum.value, ',')"
"""How many lines a mark leaves is not known here, and so not how many ticks stand at whole numbers."""

_NEEDED = ["timestamp", "path", "status"]


def drilldown(over_time: pd.DataFrame, logs: pd.DataFrame, deployments: pd.DataFrame | None = None) -> Chart:
    """Draw traffic, log lines by level and the paths they name; a window marked in the first narrows the rest.

    Parameters
    ----------
    over_time
        Requests over time. See `schema.REQUESTS_OVER_TIME`.
    logs
        Log lines of the same environments; those with a path are counted by path. See `schema.LOGS`.
    deployments
        Deployments to mark with dashed lines. See `schema.DEPLOYMENTS`.

    Returns
    -------
    Chart of three parts. Drag over the first to mark a window, double-click to lift it; a picture shows all.
    Of paths, the 15 that most lines name, by class of status.

    Raises
    ------
    FrameError
        A needed column is missing or of another kind.

    Examples
    --------
    >>> from createos_nb import schema
    >>> drilldown(schema.sample("REQUESTS_OVER_TIME"), schema.sample("LOGS")).title.text
    'Traffic, log lines and paths'
    """
    traffic = requests_over_time(over_time, deployments)
    shown = REQUESTS_OVER_TIME.take(over_time, ["timestamp"])["timestamp"]
    beside = None if shown.empty else shown.max() - shown.min()
    lines = volume(logs, beside=beside)
    taken = LOGS.take(logs, ["project", "environment", *_NEEDED], may_miss=["environment", *_NEEDED])
    brush = alt.selection_interval(name=BRUSH, encodings=["x"])
    parts: list[Chart] = [traffic, lines]
    if isinstance(traffic, alt.LayerChart):
        traffic.layer[0] = traffic.layer[0].add_params(brush)
        if isinstance(lines, alt.LayerChart):
            # The same seconds stand below each other.
            lines.layer[0].encoding.x = traffic.layer[0].encoding.x
            lines.layer[0].mark.clip = True
            lines.layer[0].encoding.opacity = alt.condition(brush, alt.value(1), alt.value(0.2))
        named = taken.dropna(subset=["timestamp", "path"])
        if not named.empty:
            parts.append(_paths(named, brush))
    facts = (targets(taken), "drag over the traffic to mark a window")
    whole = alt.VConcatChart(vconcat=parts, title=title("Traffic, log lines and paths", *facts), spacing=24)
    # Levels and classes of status have colours of their own.
    drawn: alt.VConcatChart = whole.resolve_scale(color="independent")
    return drawn


def _paths(named: pd.DataFrame, brush: alt.Parameter) -> alt.Chart:
    first, last = named["timestamp"].min(), named["timestamp"].max()
    step = pd.Timedelta(seconds=step_s(1, (last - first).total_seconds() + 1, limit=MAX_BARS))
    frequent = named["path"].value_counts().head(MAX_PATHS)
    names = dict(zip(frequent.index, distinct(list(frequent.index)), strict=True))
    kept = named[named["path"].isin(frequent.index)]
    status = kept["status"].astype("str").fillna("")
    counted = (
        pd.DataFrame(
            {
                "start": kept["timestamp"].dt.floor(step).array,
                "path": kept["path"].map(names).array,
                "class": status.map({code: colours.status_class(code) for code in status.unique()}).array,
            }
        )
        .value_counts(sort=False)
        .rename("lines")
        .reset_index()
    )
    classes = [name for name in (*colours.STATUS_CLASSES, "other") if name in set(counted["class"])]
    counted["grave"] = -counted["class"].map({name: place for place, name in enumerate(classes)})
    every = named["path"].nunique()
    left_out = f"the {MAX_PATHS} most frequent of {every:,}" if every > MAX_PATHS else ""
    each = f"counted per {in_words(step)}"
    chart: alt.Chart = (
        alt.Chart(
            counted,
            title=title("Paths in log lines", window(first, last + pd.Timedelta("1s")), left_out, each),
            width=WIDTH - 200,
            height=20 * len(names),
            view=PLAIN,
        )
        # A time that no axis shows would stay the text that JSON made of it, and lie in no window.
        .transform_calculate(start="toDate(datum.start)")
        .transform_filter(brush)
        .mark_bar(height=13)
        .encode(
            x=alt.X("sum(lines):Q", axis=axis("log lines", labelExpr=_WHOLE, tickCount=6, grid=True)),
            y=alt.Y("path:N", sort="-x", axis=axis("", labelLimit=300, labelFontSize=12, ticks=False)),
            color=alt.Color(
                "class:N", scale=colours.scale(classes, colours.STATUS_CLASSES), legend=colours.legend("status")
            ),
            order=alt.Order("grave:Q"),
            tooltip=[alt.Tooltip("path:N"), alt.Tooltip("class:N", title="status"), alt.Tooltip("sum(lines):Q")],
        )
    )
    return chart
