"""Account: what is asked of everything that a key may see, each question one DataFrame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import pandas as pd

from createos_nb import schema
from createos_nb.api.client import Client
from createos_nb.api.deployments import Deployments
from createos_nb.api.environments import Environment, Environments
from createos_nb.api.github import GithubAccount, GithubBranch
from createos_nb.api.listing import Listing
from createos_nb.api.projects import Project, Projects
from createos_nb.errors import InvalidArgument
from createos_nb.fanout import Asking, Question, Targets
from createos_nb.frames import scanned
from createos_nb.markup import one_line

PAGE = 20
"""Rows that the platform gives of a paged list in a request."""

BRANCHES_PAGE = 100

Item = TypeVar("Item")

PROJECTS: Targets[Project] = Targets(
    lambda client: client.projects.list(),
    lambda one: (one.unique_name, None),
    operation="ListProjects",
    count=lambda client: client.projects.list(max_rows=1).total,
    page_size=PAGE,
)
ACCOUNTS: Targets[GithubAccount] = Targets(
    lambda client: client.github.list_accounts(),
    lambda _one: (None, None),
    operation="ListConnectedGithubAccounts",
    count=lambda client: len(client.github.list_accounts()),
)


class AccountFrames:
    """Questions about everything that a key may see.

    Parameters
    ----------
    asking
        Asks the questions, or explains what they would cost.

    Attributes
    ----------
    api
        The typed client, for everything that has no frame.
    """

    def __init__(self, asking: Asking) -> None:
        self.api = asking.client
        self._asking = asking

    def projects(self) -> pd.DataFrame:
        """Return all projects (`schema.PROJECTS`), newest first."""

        def frame(client: Client, _one: object) -> pd.DataFrame:
            found = client.projects.run(Projects.list.parts(schema.PROJECT_RECORDS.read))
            return schema.PROJECT_RECORDS.frame(found)

        return self._one(schema.PROJECTS, "ListProjects", frame, paged=True)

    def environments(self, *, strict: bool = False) -> pd.DataFrame:
        """Return all environments (`schema.ENVIRONMENTS`) with what is live on them.

        Parameters
        ----------
        strict
            Raise `PartialAnswer` instead of leaving out the projects that failed.
        """

        def frame(client: Client, one: Project) -> pd.DataFrame:
            found = client.environments.run(Environments.list.parts(schema.ENVIRONMENT_RECORDS.read, one.id))
            return schema.ENVIRONMENT_RECORDS.frame(found, one.unique_name)

        return self._each(schema.ENVIRONMENTS, frame, {"ListProjectEnvironments": 1}, strict=strict)

    def deployments(self, *, strict: bool = False) -> pd.DataFrame:
        """Return all deployments of all projects (`schema.DEPLOYMENTS`), newest first within each.

        Parameters
        ----------
        strict
            Raise `PartialAnswer` instead of leaving out the projects that failed.
        """

        def frame(client: Client, one: Project) -> pd.DataFrame:
            environments = client.environments.list(one.id)
            found = client.deployments.run(Deployments.list.parts(schema.DEPLOYMENT_RECORDS.read, one.id))
            return schema.DEPLOYMENT_RECORDS.frame(found, one.unique_name, environments)

        requests = {"ListDeployments": 1, "ListProjectEnvironments": 1}
        return self._each(schema.DEPLOYMENTS, frame, requests, paged="ListDeployments", strict=strict)

    def domains(self, *, strict: bool = False) -> pd.DataFrame:
        """Return all domains (`schema.DOMAINS`) with where they lead.

        Parameters
        ----------
        strict
            Raise `PartialAnswer` instead of leaving out the projects that failed.
        """

        def rows(client: Client, one: Project) -> list[schema.Row]:
            domains = client.domains.list(one.id)
            environments = _environments(client, one, (item.environment_id for item in domains))
            return [schema.domain_row(one.unique_name, item, environments) for item in domains]

        requests = {"ListDomains": 1, "ListProjectEnvironments": 0}
        return self._each(schema.DOMAINS, rows, requests, paged="ListProjectEnvironments", strict=strict)

    def cronjobs(self, *, strict: bool = False) -> pd.DataFrame:
        """Return all cron jobs (`schema.CRONJOBS`).

        Parameters
        ----------
        strict
            Raise `PartialAnswer` instead of leaving out the projects that failed.
        """

        def rows(client: Client, one: Project) -> list[schema.Row]:
            cronjobs = client.cronjobs.list(one.id)
            environments = _environments(client, one, (item.environment_id for item in cronjobs))
            return [schema.cronjob_row(one.unique_name, item, environments) for item in cronjobs]

        requests = {"ListCronjobs": 1, "ListProjectEnvironments": 0}
        return self._each(schema.CRONJOBS, rows, requests, paged="ListProjectEnvironments", strict=strict)

    def security_scans(self, *, strict: bool = False) -> pd.DataFrame:
        """Return the security scans of all deployments that are live (`schema.SECURITY_SCANS`).

        What was never scanned has a row without a scan.

        Parameters
        ----------
        strict
            Raise `PartialAnswer` instead of leaving out the projects that failed.
        """
        return self._each(
            schema.SECURITY_SCANS,
            lambda client, one: scanned(client, one.unique_name, client.environments.list(one.id)),
            {"GetSecurityScan": 0, "ListProjectEnvironments": 1},
            paged="GetSecurityScan",
            strict=strict,
        )

    def transfers(self, *, strict: bool = False) -> pd.DataFrame:
        """Return from whom to whom projects went (`schema.TRANSFERS`).

        Parameters
        ----------
        strict
            Raise `PartialAnswer` instead of leaving out the projects that failed.
        """
        return self._each(
            schema.TRANSFERS,
            lambda client, one: [
                schema.transfer_row(one.unique_name, item) for item in client.projects.list_transfers(one.id)
            ],
            {"ListProjectTransferHistory": 1},
            strict=strict,
        )

    def apps(self) -> pd.DataFrame:
        """Return the apps (`schema.APPS`); a project's ``app_id`` says which one it belongs to."""
        return self._listed(schema.APPS, "ListApps", lambda client: client.apps.list(), schema.app_row)

    def api_keys(self) -> pd.DataFrame:
        """Return the API keys (`schema.API_KEYS`), without their secrets."""
        return self._listed(
            schema.API_KEYS, "ListAPIKeys", lambda client: client.api_keys.list(), schema.api_key_row
        )

    def quotas(self) -> pd.DataFrame:
        """Return how much of each quota is used (`schema.QUOTAS`)."""
        return self._one(
            schema.QUOTAS, "GetQuotas", lambda client, _one: schema.quota_rows(client.account.quotas())
        )

    def user(self) -> pd.DataFrame:
        """Return who the key belongs to (`schema.USER`)."""
        return self._one(
            schema.USER, "GetCurrentUser", lambda client, _one: schema.user_rows(client.account.user())
        )

    def supported_types(self) -> pd.DataFrame:
        """Return the runtimes and frameworks that can be built (`schema.SUPPORTED_TYPES`)."""
        return self._listed(
            schema.SUPPORTED_TYPES,
            "GetSupportedProjectTypes",
            lambda client: client.projects.supported_types(),
            schema.supported_type_row,
        )

    def templates(self) -> pd.DataFrame:
        """Return the published templates (`schema.TEMPLATES`)."""
        return self._listed(
            schema.TEMPLATES,
            "ListPublishedProjectTemplates",
            lambda client: client.templates.list(),
            schema.template_row,
            paged=True,
        )

    def github_accounts(self) -> pd.DataFrame:
        """Return the GitHub accounts that CreateOS may read (`schema.GITHUB_ACCOUNTS`)."""
        return self._listed(
            schema.GITHUB_ACCOUNTS,
            "ListConnectedGithubAccounts",
            lambda client: client.github.list_accounts(),
            schema.github_account_row,
        )

    def github_repositories(self, *, strict: bool = False) -> pd.DataFrame:
        """Return the repositories of the connected GitHub accounts (`schema.GITHUB_REPOSITORIES`).

        Parameters
        ----------
        strict
            Raise `PartialAnswer` instead of leaving out the accounts that failed.
        """
        question = Question(
            schema.GITHUB_REPOSITORIES,
            ACCOUNTS,
            lambda client, one: [
                schema.github_repository_row(one, item)
                for item in client.github.list_repositories(str(one.installation_id))
            ],
            {"ListGithubRepositories": 1},
        )
        return self._asking.ask(question, strict=strict)

    def github_branches(self, repository: str) -> pd.DataFrame:
        """Return the branches of a repository (`schema.GITHUB_BRANCHES`).

        Parameters
        ----------
        repository
            Its full name, such as ``"octocat/shop"``; the account must be connected.

        Raises
        ------
        InvalidArgument
            It is not the full name of a repository of a connected account; the message lists the accounts.
        """
        owner, slash, name = repository.partition("/")
        if not (owner and slash and name) or "/" in name:
            raise InvalidArgument(
                f"{one_line(repository)!r} is not a repository's full name. Write it like 'octocat/shop'."
            )

        def rows(client: Client, _one: object) -> list[schema.Row]:
            accounts = client.github.list_accounts()
            account = next((item for item in accounts if item.username.lower() == owner.lower()), None)
            if account is None:
                known = ", ".join(one_line(item.username) for item in accounts) or "none at all"
                raise InvalidArgument(f"No GitHub account {one_line(owner)!r} is connected. There are: {known}.")
            branches, complete = _branches(client, account, repository)
            return [
                {**schema.github_branch_row(account, repository, item), "complete": complete} for item in branches
            ]

        question = Question(
            schema.GITHUB_BRANCHES,
            _NOBODY,
            rows,
            {"ListGithubRepositoryBranches": 1, "ListConnectedGithubAccounts": 1},
            frozenset({"ListGithubRepositoryBranches"}),
        )
        return self._asking.ask(question)

    def _each(
        self,
        kind: schema.Kind,
        rows: Callable[[Client, Project], Sequence[schema.Row] | pd.DataFrame],
        requests: Mapping[str, int],
        *,
        strict: bool,
        paged: str = "",
    ) -> pd.DataFrame:
        """Ask about every project."""
        return self._asking.ask(Question(kind, PROJECTS, rows, requests, frozenset({paged})), strict=strict)

    def _listed(
        self,
        kind: schema.Kind,
        operation: str,
        listing: Callable[[Client], Listing[Item]],
        row: Callable[[Item], schema.Row],
        *,
        paged: bool = False,
    ) -> pd.DataFrame:
        """Return a list that is not about any project, a row for each thing in it."""

        def frame(client: Client, _one: object) -> pd.DataFrame:
            listed = listing(client)
            return kind.frame(map(row, listed), complete=listed.complete)

        return self._one(kind, operation, frame, paged=paged)

    def _one(
        self,
        kind: schema.Kind,
        operation: str,
        rows: Callable[[Client, object], Sequence[schema.Row] | pd.DataFrame],
        *,
        paged: bool = False,
    ) -> pd.DataFrame:
        """Ask something that is not about any project."""
        unbounded = frozenset({operation} if paged else ())
        return self._asking.ask(Question(kind, _NOBODY, rows, {operation: 1}, unbounded))


_NOBODY: Targets[object] = Targets(lambda _client: (None,), lambda _one: (None, None))


def _environments(client: Client, project: Project, wanted: Iterable[str | None]) -> Sequence[Environment]:
    """Return a project's environments where their names are wanted at all: a request less for most projects."""
    return client.environments.list(project.id) if any(wanted) else ()


def _branches(client: Client, account: GithubAccount, repository: str) -> tuple[list[GithubBranch], bool]:
    """Return the branches, and whether they are all: the list has no total, only a page that is not full."""
    found: dict[str, GithubBranch] = {}
    while True:
        known = len(found)
        rows = client.github.list_branches(
            str(account.installation_id),
            repository=repository,
            page=known // BRANCHES_PAGE + 1,
            per_page=BRANCHES_PAGE,
        )
        found.update((row.name, row) for row in rows)
        if len(rows) < BRANCHES_PAGE or len(found) < known + BRANCHES_PAGE:
            # A full page of known ones is of a platform that ignores the page's number, or of a list that moved.
            return list(found.values()), len(rows) < BRANCHES_PAGE
