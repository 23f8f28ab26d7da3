"""TimeRange: the window of time that a question is about, always aware UTC and half open.

Examples
--------
>>> from datetime import datetime, timezone
>>> noon = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
>>> window = TimeRange.of("15m", now=noon)
>>> window
TimeRange(2026-11-23T11:45:00Z .. 2026-11-23T12:00:00Z)
>>> window.end_s - window.start_s
900
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from createos_nb.errors import InvalidArgument

_UNITS = {"s": "seconds", "m": "minutes", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(min|[smhdw])")
_WHOLE = re.compile(rf"\s*(?:{_PART.pattern}\s*)+")

Moment = datetime | str | int | float
"""A point in time: an aware datetime or Timestamp, an ISO 8601 text with an offset, or unix seconds."""


def utc(moment: Moment) -> datetime:
    """Return a moment as an aware UTC datetime.

    Parameters
    ----------
    moment
        An aware datetime (a pandas Timestamp is one), an ISO 8601 text with an offset or ``Z``, or
        unix seconds.

    Raises
    ------
    InvalidArgument
        It has no time zone, or is not a time at all; the message shows how to write it.
    """
    if isinstance(moment, bool):
        raise InvalidArgument(f"{moment!r} is not a time. Pass an aware datetime, ISO text or unix seconds.")
    if isinstance(moment, int | float):
        try:
            return datetime.fromtimestamp(moment, UTC)
        except (OverflowError, ValueError, OSError):
            raise InvalidArgument(
                f"{moment!r} is not a unix time in seconds. Milliseconds? Divide by 1000."
            ) from None
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment.strip())
        except ValueError:
            raise InvalidArgument(
                f"{moment!r} is not a time. Write it like '2026-11-23T12:00:00Z' or '2026-11-23 12:00+01:00'."
            ) from None
    if moment.tzinfo is None:
        raise InvalidArgument(
            f"{moment.isoformat()} has no time zone. Write '{moment.isoformat()}Z' for UTC, "
            "or pass datetime(..., tzinfo=...)."
        )
    return moment.astimezone(UTC)


def duration(text: str | timedelta) -> timedelta:
    """Return a length of time written like ``"90s"``, ``"15m"``, ``"2h"``, ``"1d"`` or ``"1h30m"``.

    Raises
    ------
    InvalidArgument
        The text is not such a length, or the length is not positive.
    """
    if isinstance(text, timedelta):
        length = text
    else:
        if not isinstance(text, str) or not _WHOLE.fullmatch(text):
            raise InvalidArgument(f"{text!r} is not a length of time. Write it like '90s', '15m', '2h' or '1d'.")
        try:
            length = sum(
                (timedelta(**{_UNITS[unit]: float(number)}) for number, unit in _PART.findall(text)), timedelta()
            )
        except OverflowError:
            raise InvalidArgument(f"{text!r} is longer than time goes. Use a shorter length.") from None
    if length <= timedelta():
        raise InvalidArgument(f"{text!r} is not a positive length of time. Write it like '15m'.")
    return length


@dataclass(frozen=True, repr=False)
class TimeRange:
    """A window of time: from ``start`` up to, not including, ``end``; both aware UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", utc(self.start))
        object.__setattr__(self, "end", utc(self.end))
        if self.end <= self.start:
            raise InvalidArgument(f"The window ends ({self.end:%F %T}) before it starts ({self.start:%F %T}).")

    @classmethod
    def of(
        cls,
        since: Since = None,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        now: datetime | None = None,
        default: str = "1h",
    ) -> TimeRange:
        """Make a window from what a person typed.

        Parameters
        ----------
        since
            Length of the window, ending at ``end`` (now when that is not given): ``"15m"``, ``"2h"``; or the
            window itself.
        start, end
            The window's ends; ``start`` and ``since`` exclude each other.
        now
            The present, for tests and for several windows that must agree.
        default
            Length when neither ``since`` nor ``start`` is given.

        Raises
        ------
        InvalidArgument
            A naive or malformed time, ``since`` together with ``start``, or an empty window.
        """
        if isinstance(since, TimeRange):
            if start is not None or end is not None:
                raise InvalidArgument("Give a window, or `start` and `end`, not both.")
            return since
        if since is not None and start is not None:
            raise InvalidArgument("Give `since` or `start`, not both.")
        until = utc(end) if end is not None else (utc(now) if now is not None else datetime.now(UTC))
        if start is not None:
            return cls(utc(start), until)
        try:
            return cls(until - duration(default if since is None else since), until)
        except OverflowError:
            raise InvalidArgument(f"since={since!r} reaches back before year 1. Use a shorter length.") from None

    @property
    def start_s(self) -> int:
        """Start in whole unix seconds, rounded down, as the analytics endpoints take it."""
        return int(self.start.timestamp() // 1)

    @property
    def end_s(self) -> int:
        """End in whole unix seconds, rounded up, so that nothing of the window is cut off."""
        return int(-(-self.end.timestamp() // 1))

    @property
    def duration(self) -> timedelta:
        """Length of the window."""
        return self.end - self.start

    def pieces(self, longest: timedelta = timedelta(days=1)) -> tuple[TimeRange, ...]:
        """Return the window cut at UTC midnights, without gap or overlap; whole when it is not longer.

        Cut where every window is cut the same way, a piece of the past is known the next time it is asked for.

        Parameters
        ----------
        longest
            Length up to which a window stays whole.
        """
        if self.duration <= longest:
            return (self,)
        midnight = self.start.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        cuts = []
        while midnight < self.end:
            cuts.append(midnight)
            midnight += timedelta(days=1)
        return tuple(TimeRange(start, end) for start, end in pairwise((self.start, *cuts, self.end)))

    def __repr__(self) -> str:
        return f"TimeRange({self.start:%Y-%m-%dT%H:%M:%SZ} .. {self.end:%Y-%m-%dT%H:%M:%SZ})"


Since = str | timedelta | TimeRange | None
"""A window that ends now: its length, or the window itself."""
