"""Impact: what an incident did to the requests of an environment, in figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from createos_nb.reports.evidence import Evidence, rows


@dataclass(frozen=True)
class Impact:
    """Requests and failed requests (5xx) of a window; None where there is nothing to count.

    Attributes
    ----------
    requests, errors
        Counts over the whole window; None when the platform did not answer.
    error_rate
        ``errors / requests``, 0 to 1; None without requests.
    began_at, ended_at
        Start of the first interval with an error and end of the last one.
    worst_at, worst_rate
        Start of the interval with the highest error rate, and that rate.
    requests_after
        Requests after ``ended_at``; none of them failed.
    """

    requests: int | None = None
    errors: int | None = None
    error_rate: float | None = None
    began_at: datetime | None = None
    ended_at: datetime | None = None
    worst_at: datetime | None = None
    worst_rate: float | None = None
    requests_after: int = 0

    @property
    def is_over(self) -> bool:
        """Whether good requests were seen after the last failed one; silence does not count."""
        return self.requests_after > 0

    @property
    def duration(self) -> timedelta | None:
        """Time from the first to the last interval with an error, to the interval."""
        return self.ended_at - self.began_at if self.ended_at and self.began_at else None


def impact(evidence: Evidence) -> Impact:
    """Return the figures of an incident.

    Notes
    -----
    An error is a request answered with a 5xx status: a 4xx is the caller's (SRE Workbook, chapter 2).
    Counts are from ``overall-requests``, times from ``requests-over-time`` and so right to its interval.
    """
    requests = errors = None
    rate = None
    for total in rows(evidence.overall):
        requests, errors = total["requests"], total["server_errors"]
        rate = errors / requests if requests else None
    intervals = rows(evidence.over_time)
    failed = [each for each in intervals if each["status_5xx"]]
    if not failed:
        return Impact(requests, errors, rate)
    worst = max(failed, key=_rate)
    last = failed[-1]
    return Impact(
        requests,
        errors,
        rate,
        began_at=failed[0]["timestamp"],
        ended_at=last["timestamp"] + timedelta(seconds=last["interval_s"]),
        worst_at=worst["timestamp"],
        worst_rate=_rate(worst),
        requests_after=sum(each["requests"] for each in intervals if each["timestamp"] > last["timestamp"]),
    )


def _rate(interval: Mapping[str, Any]) -> float:
    return float(interval["status_5xx"] / interval["requests"])
