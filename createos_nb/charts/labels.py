"""Labels: the words of a chart; titles, windows, and text of the platform made safe to show."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from createos_nb import markup
from createos_nb.schema import Kind

WIDTH = 720
"""Width of every chart's plot, in pixels."""
MAX_LABEL = 120
NAMED_TARGETS = 3
"""Up to this many environments are named in a title; more are counted."""

PLAIN = alt.ViewBackground(stroke=None)
"""No box around the plot."""

_GREY = "#5a5a5a"
_NOT_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

Chart = alt.Chart | alt.LayerChart | alt.VConcatChart

_FACTS_ON_A_LINE = 118
"""Characters of the subtitle that are as wide as the plot."""


def shown(text: object) -> str:
    r"""Return text of the platform as a chart shows it: on one line, with nothing hidden and no ``<``.

    Altair can write a chart into a page without escaping ``<``. Spelled out here, no way a chart can take,
    ours or a stock one, carries markup of somebody else.

    Examples
    --------
    >>> shown("/a</script>\u202eb")
    '/a\\x3c/script>\\u202eb'
    """
    return drawable(markup.one_line(text, limit=MAX_LABEL)).replace("<", "\\x3c")


def drawable(text: str) -> str:
    r"""Return text without the characters that a picture cannot hold, spelled out instead.

    vl-convert draws by way of SVG. On a character that XML forbids it does not raise: it aborts the process,
    which is the user's kernel.

    Examples
    --------
    >>> drawable("a\x1b[31m\ufffeb\n")
    'a\\x1b[31m\\ufffeb\n'
    """
    return _NOT_XML.sub(lambda found: ascii(found.group())[1:-1], text)


def distinct(texts: Sequence[object]) -> list[str]:
    """Return each text as `shown`, numbered where shortening made two of them equal.

    Examples
    --------
    >>> distinct(["/a", "/b", "/a"])
    ['/a', '/b', '/a (2)']
    """
    counted: dict[str, int] = {}
    labels = []
    for text in texts:
        label = shown(text)
        counted[label] = counted.get(label, 0) + 1
        labels.append(label if counted[label] == 1 else f"{label} ({counted[label]})")
    return labels


def targets(frame: pd.DataFrame) -> str:
    """Return whose data a frame holds, such as ``"shop/production"`` or ``"12 environments"``."""
    pairs = frame[["project", "environment"]].drop_duplicates()
    if len(pairs) > NAMED_TARGETS:
        return f"{len(pairs):,} environments"
    # A deployment's own log belongs to no environment.
    whole = pairs["project"].str.cat(pairs["environment"], sep="/").fillna(pairs["project"])
    return ", ".join(shown(name) for name in whole)


def window(start: pd.Timestamp, end: pd.Timestamp) -> str:
    """Return a window of time in UTC, the date written once when it is the same.

    Examples
    --------
    >>> noon = pd.Timestamp("2026-11-23 12:00Z")
    >>> window(noon, noon + pd.Timedelta("15min"))
    '2026-11-23 12:00 to 12:15 UTC'
    """
    start, end = start.tz_convert("UTC"), end.tz_convert("UTC")
    until = f"{end:%H:%M}" if end.date() == start.date() else f"{end:%Y-%m-%d %H:%M}"
    return f"{start:%Y-%m-%d %H:%M} to {until} UTC"


def asked(kind: Kind, frame: pd.DataFrame) -> str:
    """Return the time that the windows of a frame cover, where it says: its ``start`` and ``end``."""
    names = ["start", "end"]
    if not set(names) <= set(frame.columns):
        return ""
    limits = kind.take(frame, names, may_miss=names).drop_duplicates()
    if limits.empty or limits.isna().to_numpy().any():
        return ""
    several = len(limits) > 1
    told = window(limits["start"].min(), limits["end"].max())
    return f"windows within {told}" if several else told


def completeness(frame: pd.DataFrame) -> str:
    """Return a warning for the subtitle when the frame says that something is missing."""
    missing = "complete" in frame.columns and not frame["complete"].all()
    return "INCOMPLETE: the platform did not answer all" if missing else ""


def put_together(rows: int, drawn: int, what: str) -> str:
    """Return what the subtitle says of rows that were put together; nothing when each is drawn by itself.

    Examples
    --------
    >>> put_together(1_000_000, 240, "rows, one point per 2 hours")
    'put together from 1,000,000 rows, one point per 2 hours'
    >>> put_together(10, 10, "rows")
    ''
    """
    return f"put together from {rows:,} {what}" if rows > drawn else ""


def title(text: str, *facts: str) -> alt.TitleParams:
    """Return a chart's title, with facts in smaller lines below it; empty ones are left out."""
    subtitle = " · ".join(fact for fact in facts if fact)
    return alt.TitleParams(
        text=text,
        # A line wider than the plot would be cut, or make the picture wider than a page.
        subtitle=subtitle if len(subtitle) <= _FACTS_ON_A_LINE else _lines(subtitle),
        anchor="start",
        frame="group",
        fontSize=15,
        subtitleFontSize=12,
        subtitleColor=_GREY,
        subtitlePadding=4,
        offset=12,
    )


def _lines(subtitle: str) -> list[str]:
    # A no-break space, so that no line begins with a dot.
    lines = textwrap.wrap(subtitle.replace(" · ", "\u00a0· "), _FACTS_ON_A_LINE)
    return [line.replace("\u00a0", " ") for line in lines]


def nothing(text: str, heading: alt.TitleParams) -> alt.Chart:
    """Return a chart that says in words that there is nothing to draw."""
    message = pd.DataFrame({"message": [text]})
    chart: alt.Chart = (
        alt.Chart(message, title=heading, description=text, width=WIDTH, height=60, view=PLAIN)
        .mark_text(fontSize=14, color=_GREY)
        .encode(text="message:N", x=alt.value(WIDTH / 2), y=alt.value(30))
    )
    return chart


def axis(text: str, **more: Any) -> alt.Axis:
    """Return an axis in the style of all charts."""
    return alt.Axis(title=text, titleFontWeight="normal", titleColor=_GREY, **more)


def count_axis(text: str, top: float, **more: Any) -> alt.Axis:
    """Return an axis for counts up to ``top``, with whole numbers only."""
    return axis(text, format=",d", tickCount=max(1, min(6, int(top))), **more)
