"""Logfmt: lines of ``key=value`` pairs, taken apart for all lines at once."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from createos_nb.logs import fields, values
from createos_nb.logs.fields import COLUMN_OF, Columns
from createos_nb.logs.lines import Mask, chosen, content, cut, offsets

_BEGINS = r'^[A-Za-z_@][\w.@/-]*=(?:"|[^\s"=]*(?:\s|$))'
_TELLING = ("timestamp", "level", "message")
_SPACE, _QUOTE, _EQUALS, _BACKSLASH = b' "=\\'


def parse(lines: pa.LargeStringArray) -> tuple[Mask, Columns]:
    """Return which lines are logfmt, and the columns of those.

    A line is, if it begins with a pair, its quotes are closed, and it has a time, a level or a message.
    """
    matched = pc.match_substring_regex(lines, _BEGINS).to_numpy(zero_copy_only=False)
    if not matched.any():
        return matched, {}
    kept = chosen(lines, matched)
    written, balanced = _pairs(kept)
    telling = np.zeros(len(kept), bool)
    for name, column in written.items():
        if COLUMN_OF[name] in _TELLING:
            telling |= column.is_valid().to_numpy(zero_copy_only=False)
    good = telling & balanced
    matched = matched.copy()
    matched[np.flatnonzero(matched)] = good
    read = fields.columns(written)
    message = read.get("message", values.nulls(len(kept)))
    read["message"] = pc.coalesce(message, kept) if message.null_count else message
    return matched, {name: chosen(column, good) for name, column in read.items()}


def _pairs(lines: pa.LargeStringArray) -> tuple[dict[str, pa.Array], Mask]:
    """Return the values of every wanted key, and which lines have all their quotes closed."""
    bounds, held = offsets(lines), content(lines)
    low, high = int(bounds[0]), int(bounds[-1])
    held = held[:high]
    quotes = low + np.flatnonzero(held[low:] == _QUOTE)
    if len(quotes):
        before = held[np.maximum(quotes - 1, 0)] == _BACKSLASH
        doubled = held[np.maximum(quotes - 2, 0)] == _BACKSLASH
        quotes = quotes[~before | doubled]
    first_quote = np.searchsorted(quotes, bounds)
    balanced = np.diff(first_quote) % 2 == 0

    spaces = low + np.flatnonzero(held[low:] == _SPACE)
    line = np.searchsorted(bounds, spaces, side="right") - 1
    # A blank after an odd number of the line's quotes stands inside a value.
    outside = (np.searchsorted(quotes, spaces) - first_quote[line]) % 2 == 0
    starts = np.concatenate([bounds[:-1], spaces[outside] + 1])
    starts.sort(kind="stable")
    line = np.searchsorted(bounds[1:], starts, side="right")
    inside = (line < len(lines)) & (starts < bounds[np.minimum(line + 1, len(lines))])
    starts, line = starts[inside], line[inside]
    ends = np.empty_like(starts)
    ends[:-1] = starts[1:] - 1
    ends[-1:] = high
    ends = np.minimum(np.where(np.append(line[1:] != line[:-1], True), bounds[line + 1], ends), bounds[line + 1])
    equals = low + np.flatnonzero(held[low:] == _EQUALS)
    where = np.searchsorted(equals, starts)
    at = np.append(equals, high)[where]
    pair = (at < ends) & (at > starts)
    starts, ends, line, at = starts[pair], ends[pair], line[pair], at[pair]

    keys = cut(lines, starts, at).dictionary_encode()
    code = keys.indices.to_numpy()
    written: dict[str, pa.Array] = {}
    for number, name in enumerate(keys.dictionary.to_pylist()):
        if name not in COLUMN_OF:
            continue
        rows = np.flatnonzero(code == number)
        rows = rows[np.append(True, np.diff(line[rows]) > 0)]  # of a key that is there twice, the first
        begin, end = at[rows] + 1, ends[rows]
        quoted = (end - begin >= 2) & (held[np.minimum(begin, len(held) - 1)] == _QUOTE)
        quoted &= held[end - 1] == _QUOTE
        found = _unescaped(cut(lines, begin + quoted, end - quoted))
        if len(rows) == len(lines):
            written[name] = found
        else:
            places = np.zeros(len(lines), np.int64)
            places[line[rows]] = np.arange(len(rows))
            absent = np.ones(len(lines), bool)
            absent[line[rows]] = False
            written[name] = found.take(pa.array(places, mask=absent))
    return written, balanced


def _unescaped(found: pa.LargeStringArray) -> pa.LargeStringArray:
    bounds = offsets(found)
    if not (content(found)[bounds[0] : bounds[-1]] == _BACKSLASH).any():
        return found
    return pa.array([_plain(value) if "\\" in value else value for value in found.to_pylist()], values.TEXT)


def _plain(value: str) -> str:
    try:
        return str(json.loads(f'"{value}"')).encode("utf-8", "backslashreplace").decode()
    except ValueError:
        return value
