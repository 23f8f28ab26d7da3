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
        First and last failed request, where the application's log has them; else the start of the first
        interval with an error and the end of the last one.
    exact
        Whether they are from the log.
    worst_at, worst_rate
        Start of the interval with the highest error rate, and that rate.
    good_since
        End of the last interval with an error.
    requests_after
        Requests since then; none of them failed.
    """

    requests: int | None = None
    errors: int | None = None
    error_rate: float | None = None
    began_at: datetime | None = None
    ended_at: datetime | None = None
    exact: bool = False
    worst_at: datetime | None = None
    worst_rate: float | None = None
    good_since: datetime | None = None
    requests_after: int = 0

    @property
    def is_over(self) -> bool:
        """Whether good requests were seen after the last failed one; silence does not count."""
        return self.requests_after > 0

    @property
    def duration(self) -> timedelta | None:
        """Time from ``began_at`` to ``ended_at``."""
        return self.ended_at - self.began_at if self.ended_at and self.began_at else None


def impact(evidence: Evidence) -> Impact:
    """Return the figures of an incident.

    Notes
    -----
    An error is a request answered with a 5xx status: a 4xx is the caller's (SRE Workbook, chapter 2).
    Counts are from ``overall-requests``.
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
    first, last = failed[0]["timestamp"], failed[-1]["timestamp"]
    good_since = last + timedelta(seconds=failed[-1]["interval_s"])
    logged = [line["timestamp"] for line in _failures_logged(evidence) if first <= line["timestamp"] < good_since]
    # The traffic's figures are right to an interval only; a log that knows statuses is right to the second.
    began = [at for at in logged if at < first + timedelta(seconds=failed[0]["interval_s"])]
    ended = [at for at in logged if at >= last]
    exact = bool(began and ended)
    return Impact(
        requests,
        errors,
        rate,
        began_at=min(began) if exact else first,
        ended_at=max(ended) if exact else good_since,
        exact=exact,
        worst_at=worst["timestamp"],
        worst_rate=_rate(worst),
        good_since=good_since,
        requests_after=sum(each["requests"] for each in intervals if each["timestamp"] > last),
    )


def _failures_logged(evidence: Evidence) -> list[dict[str, Any]]:
    logs = evidence.logs
    return rows(logs[(logs["status"] >= 500).fillna(value=False) & logs["timestamp"].notna()])


def _rate(interval: Mapping[str, Any]) -> float:
    return float(interval["status_5xx"] / interval["requests"])
