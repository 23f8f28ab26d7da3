"""Kinds: every sort of frame there is, one table each."""

from __future__ import annotations

from createos_nb.api.deployments import DeploymentStatus
from createos_nb.api.domains import DomainStatus
from createos_nb.api.environments import EnvironmentStatus
from createos_nb.api.projects import ProjectStatus
from createos_nb.schema.account_kinds import ACCOUNT_KINDS
from createos_nb.schema.columns import ENVIRONMENT as _ENVIRONMENT
from createos_nb.schema.columns import PROJECT as _PROJECT
from createos_nb.schema.columns import flag, maybe_whole, number, status, text, time, whole
from createos_nb.schema.kind import Column, Kind
from createos_nb.schema.measures import MEASURES

LEVELS = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
"""Log levels, mildest first, so that ``logs[logs["level"] >= "ERROR"]`` says what it does."""

LOG_FORMATS = ("json", "logfmt", "access", "time", "level", "klog", "trace", "unparsed")
"""How a log line can be read; ``time`` begins with a time, ``level`` with a level, ``trace`` has only a trace."""


_PROJECT_ID = text("project_id", "The project's id.")
_ENVIRONMENT_ID = text("environment_id", "The environment's id.")
_DEPLOYMENT_ID = text("deployment_id", "The deployment's id.")
_CREATED = time("created_at", "When it was created.")
_UPDATED = time("updated_at", "When it last changed.")
_TARGET = (_PROJECT, _ENVIRONMENT)
_WINDOW = (time("start", "Start of the window, included."), time("end", "End of the window, not included."))
_RESOURCES = (
    maybe_whole("cpu_millicores", "millicores", "Processor share of each replica."),
    maybe_whole("memory_mb", "MB", "Memory of each replica."),
    maybe_whole("replicas", "replicas", "How many processes serve it."),
)
_COUNTS = (
    whole("requests", "requests", "All requests of the window."),
    whole("success", "requests", "Answered 2xx."),
    whole("client_errors", "requests", "Answered 4xx."),
    whole("server_errors", "requests", "Answered 5xx."),
)
_SUCCESS_PERCENTAGE = number("success_percentage", "percent", "2xx and 3xx answers in every hundred requests.")
_RPM = (
    number("rpm_peak", "requests/min", "Requests of the busiest minute."),
    number("rpm_average", "requests/min", "Requests divided by the minutes of the window."),
)
_RANK = whole("rank", "", "1 is the most frequent.")
_PATH = text("path", "Path asked for, without its query.")
_CODE = text("status", "HTTP status that was answered, such as 404.")

PROJECTS = Kind(
    "PROJECTS",
    (
        _PROJECT,
        _PROJECT_ID,
        text("display_name", "The name people see."),
        text("type", "vcs, image or upload."),
        status("Where it is in its life.", ProjectStatus),
        text("description", "What its owner says it is."),
        text("app_id", "The app it belongs to, if any."),
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
        text("display_name", "The name people see."),
        text("description", "What its owner says it is."),
        status("What is happening to it.", EnvironmentStatus),
        text("branch", "The branch it follows; of vcs projects only."),
        flag("auto_promote", "Every successful deployment goes live by itself."),
        text("deployment_id", "The deployment that is live, if any."),
        *_RESOURCES,
        text("endpoint", "Where it answers."),
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
        text("version", "v3, or the id's beginning when it has no number."),
        status("Where it is in its life.", DeploymentStatus),
        _CREATED,
        text("branch", "The branch it was built from; of vcs projects only."),
        text("commit", "The commit it was built from; of vcs projects only."),
        text("message", "The commit's message, or the image's name."),
        text("environments", "Environments it is live on now, joined by commas."),
    ),
)
LIVE_DEPLOYMENTS = Kind(
    "LIVE_DEPLOYMENTS", (*DEPLOYMENTS.columns, flag("live", "It is live on the selected environment."))
)
DOMAINS = Kind(
    "DOMAINS",
    (
        _PROJECT,
        _PROJECT_ID,
        text("domain", "The domain's name."),
        text("domain_id", "The domain's id."),
        status("Where it is in its life.", DomainStatus),
        text("environment", "The environment it leads to, if any."),
        _ENVIRONMENT_ID,
        text("message", "What the platform says about it."),
        _CREATED,
    ),
)
API_KEYS = Kind(
    "API_KEYS",
    (
        text("name", "The key's name; never the key."),
        text("api_key_id", "The key's id."),
        text("description", "What its owner says it is for."),
        _CREATED,
        time("expires_at", "When it stops working."),
        time("revoked_at", "When it was revoked, if it was."),
    ),
)
QUOTAS = Kind(
    "QUOTAS",
    (
        text("resource", "What is limited."),
        whole("used", "", "How many there are."),
        maybe_whole("limit", "", "How many there may be."),
        maybe_whole("remaining", "", "How many more there may be."),
    ),
)
USER = Kind("USER", (text("field", "What the platform knows."), text("value", "What it is.")))
SUPPORTED_TYPES = Kind(
    "SUPPORTED_TYPES", (text("kind", "runtime or framework."), text("name", "Its name, as settings take it."))
)
VARIABLES = Kind("VARIABLES", (*_TARGET, text("name", "The variable's name."), text("value", "Its value, masked.")))
RESOURCES = Kind("RESOURCES", (*_TARGET, *_RESOURCES))
BUILD_LOGS = Kind(
    "BUILD_LOGS",
    (
        _PROJECT,
        _DEPLOYMENT_ID,
        time("timestamp", "When the line was written."),
        text("stage", "Part of the build it belongs to."),
        whole("line", "", "Its number, from 1."),
        text("message", "The line."),
    ),
)
LOGS = Kind(
    "LOGS",
    (
        *_TARGET,
        time("timestamp", "When the application says it wrote the line."),
        Column("level", "category", "", "How grave it is; missing when the line does not say.", LEVELS),
        text("message", "What it says; the whole line when it has no known form."),
        text("stream", "stdout or stderr; missing when unknown."),
        text("logger", "Part of the application that wrote it."),
        maybe_whole("status", "", "HTTP status it is about."),
        text("method", "HTTP method it is about."),
        text("path", "Path it is about."),
        number("duration_ms", "ms", "How long that request took."),
        text("request_id", "That request's id."),
        text("trace", "The traceback that came with it."),
        text("raw", "The line or lines as they came."),
        Column("format", "category", "", "How the line was read; unparsed when it has no known form.", LOG_FORMATS),
    ),
)
GAPS = ("uncertain", "outrun", "dropped", "paused", "ended")
"""Why a row stands among followed lines that is none."""
FOLLOWED = Kind(
    "FOLLOWED",
    (
        *LOGS.columns,
        Column("gap", "category", "", "Missing for a line; else why this row is none: see its message.", GAPS),
    ),
)
FOLLOWERS = Kind(
    "FOLLOWERS",
    (
        *_TARGET,
        text("state", "following, paused or ended."),
        text("reason", "Why, when it is not following."),
        whole("looks", "requests", "Answers taken in."),
        whole("lines", "lines", "Lines found."),
        whole("gaps", "rows", "Rows that say what is not known."),
        number("pause_s", "s", "Time between the last two looks."),
    ),
)
PATTERNS = Kind(
    "PATTERNS",
    (
        *_TARGET,
        text("template", "What the messages have in common; <*> and names like <NUM> stand for what differs."),
        Column("level", "category", "", "Their level; missing when they do not say.", LEVELS),
        maybe_whole("status_class", "", "Class of the HTTP status they are about, 2 to 5; missing for others."),
        whole("lines", "lines", "How many there are."),
        number("share", "share", "Of all lines of the environment, 0 to 1."),
        time("first_seen", "The earliest time among them; missing when none has a time."),
        time("last_seen", "The latest time among them; missing when none has a time."),
        text("example", "One of the messages, as it came."),
    ),
)
OVERALL_REQUESTS = Kind("OVERALL_REQUESTS", (*_TARGET, *_WINDOW, *_COUNTS))
RPM = Kind("RPM", (*_TARGET, *_WINDOW, *_RPM))
SUCCESS_PERCENTAGE = Kind("SUCCESS_PERCENTAGE", (*_TARGET, *_WINDOW, _SUCCESS_PERCENTAGE))
REQUESTS_OVER_TIME = Kind(
    "REQUESTS_OVER_TIME",
    (
        *_TARGET,
        time("timestamp", "Start of the interval."),
        whole("requests", "requests", "All requests of the interval."),
        whole("status_2xx", "requests", "Answered 2xx."),
        whole("status_3xx", "requests", "Answered 3xx."),
        whole("status_4xx", "requests", "Answered 4xx."),
        whole("status_5xx", "requests", "Answered 5xx."),
        whole("interval_s", "s", "Length of the interval."),
        flag("partial", "The window holds only part of the interval, or it is not over."),
    ),
)
TOP_HIT_PATHS = Kind(
    "TOP_HIT_PATHS", (*_TARGET, *_WINDOW, _RANK, _PATH, whole("requests", "requests", "How often."))
)
TOP_ERROR_PATHS = Kind(
    "TOP_ERROR_PATHS", (*_TARGET, *_WINDOW, _RANK, _PATH, _CODE, whole("requests", "requests", "How often."))
)
REQUEST_DISTRIBUTION = Kind(
    "REQUEST_DISTRIBUTION",
    (
        *_TARGET,
        *_WINDOW,
        _CODE,
        whole("requests", "requests", "How often."),
        number("share", "share", "Of all requests of the environment, 0 to 1."),
    ),
)
SUMMARY = Kind(
    "SUMMARY",
    (
        *_TARGET,
        *_WINDOW,
        *_COUNTS,
        _SUCCESS_PERCENTAGE,
        number("error_rate", "share", "5xx answers of all requests, 0 to 1; missing without requests."),
        *_RPM,
        text("top_path", "The path asked for most."),
        text("top_error_path", "The path that answered most errors, 4xx and 5xx."),
    ),
)
JOURNAL = Kind(
    "JOURNAL",
    (
        time("at", "When it was written."),
        text("run", "Id of the run that wrote it."),
        text("kind", "What sort of plan it carried out."),
        *_TARGET,
        text("state", "Where the run was."),
        text("step", "The step of the plan."),
        text("operation", "The platform's operation."),
        text("outcome", "What became of it."),
        text("detail", "One sentence about it."),
        text("user", "Who ran it."),
        text("plan", "The plan's hash."),
    ),
)
ERRORS = Kind(
    "ERRORS",
    (*_TARGET, text("operation", "What was asked."), text("error", "Why it failed and what to do.")),
)

KINDS = {
    kind.name: kind
    for kind in (
        *(PROJECTS, ENVIRONMENTS, DEPLOYMENTS, LIVE_DEPLOYMENTS, DOMAINS, API_KEYS, QUOTAS, USER, SUPPORTED_TYPES),
        *(VARIABLES, RESOURCES, BUILD_LOGS, LOGS, OVERALL_REQUESTS, RPM, SUCCESS_PERCENTAGE, REQUESTS_OVER_TIME),
        *(TOP_HIT_PATHS, TOP_ERROR_PATHS, REQUEST_DISTRIBUTION, SUMMARY, JOURNAL, ERRORS),
        *ACCOUNT_KINDS,
        *MEASURES,
        *(FOLLOWED, FOLLOWERS, PATTERNS),
    )
}
"""Every kind by its name."""
