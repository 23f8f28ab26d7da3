"""Measures: the kinds of frame that `createos_nb.metrics` makes of those of the platform."""

from __future__ import annotations

from createos_nb.schema.columns import (
    ENVIRONMENT,
    PROJECT,
    choice,
    flag,
    maybe_whole,
    number,
    text,
    time,
    whole,
)
from createos_nb.schema.kind import Column, Kind

_TARGET = (PROJECT, ENVIRONMENT)
_REASON = text("reason", "One sentence: what it rests on, or why it cannot be told.")
_STATE = choice("state", "What is to be done.", ("ok", "cannot tell", "ticket", "page"))
_OBJECTIVE = number("objective", "share", "Share of requests that must not be answered 5xx, 0 to 1.")
_DISPERSION = number(
    "dispersion", "", "Variance between neighbouring intervals beside that of independent requests; 1 or more."
)


def _rate(name: str, whose: str) -> tuple[Column, ...]:
    return (
        number(name, "share", f"5xx share {whose}, 0 to 1; missing without requests."),
        number(f"{name}_low", "share", "Lower end of its 95 % interval."),
        number(f"{name}_high", "share", "Upper end of its 95 % interval."),
    )


_REQUESTS = whole("requests", "requests", "All requests.")
_INTERVAL = time("timestamp", "Start of the interval, included.")

ERROR_RATE = Kind(
    "ERROR_RATE",
    (
        *_TARGET,
        _INTERVAL,
        _REQUESTS,
        number("error_rate", "share", "5xx share, 0 to 1; missing without requests."),
    ),
)
RPM_OVER_TIME = Kind(
    "RPM_OVER_TIME",
    (
        *_TARGET,
        _INTERVAL,
        number("rpm", "requests/min", "Requests per minute; missing where the interval is partial."),
    ),
)
SUCCESS_SHARE = Kind(
    "SUCCESS_SHARE",
    (
        *_TARGET,
        _REQUESTS,
        number("share_2xx", "share", "Answered 2xx, 0 to 1: CreateOS's success; missing without requests."),
        number("share_2xx_3xx", "share", "Answered 2xx or 3xx, 0 to 1: CreateOS's success percentage over 100."),
    ),
)
TRAFFIC_SUMMARY = Kind(
    "TRAFFIC_SUMMARY",
    (
        *_TARGET,
        time("start", "Start of the first interval."),
        time("end", "End of the last interval."),
        _REQUESTS,
        whole("success", "requests", "Answered 2xx."),
        whole("client_errors", "requests", "Answered 4xx."),
        whole("server_errors", "requests", "Answered 5xx."),
        number("error_rate", "share", "5xx share, 0 to 1; missing without requests."),
        number("rpm_peak", "requests/min", "Of the busiest whole interval; missing when all are partial."),
        number("rpm_average", "requests/min", "Over the whole intervals; missing when all are partial."),
    ),
)
MOVERS = Kind(
    "MOVERS",
    (
        *_TARGET,
        text("path", "Path asked for, without its query."),
        text("status", "HTTP status that was answered; missing where the lists are of all requests."),
        choice("listed", "Which of the two lists hold it.", ("before", "after", "both")),
        maybe_whole("requests_before", "requests", "How often before; missing when the list does not say."),
        maybe_whole("requests_after", "requests", "How often after; missing when the list does not say."),
        maybe_whole("change", "requests", "After minus before; missing when one of them is."),
        maybe_whole("change_at_least", "requests", "The smallest value it can have; missing when unbounded."),
        maybe_whole("change_at_most", "requests", "The largest value it can have; missing when unbounded."),
        number("relative_change", "share", "Change for each request before: 0.5 is half as many again."),
    ),
)
OBJECTIVES = Kind(
    "OBJECTIVES",
    (
        *_TARGET,
        time("start", "Start of the first interval."),
        time("end", "End of the last interval."),
        _OBJECTIVE,
        whole("requests", "requests", "All requests of the frame."),
        whole("server_errors", "requests", "Answered 5xx."),
        number("service_level", "share", "Requests not answered 5xx, 0 to 1; missing without requests."),
        number("error_budget", "requests", "5xx answers that the objective allows in that many requests."),
        number("budget_spent", "share", "Of that budget; above 1 it is missed; missing without requests."),
        number("covered", "share", "Of the time from start to end, how much has rows, 0 to 1."),
        _STATE,
        _REASON,
    ),
)
BURN_RATES = Kind(
    "BURN_RATES",
    (
        *_TARGET,
        choice("alert", "What the rule asks for when it fires.", ("ticket", "page")),
        _OBJECTIVE,
        number("threshold", "", "Burn rate that both windows must exceed."),
        *(
            column
            for window in ("long", "short")
            for column in (
                whole(f"{window}_window_s", "s", f"Length of the {window} window, up to the end of the frame."),
                whole(f"{window}_requests", "requests", "All requests in it."),
                whole(f"{window}_server_errors", "requests", "Those answered 5xx."),
                number(f"{window}_burn_rate", "", "5xx share over the share allowed; missing without requests."),
                number(f"{window}_covered", "share", "Of the window, how much has rows, 0 to 1."),
            )
        ),
        _STATE,
        _REASON,
    ),
)
DORA = Kind(
    "DORA",
    (
        PROJECT,
        time("start", "Start of the window, included."),
        time("end", "End of the window, not included."),
        choice(
            "measure",
            "One of the four measures.",
            ("deployment frequency", "lead time", "change failure rate", "time to restore"),
        ),
        number("value", "", "The measure, in its unit; missing when it cannot be told."),
        text("unit", "deployments/day, h or share."),
        number("low", "", "Lower end of the 95 % interval, where there is one."),
        number("high", "", "Upper end of the 95 % interval, where there is one."),
        whole("n", "", "How many deployments or incidents it rests on."),
        text("source", "What it was computed from."),
        _REASON,
    ),
)
COMMITS = Kind(
    "COMMITS",
    (text("commit", "The commit's hash."), time("committed_at", "When it was committed.")),
)
CHANGE_POINTS = Kind(
    "CHANGE_POINTS",
    (
        *_TARGET,
        choice("verdict", "Whether the 5xx share changed.", ("no change seen", "cannot tell", "changed")),
        time("at", "Start of the first interval after the change; missing when none was found."),
        time("earliest", "The change is hardly before this."),
        time("latest", "The change is hardly after this."),
        whole("requests_before", "requests", "Since the change before, or since the start."),
        whole("errors_before", "requests", "Those answered 5xx."),
        *_rate("rate_before", "of those"),
        whole("requests_after", "requests", "Up to the next change, or to the end."),
        whole("errors_after", "requests", "Those answered 5xx."),
        *_rate("rate_after", "of those"),
        number("p_value", "", "Chance of such a division anywhere in the frame without a change; at most."),
        _DISPERSION,
        _REASON,
    ),
)
INCIDENTS = Kind(
    "INCIDENTS",
    (
        *_TARGET,
        time("start", "Start of the first interval over the threshold."),
        time("end", "End of the last interval over the threshold, so far."),
        flag("start_seen", "Requests below the threshold came before it; else it may have begun earlier."),
        flag("end_seen", "Requests below the threshold came after it; else it may have lasted longer."),
        flag("ongoing", "Nothing in the frame shows that it is over."),
        whole("requests", "requests", "All requests from start to end."),
        whole("server_errors", "requests", "Those answered 5xx."),
        number("error_rate", "share", "5xx share from start to end, 0 to 1."),
        number("peak_error_rate", "share", "5xx share of the worst interval, 0 to 1."),
        time("peak_at", "Start of that interval."),
        whole("missing_s", "s", "Time from start to end that has no rows."),
        _REASON,
    ),
)
COMPARISON = Kind(
    "COMPARISON",
    (
        *_TARGET,
        time("start", "Start of its first interval."),
        time("end", "End of its last interval."),
        text("baseline_project", "Project it is compared with."),
        text("baseline_environment", "Environment it is compared with."),
        time("baseline_start", "Start of the baseline's first interval."),
        time("baseline_end", "End of the baseline's last interval."),
        whole("baseline_requests", "requests", "All requests of the baseline."),
        whole("baseline_errors", "requests", "Those answered 5xx."),
        *_rate("baseline_error_rate", "of the baseline"),
        number("baseline_rpm", "requests/min", "Average of the baseline's whole intervals."),
        whole("requests", "requests", "All requests."),
        whole("errors", "requests", "Those answered 5xx."),
        *_rate("error_rate", "of all requests"),
        number("rpm", "requests/min", "Average of the whole intervals."),
        number("difference", "share", "Error rate minus that of the baseline."),
        number("difference_low", "share", "Lower end of its 90 % interval; above 0 the rate is higher."),
        number("difference_high", "share", "Upper end of its 90 % interval; below 0 the rate is lower."),
        _DISPERSION,
        choice("verdict", "The error rate beside that of the baseline.", ("fell", "same", "unclear", "rose")),
        _REASON,
    ),
)
BLAME = Kind(
    "BLAME",
    (
        *_TARGET,
        time("start", "Start of the window that was looked at, included."),
        time("end", "End of that window, not included."),
        choice("verdict", "Whether a deployment is likely behind it.", ("cannot tell", "likely")),
        text("deployment_id", "The deployment that is likely behind it; missing when none is."),
        text("version", "Its version."),
        time("created_at", "When it was created, which is before it took traffic."),
        time("changed_at", "Start of the first interval with the higher 5xx share; missing without one."),
        _REASON,
    ),
)

MEASURES = (
    *(ERROR_RATE, RPM_OVER_TIME, SUCCESS_SHARE, TRAFFIC_SUMMARY, MOVERS, OBJECTIVES, BURN_RATES),
    *(DORA, COMMITS, CHANGE_POINTS, INCIDENTS, COMPARISON, BLAME),
)
"""Every kind of this module."""
