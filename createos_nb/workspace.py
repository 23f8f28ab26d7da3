"""Workspace: every question about what runs on CreateOS is one call that returns a DataFrame.

    ws.deployments()                                  # of everything this key may see
    prod = ws["shop/production"]                      # a selection: one environment, or many
    prod.analytics.requests_over_time(since="1h")     # one frame, whatever the number of environments
    prod.plan_rollback()                              # a plan: shows, never acts

A selection is ``project/environment``; either part may be a pattern (``"*/production"``), several go as a
list, and ``ws[:]`` is everything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import pandas as pd

import createos_nb.accessor  # noqa: F401 - registers df.createos
from createos_nb import schema
from createos_nb.api.projects import Project
from createos_nb.errors import CreateOSError, InvalidArgument, NotFound
from createos_nb.fanout import Failures, gather
from createos_nb.markup import escape, one_line
from createos_nb.plans import deploy
from createos_nb.plans.journal import Journal
from createos_nb.selection import Selection, Target

if TYPE_CHECKING:
    from createos_nb.api.client import Client
    from createos_nb.plans.deploy import Deploy


class Workspace:
    """What a person works on: frames about everything that a key may see, and selections of it.

    Parameters
    ----------
    client
        Carries the requests out; `connect` and `local` make one.

    Attributes
    ----------
    api
        The typed client, for everything that has no frame.
    """

    def __init__(self, client: Client) -> None:
        self.api = client
        self._failures = Failures()

    @property
    def platform(self) -> str:
        """The platform it talks to and the key it uses, in one line without the key."""
        info = self.api.info()
        return f"CreateOS at {info['api_url']}, key from {info['source']}"

    def __repr__(self) -> str:
        return f"<Workspace on {one_line(self.platform)}>"

    def _repr_html_(self) -> str:
        return f"<div style='font:13px/1.5 system-ui'>{escape(self.platform)}</div>"

    def __getitem__(self, key: str | Sequence[str] | slice) -> Selection:
        """Return the environments that a key names; see the module's docstring.

        Raises
        ------
        NotFound
            There is no such project or environment; the message lists those that there are.
        InvalidArgument
            It is not a key of that form.
        """
        patterns = _patterns(key)
        projects = self._projects(patterns)
        found: list[Target] = []
        for project, environments in zip(
            projects, gather(projects, lambda one: self.api.environments.list(one.id)), strict=True
        ):
            found += [
                Target(project, environment)
                for environment in environments
                if any(_matches(pattern, project.unique_name, environment.unique_name) for pattern in patterns)
            ]
        for pattern in patterns:
            if not any(_matches(pattern, *target.names) for target in found):
                raise NotFound(self._missing(pattern, projects), status=404)
        return Selection(self.api, tuple(found), self._failures)

    def _ipython_key_completions_(self) -> list[str]:
        frame = self.environments()
        return ["*/*", *(f"{row.project}/{row.environment}" for row in frame.itertuples())]

    def _projects(self, patterns: Sequence[tuple[str, str]]) -> list[Project]:
        names = {project for project, _ in patterns}
        if any(_is_pattern(name) for name in names):
            listing = self.api.projects.list()
            if not listing.complete:
                raise CreateOSError("The list of projects changed while it was read. Select again.")
            listed = list(listing)
        else:
            # The platform's filter is "contains", so what it answers is looked through below.
            listed = [item for name in sorted(names) for item in self.api.projects.list(name=name)]
        found = {item.id: item for item in listed if any(_same(name, item.unique_name) for name in names)}
        return list(found.values())

    def _missing(self, pattern: tuple[str, str], projects: Sequence[Project]) -> str:
        project = next((item for item in projects if _same(pattern[0], item.unique_name)), None)
        if project is None:
            known = ", ".join(item.unique_name for item in self.api.projects.list(max_rows=20)) or "none at all"
            return f"There is no project {one_line(pattern[0])!r} that this key may see. There are: {known}."
        known = ", ".join(item.unique_name for item in self.api.environments.list(project.id)) or "none yet"
        return f"{project.unique_name} has no environment {one_line(pattern[1])!r}. There are: {known}."

    def projects(self) -> pd.DataFrame:
        """Return all projects (`schema.PROJECTS`), newest first."""
        listing = self.api.projects.list()
        return schema.PROJECTS.frame(map(schema.project_row, listing), complete=listing.complete)

    def environments(self, *, strict: bool = False) -> pd.DataFrame:
        """Return all environments (`schema.ENVIRONMENTS`) with what is live on them.

        Parameters
        ----------
        strict
            Raise `PartialAnswer` instead of leaving out the projects that failed.
        """
        return self._each(
            schema.ENVIRONMENTS,
            "ListProjectEnvironments",
            lambda one: [
                schema.environment_row(one.unique_name, item) for item in self.api.environments.list(one.id)
            ],
            strict=strict,
        )

    def deployments(self, *, strict: bool = False) -> pd.DataFrame:
        """Return all deployments of all projects (`schema.DEPLOYMENTS`), newest first within each.

        Parameters
        ----------
        strict
            Raise `PartialAnswer` instead of leaving out the projects that failed.
        """
        return self._each(schema.DEPLOYMENTS, "ListDeployments", self._deployment_rows, strict=strict)

    def _deployment_rows(self, project: Project) -> list[schema.Row]:
        environments = self.api.environments.list(project.id)
        deployments = self.api.deployments.list(project.id)
        return [
            {**schema.deployment_row(project.unique_name, item, environments), "complete": deployments.complete}
            for item in deployments
        ]

    def domains(self, *, strict: bool = False) -> pd.DataFrame:
        """Return all domains (`schema.DOMAINS`) with where they lead.

        Parameters
        ----------
        strict
            Raise `PartialAnswer` instead of leaving out the projects that failed.
        """
        return self._each(schema.DOMAINS, "ListDomains", self._domain_rows, strict=strict)

    def _domain_rows(self, project: Project) -> list[schema.Row]:
        environments = self.api.environments.list(project.id)
        return [
            schema.domain_row(project.unique_name, item, environments) for item in self.api.domains.list(project.id)
        ]

    def api_keys(self) -> pd.DataFrame:
        """Return the API keys (`schema.API_KEYS`), without their secrets."""
        return schema.API_KEYS.frame(map(schema.api_key_row, self.api.api_keys.list()))

    def quotas(self) -> pd.DataFrame:
        """Return how much of each quota is used (`schema.QUOTAS`)."""
        return schema.QUOTAS.frame(schema.quota_rows(self.api.account.quotas()))

    def user(self) -> pd.DataFrame:
        """Return who the key belongs to (`schema.USER`)."""
        return schema.USER.frame(schema.user_rows(self.api.account.user()))

    def supported_types(self) -> pd.DataFrame:
        """Return the runtimes and frameworks that can be built (`schema.SUPPORTED_TYPES`)."""
        return schema.SUPPORTED_TYPES.frame(map(schema.supported_type_row, self.api.projects.supported_types()))

    def errors(self) -> pd.DataFrame:
        """Return the targets that failed in the last call, and why (`schema.ERRORS`)."""
        return self._failures.frame()

    def journal(self) -> pd.DataFrame:
        """Return what was changed from this machine (`schema.JOURNAL`), oldest first.

        Only changes made through this package by this user are in it; the platform keeps no audit log.
        """
        here = self.api.settings.api_url
        return schema.JOURNAL.frame(Journal().rows(platform=here))

    def plan_deploy(self, project: str, *, directory: str | os.PathLike[str]) -> Deploy:
        """Plan to upload a directory as a new deployment of an upload project.

        Parameters
        ----------
        project
            Its unique name.
        directory
            The application's files.

        Raises
        ------
        NotFound
            There is no such project.
        InvalidArgument
            The directory cannot be uploaded; the message says why.
        """
        if _is_pattern(project) or "/" in project:
            raise InvalidArgument(f"{one_line(project)!r} is not one project. Give its unique name.")
        found = self._projects([(project, "")])
        if not found:
            raise NotFound(self._missing((project, ""), found), status=404)
        return deploy(self.api, project=found[0].unique_name, project_id=found[0].id, directory=directory)

    def _each(
        self, kind: schema.Kind, operation: str, rows: Callable[[Project], list[schema.Row]], *, strict: bool
    ) -> pd.DataFrame:
        listing = self.api.projects.list()
        return self._failures.collect(
            kind,
            operation,
            list(listing),
            lambda one: (one.unique_name, None),
            rows,
            strict=strict,
            complete=listing.complete,
        )


def _patterns(key: str | Sequence[str] | slice) -> list[tuple[str, str]]:
    if isinstance(key, slice):
        if key != slice(None):
            raise InvalidArgument("ws[:] is everything; other slices mean nothing here.")
        return [("*", "*")]
    keys = [key] if isinstance(key, str) else list(key)
    if not keys:
        raise InvalidArgument("The list of environments is empty. Name some, as in ws[['shop/production']].")
    return [_pattern(item) for item in keys]


def _pattern(key: object) -> tuple[str, str]:
    project, slash, environment = key.partition("/") if isinstance(key, str) else ("", "", "")
    if not project or not environment or not slash or "/" in environment:
        raise InvalidArgument(
            f"{one_line(key)!r} is not a selection. Write 'project/environment', such as 'shop/production' or "
            "'*/production'."
        )
    return project, environment


def _is_pattern(name: str) -> bool:
    return any(mark in name for mark in "*?[")


def _same(pattern: str, name: str) -> bool:
    # Names are unique regardless of case.
    return fnmatchcase(name.lower(), pattern.lower())


def _matches(pattern: tuple[str, str], project: str, environment: str) -> bool:
    return _same(pattern[0], project) and _same(pattern[1], environment)
