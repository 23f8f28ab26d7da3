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
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from numbers import Real

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
    if isinstance(moment, Real) and not isinstance(moment, bool):
        try:
            return datetime.fromtimestamp(float(moment), UTC)
        except (OverflowError, ValueError, OSError):
            raise InvalidArgument(
                f"{moment!r} is not a unix time in seconds. Milliseconds? Divide by 1000."
            ) from None
    if not isinstance(moment, datetime):
        try:
            # Days, and NumPy's times, are read as the text that they show.
            moment = datetime.fromisoformat(str(moment).strip())
        except ValueError:
            raise InvalidArgument(
                f"{moment!r:.80} is not a time. Pass an aware datetime, unix seconds, or text like "
                "'2026-11-23T12:00:00Z' or '2026-11-23 12:00+01:00'."
            ) from None
    if moment != moment:  # NaT, which is a datetime
        raise InvalidArgument("NaT is no time: one is missing. Leave out rows without a time first.")
    if moment.tzinfo is None:
        raise InvalidArgument(
            f"{moment.isoformat()} has no time zone. Write '{moment.isoformat()}Z' for UTC, "
            "or pass datetime(..., tzinfo=...)."
        )
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise InvalidArgument(f"{moment.isoformat()} lies outside of the years 1 to 9999 in UTC.") from None


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
        if self.end == self.start:
            raise InvalidArgument(
                f"The window from {self.start:%F %T} to {self.end:%F %T} UTC is empty. Its end is not included: "
                "make it a second long or more."
            )
        if self.end < self.start:
            raise InvalidArgument(
                f"The window ends ({self.end:%F %T} UTC) before it starts ({self.start:%F %T} UTC). Swap the two, "
                "or leave out `end` for now."
            )

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
        """Make a window from what a person typed, of whole seconds, as the platform counts.

        Both ends are rounded up: windows that adjoin share no second, and the second that runs is in.

        Parameters
        ----------
        since
            Length of the window, ending at ``end`` (now when that is not given): ``"15m"``, ``"2h"``; or the
            window itself.
        start, end
            The window's ends; ``start`` and ``since`` exclude each other.
        now
            The present, by the platform's clock; a window that begins later is refused.
        default
            Length when neither ``since`` nor ``start`` is given.

        Raises
        ------
        InvalidArgument
            A naive or malformed time, ``since`` together with ``start``, or a window that is empty or has
            not begun.
        """
        if start is not None and since is None and end is None:
            _refuse_future(utc(start), datetime.now(UTC) if now is None else utc(now))
        window = cls._of(since, start, end, now, default)
        if now is not None:
            _refuse_future(window.start, utc(now))
        return window

    @classmethod
    def _of(
        cls, since: Since, start: Moment | None, end: Moment | None, now: datetime | None, default: str
    ) -> TimeRange:
        if isinstance(since, TimeRange):
            if start is not None or end is not None:
                raise InvalidArgument("Give a window, or `start` and `end`, not both.")
            return cls(_whole(since.start), _whole(since.end))
        if since is not None and start is not None:
            raise InvalidArgument("Give `since` or `start`, not both.")
        until = _whole(utc(end) if end is not None else (utc(now) if now is not None else datetime.now(UTC)))
        if start is not None:
            return cls(_whole(utc(start)), until)
        if _is_moment(since):
            raise InvalidArgument(
                f"since={str(since)!r:.80} is a time, and `since` takes a length such as '15m'. Pass it as start=."
            )
        try:
            return cls(_whole(until - duration(default if since is None else since)), until)
        except OverflowError:
            raise InvalidArgument(f"since={since!r} reaches back before year 1. Use a shorter length.") from None

    @property
    def start_s(self) -> int:
        """Start in whole unix seconds, as the analytics endpoints take it."""
        return round(_whole(self.start).timestamp())

    @property
    def end_s(self) -> int:
        """End in whole unix seconds; like the start, it is rounded up."""
        return round(_whole(self.end).timestamp())

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


def _whole(moment: datetime) -> datetime:
    """Return a time rounded up to whole seconds."""
    whole = moment.replace(microsecond=0)
    try:
        return whole if whole == moment else whole + timedelta(seconds=1)
    except OverflowError:
        raise InvalidArgument(f"{moment.isoformat()} lies outside of the years 1 to 9999 in UTC.") from None


def _refuse_future(start: datetime, now: datetime) -> None:
    if start > _whole(now):
        raise InvalidArgument(
            f"The window starts in the future, at {start:%F %T} UTC; it is {now:%F %T} UTC now. "
            "Ask for one that has begun."
        )


def _is_moment(since: object) -> bool:
    if isinstance(since, str):
        try:
            datetime.fromisoformat(since.strip())
        except ValueError:
            return False
        return not _WHOLE.fullmatch(since)
    return isinstance(since, date) or (
        isinstance(since, Real) and not isinstance(since, bool) and float(since) > 1e8
    )


Since = str | timedelta | TimeRange | None
"""A window that ends now: its length, or the window itself."""
