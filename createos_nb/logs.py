"""Logs: the text an application wrote, as a frame with one row per line.

The platform gives the lines of an environment as one text and says nothing about their form. Read here are
JSON lines and lines that begin with an ISO 8601 time and a level; anything else is kept as it is. A
traceback belongs to the line that announced it. No line is dropped: the column ``raw``, joined by newlines,
is the text again, but for its last newline.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from createos_nb.schema import LEVELS, LOGS

NO_LOGS = "Listening for logs..."
"""What the platform answers when there are no lines."""

# Names that JSON loggers use for the same thing; the first one in a line counts.
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "timestamp": ("timestamp", "time", "ts", "@timestamp"),
    "level": ("level", "levelname", "severity", "lvl"),
    "message": ("message", "msg", "event"),
    "stream": ("stream",),
    "logger": ("logger", "name"),
    "status": ("status", "status_code"),
    "method": ("method",),
    "path": ("path", "url"),
    "duration_ms": ("duration_ms", "latency_ms"),
    "request_id": ("request_id", "requestId"),
    "trace": ("trace", "traceback", "exc_info", "stack"),
}
_LEVEL_NAMES = {
    **{name: name for name in LEVELS},
    "WARN": "WARNING",
    "ERR": "ERROR",
    "FATAL": "CRITICAL",
    "CRIT": "CRITICAL",
    "PANIC": "CRITICAL",
    "NOTICE": "INFO",
    "INFORMATION": "INFO",
    "VERBOSE": "DEBUG",
    # pino and bunyan, the common loggers of Node, write numbers.
    "10": "TRACE",
    "20": "DEBUG",
    "30": "INFO",
    "40": "WARNING",
    "50": "ERROR",
    "60": "CRITICAL",
}
_MILD = {"TRACE", "DEBUG", "INFO"}
_WORDS = "|".join(name for name in _LEVEL_NAMES if name.isalpha())
_TEXT_LINE = re.compile(
    r"\[?(?P<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?)(?: ?(?P<zone>Z|UTC|[+-]\d\d:?\d\d))?\]?"
    rf"(?:[\s:-]+\[?(?P<level>{_WORDS})\b\]?[\s:-]*(?P<message>.*))?",
    re.IGNORECASE | re.DOTALL,
)
_TRACEBACK = "Traceback (most recent call last):"
_CHAINS = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(?:: .*)?$", re.DOTALL)
_STACK_LINE = re.compile(r"\s+at \S|Caused by: ")

_Fields = dict[str, object]


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
        A line without a known form has its whole text as ``message`` and no ``level``. A time without an
        offset is read as UTC, which containers run in. A traceback is the ``trace`` of the line above it
        when that one is a warning, graver, or without a level; otherwise a row of its own, with the level
        ``ERROR`` and the exception as its message.

    Examples
    --------
    >>> text = '{"level": "info", "message": "GET /", "status": 200}\nstarting\n'
    >>> parse(text, project="shop", environment="production")[["level", "message", "status"]]
      level   message  status
    0  INFO     GET /     200
    1   NaN  starting    <NA>
    """
    if not text or text.strip() == NO_LOGS:
        return LOGS.empty()
    whole = text.removesuffix("\n").split("\n")
    # Windows line ends stay in `raw` and disturb nothing else.
    lines = [line.removesuffix("\r") for line in whole] if "\r" in text else whole
    rows: list[_Fields] = []
    raw: list[str] = []
    at = 0
    while at < len(lines):
        end = _trace_end(lines, at)
        if end is None:
            rows.append(_fields(lines[at]))
            raw.append(whole[at])
            at += 1
            continue
        trace = "\n".join(lines[at:end])
        if not rows or (lines[at] == _TRACEBACK and rows[-1].get("level") in _MILD):
            rows.append({"level": "ERROR", "message": lines[end - 1]})
            raw.append("\n".join(whole[at:end]))
        else:
            raw[-1] = "\n".join([raw[-1], *whole[at:end]])
        held = rows[-1].get("trace")
        rows[-1]["trace"] = f"{held}\n{trace}" if held else trace
        at = end
    return _frame(rows, raw, project, environment)


def _frame(rows: Sequence[_Fields], raw: Sequence[str], project: str, environment: str | None) -> pd.DataFrame:
    columns: dict[str, Any] = {name: [row.get(name) for row in rows] for name in _FIELDS}
    times = pd.Series(columns["timestamp"], dtype="str")
    return LOGS.from_columns(
        columns
        | {
            "project": [project] * len(rows),
            "environment": [environment] * len(rows),
            "timestamp": pd.to_datetime(times, format="ISO8601", utc=True, errors="coerce"),
            "raw": raw,
        }
    )


def _trace_end(lines: Sequence[str], at: int) -> int | None:
    """Return where the traceback or stack that begins at a line ends; None when none begins there."""
    end = at
    while end < len(lines) and _STACK_LINE.match(lines[end]):
        end += 1
    if end > at or lines[at] != _TRACEBACK:
        return end if end > at else None
    while True:
        end += 1
        while end < len(lines) and lines[end][:1] in {" ", "\t"}:
            end += 1
        if end < len(lines) and _EXCEPTION.match(lines[end]):
            end += 1
        chained = lines[end : end + 4]
        if len(chained) < 4 or chained[1] not in _CHAINS or chained[3] != _TRACEBACK:
            return end
        end += 3


def _fields(line: str) -> _Fields:
    if line[:1] == "{":
        return _json_fields(line)
    match = _TEXT_LINE.match(line) if line[:1].isdigit() or line[:1] == "[" else None
    if match is None:
        return {"message": line}
    time, zone, level, message = match.group("time", "zone", "level", "message")
    return {
        "timestamp": time.replace(",", ".") + ("Z" if zone in {None, "UTC"} else zone),
        "level": _level(level),
        "message": line if level is None else message,
    }


def _json_fields(line: str) -> _Fields:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {"message": line}
    fields: _Fields = {}
    for name, value in found.items():
        if value is not None and name in _READERS:
            field, reader = _READERS[name]
            fields.setdefault(field, reader(value))
    fields.setdefault("message", line)
    return fields


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _level(value: object) -> str | None:
    return None if value is None else _LEVEL_NAMES.get(str(value).upper(), str(value))


def _time(value: object) -> str | None:
    if isinstance(value, str):
        # pandas would take "now" and "today" for times as well.
        return value if value[:1].isdigit() else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Loggers write unix time in anything from seconds to nanoseconds; today's size of it tells which.
    try:
        unit = next(unit for unit in (1, 1e3, 1e6, 1e9) if abs(value) / unit < 1e11)
        return datetime.fromtimestamp(value / unit, UTC).isoformat()
    except (StopIteration, ValueError, OverflowError, OSError):
        return None


def _status(value: object) -> int | None:
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
        return int(value)
    return value if isinstance(value, int) and 100 <= value <= 999 else None


def _number(value: object) -> float | None:
    try:
        return float(value) if isinstance(value, int | float | str) else None
    except (ValueError, OverflowError):
        return None


_FIELD_READERS: Mapping[str, Callable[[object], object]] = {
    "timestamp": _time,
    "level": _level,
    "status": _status,
    "duration_ms": _number,
}
_READERS = {name: (field, _FIELD_READERS.get(field, _text)) for field, names in _FIELDS.items() for name in names}
