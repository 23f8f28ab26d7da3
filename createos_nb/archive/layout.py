"""Layout: how the files of an archive are named, and which time each of them covers.

``traffic/project=shop/environment=production/day=2026-11-23/120000-130000.parquet`` holds everything from
12:00:00 up to, not including, 13:00:00 UTC of that day. What has been collected is told by these names alone,
so that it cannot disagree with what is there. Partitions are named as Hive, Spark and DuckDB expect.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from urllib.parse import quote, unquote

DAY_S = 86_400

Span = tuple[int, int]
"""Unix seconds: from the first, included, up to the second, not included."""

_NULLS = {"NULL", "__HIVE_DEFAULT_PARTITION__"}
"""Names of partitions that DuckDB and Hive take for a missing value."""

_NAME = re.compile(
    r"(?P<table>\w+)/project=(?P<project>[^/]+)(?:/environment=(?P<environment>[^/]+))?"
    r"/day=(?P<day>\d{4}-\d\d-\d\d)/(?P<start>\d{6})-(?P<end>\d{6})\.parquet"
)


@dataclass(frozen=True)
class Part:
    """One file of an archive.

    Attributes
    ----------
    table
        The table it belongs to.
    project, environment
        Whose rows it holds; no environment for what belongs to a project.
    start_s, end_s
        The time it covers, in unix seconds, within one UTC day.
    """

    table: str
    project: str
    environment: str | None
    start_s: int
    end_s: int

    @property
    def day(self) -> int:
        """Start of its day, in unix seconds."""
        return self.start_s - self.start_s % DAY_S

    @property
    def span(self) -> Span:
        """The time it covers."""
        return self.start_s, self.end_s

    @property
    def path(self) -> str:
        """Its path within the archive.

        Examples
        --------
        >>> Part("traffic", "a/b", "..", 1795435200, 1795438800).path
        'traffic/project=a%2Fb/environment=../day=2026-11-23/120000-130000.parquet'
        """
        day = datetime.fromtimestamp(self.day, UTC)
        name = f"{_clock(self.start_s - self.day)}-{_clock(self.end_s - self.day)}.parquet"
        return f"{folder(self.table, self.project, self.environment)}/day={day:%Y-%m-%d}/{name}"

    @classmethod
    def of(cls, path: str) -> Part | None:
        """Return the part that a path names; None for any other file."""
        match = _NAME.fullmatch(path)
        if match is None:
            return None
        day = int(datetime.fromisoformat(match["day"]).replace(tzinfo=UTC).timestamp())
        environment = match["environment"]
        return cls(
            match["table"],
            unquote(match["project"]),
            None if environment is None else unquote(environment),
            day + _seconds(match["start"]),
            day + _seconds(match["end"]),
        )


def folder(table: str, project: str, environment: str | None) -> str:
    """Return where the files of a table lie that concern an environment, or a project."""
    of_environment = "" if environment is None else f"/environment={encoded(environment)}"
    return f"{table}/project={encoded(project)}{of_environment}"


def encoded(name: str) -> str:
    """Return a name as a part of a path, whatever it holds.

    Examples
    --------
    >>> encoded("shop"), encoded("a/b*"), encoded("__HIVE_DEFAULT_PARTITION__")
    ('shop', 'a%2Fb%2A', '%5F_HIVE_DEFAULT_PARTITION__')
    """
    # Half a surrogate pair becomes its escape, as it does in every frame.
    text = name.encode("utf-8", "backslashreplace").decode()
    if text.upper() in _NULLS:
        return f"%{ord(text[0]):02X}{quote(text[1:], safe='')}"
    return quote(text, safe="")


def live(parts: Iterable[Part]) -> list[Part]:
    """Return the parts that count, in the order of time: without those that a longer one covers."""
    chosen: list[Part] = []
    reached: dict[tuple[str, str, str | None, int], int] = {}
    for part in sorted(parts, key=lambda part: (part.start_s, -part.end_s)):
        key = (part.table, part.project, part.environment, part.day)
        if part.end_s > reached.get(key, 0):
            reached[key] = part.end_s
            chosen.append(part)
    return chosen


def missing(wanted: Span, held: Iterable[Span]) -> list[Span]:
    """Return what is wanted and not held, cut at UTC midnights, oldest first.

    Examples
    --------
    >>> missing((0, 100_000), [(10, 20), (15, 30)])
    [(0, 10), (30, 86400), (86400, 100000)]
    """
    at, until = wanted
    found: list[Span] = []
    for start, end in [*sorted(held), (until, until)]:
        if at < min(start, until):
            found += _days(at, min(start, until))
        at = max(at, end)
    return found


def runs(parts: Sequence[Part]) -> list[list[Part]]:
    """Return parts of one day, which are in order, in groups without a gap."""
    groups: list[list[Part]] = []
    for part in parts:
        if groups and part.start_s <= groups[-1][-1].end_s:
            groups[-1].append(part)
        else:
            groups.append([part])
    return groups


def _days(start_s: int, end_s: int) -> list[Span]:
    cuts = [start_s, *range((start_s // DAY_S + 1) * DAY_S, end_s, DAY_S), end_s]
    return list(pairwise(cuts))


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}{seconds // 60 % 60:02}{seconds % 60:02}"


def _seconds(clock: str) -> int:
    return int(clock[:2]) * 3600 + int(clock[2:4]) * 60 + int(clock[4:])
