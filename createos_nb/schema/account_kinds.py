"""Account kinds: frames about what belongs to an account beside its projects' daily life."""

from __future__ import annotations

from createos_nb.api.cronjobs import CronjobStatus
from createos_nb.api.security_scans import ScanStatus
from createos_nb.api.templates import TemplateStatus
from createos_nb.schema.columns import ENVIRONMENT as _ENVIRONMENT
from createos_nb.schema.columns import PROJECT as _PROJECT
from createos_nb.schema.columns import choice, flag, number, status, text, time, whole
from createos_nb.schema.kind import Kind

_PROJECT_ID = text("project_id", "The project's id.")
_CREATED = time("created_at", "When it was created.")
_ACCOUNT = text("account", "The GitHub account's name.")
_INSTALLATION = text("installation_id", "Id of the CreateOS app's installation in the account.")

APPS = Kind(
    "APPS",
    (
        text("app", "The app's name."),
        text("app_id", "The app's id."),
        text("description", "What its owner says it is."),
        text("color", "Its colour, such as #1f77b4."),
        _CREATED,
        time("updated_at", "When it last changed."),
    ),
)
GITHUB_ACCOUNTS = Kind(
    "GITHUB_ACCOUNTS", (_ACCOUNT, _INSTALLATION, text("owner_id", "The account's id at GitHub."))
)
GITHUB_REPOSITORIES = Kind(
    "GITHUB_REPOSITORIES",
    (
        _ACCOUNT,
        _INSTALLATION,
        text("repository", "Its full name, such as octocat/shop."),
        text("repository_id", "Its id at GitHub."),
        flag("private", "Not everybody may read it."),
        text("default_branch", "The branch it shows."),
    ),
)
GITHUB_BRANCHES = Kind(
    "GITHUB_BRANCHES",
    (
        _ACCOUNT,
        text("repository", "Its full name, such as octocat/shop."),
        text("branch", "The branch's name."),
        flag("protected", "GitHub protects it."),
        text("commit", "Its newest commit."),
    ),
)
SECURITY_SCANS = Kind(
    "SECURITY_SCANS",
    (
        _PROJECT,
        text("environment", "Environments the deployment is live on, joined by commas."),
        _PROJECT_ID,
        text("deployment_id", "The deployment that was scanned."),
        text("scan_id", "The scan's id; missing when the deployment was never scanned."),
        status("Where the scan is; missing when there is none.", ScanStatus),
        text("tool", "What scanned."),
        text("failed_reason", "Why it failed."),
        _CREATED,
        time("updated_at", "When it last changed."),
    ),
)
TRANSFERS = Kind(
    "TRANSFERS",
    (
        _PROJECT,
        _PROJECT_ID,
        text("transfer_id", "The transfer's id."),
        text("from_user_id", "Who gave the project away."),
        text("to_user_id", "Who took it over; missing when nobody has."),
        _CREATED,
        time("expires_at", "When its token expires or has expired."),
        time("updated_at", "When it last changed."),
    ),
)
CRONJOBS = Kind(
    "CRONJOBS",
    (
        _PROJECT,
        _ENVIRONMENT,
        _PROJECT_ID,
        text("environment_id", "The environment's id."),
        text("cronjob", "The cron job's name."),
        text("cronjob_id", "The cron job's id."),
        text("schedule", "Minute, hour, day of the month, month, day of the week."),
        text("type", "http or artifact."),
        status("Where it is in its life.", CronjobStatus),
        time("suspended_at", "When it was suspended, if it is."),
        _CREATED,
    ),
)
TEMPLATES = Kind(
    "TEMPLATES",
    (
        text("template", "The template's name."),
        text("template_id", "The template's id."),
        status("Where it is in its life.", TemplateStatus),
        text("categories", "What it is for, joined by commas."),
        number("amount", "", "What it costs; missing when it is free."),
        text("author", "Who offers it."),
        flag("purchased", "You have bought it."),
        _CREATED,
    ),
)
EXPLANATION = Kind(
    "EXPLANATION",
    (
        text("operation", "What would be sent; the last row is all of it."),
        choice("bound", "Whether the answers decide of how many more, as pages do.", ("exactly", "at least")),
        whole("requests", "requests", "How many."),
        whole("held", "requests", "How many more there would be, were their answers not held."),
        number("share_of_minute", "share", "Of the requests that the key has in a minute, 0 to 1 and above."),
        number("share_of_hour", "share", "Of the requests that the key has in an hour, 0 to 1 and above."),
        number("documented_s", "s", "How long the documented budget makes them take."),
    ),
)
COLLECTED = Kind(
    "COLLECTED",
    (
        _PROJECT,
        _ENVIRONMENT,
        text("table", "The table of the archive."),
        time("start", "Start of the time that was collected, included."),
        time("end", "Its end, not included."),
        whole("rows", "rows", "How many rows were written, of deployments those that are new or changed."),
    ),
)
ACCOUNT_KINDS = (
    *(APPS, GITHUB_ACCOUNTS, GITHUB_REPOSITORIES, GITHUB_BRANCHES, SECURITY_SCANS, TRANSFERS, CRONJOBS, TEMPLATES),
    *(EXPLANATION, COLLECTED),
)
