"""Frames: the rows of a list operation as the frame of their kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from createos_nb.api.api_keys import APIKey
from createos_nb.api.apps import App
from createos_nb.api.cronjobs import Cronjob
from createos_nb.api.deployments import BuildLogLine, Deployment
from createos_nb.api.domains import Domain
from createos_nb.api.environments import Environment
from createos_nb.api.github import GithubAccount
from createos_nb.api.listing import Listing
from createos_nb.api.projects import Project, SupportedType, Transfer
from createos_nb.api.templates import ProjectTemplate
from createos_nb.errors import InvalidArgument
from createos_nb.schema import account_kinds, account_rows, kinds, rows
from createos_nb.schema.kind import Kind

if TYPE_CHECKING:
    import pandas as pd

_ROW: dict[type, tuple[Kind, Callable[[Any, Any], rows.Row]]] = {
    Project: (kinds.PROJECTS, lambda _, row: rows.project_row(row)),
    Environment: (kinds.ENVIRONMENTS, rows.environment_row),
    # Where it is live, the environments know.
    Deployment: (kinds.DEPLOYMENTS, lambda name, row: {**rows.deployment_row(name, row, ()), "environments": None}),
    BuildLogLine: (kinds.BUILD_LOGS, lambda name, row: rows.build_log_rows(name, row.deployment_id, [row])[0]),
    Domain: (kinds.DOMAINS, lambda name, row: rows.domain_row(name, row, ())),
    APIKey: (kinds.API_KEYS, lambda _, row: rows.api_key_row(row)),
    SupportedType: (kinds.SUPPORTED_TYPES, lambda _, row: rows.supported_type_row(row)),
    App: (account_kinds.APPS, lambda _, row: account_rows.app_row(row)),
    Cronjob: (account_kinds.CRONJOBS, lambda name, row: account_rows.cronjob_row(name, row, ())),
    GithubAccount: (account_kinds.GITHUB_ACCOUNTS, lambda _, row: account_rows.github_account_row(row)),
    ProjectTemplate: (account_kinds.TEMPLATES, lambda _, row: account_rows.template_row(row)),
    Transfer: (account_kinds.TRANSFERS, account_rows.transfer_row),
}


def frame(listing: Listing[Any], *, project: str | None = None) -> pd.DataFrame:
    """Return the rows of a list operation as the frame of their kind, also when there are none.

    Whoever starts at a workspace has the frames there, such as ``ws["shop"].deployments()``, with what takes
    further requests to know.

    Parameters
    ----------
    listing
        What the client answered: projects, environments, deployments, lines of a build log, domains, API keys,
        apps, cron jobs, connected accounts, templates, transfers or supported types.
    project
        The name of the project they belong to, for the column ``project``: rows of the API have its id alone.

    Returns
    -------
    DataFrame
        The kind's columns (as `Kind.describe` shows); null where the answer does not say, such as where a
        deployment is live. ``complete`` is that of the listing.

    Raises
    ------
    InvalidArgument
        There is no frame of such rows.

    Examples
    --------
    >>> frame(Listing([], of=Deployment)).columns[:5].tolist()
    ['project', 'project_id', 'deployment_id', 'version', 'status']
    """
    found = _ROW.get(listing.of) if isinstance(listing, Listing) and listing.of else None
    if found is None:
        what = getattr(getattr(listing, "of", None) or type(listing), "__name__", "such")
        known = ", ".join(each.__name__ for each in _ROW)
        raise InvalidArgument(f"There is no frame of {what} rows. Give a Listing of {known}.")
    kind, row = found
    return kind.frame([row(project, each) for each in listing], complete=listing.complete)
