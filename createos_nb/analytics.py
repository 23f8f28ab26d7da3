"""Analytics: the platform's eight analytics answers about a selection, as frames.

One request holds seven of the eight answers, so all of them about one window cost two requests an environment;
about a window that is over they cost them once, see `createos_nb.answers`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pandas as pd
from pydantic import TypeAdapter

from createos_nb import schema
from createos_nb.api.analytics import Analytics as Answer
from createos_nb.api.analytics import RequestsOverTimeRow
from createos_nb.api.client import Client
from createos_nb.fanout import gather
from createos_nb.timerange import Moment, Since, TimeRange

if TYPE_CHECKING:
    from createos_nb.answers import Answers
    from createos_nb.frames import EnvironmentFrames, Target

SUMMARY = "GetProjectEnvironmentAnalytics"
OVER_TIME = "GetProjectEnvironmentAnalyticsRequestsOverTime"
_COUNTS = TypeAdapter(tuple[RequestsOverTimeRow, ...])


class Analytics:
    """The platform's eight analytics answers about a selection, as frames.

    All take a window: ``since="15m"``, or ``start=`` and ``end=``; the last hour when none is given. Times
    must say their zone. ``strict=True`` raises `PartialAnswer` instead of leaving out environments that failed.
    """

    def __init__(self, selection: EnvironmentFrames) -> None:
        self._selection = selection

    def overall_requests(
        self,
        since: Since = None,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        refresh: bool = False,
        strict: bool = False,
    ) -> pd.DataFrame:
        """Return the number of requests by class of status (`schema.OVERALL_REQUESTS`).

        Parameters
        ----------
        since
            Length of the window up to ``end`` (or now), such as ``"15m"``, or a `TimeRange`; default one hour.
        start, end
            The window, half open; aware datetimes, ISO text or unix seconds.
        refresh
            Ask again, also what is known about a window that is over.
        strict
            Raise `PartialAnswer` instead of leaving out environments that failed.
        """
        return self._of_summary(
            schema.OVERALL_REQUESTS,
            TimeRange.of(since, start=start, end=end, now=self._selection.api.now()),
            lambda names, window, answer: [schema.overall_requests_row(*names, window, answer.overall_requests)],
            refresh=refresh,
            strict=strict,
        )

    def rpm(
        self,
        since: Since = None,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        refresh: bool = False,
        strict: bool = False,
    ) -> pd.DataFrame:
        """Return the peak and average requests per minute (`schema.RPM`).

        Parameters
        ----------
        since
            Length of the window up to ``end`` (or now), such as ``"15m"``, or a `TimeRange`; default one hour.
        start, end
            The window, half open; aware datetimes, ISO text or unix seconds.
        refresh
            Ask again, also what is known about a window that is over.
        strict
            Raise `PartialAnswer` instead of leaving out environments that failed.
        """
        return self._of_summary(
            schema.RPM,
            TimeRange.of(since, start=start, end=end, now=self._selection.api.now()),
            lambda names, window, answer: [schema.rpm_row(*names, window, answer.rpm)],
            refresh=refresh,
            strict=strict,
        )

    def success_percentage(
        self,
        since: Since = None,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        refresh: bool = False,
        strict: bool = False,
    ) -> pd.DataFrame:
        """Return 2xx and 3xx answers in every hundred requests (`schema.SUCCESS_PERCENTAGE`).

        Parameters
        ----------
        since
            Length of the window up to ``end`` (or now), such as ``"15m"``, or a `TimeRange`; default one hour.
        start, end
            The window, half open; aware datetimes, ISO text or unix seconds.
        refresh
            Ask again, also what is known about a window that is over.
        strict
            Raise `PartialAnswer` instead of leaving out environments that failed.
        """
        return self._of_summary(
            schema.SUCCESS_PERCENTAGE,
            TimeRange.of(since, start=start, end=end, now=self._selection.api.now()),
            lambda names, window, answer: [
                schema.success_percentage_row(*names, window, answer.success_percentage)
            ],
            refresh=refresh,
            strict=strict,
        )

    def top_hit_paths(
        self,
        since: Since = None,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        refresh: bool = False,
        strict: bool = False,
    ) -> pd.DataFrame:
        """Return the ten paths asked for most (`schema.TOP_HIT_PATHS`).

        Parameters
        ----------
        since
            Length of the window up to ``end`` (or now), such as ``"15m"``, or a `TimeRange`; default one hour.
        start, end
            The window, half open; aware datetimes, ISO text or unix seconds.
        refresh
            Ask again, also what is known about a window that is over.
        strict
            Raise `PartialAnswer` instead of leaving out environments that failed.
        """
        return self._of_summary(
            schema.TOP_HIT_PATHS,
            TimeRange.of(since, start=start, end=end, now=self._selection.api.now()),
            lambda names, window, answer: schema.top_hit_path_rows(*names, window, answer.top_hit_paths),
            refresh=refresh,
            strict=strict,
        )

    def top_error_paths(
        self,
        since: Since = None,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        refresh: bool = False,
        strict: bool = False,
    ) -> pd.DataFrame:
        """Return the ten paths and statuses with most errors (`schema.TOP_ERROR_PATHS`).

        Parameters
        ----------
        since
            Length of the window up to ``end`` (or now), such as ``"15m"``, or a `TimeRange`; default one hour.
        start, end
            The window, half open; aware datetimes, ISO text or unix seconds.
        refresh
            Ask again, also what is known about a window that is over.
        strict
            Raise `PartialAnswer` instead of leaving out environments that failed.
        """
        return self._of_summary(
            schema.TOP_ERROR_PATHS,
            TimeRange.of(since, start=start, end=end, now=self._selection.api.now()),
            lambda names, window, answer: schema.top_error_path_rows(*names, window, answer.top_error_paths),
            refresh=refresh,
            strict=strict,
        )

    def request_distribution(
        self,
        since: Since = None,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        refresh: bool = False,
        strict: bool = False,
    ) -> pd.DataFrame:
        """Return the number of answers of each status (`schema.REQUEST_DISTRIBUTION`).

        Parameters
        ----------
        since
            Length of the window up to ``end`` (or now), such as ``"15m"``, or a `TimeRange`; default one hour.
        start, end
            The window, half open; aware datetimes, ISO text or unix seconds.
        refresh
            Ask again, also what is known about a window that is over.
        strict
            Raise `PartialAnswer` instead of leaving out environments that failed.
        """
        return self._of_summary(
            schema.REQUEST_DISTRIBUTION,
            TimeRange.of(since, start=start, end=end, now=self._selection.api.now()),
            lambda names, window, answer: schema.request_distribution_rows(
                *names, window, answer.request_distribution
            ),
            refresh=refresh,
            strict=strict,
        )

    def summary(
        self,
        since: Since = None,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        refresh: bool = False,
        strict: bool = False,
    ) -> pd.DataFrame:
        """Return the most important figures in one row (`schema.SUMMARY`).

        Parameters
        ----------
        since
            Length of the window up to ``end`` (or now), such as ``"15m"``, or a `TimeRange`; default one hour.
        start, end
            The window, half open; aware datetimes, ISO text or unix seconds.
        refresh
            Ask again, also what is known about a window that is over.
        strict
            Raise `PartialAnswer` instead of leaving out environments that failed.
        """
        return self._of_summary(
            schema.SUMMARY,
            TimeRange.of(since, start=start, end=end, now=self._selection.api.now()),
            lambda names, window, answer: [schema.summary_row(*names, window, answer)],
            refresh=refresh,
            strict=strict,
        )

    def requests_over_time(
        self,
        since: Since = None,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        refresh: bool = False,
        strict: bool = False,
    ) -> pd.DataFrame:
        """Return the requests of each interval, by class of status (`schema.REQUESTS_OVER_TIME`).

        There is a row for every interval that the platform answers for and that has begun, also without
        requests, and none for others. A window longer than a day is asked for day by day.

        Parameters
        ----------
        since
            Length of the window up to ``end`` (or now), such as ``"15m"``, or a `TimeRange`; default one hour.
        start, end
            The window, half open; aware datetimes, ISO text or unix seconds.
        refresh
            Ask again, also what is known about a window that is over.
        strict
            Raise `PartialAnswer` instead of leaving out environments that failed.
        """
        begun = self._selection.api.now()
        window = TimeRange.of(since, start=start, end=end, now=begun)
        # Of days that are to come there is nothing to ask.
        pieces = [piece for piece in window.pieces() if piece.start <= begun] or [window]

        def rows(client: Client, one: Target) -> list[schema.Row]:
            answers = gather(
                client, pieces, lambda client, piece: self._over_time(client, one, piece, refresh=refresh)
            )
            now = client.now()
            # Each by itself: the platform may choose another interval for a shorter piece.
            return [
                row
                for piece, rows in zip(pieces, answers, strict=True)
                for row in schema.requests_over_time_rows(*one.names, piece, rows, now=now)
            ]

        return self._selection.ask(
            schema.REQUESTS_OVER_TIME,
            rows,
            {OVER_TIME: len(pieces)},
            held=lambda one: (
                0 if refresh else sum(self._answers.holds(OVER_TIME, one.ids[1], piece) for piece in pieces)
            ),
            strict=strict,
        )

    @property
    def _answers(self) -> Answers:
        return self._selection.answers

    def _of_summary(
        self,
        kind: schema.Kind,
        window: TimeRange,
        rows: Callable[[tuple[str, str], TimeRange, Answer], Sequence[schema.Row]],
        *,
        refresh: bool,
        strict: bool,
    ) -> pd.DataFrame:
        """Return the frame of something that the answer to one request holds, beside six others."""
        return self._selection.ask(
            kind,
            lambda client, one: rows(one.names, window, self._summary(client, one, window, refresh=refresh)),
            {SUMMARY: 1},
            held=lambda one: int(not refresh and self._answers.holds(SUMMARY, one.ids[1], window)),
            strict=strict,
        )

    def _summary(self, client: Client, one: Target, window: TimeRange, *, refresh: bool) -> Answer:
        return self._answers.answer(
            SUMMARY,
            one.ids[1],
            window,
            lambda: client.analytics.summary(*one.ids, start=window.start_s, end=window.end_s),
            Answer.model_validate,
            now=client.now(),
            refresh=refresh,
        )

    def _over_time(
        self, client: Client, one: Target, piece: TimeRange, *, refresh: bool
    ) -> Sequence[RequestsOverTimeRow]:
        return self._answers.answer(
            OVER_TIME,
            one.ids[1],
            piece,
            lambda: tuple(client.analytics.requests_over_time(*one.ids, start=piece.start_s, end=piece.end_s)),
            _COUNTS.validate_python,
            now=client.now(),
            refresh=refresh,
        )
