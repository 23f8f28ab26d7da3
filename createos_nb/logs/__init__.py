"""Logs: the text an application wrote, as a frame with one row per line.

The platform gives the lines of an environment as one text and says nothing about their form. Read here are
JSON lines, logfmt, access logs, lines that begin with a time, a level or both as loggers of Python, Node and
Go write them, and klog, mixed in one stream; anything else is kept as it is and says so. A traceback belongs
to the line that announced it. No line is dropped: the column ``raw``, joined by newlines, is the text again,
but for its last newline.

Lines are read in bulk, each format at once, by Arrow; no pattern ever goes back, so no line can make one slow.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pyarrow as pa

from createos_nb.api.garbage import held
from createos_nb.logs.fields import Columns
from createos_nb.logs.frame import frame
from createos_nb.logs.lines import chunks
from createos_nb.logs.rows import rows
from createos_nb.logs.traces import Span, kinds, spans
from createos_nb.schema import LOGS

__all__ = ["NO_LOGS", "parse"]

NO_LOGS = "Listening for logs..."
"""What the platform answers when there are no lines."""

_SEEN = 10_000  # kinds of earlier lines that tell what a line goes on with
_WORKERS = min(4, os.cpu_count() or 1)


def parse(text: str, *, project: str, environment: str | None) -> pd.DataFrame:
    r"""Return the lines of a log as a frame.

    Parameters
    ----------
    text
        What the platform answered: lines joined by ``"\n"``, oldest first.
    project, environment
        Unique names of where they come from; None for a deployment's own log.

    Returns
    -------
    DataFrame of kind `schema.LOGS`, one row per line in the text's order
        The column ``format`` says how a line was read. One of no known form is ``unparsed``, has its whole
        text as ``message`` and no ``level``. A time without an offset is read as UTC, which containers run
        in. A traceback is the ``trace`` of the line above it when that one is a warning, graver, or without
        a level; otherwise a row of its own, with the level ``ERROR`` and the exception as its message. A
        stack of Node, Java or Go is the ``trace`` of the line above it. A line that has a trace below it
        and no level is an ``ERROR``.

    Notes
    -----
    In all columns but ``raw``, control, bidi and zero-width characters are spelled out (``\x1b``), tabs and
    newlines kept. ``raw`` is whole; pandas shows it spelled out as well, in a frame or as a column. A single
    value of it that you print yourself is as the application wrote it: see `createos_nb.markup.visible`.

    Examples
    --------
    >>> text = '{"level": "info", "message": "GET /", "status": 200}\nstarting\n'
    >>> parse(text, project="shop", environment="production")[["level", "message", "status", "format"]]
      level   message  status    format
    0  INFO     GET /     200      json
    1   NaN  starting    <NA>  unparsed
    """
    if not text or (len(text) < 2 * len(NO_LOGS) and text.strip() == NO_LOGS):
        return LOGS.empty()
    with held(len(text)), ThreadPoolExecutor(_WORKERS) as pool:
        pieces: list[pa.LargeStringArray] = []
        word = bytearray()
        for lines in chunks(text):
            word += kinds(lines, bytes(word[-_SEEN:]))
            pieces.append(lines)
        parts: list[Columns] = list(pool.map(lambda piece: rows(*piece), _whole(pieces, list(spans(bytes(word))))))
        return frame(parts, project=project, environment=environment)


def _whole(
    pieces: list[pa.LargeStringArray], found: list[Span]
) -> Iterator[tuple[pa.LargeStringArray, list[Span]]]:
    """Yield the pieces with the traces in them, none of which goes on in the next one."""
    if not found:
        yield from ((piece, []) for piece in pieces)
        return
    start = at = 0
    waiting: list[pa.LargeStringArray] = []
    ends = [0]
    for piece in pieces:
        ends.append(ends[-1] + len(piece))
    for number, piece in enumerate(pieces):
        waiting.append(piece)
        edge = ends[number + 1]
        after = at
        while after < len(found) and found[after].end < edge:
            after += 1
        # A trace that begins on the first line of the next piece belongs to the last line of this one.
        crossing = after < len(found) and found[after].start <= edge and number + 1 < len(pieces)
        cut = edge
        if crossing:
            # With the line above it, unless that is the end of another trace.
            lone = after == 0 or found[after - 1].end < found[after].start
            cut = max(start, found[after].start - lone)
        if cut == start and crossing:
            continue
        lines = pa.concat_arrays(waiting) if len(waiting) > 1 else waiting[0]
        last = at
        while last < len(found) and found[last].end <= cut:
            last += 1
        yield (
            lines.slice(0, cut - start),
            [Span(s.start - start, s.end - start, s.message - start, s.sort) for s in found[at:last]],
        )
        waiting = [lines.slice(cut - start)] if cut < edge else []
        start, at = cut, last
