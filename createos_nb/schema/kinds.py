"""Kinds: every sort of frame there is, one table each."""

from __future__ import annotations

from typing import Any, get_args

from createos_nb.api.deployments import DeploymentStatus
from createos_nb.api.domains import DomainStatus
from createos_nb.api.environments import EnvironmentStatus
from createos_nb.api.projects import ProjectStatus
from createos_nb.schema.kind import Column, Kind

LEVELS = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
"""Log levels, mildest first, so that ``logs[logs["level"] >= "ERROR"]`` says what it does."""


def _text(name: str, meaning: str) -> Column:
    return Column(name, "str", "", meaning)


def _time(name: str, meaning: str) -> Column:
    return Column(name, "datetime64[us, UTC]", "", meaning)


def _whole(name: str, unit: str, meaning: str) -> Column:
    return Column(name, "int64", unit, meaning)


def _maybe_whole(name: str, unit: str, meaning: str) -> Column:
    return Column(name, "Int64", unit, meaning)


def _number(name: str, unit: str, meaning: str) -> Column:
    return Column(name, "float64", unit, meaning)


def _flag(name: str, meaning: str) -> Column:
    return Column(name, "bool", "", meaning)


def _status(meaning: str, annotated: Any) -> Column:
    # The documented values stand once, beside the model they belong to.
    documented = get_args(annotated)[1].json_schema["enum"]
    return Column("status", "category", "", meaning, tuple(documented))


_PROJECT = _text("project", "The project's unique name.")
_PROJECT_ID = _text("project_id", "The project's id.")
_ENVIRONMENT = _text("environment", "The environment's unique name.")
_ENVIRONMENT_ID = _text("environment_id", "The environment's id.")
_DEPLOYMENT_ID = _text("deployment_id", "The deployment's id.")
_CREATED = _time("created_at", "When it was created.")
_UPDATED = _time("updated_at", "When it last changed.")
_TARGET = (_PROJECT, _ENVIRONMENT)
_WINDOW = (_time("start", "Start of the window, included."), _time("end", "End of the window, not included."))
_RESOURCES = (
    _maybe_whole("cpu_millicores", "millicores", "Processor share of each replica."),
    _maybe_whole("memory_mb", "MB", "Memory of each replica."),
    _maybe_whole("replicas", "replicas", "How many processes serve it."),
)
_COUNTS = (
    _whole("requests", "requests", "All requests of the window."),
    _whole("success", "requests", "Answered 2xx."),
    _whole("client_errors", "requests", "Answered 4xx."),
    _whole("server_errors", "requests", "Answered 5xx."),
)
_SUCCESS_PERCENTAGE = _number("success_percentage", "percent", "2xx and 3xx answers in every hundred requests.")
_RPM = (
    _number("rpm_peak", "requests/min", "Requests of the busiest minute."),
    _number("rpm_average", "requests/min", "Requests divided by the minutes of the window."),
)
_RANK = _whole("rank", "", "1 is the most frequent.")
_PATH = _text("path", "Path asked for, without its query.")
_CODE = _text("status", "HTTP status that was answered, such as 404.")

PROJECTS = Kind(
    "PROJECTS",
    (
        _PROJECT,
        _PROJECT_ID,
        _text("display_name", "The name people see."),
        _text("type", "vcs, image or upload."),
        _status("Where it is in its life.", ProjectStatus),
        _text("description", "What its owner says it is."),
        _text("app_id", "The app it belongs to, if any."),
        _CREATED,
        _UPDATED,
    ),
)
ENVIRONMENTS = Kind(
    "ENVIRONMENTS",
    (
        *_TARGET,
        _PROJECT_ID,
        _ENVIRONMENT_ID,
        _text("display_name", "The name people see."),
        _text("description", "What its owner says it is."),
        _status("What is happening to it.", EnvironmentStatus),
        _text("branch", "The branch it follows; of vcs projects only."),
        _flag("auto_promote", "Every successful deployment goes live by itself."),
        _text("deployment_id", "The deployment that is live, if any."),
        *_RESOURCES,
        _text("endpoint", "Where it answers."),
        _CREATED,
        _UPDATED,
    ),
)
DEPLOYMENTS = Kind(
    "DEPLOYMENTS",
    (
        _PROJECT,
        _PROJECT_ID,
        _DEPLOYMENT_ID,
        _text("version", "v3, or the id's beginning when it has no number."),
        _status("Where it is in its life.", DeploymentStatus),
        _CREATED,
        _text("branch", "The branch it was built from; of vcs projects only."),
        _text("commit", "The commit it was built from; of vcs projects only."),
        _text("message", "The commit's message, or the image's name."),
        _text("environments", "Environments it is live on now, joined by commas."),
    ),
)
LIVE_DEPLOYMENTS = Kind(
    "LIVE_DEPLOYMENTS", (*DEPLOYMENTS.columns, _flag("live", "It is live on the selected environment."))
)
DOMAINS = Kind(
    "DOMAINS",
    (
        _PROJECT,
        _PROJECT_ID,
        _text("domain", "The domain's name."),
        _text("domain_id", "The domain's id."),
        _status("Where it is in its life.", DomainStatus),
        _text("environment", "The environment it leads to, if any."),
        _ENVIRONMENT_ID,
        _text("message", "What the platform says about it."),
        _CREATED,
    ),
)
API_KEYS = Kind(
    "API_KEYS",
    (
        _text("name", "The key's name; never the key."),
        _text("api_key_id", "The key's id."),
        _text("description", "What its owner says it is for."),
        _CREATED,
        _time("expires_at", "When it stops working."),
        _time("revoked_at", "When it was revoked, if it was."),
    ),
)
QUOTAS = Kind(
    "QUOTAS",
    (
        _text("resource", "What is limited."),
        _whole("used", "", "How many there are."),
        _maybe_whole("limit", "", "How many there may be."),
        _maybe_whole("remaining", "", "How many more there may be."),
    ),
)
USER = Kind("USER", (_text("field", "What the platform knows."), _text("value", "What it is.")))
SUPPORTED_TYPES = Kind(
    "SUPPORTED_TYPES", (_text("kind", "runtime or framework."), _text("name", "Its name, as settings take it."))
)
VARIABLES = Kind(
    "VARIABLES", (*_TARGET, _text("name", "The variable's name."), _text("value", "Its value, masked."))
)
RESOURCES = Kind("RESOURCES", (*_TARGET, *_RESOURCES))
BUILD_LOGS = Kind(
    "BUILD_LOGS",
    (
        _PROJECT,
        _DEPLOYMENT_ID,
        _time("timestamp", "When the line was written."),
        _text("stage", "Part of the build it belongs to."),
        _whole("line", "", "Its number, from 1."),
        _text("message", "The line."),
    ),
)
LOGS = Kind(
    "LOGS",
    (
        *_TARGET,
        _time("timestamp", "When the application says it wrote the line."),
        Column("level", "category", "", "How grave it is; missing when the line does not say.", LEVELS),
        _text("message", "What it says; the whole line when it has no known form."),
        _text("stream", "stdout or stderr; missing when unknown."),
        _text("logger", "Part of the application that wrote it."),
        _maybe_whole("status", "", "HTTP status it is about."),
        _text("method", "HTTP method it is about."),
        _text("path", "Path it is about."),
        _number("duration_ms", "ms", "How long that request took."),
        _text("request_id", "That request's id."),
        _text("trace", "The traceback that came with it."),
        _text("raw", "The line or lines as they came."),
    ),
)
OVERALL_REQUESTS = Kind("OVERALL_REQUESTS", (*_TARGET, *_WINDOW, *_COUNTS))
RPM = Kind("RPM", (*_TARGET, *_WINDOW, *_RPM))
SUCCESS_PERCENTAGE = Kind("SUCCESS_PERCENTAGE", (*_TARGET, *_WINDOW, _SUCCESS_PERCENTAGE))
REQUESTS_OVER_TIME = Kind(
    "REQUESTS_OVER_TIME",
    (
        *_TARGET,
        _time("timestamp", "Start of the interval."),
        _whole("requests", "requests", "All requests of the interval."),
        _whole("status_2xx", "requests", "Answered 2xx."),
        _whole("status_3xx", "requests", "Answered 3xx."),
        _whole("status_4xx", "requests", "Answered 4xx."),
        _whole("status_5xx", "requests", "Answered 5xx."),
        _whole("interval_s", "s", "Length of the interval."),
        _flag("partial", "The window holds only part of the interval, or it is not over."),
    ),
)
TOP_HIT_PATHS = Kind("TOP_HIT_PATHS", (*_TARGET, _RANK, _PATH, _whole("requests", "requests", "How often.")))
TOP_ERROR_PATHS = Kind(
    "TOP_ERROR_PATHS", (*_TARGET, _RANK, _PATH, _CODE, _whole("requests", "requests", "How often."))
)
REQUEST_DISTRIBUTION = Kind(
    "REQUEST_DISTRIBUTION",
    (
        *_TARGET,
        _CODE,
        _whole("requests", "requests", "How often."),
        _number("share", "share", "Of all requests of the environment, 0 to 1."),
    ),
)
SUMMARY = Kind(
    "SUMMARY",
    (
        *_TARGET,
        *_WINDOW,
        *_COUNTS,
        _SUCCESS_PERCENTAGE,
        _number("error_rate", "share", "5xx answers of all requests, 0 to 1; missing without requests."),
        *_RPM,
        _text("top_path", "The path asked for most."),
        _text("top_error_path", "The path that answered most errors, 4xx and 5xx."),
    ),
)
JOURNAL = Kind(
    "JOURNAL",
    (
        _time("at", "When it was written."),
        _text("run", "Id of the run that wrote it."),
        _text("kind", "What sort of plan it carried out."),
        *_TARGET,
        _text("state", "Where the run was."),
        _text("step", "The step of the plan."),
        _text("operation", "The platform's operation."),
        _text("outcome", "What became of it."),
        _text("detail", "One sentence about it."),
        _text("user", "Who ran it."),
        _text("plan", "The plan's hash."),
    ),
)
ERRORS = Kind(
    "ERRORS",
    (*_TARGET, _text("operation", "What was asked."), _text("error", "Why it failed and what to do.")),
)

KINDS = {
    kind.name: kind
    for kind in (
        *(PROJECTS, ENVIRONMENTS, DEPLOYMENTS, LIVE_DEPLOYMENTS, DOMAINS, API_KEYS, QUOTAS, USER, SUPPORTED_TYPES),
        *(VARIABLES, RESOURCES, BUILD_LOGS, LOGS, OVERALL_REQUESTS, RPM, SUCCESS_PERCENTAGE, REQUESTS_OVER_TIME),
        *(TOP_HIT_PATHS, TOP_ERROR_PATHS, REQUEST_DISTRIBUTION, SUMMARY, JOURNAL, ERRORS),
    )
}
"""Every kind by its name."""
