"""Lines: a text cut into columns of lines, and pieces cut out of lines, without a Python object for each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Offsets = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

CHUNK = 2_000_000
"""Characters that are read at a time: what is held meanwhile is a few times that, not a few times the text."""

_LF, _CR = b"\n\r"


def chunks(text: str) -> Iterator[pa.LargeStringArray]:
    r"""Yield the lines of a text, some thousands at a time, in order.

    Only ``"\n"`` ends a line, and the last one needs none. Half surrogate pairs, which UTF-8 cannot hold,
    are spelled as their escape.
    """
    end = len(text) - text.endswith("\n")
    at = 0
    while at <= end:
        stop = text.find("\n", min(at + CHUNK, end), end)
        stop = end if stop < 0 else stop
        yield _split(_encoded(text[at:stop]))
        at = stop + 1


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")


def _split(content: bytes) -> pa.LargeStringArray:
    ends = np.flatnonzero(np.frombuffer(content, np.uint8) == _LF)
    offsets = np.empty(len(ends) + 2, np.int64)
    offsets[0] = 0
    offsets[1:-1] = ends - np.arange(len(ends))  # without the line feeds before it
    offsets[-1] = len(content) - len(ends)
    return strings(offsets, content.replace(b"\n", b""))


def strings(offsets: Offsets, content: bytes | pa.Buffer) -> pa.LargeStringArray:
    """Return the strings that begin and end at ``offsets`` of ``content``."""
    buffer = content if isinstance(content, pa.Buffer) else pa.py_buffer(content)
    return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(np.ascontiguousarray(offsets)), buffer)


def offsets(lines: pa.LargeStringArray) -> Offsets:
    """Return where each line begins in `content`, and where the last one ends."""
    if len(lines) == 0:
        return np.zeros(1, np.int64)
    return np.frombuffer(lines.buffers()[1], np.int64)[lines.offset : lines.offset + len(lines) + 1]


def content(lines: pa.LargeStringArray) -> npt.NDArray[np.uint8]:
    """Return the bytes that `offsets` points into."""
    held = lines.buffers()[2]
    return np.zeros(0, np.uint8) if held is None else np.frombuffer(held, np.uint8)


def among(held: npt.NDArray[np.uint8], wanted: bytes) -> Mask:
    """Return which bytes are some of these."""
    table = np.zeros(256, bool)
    table[list(wanted)] = True
    found: Mask = table[held]
    return found


def byte_at(lines: pa.LargeStringArray, places: Offsets) -> npt.NDArray[np.uint8]:
    """Return the byte at each place of `content`, 0 where a place is outside of its own line."""
    bounds, held = offsets(lines), content(lines)
    if len(held) == 0:
        return np.zeros(len(lines), np.uint8)
    inside = (places >= bounds[:-1]) & (places < bounds[1:])
    return np.where(inside, held[np.clip(places, 0, len(held) - 1)], 0).astype(np.uint8, copy=False)


def places_of(lines: pa.LargeStringArray, mark: bytes) -> Offsets:
    """Return the places of `content` where some bytes stand, in the lines or across two of them."""
    bounds, held = offsets(lines), content(lines)
    low, high = int(bounds[0]), int(bounds[-1])
    size = max(high - low - len(mark) + 1, 0)
    same = held[low : low + size] == mark[0]
    for ahead, byte in enumerate(mark[1:], 1):
        same &= held[low + ahead : low + ahead + size] == byte
    places = np.flatnonzero(same)
    places += low
    return places


def holding(lines: pa.LargeStringArray, mark: bytes) -> Mask:
    """Return which lines hold some bytes."""
    found = np.zeros(len(lines), bool)
    places = places_of(lines, mark)
    if len(places):
        bounds = offsets(lines)
        line = np.searchsorted(bounds, places, side="right") - 1
        found[line[places + len(mark) <= bounds[line + 1]]] = True
    return found


def first_bytes(lines: pa.LargeStringArray) -> npt.NDArray[np.uint8]:
    """Return the first byte of each line, 0 of an empty one."""
    return byte_at(lines, offsets(lines)[:-1])


def last_bytes(lines: pa.LargeStringArray) -> npt.NDArray[np.uint8]:
    """Return the last byte of each line, 0 of an empty one."""
    return byte_at(lines, offsets(lines)[1:] - 1)


def cut(lines: pa.LargeStringArray, starts: Offsets, ends: Offsets) -> pa.LargeStringArray:
    """Return a piece of each line.

    Parameters
    ----------
    lines
        Where to cut.
    starts, ends
        Places in `content`, in rising order and none overlapping.
    """
    if len(starts) == 0:
        return pa.array([], pa.large_string())
    # Pieces and gaps in turn are an array over the same bytes; every other one is taken out of it.
    both = np.empty(2 * len(starts), np.int64)
    both[0::2] = starts
    both[1::2] = ends
    return strings(both, lines.buffers()[2] or b"").take(pa.array(np.arange(0, len(both), 2)))


def without_head(lines: pa.LargeStringArray, head: pa.LargeStringArray) -> pa.LargeStringArray:
    """Return each line without its first part."""
    bounds = offsets(lines)
    return cut(lines, bounds[:-1] + np.diff(offsets(head)), bounds[1:])


def chosen(values: pa.Array, mask: Mask) -> pa.Array:
    """Return the values where the mask is true, the same array if that is everywhere."""
    return values if mask.all() else values.filter(pa.array(mask))


def without_cr(lines: pa.LargeStringArray) -> pa.LargeStringArray:
    """Return lines without the first half of a Windows line end."""
    return pc.replace_substring_regex(lines, "\r$", "") if _CR in content(lines) else lines


def joined(lines: pa.LargeStringArray, bounds: Offsets) -> pa.LargeStringArray:
    r"""Join lines by ``"\n"``: one text from each bound to the next."""
    import pyarrow.compute as pc

    return pc.binary_join(
        pa.LargeListArray.from_arrays(pa.array(bounds), lines), pa.scalar("\n", pa.large_string())
    )
