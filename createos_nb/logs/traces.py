"""Traces: which lines are a traceback, a stack or a goroutine's calls, and so belong to one row.

The kind of each line is one letter, so the kinds of a text are a word, and a trace is found in it by a
pattern of letters. The patterns are possessive: they never go back, whatever the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from createos_nb.logs.lines import Mask, among, first_bytes, without_cr

_OTHER = ord(".")
# First bytes, kind, pattern; a later one overrules.
_KINDS = (
    (b" \t", "i", None),
    (b" \t", "a", r"^\s+(?:at \S|\.\.\. \d+ (?:more|common frames))|^\s+Suppressed: "),
    (b" \t", "A", r"^\s+at \S.*\{$"),
    (b" \t", "T", r"^\s+\+ Exception Group Traceback \(most recent call last\):$"),
    (b"T", "T", r"^Traceback \(most recent call last\):$"),
    (
        b"TD",
        "d",
        r"^(?:During handling of the|The) above exception(?:, another exception occurred|\b.* cause of .*):$",
    ),
    (b"C", "C", r"^Caused by: "),
    (b"pf", "P", r"^(?:panic|fatal error): "),
    (b"[", "S", r"^\[signal "),
    (b"g", "g", r"^goroutine \d+ .*\[[^\]]*\]:$"),
    (b"e", "q", r"^exit status \d+$"),
    (b"/fn", "n", r"^(?:/|file://|node:)\S*:\d+$"),
    (b"}", "b", r"^\}$"),
    (b"N", "v", r"^Node\.js v\d"),
)
_EXCEPTION = r"^[A-Za-z_][\w.]*(?:: .*)?$"
_CALL = r"^(?:created by \S.*|[A-Za-z_]\S*\(.*\))$"

_STACK = r"(?:[aC]|A[iaA]*+b?+)++"
_GOROUTINE = r"g(?:fi?+)*+"
_WORDS = re.compile(
    rf"""(?P<traceback>T[iaA]*+x?+(?:edeT[iaA]*+x?+)*+)
    |(?P<uncaught>ni++e?+[.x]{_STACK}(?:e?v)?+)
    |(?P<stack>{_STACK})
    |(?P<goroutines>(?:(?<=P)[iS]{{0,16}}+)?+e?+{_GOROUTINE}(?:e?{_GOROUTINE})*+q?+)""".encode(),
    re.VERBOSE,
)
_BEGINNINGS = re.compile(rb"[TaACngiSe]")  # of a word: most lines are none, and need no closer look

Sort = Literal["traceback", "uncaught", "stack", "goroutines"]


@dataclass(frozen=True)
class Span:
    """Lines that are one trace.

    Attributes
    ----------
    start, end
        The first line, and the one after the last.
    message
        The line that says what happened.
    sort
        What wrote it: Python, Node at its end, Node or Java on the way, Go.
    """

    start: int
    end: int
    message: int
    sort: Sort


def kinds(lines: pa.LargeStringArray, before: bytes = b"") -> bytes:
    """Return the kind of each line, a letter each; ``before`` holds those of the lines before the first."""
    lines = without_cr(lines)
    first = first_bytes(lines)
    found = np.full(len(lines), _OTHER, np.uint8)
    found[first == 0] = ord("e")
    present = np.zeros(256, bool)
    present[first] = True
    for begins, kind, pattern in _KINDS:
        if present[list(begins)].any():
            places = np.flatnonzero(among(first, begins))
            found[_having(lines, places, pattern)] = ord(kind)
    if not (found != _OTHER).any() and before[-1:] in b".":
        return found.tobytes()
    # Only where a traceback may end, or a goroutine goes on, is it worth a look.
    previous = np.append(np.uint8((before or b".")[-1]), found[:-1])
    ends = np.flatnonzero((found == _OTHER) & among(previous, b"iaAT"))
    found[_having(lines, ends, _EXCEPTION)] = ord("x")
    head = (before.rstrip(b"fi") or b".")[-1]  # of what the first lines may go on with
    if (found == ord("g")).any() or head == ord("g"):
        open_lines = np.flatnonzero((found == _OTHER) | (found == ord("x")))
        calls = found.copy()
        calls[_having(lines, open_lines, _CALL)] = ord("f")
        found = np.where((calls == ord("f")) & ~_after_goroutine(calls, head), found, calls)
    return found.tobytes()


def _after_goroutine(found: np.ndarray, before: int) -> Mask:
    """Return which lines have nothing but calls between them and the goroutine above them."""
    breaks = ~among(found, b"fi")
    last = np.maximum.accumulate(np.where(breaks, np.arange(len(found)), -1))
    heads = np.where(last >= 0, found[np.maximum(last, 0)], before)
    return np.asarray(heads == ord("g"))


def _having(lines: pa.LargeStringArray, places: np.ndarray, pattern: str | None) -> np.ndarray:
    if pattern is None or len(places) == 0:
        return places
    matched = pc.match_substring_regex(lines.take(pa.array(places)), pattern)
    having: np.ndarray = places[matched.to_numpy(zero_copy_only=False)]
    return having


def spans(word: bytes) -> Iterable[Span]:
    """Yield every trace that lines of these kinds hold, in order."""
    end = 0
    for begin in _BEGINNINGS.finditer(word):
        match = _WORDS.match(word, begin.start()) if begin.start() >= end else None
        if match is None:
            continue
        start, end = match.span()
        sort: Sort = match.lastgroup  # type: ignore[assignment]
        message = end - 1
        if sort == "uncaught":
            message = start + len(re.match(rb"ni+e?", match.group())[0])  # type: ignore[index]
        elif sort != "traceback":
            message = start
        yield Span(start, end, message, sort)
