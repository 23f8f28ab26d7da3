"""Alike: JSON lines that differ in their values alone, cut at their quotes without a parser.

A logger writes the same names in the same order, line after line. Once one line has been read, any line with
as many quotes and with the same bytes between its values is an object, too, and where its values stand is
known. A line with an escape in it, or of a form of its own, is left to a parser.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from createos_nb.logs import fields, values
from createos_nb.logs.fields import COLUMN_OF, Columns
from createos_nb.logs.lines import Mask, Offsets, among, content, cut, first_bytes, offsets

NESTED = {top: [n for n in COLUMN_OF if n.startswith(f"{top}.")] for top in {n.split(".")[0] for n in COLUMN_OF}}
"""The names with a dot by what stands before it."""

COUNTED = frozenset({"timestamp", "status", "duration_ms"})
"""Columns of which numbers are read as numbers; in others they are text."""

_QUOTE, _BACKSLASH, _ZERO = b'"\\0'
_FORMS = 8  # that are looked for in one piece of a log
_FEW = 32  # lines of one form, fewer than which are not worth it
_SCALAR = r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,17})?(?:[eE][+-]?[0-9]{1,2})?|true|false|null"
_MARK = re.compile(rf"(?<![\w.+-])(?:{_SCALAR})(?![\w.+-])")
# As text, a number stays what was written: the rest of them would be spelled otherwise by a parser.
_TEXT = r"^(?:0|[1-9][0-9]*|true|false|null)$"


@dataclass(frozen=True)
class _Value:
    """Where a value stands: behind a quote and what follows that, before the next quote and what precedes it."""

    quote: int
    is_string: bool
    skipped: int = 0
    left: int = 0
    name: str | None = None


@dataclass(frozen=True)
class Template:
    """What the lines of one form have in common: the bytes before, between and after their values."""

    quotes: int
    values: tuple[_Value, ...]
    fixed: tuple[bytes, ...]


class _Pairs(list[tuple[str, Any]]):
    """An object as its pairs, which tells it from a list, and a name that is there twice from one."""


def template(line: str) -> Template | None:
    """Return the form of a line, None if it is no object or none whose values could be cut out."""
    if "\\" in line:
        return None
    pieces = line.split('"')
    marked: list[str] = []
    found: list[_Value] = []
    ends: list[tuple[int, int]] = []
    at = 0
    for number, piece in enumerate(pieces):
        if number % 2:  # between two quotes: a name, or a value until its name is known
            is_name = pieces[number + 1].lstrip().startswith(":") if number + 1 < len(pieces) else False
            marked.append(f'"{piece}"' if is_name else f'"{len(found)}"')
            if not is_name:
                found.append(_Value(number - 1, is_string=True))
                ends.append((at, at + len(piece)))
        else:
            scalars = [*_MARK.finditer(piece)]
            if len(scalars) > 1:
                return None  # a list of numbers, any number of them
            for scalar in scalars:
                ends.append((at + scalar.start(), at + scalar.end()))
                left = len(piece) - scalar.end()
                found.append(_Value(number - 1, is_string=False, skipped=scalar.start(), left=left))
            marked.append(_MARK.sub(f'"{len(found) - 1}"', piece))
        at += len(piece) + 1
    try:
        names = dict(_names(json.loads("".join(marked), object_pairs_hook=_Pairs), ()))
    except (ValueError, RecursionError):
        return None
    wanted = [name for name in names.values() if name is not None]
    if len(names) != len(found) or len(wanted) != len(set(wanted)):
        return None
    edges = [0, *(edge for pair in ends for edge in pair), len(line)]
    return Template(
        len(pieces) - 1,
        tuple(_Value(v.quote, v.is_string, v.skipped, v.left, names[n]) for n, v in enumerate(found)),
        tuple(line[a:b].encode() for a, b in zip(edges[::2], edges[1::2], strict=True)),
    )


def _names(found: object, path: tuple[str, ...]) -> Iterator[tuple[int, str | None]]:
    """Yield the number of every value and the name by which a column wants it; refuse what needs a parser."""
    name = ".".join(path)
    if isinstance(found, str):
        # A dot below the top is no way into an object.
        yield int(found), name if name in COLUMN_OF and (len(path) == 1 or "." not in "".join(path)) else None
        return
    is_object = isinstance(found, _Pairs)
    if (not is_object and not path) or (name in COLUMN_OF and not (is_object and NESTED.get(name))):
        raise ValueError("no object, or one that is wanted as text")
    if isinstance(found, _Pairs):
        if len({key for key, _ in found}) < len(found):
            raise ValueError("a name is there twice")
        for key, value in found:
            yield from _names(value, (*path, key))
    elif isinstance(found, list):
        for value in found:
            yield from _names(value, (*path, "[]"))


def parse(lines: pa.LargeStringArray) -> tuple[list[tuple[np.ndarray, Columns]], np.ndarray]:
    """Return the places and columns of the lines of each form, and the places of the lines that are left."""
    bounds, held = offsets(lines), content(lines)
    low, high = int(bounds[0]), int(bounds[-1])
    text = held[low:high]
    quotes = np.flatnonzero(text == _QUOTE)
    quotes += low
    first = np.searchsorted(quotes, bounds)
    count = np.diff(first)
    odd = (text == _BACKSLASH) | (text < ord(" "))
    if odd.any():
        strange = low + np.flatnonzero(odd)
        count[np.searchsorted(bounds, strange, side="right") - 1] = -1
    parts: list[tuple[np.ndarray, Columns]] = []
    left = np.arange(len(lines))
    for _ in range(_FORMS):
        if len(left) < _FEW:
            break
        form = template(lines[int(left[len(left) // 2])].as_py())
        rows = left[count[left] == form.quotes] if form else left[:0]
        if form and len(rows) >= _FEW:
            where, read = _of(form, lines, rows, quotes, first)
            if len(where):
                parts.append((where, read))
                rest = np.ones(len(lines), bool)
                rest[where] = False
                left = left[rest[left]]
                continue
        left = left[np.arange(len(left)) != len(left) // 2]
    return parts, _without(len(lines), [where for where, _ in parts])


def _without(count: int, taken: list[np.ndarray]) -> np.ndarray:
    rest = np.ones(count, bool)
    for where in taken:
        rest[where] = False
    return np.flatnonzero(rest)


def _of(
    form: Template, lines: pa.LargeStringArray, rows: np.ndarray, quotes: np.ndarray, first: np.ndarray
) -> tuple[np.ndarray, Columns]:
    """Return which of the rows have the form, and the columns of those."""
    bounds, held = offsets(lines), content(lines)
    of_rows = (
        quotes.reshape(len(rows), -1)
        if len(rows) == len(lines)
        else quotes[first[rows][:, None] + np.arange(form.quotes)]
    )
    # Each value's start and end, with the ends of the line about them: fixed bytes stand in between.
    marks = [bounds[rows], *of_rows.T, bounds[rows + 1]]
    starts = [marks[v.quote + 1] + v.skipped + (v.quote >= 0) for v in form.values]
    ends = [marks[v.quote + 2] - v.left for v in form.values]
    begins = [bounds[rows], *ends]
    stops = [*starts, bounds[rows + 1]]
    fits = np.ones(len(rows), bool)
    for begin, stop, fixed in zip(begins, stops, form.fixed, strict=True):
        fits &= stop - begin == len(fixed)
    for value, start, end in zip(form.values, starts, ends, strict=True):
        if not value.is_string:
            fits &= end > start
    for begin, fixed in zip(begins, form.fixed, strict=True):
        if fixed and fits.any():
            _hold(held, begin, fixed, fits)
    texts: dict[int, pa.LargeStringArray] = {}
    for number, value in enumerate(form.values):
        if value.is_string and value.name is None:
            continue
        start, end = starts[number], ends[number]
        texts[number] = cut(lines, *((start, end) if fits.all() else (start[fits], end[fits])))
        if not value.is_string:
            good = _scalars(texts[number], as_text=value.name is not None and COLUMN_OF[value.name] not in COUNTED)
            if not good.all():
                fits[np.flatnonzero(fits)[~good]] = False
                texts = {n: column.filter(pa.array(good)) for n, column in texts.items()}
    written = {
        value.name: texts[number] if value.is_string else _unquoted(texts[number], value.name)
        for number, value in enumerate(form.values)
        if value.name is not None
    }
    return rows[fits], fields.columns(written)


def _hold(held: np.ndarray, begin: Offsets, fixed: bytes, fits: Mask) -> None:
    """Leave in ``fits`` only the rows that have these bytes from where they begin."""
    window = np.lib.stride_tricks.sliding_window_view(held, len(fixed))
    same = window[begin if fits.all() else begin[fits]] == np.frombuffer(fixed, np.uint8)
    if not same.all():
        fits[fits] = same.all(axis=1)


def _scalars(written: pa.LargeStringArray, *, as_text: bool) -> Mask:
    """Return which values are numbers, true, false or null."""
    bounds = offsets(written)
    held = content(written)[bounds[0] : bounds[-1]]
    if len(held) and ((held - np.uint8(_ZERO)) < 10).all() and (first_bytes(written) != _ZERO).all():
        lengths: Mask = np.diff(bounds) < 18
        return lengths
    return np.asarray(
        values.matching(written, _TEXT if as_text else f"^(?:{_SCALAR})$").to_numpy(zero_copy_only=False)
    )


def _unquoted(written: pa.LargeStringArray, name: str) -> pa.Array:
    """Return what is no string: numbers where they count, text where not, and null as missing."""
    head = first_bytes(written)
    if COLUMN_OF[name] not in COUNTED:
        none = pa.scalar(None, values.TEXT)
        return pc.if_else(pa.array(head == ord("n")), none, written) if (head == ord("n")).any() else written
    word = among(head, b"tfn")
    number = pc.if_else(pa.array(word), pa.scalar(None, values.TEXT), written) if word.any() else written
    return pc.cast(number, pa.float64())
