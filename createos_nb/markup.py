"""Markup: untrusted text made safe for HTML, Markdown and terminals, and plain tables made of it.

Log lines, names, commit messages and paths come from other people. They pass through here before they
reach a page, and nothing else in the package builds HTML from them by hand.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from markupsafe import Markup
from markupsafe import escape as _escape

if TYPE_CHECKING:
    import pandas as pd

# C0 and C1 controls move the cursor or end a line; format characters (Cf: bidi, zero width) reorder or hide text.
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u0600-\u0605\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$&:@=])")


def visible(text: object) -> str:
    r"""Return text with control, bidi and zero-width characters spelled out, tabs and newlines kept.

    Examples
    --------
    >>> print(visible("a\x1b[31mb\u202ec"))
    a\x1b[31mb\u202ec
    """
    return HIDDEN.sub(_spelled, str(text))


def _spelled(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def one_line(text: object, *, limit: int = 200) -> str:
    """Return text on one line, at most ``limit`` characters, for messages and terminals."""
    flat = visible(text).replace("\n", "\\n").replace("\t", "\\t")
    return flat if len(flat) <= limit else f"{flat[: limit - 1]}…"


def escape(text: object) -> Markup:
    """Return text that shows itself in HTML and does nothing else."""
    return _escape(visible(text))


def markdown(text: object) -> str:
    """Return text that shows itself in Markdown, on one line, and does nothing else."""
    flat = unicodedata.normalize("NFC", visible(text)).replace("\n", " ").replace("\t", " ")
    return _MARKDOWN.sub(r"\\\1", flat).replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\&", "&amp;")


_CELL = "padding:3px 10px;border-bottom:1px solid #ddd;text-align:left;vertical-align:top"
_LONG_WORD = 36  # characters of an id
_HEAD = f"{_CELL};border-bottom:1px solid #888;font-weight:600;white-space:nowrap"
_TABLE = "border-collapse:collapse;font:13px/1.45 system-ui,sans-serif;margin:4px 0"
_NOTE = "font:12px/1.4 system-ui,sans-serif;color:#555;margin:2px 0 8px"


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    caption: str | None = None,
    note: str | None = None,
) -> str:
    """Return a small HTML table, every cell escaped, styled inline so that it reads anywhere.

    Parameters
    ----------
    columns
        Headings.
    rows
        Cells; numbers are set to the right. A `Markup` cell is trusted as it is.
    caption
        Bold line above the table.
    note
        Small line below it.
    """
    held = [tuple(row) for row in rows]
    numeric = [bool(held) and all(_is_number(row[index]) for row in held) for index in range(len(columns))]
    head = Markup("").join(
        Markup('<th style="{}">{}</th>').format(f"{_HEAD};text-align:right" if right else _HEAD, escape(name))
        for name, right in zip(columns, numeric, strict=True)
    )
    body = Markup("\n").join(Markup("<tr>{}</tr>").format(_cells(row)) for row in held)
    title = (
        Markup('<caption style="text-align:left;font-weight:600;padding:4px 10px">{}</caption>').format(
            escape(caption)
        )
        if caption
        else Markup("")
    )
    after = Markup('<div style="{}">{}</div>').format(_NOTE, escape(note)) if note else Markup("")
    return str(
        Markup('<table style="{}">{}<thead><tr>{}</tr></thead><tbody>\n{}\n</tbody></table>{}').format(
            _TABLE, title, head, body, after
        )
    )


def _cells(row: Sequence[object]) -> Markup:
    return Markup("").join(
        Markup('<td style="{}">{}</td>').format(
            _cell_style(value), value if isinstance(value, Markup) else escape(value)
        )
        for value in row
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell_style(value: object) -> str:
    if _is_number(value):
        return f"{_CELL};text-align:right;font-variant-numeric:tabular-nums"
    # A long word must not push the table off its page; a short one is not to be cut in two.
    is_long = max(map(len, str(value).split()), default=0) > _LONG_WORD
    return f"{_CELL};overflow-wrap:anywhere" if is_long else _CELL


def frame_table(frame: pd.DataFrame, *, max_rows: int = 50, caption: str | None = None) -> str:
    """Return a frame as an escaped HTML table that says how many rows it leaves out.

    Times are shown in UTC to the second, missing values as an empty cell.
    """
    shown = frame.head(max_rows)
    left_out = len(frame) - len(shown)
    rows = ([_shown(value) for value in row] for row in shown.itertuples(index=False, name=None))
    note = f"{left_out:,} more rows are not shown ({len(frame):,} in all)." if left_out else None
    if frame.empty:
        note = "No rows."
    return table([str(name) for name in frame.columns], rows, caption=caption, note=note)


def _shown(value: object) -> object:
    if isinstance(value, float):
        return "" if value != value else round(value, 4)
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return ""
    if isinstance(value, datetime):  # a pandas Timestamp is one
        moment = value if value.tzinfo is None else value.astimezone(UTC)
        return f"{moment:%Y-%m-%d %H:%M:%S}"
    return value.item() if hasattr(value, "item") else value
