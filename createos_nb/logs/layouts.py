"""Layouts: log lines in which each thing has its place, as patterns that take time linear in the line.

Arrow's expressions (RE2) never go back. They are quick as long as a pattern has at most four groups, and as
long as each next byte tells where in the pattern one is: hence several plain patterns for one format, tried
in turn on the lines that are left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from createos_nb.logs import values
from createos_nb.logs.fields import Columns
from createos_nb.logs.lines import Mask, among, chosen, holding, without_head

# Any word in the pattern, and then one of the levels: a quarter of the time that a list of them takes.
_LEVEL = "(?P<level>[A-Za-z]{3,11})"
_DATE = r"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
_BLANK_ZONE = r"(?: (?:UTC|[+-]\d\d:?\d\d))?"
CLOCK = r"\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}"
_BARE = r"\d\d/[A-Z][a-z][a-z]/\d{4}[ :]\d\d:\d\d:\d\d"
_AFTER = r"(?:[\s\]:|)-]+|$)"  # what follows a level
_REQUEST = r'"(?P<method>[A-Z]{3,10}) (?P<path>[^\s"]+)[^"]*" (?P<status>\d{3})(?:\s|$)'
_COLOUR = r"(?:\x1b\[[\d;]*m)*"
_COLOURED = rf'"{_COLOUR}(?P<method>[A-Z]{{3,10}}) (?P<path>[^\s"\x1b]+)[^"]*" (?P<status>\d{{3}})(?:\s|$)'


@dataclass(frozen=True)
class Layout:
    """One pattern.

    Attributes
    ----------
    format
        The value of the column ``format`` of lines that have it.
    begins
        Bytes that such a line may begin with, empty for any.
    pattern
        Its groups are columns; ``head`` is what stands before the message. Without ``head`` the message is
        the group of that name, or else the whole line.
    holds
        What every such line holds: a quick look before the pattern's.
    """

    format: str
    begins: bytes
    pattern: str
    holds: bytes = b""


_DIGITS = b"0123456789"
_TIMED = _DIGITS + b"["
_LETTERS = bytes([*range(65, 91), *range(97, 123)])

LAYOUTS = (
    # nginx and Apache, of which `access` has taken the lines whose request is one.
    Layout(
        "access",
        b"",
        rf'^\S+ [^\[\"]*\[(?P<clock>{CLOCK})\] "(?P<message>[^"]*)" (?P<status>\d{{3}})(?:\s|$)',
        holds=b'] "',
    ),
    Layout("time", _TIMED, rf"^(?P<head>\[?(?P<time>{_DATE})\]?[\s:|][-\s:\[|(]*{_LEVEL}{_AFTER})"),
    Layout(
        "time",
        _TIMED,
        rf"^(?P<head>\[?(?P<time>{_DATE})[\s:|][-\s:|]*(?P<logger>[A-Za-z_][\w.$/@-]*)[\s\]][-\s:\[|(]*(?P<level>[A-Z]{{3,11}}){_AFTER})",
    ),
    Layout(
        "time",
        _TIMED,
        rf"^(?P<head>\[?(?P<time>{_DATE}{_BLANK_ZONE})\]?[\s:|-]*[\[(]?{_LEVEL}{_AFTER})",
    ),
    # A process or a thread in brackets, as gunicorn and logback write it.
    Layout(
        "time",
        _TIMED,
        rf"^(?P<head>\[?(?P<time>{_DATE}{_BLANK_ZONE})\]?[\s:|-]*\[[^\]]*\][-\s:|]*[\[(]?{_LEVEL}{_AFTER})",
    ),
    Layout("time", _TIMED, rf"^(?P<head>\[?(?P<time>{_DATE}{_BLANK_ZONE})(?:\][\s:|-]*|[\s:|][\s:|-]*|$))"),
    # uvicorn, then morgan as Express has it while one develops.
    Layout("access", _LETTERS, rf"^(?P<level>INFO): +\S+ - {_REQUEST}"),
    Layout(
        "access",
        _LETTERS,
        r"^(?P<method>GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (?P<path>/\S*) (?P<status>\d{3}) (?P<ms>[0-9.]+) ms",
    ),
    Layout("level", _LETTERS, r"^(?P<head>(?P<level>[A-Z]{3,11}|[a-z]{3,11}):(?P<logger>[A-Za-z_][\w.$/@-]*):)"),
    Layout("level", _LETTERS, r"^(?P<head>(?P<level>[A-Z]{3,11}|[a-z]{3,11})(?: error)?:(?:\s+|$))"),
    Layout("level", b"[", rf"^(?P<head>\[{_LEVEL}\][\s:-]*)"),
    Layout("level", _LETTERS, r"^(?P<head>(?P<level>TRACE|DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL|FATAL)[\s|-]+)"),
    # The year is not written, so there is no time.
    Layout(
        "klog", b"IWEF", r"^(?P<head>(?P<level>[IWEF])\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ (?P<logger>[^\]\s]+)\] ?)"
    ),
    # Python's own server, Werkzeug (Flask) and Django's, which name no zone, and colour what is no 200; then what
    # else those say, and Gin. They come last: whatever names a level has been taken.
    Layout("access", b"", rf"^[^\[\"]*\[(?P<bare>{_BARE})\] {_COLOURED}", holds=b'] "'),
    Layout("time", b"", rf"^\S+ - - \[(?P<bare>{_BARE})\] (?P<message>.*)", holds=b" - - ["),
    Layout(
        "access",
        b"[",
        r"^\[GIN\] (?P<gin>\d{4}/\d\d/\d\d - \d\d:\d\d:\d\d) \| *(?P<status>\d{3}) *\|[^|]*\|[^|]*\|"
        r' *(?P<method>[A-Z]{3,10}) +"(?P<path>[^"]*)',
        holds=b"[GIN] ",
    ),
)


def _bare_times(written: pa.Array) -> pa.Array:
    return values.access_times(
        pc.binary_join_element_wise(written, pa.scalar(" +0000", values.TEXT), pa.scalar("", values.TEXT))
    )


def _gin_times(written: pa.Array) -> pa.Array:
    return values.times(pc.replace_substring(pc.replace_substring(written, " - ", " "), "/", "-"))


_READERS = {
    "time": ("timestamp", values.times),
    "bare": ("timestamp", _bare_times),
    "gin": ("timestamp", _gin_times),
    "clock": ("timestamp", values.access_times),
    "level": ("level", values.levels),
    "status": ("status", values.statuses),
    "ms": ("duration_ms", values.numbers),
}


def parse(lines: pa.LargeStringArray, layout: Layout) -> tuple[Mask, Columns]:
    """Return which lines have the layout, and the columns of those."""
    if layout.holds:
        matched = holding(lines, layout.holds)
        if not matched.all():
            if not matched.any():
                return matched, {}
            some, columns = parse(chosen(lines, matched), replace(layout, holds=b""))
            matched[matched] = some
            return matched, columns
    found = pc.extract_regex(lines, layout.pattern)
    matched = found.is_valid().to_numpy(zero_copy_only=False)
    if not matched.any():
        return matched, {}
    if found.type.get_field_index("level") >= 0:
        matched = matched & pc.fill_null(
            _are_levels(pc.struct_field(found, "level")), pa.scalar(value=False)
        ).to_numpy(zero_copy_only=False)
        if not matched.any():
            return matched, {}
    found, kept = chosen(found, matched), chosen(lines, matched)
    groups = {field.name: pc.struct_field(found, field.name) for field in found.type}
    head = groups.pop("head", None)
    read: Columns = {}
    for name, group in groups.items():
        column, reader = _READERS.get(name, (name, None))
        read[column] = group if reader is None else reader(group)
    if "message" not in read:
        read["message"] = kept if head is None else without_head(kept, head)
    return matched, read


def _are_levels(words: pa.Array) -> pa.Array:
    coded = words.dictionary_encode()
    known = [word.upper() in values.LEVEL_NAMES for word in coded.dictionary.to_pylist()]
    return pa.array(known, pa.bool_()).take(coded.indices)


def may_begin(first: np.ndarray, layout: Layout) -> Mask:
    """Return which first bytes a line of the layout may have."""
    return among(first, layout.begins or bytes(range(1, 256)))
