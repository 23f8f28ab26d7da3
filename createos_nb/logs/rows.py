"""Rows: lines made into columns, format by format, then put back in their order, traces folded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from createos_nb.logs import access, jsonlines, layouts, logfmt, values
from createos_nb.logs.fields import Columns
from createos_nb.logs.lines import Mask, content, first_bytes, joined, offsets, without_cr
from createos_nb.logs.traces import Span
from createos_nb.markup import HIDDEN, visible
from createos_nb.schema import LOG_FORMATS

MILD = ("TRACE", "DEBUG", "INFO")
"""A line of these levels has nothing to do with a traceback that follows it."""

Parser = Callable[[pa.LargeStringArray], tuple[Mask, Columns]]
"""Says which lines have a format, and gives the columns of those."""

_FORMAT = {name: number for number, name in enumerate(LOG_FORMATS)}
_CODES = pa.int8()
_SHOWN = ("level", "message", "stream", "logger", "method", "path", "request_id", "trace")


def rows(lines: pa.LargeStringArray, spans: Sequence[Span]) -> Columns:
    """Return the columns of a log frame, ``raw`` and ``format`` (its number) among them.

    Parameters
    ----------
    lines
        Lines in which every trace is whole, and below the line that announced it.
    spans
        The traces, by their place in ``lines``.
    """
    whole, lines = lines, without_cr(lines)  # Windows line ends stay in `raw` and disturb nothing else
    if not spans:
        return _shown({**_parsed(lines), "raw": whole})
    inside = np.zeros(len(lines), bool)
    for span in spans:
        inside[span.start : span.end] = True
    singles = np.flatnonzero(~inside)
    parsed = _parsed(lines.take(pa.array(singles)))
    columns, starts = _folded(lines, spans, inside, singles, parsed)
    return _shown({**columns, "raw": joined(whole, np.append(starts, len(whole)))})


def _folded(
    lines: pa.LargeStringArray, spans: Sequence[Span], inside: np.ndarray, singles: np.ndarray, parsed: Columns
) -> tuple[Columns, np.ndarray]:
    """Return the columns of lines and traces together, and the line that each row begins with."""
    levels = parsed.get("level", values.nulls(len(singles)))
    mild = pc.is_in(levels, pa.array(MILD, values.TEXT)).to_numpy(zero_copy_only=False)
    single = np.full(len(lines) + 1, -1)
    single[singles] = np.arange(len(singles))

    def owner(span: Span) -> int:
        """Return which of the single lines announced a trace, -1 when none did."""
        above = int(single[span.start - 1])
        return -1 if span.sort == "uncaught" or (above >= 0 and span.sort == "traceback" and mild[above]) else above

    owners = [owner(span) if span.start else -1 for span in spans]
    begins = ~inside
    begins[[span.start for span, found in zip(spans, owners, strict=True) if found < 0]] = True
    starts = np.flatnonzero(begins)
    at_row = np.cumsum(begins) - 1

    # Lines of their own first, then the traces that nothing announced, then all in order.
    alone = [span for span, found in zip(spans, owners, strict=True) if found < 0]
    order = np.argsort(np.concatenate([singles, np.array([span.start for span in alone], np.int64)]))
    own: Columns = {
        "level": pa.array(["ERROR"] * len(alone), values.TEXT),
        "message": lines.take(pa.array([span.message for span in alone], pa.int64())),
        "format": pa.array([_FORMAT["trace"]] * len(alone), _CODES),
    }
    columns = jsonlines.together([(singles, parsed), (np.arange(len(alone)), own)], order)

    # The joined lines from span to gap to span; every other one is a trace.
    edges = np.array([edge for span in spans for edge in (span.start, span.end)])
    traces = joined(lines, edges).take(pa.array(np.arange(0, len(edges) - 1, 2)))
    where = at_row[[span.start for span in spans]]
    place = np.zeros(len(starts), np.int64)
    place[where] = np.arange(len(spans))
    without = np.ones(len(starts), bool)
    without[where] = False
    trace = traces.take(pa.array(place, mask=without))
    if "trace" in columns:
        both = pc.binary_join_element_wise(columns["trace"], trace, pa.scalar("\n", values.TEXT))
        trace = pc.coalesce(both, columns["trace"], trace)
    # Who says nothing of how grave it is, and has a trace, is an error.
    printed = pa.array(~without)
    unlevelled = pc.and_(printed, pc.is_null(columns["level"]))
    unread = pc.and_(printed, pc.equal(columns["format"], _FORMAT["unparsed"]))
    read = {
        **columns,
        "trace": trace,
        "level": pc.if_else(unlevelled, pa.scalar("ERROR", values.TEXT), columns["level"]),
        "format": pc.if_else(unread, pa.scalar(_FORMAT["trace"], _CODES), columns["format"]),
    }
    return read, starts


def _parsed(lines: pa.LargeStringArray) -> Columns:
    """Return the columns of single lines; every row has a message and a format."""
    first = first_bytes(lines)
    left = np.arange(len(lines))
    parts: list[tuple[np.ndarray, Columns]] = []

    def take(name: str, may: np.ndarray, parser: Parser) -> None:
        nonlocal left
        held = left[may[left]]
        if len(held) == 0:
            return
        of_these = lines if len(held) == len(lines) else lines.take(pa.array(held))
        matched, read = parser(of_these)
        if not matched.any():
            return
        where = held[matched]
        parts.append((where, {**read, "format": pa.array(np.full(len(where), _FORMAT[name], np.int8))}))
        rest = np.ones(len(lines), bool)
        rest[where] = False
        left = left[rest[left]]

    take("json", first == ord("{"), jsonlines.parse)
    letters = ((first | 32) >= ord("a")) & ((first | 32) <= ord("z")) | (first == ord("@")) | (first == ord("_"))
    take("logfmt", letters, logfmt.parse)
    take("access", first > 0, access.parse)
    for layout in layouts.LAYOUTS:
        if len(left) == 0:
            break
        take(layout.format, layouts.may_begin(first, layout), partial(layouts.parse, layout=layout))
    if len(left) or not parts:
        unparsed = pa.array(np.full(len(left), _FORMAT["unparsed"], np.int8))
        parts.append((left, {"message": lines.take(pa.array(left)), "format": unparsed}))
    return jsonlines.together(parts, np.argsort(np.concatenate([where for where, _ in parts])))


def _shown(columns: Columns) -> Columns:
    """Return the columns with what would move a terminal's cursor, or hide or turn text, spelled out."""
    return {name: _visible(column) if name in _SHOWN else column for name, column in columns.items()}


def _visible(column: pa.LargeStringArray) -> pa.LargeStringArray:
    if column.null_count == len(column):
        return column
    bounds = offsets(column)
    held = content(column)[bounds[0] : bounds[-1]]
    # What is printable ASCII, by far the most, needs no closer look.
    odd = (held < 32) | (held > 126)
    if not odd.any():
        return column
    hidden = values.matching(column, HIDDEN.pattern)
    places = np.flatnonzero(hidden.to_numpy(zero_copy_only=False))
    if len(places) == 0:
        return column
    some = pa.array([visible(value) for value in column.take(pa.array(places)).to_pylist()], values.TEXT)
    return pc.replace_with_mask(column, hidden, some)
