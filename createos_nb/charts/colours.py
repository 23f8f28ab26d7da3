"""Colours: one per meaning, the graver the darker, so that they keep their order in greyscale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt

STATUS_CLASSES: Mapping[str, str] = {
    "2xx": "#c9e1ee",
    "3xx": "#9dbfa4",
    "4xx": "#cc7722",
    "5xx": "#8e1b1b",
}
"""Classes of HTTP status, mildest first."""

LEVELS: Mapping[str, str] = {
    "no level": "#e4e4e4",
    "TRACE": "#d3d9dd",
    "DEBUG": "#bfcad3",
    "INFO": "#94b8d0",
    "WARNING": "#cc7722",
    "ERROR": "#8e1b1b",
    "CRITICAL": "#2b0618",
}
"""Levels of log lines, mildest first."""

OUTCOMES: Mapping[str, str] = {
    "deployed": "#c9e1ee",
    "under way": "#9dbfa4",
    "stopped": "#cc7722",
    "failed": "#8e1b1b",
}
"""What became of a deployment, mildest first."""
SHAPES: Mapping[str, str] = {
    "deployed": "circle",
    "under way": "triangle-up",
    "stopped": "square",
    "failed": "diamond",
}
_OUTCOME_OF = {
    "deployed": "deployed",
    **dict.fromkeys(("queue", "building", "deploying"), "under way"),
    **dict.fromkeys(("build_error", "error", "crashing"), "failed"),
}

SHARES: Mapping[str, str] = {
    "no requests": "#ffffff",
    "none": "#dfe7ec",
    "up to 0.1 %": "#bccbd6",
    "up to 1 %": "#e8a04c",
    "up to 5 %": "#cf6f2a",
    "up to 20 %": "#a1301f",
    "over 20 %": "#47090f",
}
"""Shares of 5xx answers, mildest first."""
AMOUNTS = ("#ffffff", "#dce6ed", "#b5cbd9", "#86a9bf", "#56819d", "#2d5674", "#0e2a42")
"""Amounts in decades: none, then ever more."""

SERIES = ("#12304f", "#d9842a", "#2e7f9e", "#7a3b69", "#9cc46b")
"""Lines that stand for environments; each has its own dashes too, since hue is lost in greyscale."""
DASHES = ([1, 0], [7, 3], [2, 2], [9, 3, 2, 3], [4, 2])

OTHER = "#b8b8b8"
MARKER = "#303030"


def status_class(status: str) -> str:
    """Return the class of an HTTP status, or ``"other"`` for anything that is not one.

    Examples
    --------
    >>> status_class("404"), status_class("5xx"), status_class("timeout")
    ('4xx', '5xx', 'other')
    """
    name = f"{status[:1]}xx"
    return name if name in STATUS_CLASSES and len(status) == 3 else "other"


def outcome(status: str | None) -> str:
    """Return what became of a deployment; ``"stopped"`` for what is neither live, under way nor a failure.

    Examples
    --------
    >>> outcome("building"), outcome("build_error"), outcome("cancelled"), outcome(None)
    ('under way', 'failed', 'stopped', 'stopped')
    """
    return _OUTCOME_OF.get(status or "", "stopped")


def scale(values: Sequence[str], colours: Mapping[str, str]) -> alt.Scale:
    """Return the scale that gives each value its colour, `OTHER` where it has none."""
    return alt.Scale(domain=list(values), range=[colours.get(value, OTHER) for value in values])


def legend(heading: str, *, symbol: str = "square") -> alt.Legend:
    """Return a legend below the plot, in one row."""
    return alt.Legend(
        title=heading,
        orient="bottom",
        titleOrient="left",
        titleFontWeight="normal",
        labelLimit=240,
        symbolType=symbol,
        symbolSize=400 if symbol == "stroke" else 100,
        symbolStrokeWidth=2 if symbol == "stroke" else 0,
    )
